//! Rewriting a body: what is not edited keeps its bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::Family;

#[derive(Debug, Clone)]
struct Asked {
    api: Api,
    model: Option<&'static str>,
    system: Option<&'static str>,
    parameters: Value,
    ask_usage: bool,
    strip_tools: bool,
}

const NOTHING: Asked = Asked {
    api: Api::Chat,
    model: None,
    system: None,
    parameters: Value::Null,
    ask_usage: false,
    strip_tools: false,
};

fn rewritten(text: &str, asked: &Asked) -> String {
    let parameters = asked.parameters.as_object().cloned().unwrap_or_default();
    let Asked { api, model, system, ask_usage, strip_tools, .. } = *asked;
    let body = Body::read(text.as_bytes()).unwrap();
    let edits = Edits { api, model, system, parameters: &parameters, ask_usage, strip_tools };
    String::from_utf8(rewrite(&body, &edits).into_owned()).unwrap()
}

#[test]
fn without_edits_the_body_is_not_even_copied() {
    let body = Body::read(br#" {"model":"m","stream_options":{"include_usage": true}} "#).unwrap();
    let parameters = Map::new();
    let edits = Edits {
        api: Api::Chat,
        model: Some("m"),
        system: None,
        parameters: &parameters,
        ask_usage: true,
        strip_tools: true,
    };
    assert!(matches!(rewrite(&body, &edits), Cow::Borrowed(_)));
}

#[test]
fn what_is_not_edited_keeps_its_bytes() {
    let text = "{ \"temperature\" : 1.0e5,\n\t\"model\":\"feature\" , \"seed\":123456789012345678901234567890, \"x\":\"\\u00e9\\/\" }\n";
    let asked = Asked { model: Some("gpt-4o"), ..NOTHING };
    assert_eq!(rewritten(text, &asked), text.replace("\"feature\"", "\"gpt-4o\""));
}

#[test]
fn a_system_message_comes_first() {
    let asked = Asked { system: Some("Be \"kind\".\n"), ..NOTHING };
    for (messages, expected) in [
        (r#"[ {"role":"user"} ]"#, r#"[{"role":"system","content":"Be \"kind\".\n"}, {"role":"user"} ]"#),
        ("[ ]", r#"[{"role":"system","content":"Be \"kind\".\n"} ]"#),
        (r#""none""#, r#""none""#),
    ] {
        let body = |messages| format!(r#"{{"messages":{messages},"a":1}}"#);
        assert_eq!(rewritten(&body(messages), &asked), body(expected));
    }
    assert_eq!(rewritten("{}", &asked), "{}");
}

#[test]
fn messages_have_a_place_of_their_own_for_the_system() {
    for (system, expected) in [
        ("", r#","system":"Be \"kind\".""#),
        (r#","system":null"#, r#","system":"Be \"kind\".""#),
        (r#","system": "" "#, r#","system": "Be \"kind\"." "#),
        (r#","system": "\u0042e br\u0069ef." "#, r#","system": "Be \"kind\".\n\n\u0042e br\u0069ef." "#),
        (r#","system":[ ]"#, r#","system":[{"type":"text","text":"Be \"kind\"."} ]"#),
        (
            r#","system":[ {"text" : "a", "cache_control":{"type":"ephemeral"}} ]"#,
            r#","system":[{"type":"text","text":"Be \"kind\"."}, {"text" : "a", "cache_control":{"type":"ephemeral"}} ]"#,
        ),
        (r#","system":7"#, r#","system":7"#),
    ] {
        for api in [Api::Messages, Api::CountTokens] {
            let asked = Asked { api, system: Some("Be \"kind\"."), ..NOTHING };
            assert_eq!(
                rewritten(&format!(r#"{{"messages":[1]{system}}}"#), &asked),
                format!(r#"{{"messages":[1]{expected}}}"#)
            );
        }
    }
}

#[test]
fn responses_take_the_system_as_instructions() {
    let asked = Asked { api: Api::Responses, system: Some("s"), ..NOTHING };
    for (text, expected) in [
        (r#"{"input":"a"}"#, r#"{"input":"a","instructions":"s"}"#),
        (r#"{"instructions":"\u0061"}"#, r#"{"instructions":"s\n\n\u0061"}"#),
        (r#"{"instructions":null,"input":[]}"#, r#"{"instructions":"s","input":[]}"#),
        (r#"{"instructions":["a"]}"#, r#"{"instructions":["a"]}"#),
    ] {
        assert_eq!(rewritten(text, &asked), expected);
    }
}

#[test]
fn what_an_api_has_no_place_for_is_left_out() {
    let asked = Asked { system: Some("s"), ask_usage: true, strip_tools: true, ..NOTHING };
    for (api, text) in [
        (Api::Embeddings, r#"{"input":"a","tools":[1]}"#),
        (Api::Chat, r#"{"a":1,"stream_options":{"include_usage":true}}"#),
    ] {
        assert_eq!(rewritten(text, &Asked { api, ..asked.clone() }), text);
    }
    let stream = r#"{"stream":true}"#;
    for api in [Api::Responses, Api::Messages, Api::CountTokens, Api::Embeddings] {
        assert_eq!(rewritten(stream, &Asked { api, ask_usage: true, ..NOTHING }), stream);
    }
    let chat = r#"{"messages":[1]}"#;
    assert_eq!(rewritten(chat, &Asked { system: Some(""), ..NOTHING }), chat);
}

#[test]
fn each_api_loses_its_own_tools() {
    for (api, text, expected) in [
        (
            Api::Messages,
            r#"{"tools":[1],"tool_choice":{},"mcp_servers":[],"container":"c","functions":[]}"#,
            r#"{"functions":[]}"#,
        ),
        (
            Api::Responses,
            r#"{"tools":[1],"tool_choice":"auto","parallel_tool_calls":true,"max_tool_calls":3,"input":"a"}"#,
            r#"{"input":"a"}"#,
        ),
    ] {
        assert_eq!(rewritten(text, &Asked { api, strip_tools: true, ..NOTHING }), expected);
    }
}

#[test]
fn parameters_replace_members_or_are_added_at_the_end() {
    let asked = Asked { parameters: json!({"temperature": 0.2, "index": "v2"}), ..NOTHING };
    assert_eq!(
        rewritten(r#"{"temperature": 1, "a":2 }"#, &asked),
        r#"{"temperature": 0.2, "a":2,"index":"v2" }"#
    );
    assert_eq!(rewritten("{ }", &asked), r#"{"temperature":0.2,"index":"v2" }"#);
}

#[test]
fn usage_is_asked_for_beside_what_else_the_options_say() {
    let asked = Asked { ask_usage: true, ..NOTHING };
    for (text, expected) in [
        (r#"{"a":1}"#, r#"{"a":1,"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":null}"#, r#"{"stream_options":{"include_usage":true}}"#),
        (
            r#"{"stream_options":{ "include_obfuscation" : false }}"#,
            r#"{"stream_options":{ "include_obfuscation" : false,"include_usage":true }}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":false,"x":1}}"#,
            r#"{"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (r#"{"stream_options":{"include_usage":true}}"#, r#"{"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":3}"#, r#"{"stream_options":3}"#),
    ] {
        assert_eq!(rewritten(text, &asked), expected);
    }
}

#[test]
fn tools_are_taken_away_with_their_commas() {
    let asked = Asked { strip_tools: true, ..NOTHING };
    for (text, expected) in [
        (r#"{"tools":[1],"a":1}"#, r#"{"a":1}"#),
        (r#"{"a":1, "tools":[1]}"#, r#"{"a":1}"#),
        (r#"{ "tools":[1], "tool_choice":"auto", "a":1, "functions":[], "b":2 }"#, r#"{ "a":1, "b":2 }"#),
        (r#"{ "tools":[1], "parallel_tool_calls":true, "function_call":"none" }"#, r#"{  }"#),
        (r#"{"too\u006cs":[1]}"#, "{}"),
    ] {
        assert_eq!(rewritten(text, &asked), expected);
    }
}

#[test]
fn a_version_parameter_does_not_bring_back_tools_that_are_stripped() {
    let asked = Asked { strip_tools: true, parameters: json!({"tools": [1], "seed": 1}), ..NOTHING };
    assert_eq!(rewritten(r#"{"a":1,"tools":[2]}"#, &asked), r#"{"a":1,"seed":1}"#);
}

#[test]
fn edits_of_one_member_come_together() {
    let asked = Asked {
        api: Api::Chat,
        model: Some("gpt-4o"),
        system: Some("s"),
        parameters: json!({"model": "other", "messages": [{"role": "user"}], "stream_options": {"x": 1}}),
        ask_usage: true,
        strip_tools: false,
    };
    let expected = r#"{"messages":[{"role":"system","content":"s"},{"role":"user"}],"model":"gpt-4o","stream_options":{"x":1,"include_usage":true}}"#;
    assert_eq!(rewritten(r#"{"messages":[],"model":"f"}"#, &asked), expected);
}

#[test]
fn an_edited_member_that_was_written_twice_is_left_once() {
    let asked = Asked { model: Some("new"), system: Some("s"), ..NOTHING };
    assert_eq!(
        rewritten(r#"{"model":"a", "messages":[1], "b":1, "mod\u0065l" : "new", "messages":[2]}"#, &asked),
        r#"{"b":1, "mod\u0065l" : "new", "messages":[{"role":"system","content":"s"},2]}"#
    );
}

#[test]
fn a_body_of_ten_mebibytes_is_spliced_with_one_copy() {
    let text = format!(r#"{{"model":"f","messages":[{}1],"a":1}}"#, "1,".repeat(5 * 1024 * 1024));
    let asked = Asked { model: Some("m"), system: Some("s"), ..NOTHING };
    let edited = rewritten(&text, &asked);
    let start = r#"{"model":"m","messages":[{"role":"system","content":"s"},1,"#;
    assert!(edited.starts_with(start) && edited.ends_with(r#",1],"a":1}"#));
    assert_eq!(edited.len(), text.len() + r#"{"role":"system","content":"s"},"#.len());
}

/// A value as somebody might write it, odd spellings included.
fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.0e5".to_owned()),
        Just("-0".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\u00e9\/\"},{[""#.to_owned()),
        any::<String>().prop_map(|text| json_string(&text)),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" ,"))),
            vec(("[a-c]", inner), 0..3).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
                format!("{{ {} }}", members.join(",\n"))
            }),
        ]
    })
}

fn any_key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\"model\"",
        "\"mod\\u0065l\"",
        "\"messages\"",
        "\"stream_options\"",
        "\"tools\"",
        "\"tool_choice\"",
        "\"mcp_servers\"",
        "\"system\"",
        "\"instructions\"",
        "\"temperature\"",
        "\"a\"",
        "\"b\"",
        "\"\\u00e9\"",
    ])
}

fn any_space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "\n\t"])
}

/// A member and the white space around its parts.
fn any_member() -> impl Strategy<Value = (&'static str, String, [&'static str; 4])> {
    (any_key(), any_value(), [any_space(), any_space(), any_space(), any_space()])
}

fn any_edits() -> impl Strategy<Value = Asked> {
    let parameters = prop::sample::select(vec![
        json!({}),
        json!({"temperature": 0.5}),
        json!({"temperature": 0.5, "new": {"x": [1]}}),
    ]);
    let optional = |text| prop::option::of(Just(text));
    let api = prop::sample::select(Api::ALL.to_vec());
    (api, optional("gpt-4o"), optional("Be kind."), parameters, any::<bool>(), any::<bool>()).prop_map(
        |(api, model, system, parameters, ask_usage, strip_tools)| Asked {
            api,
            model,
            system,
            parameters,
            ask_usage,
            strip_tools,
        },
    )
}

/// What the edits should make of the value; written without regard to bytes.
fn expected(mut value: Value, asked: &Asked) -> Value {
    let members = value.as_object_mut().unwrap();
    members.extend(asked.parameters.as_object().unwrap().clone());
    if let Some(model) = asked.model {
        members.insert("model".to_owned(), json!(model));
    }
    if let Some(system) = asked.system {
        expect_system(members, asked.api, system);
    }
    if asked.ask_usage && asked.api == Api::Chat {
        let options = members.entry("stream_options").or_insert(Value::Null);
        if options.is_null() {
            *options = json!({});
        }
        if let Value::Object(options) = options {
            options.insert("include_usage".to_owned(), json!(true));
        }
    }
    if asked.strip_tools {
        members.retain(|name, _| !tool_members(asked.api).contains(&name.as_str()));
    }
    value
}

fn expect_system(members: &mut Map<String, Value>, api: Api, system: &str) {
    let (name, first) = match api {
        Api::Chat => ("messages", json!({ "role": "system", "content": system })),
        Api::Messages | Api::CountTokens => ("system", json!({ "type": "text", "text": system })),
        Api::Responses => ("instructions", Value::Null),
        Api::Embeddings => return,
    };
    match members.get_mut(name) {
        Some(Value::Array(items)) if !first.is_null() => items.insert(0, first),
        Some(Value::String(text)) if api != Api::Chat && !text.is_empty() => {
            *text = format!("{system}\n\n{text}")
        }
        Some(Value::Null) | None if api != Api::Chat => {
            members.insert(name.to_owned(), json!(system));
        }
        Some(Value::String(text)) if api != Api::Chat => *text = system.to_owned(),
        _ => {}
    }
}

proptest! {
    #[test]
    fn the_result_is_the_edited_value_and_all_else_keeps_its_bytes(
        members in vec(any_member(), 0..8),
        asked in any_edits(),
        inside in any_space(),
    ) {
        let written: Vec<String> = members
            .iter()
            .map(|(key, value, [a, b, c, d])| format!("{a}{key}{b}:{c}{value}{d}"))
            .collect();
        let text = format!("{{{}{inside}}}", written.join(","));
        let edited = rewritten(&text, &asked);

        let before: Value = serde_json::from_str(&text).unwrap();
        let after: Value = serde_json::from_str(&edited).unwrap();
        prop_assert_eq!(after, expected(before, &asked), "{} became {}", text, edited);

        // Members that no edit names are found in the result as they were written, in their order.
        let edits_name = |key: &str| match key {
            "\"temperature\"" => !asked.parameters.as_object().unwrap().is_empty(),
            "\"model\"" | "\"mod\\u0065l\"" => asked.model.is_some(),
            "\"messages\"" => asked.system.is_some() && asked.api == Api::Chat,
            "\"system\"" => asked.system.is_some() && asked.api.family() == Family::Anthropic,
            "\"instructions\"" => asked.system.is_some() && asked.api == Api::Responses,
            "\"stream_options\"" => asked.ask_usage && asked.api == Api::Chat,
            "\"tools\"" | "\"tool_choice\"" => asked.strip_tools && asked.api != Api::Embeddings,
            "\"mcp_servers\"" => asked.strip_tools && asked.api.family() == Family::Anthropic,
            _ => false,
        };
        let mut rest = edited.as_str();
        for (key, value, [_, b, c, _]) in members.iter().filter(|(key, ..)| !edits_name(key)) {
            let member = format!("{key}{b}:{c}{value}");
            let at = rest.find(&member);
            prop_assert!(at.is_some(), "{member} of {text} is not in {edited}");
            rest = &rest[at.unwrap() + member.len()..];
        }
        if !members.iter().any(|(key, ..)| edits_name(key)) && !edited.contains("gpt-4o") {
            let common = text.trim_end_matches(|c: char| c == '}' || c.is_whitespace());
            prop_assert!(edited.starts_with(common), "{text} became {edited}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_a_read_one_is_kept(text in any::<String>()) {
        if let Ok(body) = Body::read(text.as_bytes()) {
            let parameters = Map::new();
            let edits = Edits { api: Api::Chat, model: None, system: None, parameters: &parameters, ask_usage: false, strip_tools: false };
            prop_assert_eq!(&*rewrite(&body, &edits), text.as_bytes());
        }
    }
}

#[test]
fn thoughts_that_nobody_signed_are_taken_out_of_messages() {
    let (api, others) = (Asked { api: Api::Messages, ..NOTHING }, Asked { api: Api::Chat, ..NOTHING });
    let unsigned = r#"{"type":"thinking","thinking":"Hm.","signature" : ""}"#;
    for (messages, expected) in [
        (
            format!(
                r#"[ {{"role":"assistant","content": [ {unsigned} , {{"type":"text","text":"\u0061"}} ] ,"x":1}} ]"#
            ),
            r#"[ {"role":"assistant","content": [ {"type":"text","text":"\u0061"} ] ,"x":1} ]"#,
        ),
        (
            format!(
                r#"[{{"role":"assistant","content":[{{"type":"text","text":"a"}}, {unsigned}, {{"type":"tool_use"}}]}}]"#
            ),
            r#"[{"role":"assistant","content":[{"type":"text","text":"a"}, {"type":"tool_use"}]}]"#,
        ),
        (
            format!(
                r#"[{{"role":"user","content":"a"}}, {{"role":"assistant","content":[{unsigned}]}}, {{"role":"user","content":"b"}}]"#
            ),
            r#"[{"role":"user","content":"a"}, {"role":"user","content":"b"}]"#,
        ),
        (
            format!(r#"[{{"role":"assistant","content":[{unsigned}]}}, {{"role":"user","content":"b"}}]"#),
            r#"[{"role":"user","content":"b"}]"#,
        ),
    ] {
        let (text, expected) =
            (format!("{{ \"messages\" : {messages} }}"), format!("{{ \"messages\" : {expected} }}"));
        assert_eq!(rewritten(&text, &api), expected);
        assert_eq!(rewritten(&text, &others), text);
    }
    for kept in [
        format!(r#"[{{"role":"user","content":[{unsigned}]}}]"#),
        r#"[{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"}]}]"#
            .to_owned(),
        r#"[{"role":"assistant","content":[{"type":"text","text":"a","signature":""}]}]"#.to_owned(),
        r#"[{"role":"assistant","content":"{\"type\":\"thinking\",\"signature\":\"\"}"}]"#.to_owned(),
        r#"[7,{"role":"assistant","content":7,"signature":""}]"#.to_owned(),
    ] {
        let text = format!("{{\"messages\":{kept}}}");
        assert_eq!(rewritten(&text, &api), text);
    }
}
