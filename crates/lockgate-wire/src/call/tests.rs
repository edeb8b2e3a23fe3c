//! Reading a request: what each API calls the same things.

use super::*;

fn read(text: &str) -> Body<'_> {
    Body::read(text.as_bytes()).unwrap()
}

#[test]
fn each_api_is_asked_for_what_it_cannot_do_without() {
    for (api, text, expected) in [
        (Api::Messages, r#"{"messages":[]}"#, None),
        (Api::CountTokens, r#"{"messages":[]}"#, None),
        (
            Api::Messages,
            r#"{"max_tokens":1}"#,
            Some("You must provide a `messages` parameter: an array of messages."),
        ),
        (
            Api::CountTokens,
            r#"{"messages":{}}"#,
            Some("Invalid type for `messages`: expected an array of messages, but got an object."),
        ),
        (Api::Responses, "{}", None),
        (Api::Embeddings, r#"{"input":"a"}"#, None),
        (Api::Embeddings, r#"{"input":[1,2]}"#, None),
        (Api::Embeddings, "{}", Some("You must provide a `input` parameter: a string or an array.")),
        (
            Api::Embeddings,
            r#"{"input":null}"#,
            Some("Invalid type for `input`: expected a string or an array, but got null."),
        ),
    ] {
        let told = read(text).check(api).err().map(|error| error.to_string());
        assert_eq!(told.as_deref(), expected, "{text}");
    }
}

#[test]
fn the_callers_bound_is_read_under_the_name_of_its_api() {
    for (api, text, expected) in [
        (Api::Chat, r#"{"max_tokens":5}"#, Some(5)),
        (Api::Chat, r#"{"max_tokens":5,"max_completion_tokens":7}"#, Some(7)),
        (Api::Chat, r#"{"max_tokens":5,"max_completion_tokens":null}"#, Some(5)),
        (Api::Chat, r#"{"max_output_tokens":5}"#, None),
        (Api::Responses, r#"{"max_output_tokens":5.0}"#, Some(5)),
        (Api::Messages, r#"{"max_tokens":5}"#, Some(5)),
        (Api::Messages, r#"{"max_tokens":-5}"#, None),
        (Api::Messages, r#"{"max_tokens":"5"}"#, None),
        (Api::Embeddings, r#"{"max_tokens":5}"#, None),
        (Api::CountTokens, r#"{"max_tokens":5}"#, None),
    ] {
        assert_eq!(read(text).max_tokens(api), expected, "{text}");
    }
}

#[test]
fn servers_of_tools_are_tools() {
    assert!(read(r#"{"mcp_servers":[{"type":"url"}]}"#).has_tools());
    assert!(!read(r#"{"mcp_servers":[]}"#).has_tools());
}

#[test]
fn what_the_user_said_is_read_past_what_tools_gave_back() {
    let messages = r#"[
        {"role":"user","content":"Weather in Oslo?"},
        {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"weather","input":{"city":"Oslo"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"-3"}]}]}
    ]"#;
    let text = format!(r#"{{"messages":{messages}}}"#);
    assert_eq!(read(&text).last_user_text(Api::Messages).as_deref(), Some("Weather in Oslo?"));
    let text = r#"{"messages":[{"role":"user","content":[
        {"type":"tool_result","tool_use_id":"t","content":"-3"},{"type":"text","text":"And tomorrow?"}]}]}"#;
    assert_eq!(read(text).last_user_text(Api::Messages).as_deref(), Some("And tomorrow?"));
}

#[test]
fn the_input_of_a_response_is_a_text_or_a_list_of_items() {
    for (input, expected) in [
        (r#""h\u00ed""#, Some("hí")),
        (
            r#"[{"role":"user","content":"a"},{"type":"function_call_output","call_id":"c","output":"1"}]"#,
            Some("a"),
        ),
        (
            r#"[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"},
                {"type":"input_image","image_url":"x"},{"type":"input_text","text":"b"}]},
                {"role":"assistant","content":[{"type":"output_text","text":"c"}]}]"#,
            Some("a\nb"),
        ),
        ("[]", None),
        ("7", None),
    ] {
        let text = format!(r#"{{"input":{input}}}"#);
        assert_eq!(read(&text).last_user_text(Api::Responses).as_deref(), expected, "{input}");
    }
    assert_eq!(read(r#"{"input":"a"}"#).last_user_text(Api::Embeddings), None);
}

#[test]
fn thinking_is_wanted_where_a_message_asks_for_it() {
    for (thinking, expected) in [
        (r#"{"type":"enabled","budget_tokens":1024}"#, true),
        (r#"{"type":"adaptive"}"#, true),
        (r#"{"type":"disabled"}"#, false),
        (r#"{}"#, false),
        (r#""enabled""#, false),
        ("null", false),
    ] {
        let text = format!("{{\"thinking\":{thinking}}}");
        assert_eq!(read(&text).wants_thinking(Api::Messages), expected, "{text}");
        assert!(!read(&text).wants_thinking(Api::Chat));
    }
    assert!(!read("{}").wants_thinking(Api::Messages));
}
