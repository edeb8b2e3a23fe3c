//! Chat completions calls, said as messages.

use serde_json::{Value, json};

use super::{Way, translated, with};

/// What a chat request that says `hi` and these members becomes besides the message.
#[track_caller]
fn check_members(members: Value, expected: Value, dropped: &[&str]) {
    let base = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let mut out = with(with(base.clone(), json!({ "max_tokens": 512 })), expected);
    out.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    super::check(Way::ChatToMessages, &with(base, members), &out, dropped);
}

#[track_caller]
pub(super) fn check_refused(members: Value, param: &str, problem: &str) {
    let base = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    super::check_refused(Way::ChatToMessages, &with(base, members), param, problem);
}

/// What messages become, as the system prompt and the messages.
#[track_caller]
fn check_talk(messages: Value, system: Value, expected: Value, dropped: &[&str]) {
    let mut out = json!({ "max_tokens": 512, "messages": expected });
    if !system.is_null() {
        out["system"] = system;
    }
    super::check(Way::ChatToMessages, &json!({ "messages": messages }), &out, dropped);
}

#[track_caller]
pub(super) fn check_talk_refused(messages: Value, param: &str, problem: &str) {
    super::check_refused(Way::ChatToMessages, &json!({ "messages": messages }), param, problem);
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub(super) fn call(id: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "look", "arguments": arguments } })
}

fn tool_use(id: &str, input: Value) -> Value {
    json!({ "type": "tool_use", "id": id, "name": "look", "input": input })
}

#[test]
fn leading_system_and_developer_messages_become_the_system_prompt() {
    let hi = json!({ "role": "user", "content": "hi" });
    check_talk(json!([{ "role": "system", "content": "Be kind." }, hi]), json!("Be kind."), json!([hi]), &[]);
    check_talk(
        json!([
            { "role": "system", "content": [text("Be kind."), text(" ")] },
            { "role": "developer", "content": "Be brief." },
            hi
        ]),
        json!([text("Be kind."), text("Be brief.")]),
        json!([hi]),
        &[],
    );
}

#[test]
fn a_later_system_message_keeps_its_authority_and_loses_its_place_which_is_told() {
    check_talk(
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "hello" },
            { "role": "system", "content": "Speak German now." },
            { "role": "user", "content": "how are you?" }
        ]),
        json!("Speak German now."),
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "hello" },
            { "role": "user", "content": "how are you?" }
        ]),
        &["messages[2]"],
    );
}

#[test]
fn a_system_message_that_is_to_be_answered_is_the_users_turn() {
    let told = ["messages[0].role"];
    let system = json!({ "role": "system", "content": "Tell a joke." });
    check_talk(json!([system]), Value::Null, json!([{ "role": "user", "content": "Tell a joke." }]), &told);
    let talk =
        json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "hello" }, system]);
    let mut expected = talk.clone();
    expected[2]["role"] = json!("user");
    check_talk(talk, Value::Null, expected, &["messages[2].role"]);
}

#[test]
fn messages_of_one_speaker_become_one_turn() {
    check_talk(
        json!([
            { "role": "user", "content": "a" },
            { "role": "user", "content": [text("b"), text("c")], "name": "anna" },
            { "role": "assistant", "content": "d" },
            { "role": "assistant", "content": [text("e"), { "type": "refusal", "refusal": "f" }], "refusal": "g" },
            { "role": "user", "content": "h" }
        ]),
        Value::Null,
        json!([
            { "role": "user", "content": [text("a"), text("b"), text("c")] },
            { "role": "assistant", "content": [text("d"), text("e"), text("f"), text("g")] },
            { "role": "user", "content": "h" }
        ]),
        &["messages[1].name"],
    );
}

#[test]
fn texts_that_say_nothing_are_left_out() {
    check_talk(
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "" },
            { "role": "user", "content": [{ "type": "text", "text": " \n" }] },
            { "role": "assistant", "content": null },
        ]),
        Value::Null,
        json!([{ "role": "user", "content": "hi" }]),
        &[],
    );
    let problem = "expected at least one message that says something to the model";
    check_talk_refused(json!([]), "messages", problem);
    check_talk_refused(json!([{ "role": "user", "content": " " }]), "messages", problem);
}

#[test]
fn a_turn_of_the_users_does_not_vanish_because_nothing_of_it_can_be_said() {
    let audio = json!({ "role": "user", "content": [{ "type": "input_audio", "input_audio": {} }] });
    let user = |text: &str| json!({ "role": "user", "content": text });
    let hello = json!({ "role": "assistant", "content": "hello" });
    check_talk(
        json!([audio, hello, user("hi")]),
        Value::Null,
        json!([user("[left out: input_audio]"), hello, user("hi")]),
        &["messages[0].content[0].input_audio"],
    );
    let told = &["messages[2].content[0].input_audio"];
    let expected = json!([user("hi"), hello, user("Listen:")]);
    check_talk(json!([user("hi"), hello, audio, user("Listen:")]), Value::Null, expected, told);
    let problem =
        "expected something that the target's API can say, since the last turn of the user says nothing else";
    check_talk_refused(json!([user("hi"), hello, audio]), told[0], problem);
    check_talk_refused(json!([user("hi"), hello, audio, hello]), told[0], problem);
    check_talk_refused(json!([audio]), "messages[0].content[0].input_audio", problem);
    let blank = "expected something else than white space";
    check_talk_refused(json!([user("hi"), hello, user(" ")]), "messages[2].content", blank);
}

#[test]
fn an_assistants_message_at_the_end_is_told_and_does_not_end_in_white_space() {
    check_talk(
        json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "I am \n" }]),
        Value::Null,
        json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "I am" }]),
        &["messages[1]"],
    );
}

#[test]
fn calls_become_blocks_and_results_come_first_in_the_users_turn() {
    check_talk(
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": null, "tool_calls": [call("a", "{\"x\": 1}"), call("b", "")] },
            { "role": "tool", "tool_call_id": "b", "content": "", "name": "look" },
            { "role": "user", "content": "and?" },
            { "role": "tool", "tool_call_id": "a", "content": [text("one"), text("two")] },
            { "role": "assistant", "content": "so", "tool_calls": [call("c", "{}")], "annotations": [] },
            { "role": "tool", "tool_call_id": "c", "content": "done" }
        ]),
        Value::Null,
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": [tool_use("a", json!({ "x": 1 })), tool_use("b", json!({}))] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "b" },
                { "type": "tool_result", "tool_use_id": "a", "content": [text("one"), text("two")] },
                { "type": "text", "text": "and?" }
            ] },
            { "role": "assistant", "content": [{ "type": "text", "text": "so" }, tool_use("c", json!({}))] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "c", "content": "done" }] }
        ]),
        &[],
    );
}

#[test]
fn ids_are_made_to_fit_and_to_differ_and_results_follow_them() {
    let asked = |id: &str| json!({ "role": "assistant", "tool_calls": [call(id, "{}")] });
    let answered = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "done" });
    let talk = json!([
        asked("functions.look:0"),
        answered("functions.look:0"),
        asked("a"),
        answered("a"),
        asked("a"),
        answered("a")
    ]);
    let (body, told) = translated(Way::ChatToMessages, &json!({ "messages": talk })).unwrap();
    let ids: Vec<_> =
        (0..3).map(|turn| body["messages"][turn * 2]["content"][0]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["functions_look_0", "a", "1_a"]);
    for (turn, id) in ids.into_iter().enumerate() {
        assert_eq!(body["messages"][turn * 2 + 1]["content"][0]["tool_use_id"], id);
    }
    assert!(told.is_empty());
}

#[test]
fn calls_of_the_older_form_get_an_id() {
    check_talk(
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": null, "function_call": { "name": "look", "arguments": "{\"x\":[1]}" } },
            { "role": "function", "name": "look", "content": "done" }
        ]),
        Value::Null,
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": [tool_use("call_1", json!({ "x": [1] }))] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "call_1", "content": "done" }] }
        ]),
        &[],
    );
}

#[test]
fn calls_of_a_custom_tool_keep_their_input() {
    let custom = json!({ "id": "a", "type": "custom", "custom": { "name": "look", "input": "left" } });
    check_talk(
        json!([
            { "role": "assistant", "tool_calls": [custom] },
            { "role": "tool", "tool_call_id": "a", "content": "ok" }
        ]),
        Value::Null,
        json!([
            { "role": "assistant", "content": [tool_use("a", json!({ "input": "left" }))] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": "ok" }] }
        ]),
        &[],
    );
}

#[test]
fn images_and_pdfs_are_carried_and_what_anthropic_cannot_see_is_told() {
    let image = |source: Value| json!({ "type": "image", "source": source });
    let part = |url: &str| json!({ "type": "image_url", "image_url": { "url": url } });
    let pdf = json!({ "type": "base64", "media_type": "application/pdf", "data": "JVBERi0x" });
    let file = |file: Value| json!({ "type": "file", "file": file });
    check_talk(
        json!([{ "role": "user", "content": [
            part("data:image/png;base64,AAAA"),
            part("DATA:image/JPG;charset=x;BASE64,BBBB"),
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png", "detail": "high" } },
            { "type": "image_url", "image_url": "http://example.com/b.png" },
            { "type": "image_url", "image_url": { "url": "https://example.com/c.png", "detail": "auto" } },
            part("data:image/tiff;base64,CCCC"),
            file(json!({ "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x" })),
            file(json!({ "file_data": "JVBERi0x" })),
            file(json!({ "file_id": "file-1" })),
            { "type": "input_audio", "input_audio": { "data": "AAAA", "format": "wav" } },
            { "type": "text", "text": "what is it?" }
        ] }]),
        Value::Null,
        json!([{ "role": "user", "content": [
            image(json!({ "type": "base64", "media_type": "image/png", "data": "AAAA" })),
            image(json!({ "type": "base64", "media_type": "image/jpeg", "data": "BBBB" })),
            image(json!({ "type": "url", "url": "https://example.com/a.png" })),
            image(json!({ "type": "url", "url": "http://example.com/b.png" })),
            image(json!({ "type": "url", "url": "https://example.com/c.png" })),
            { "type": "document", "title": "a.pdf", "source": pdf },
            { "type": "document", "source": pdf },
            { "type": "text", "text": "what is it?" }
        ] }]),
        &[
            "messages[0].content[2].image_url.detail",
            "messages[0].content[5].image_url",
            "messages[0].content[8].file",
            "messages[0].content[9].input_audio",
        ],
    );
}

#[test]
fn tools_carry_their_schema_and_a_missing_one_is_an_empty_objects() {
    let properties = json!({ "x": { "type": "string" } });
    let closed = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let open = json!({ "properties": { "x": { "type": "string", "minLength": 1 } } });
    let mut typed = open.clone();
    typed["type"] = json!("object");
    let function = |function: Value| json!({ "type": "function", "function": function });
    check_members(
        json!({ "tools": [
            function(json!({ "name": "a", "description": "A tool.", "parameters": closed, "strict": true })),
            function(json!({ "name": "b", "parameters": open, "strict": true })),
            function(json!({ "name": "c", "strict": false })),
            { "type": "custom", "custom": { "name": "d" } }
        ] }),
        json!({ "tools": [
            { "name": "a", "description": "A tool.", "strict": true, "input_schema": closed },
            { "name": "b", "input_schema": typed },
            { "name": "c", "input_schema": { "type": "object", "properties": {} } }
        ] }),
        &["tools[1].function.strict", "tools[3].custom"],
    );
}

#[test]
fn whether_a_tool_is_called_is_carried() {
    let tools = json!([{ "type": "function", "function": { "name": "a" } }]);
    let carried = json!([{ "name": "a", "input_schema": { "type": "object", "properties": {} } }]);
    let check = |members: Value, choice: Value, dropped: &[&str]| {
        let given = with(json!({ "tools": tools }), members);
        check_members(given, json!({ "tools": carried, "tool_choice": choice }), dropped);
    };
    check(json!({ "tool_choice": "auto" }), json!({ "type": "auto" }), &[]);
    check(json!({ "tool_choice": "none", "parallel_tool_calls": false }), json!({ "type": "none" }), &[]);
    check(json!({ "tool_choice": "required" }), json!({ "type": "any" }), &[]);
    check(json!({ "tool_choice": "any", "parallel_tool_calls": true }), json!({ "type": "any" }), &[]);
    check(
        json!({ "parallel_tool_calls": false }),
        json!({ "type": "auto", "disable_parallel_tool_use": true }),
        &[],
    );
    check(
        json!({ "tool_choice": { "type": "function", "function": { "name": "a" } }, "parallel_tool_calls": false }),
        json!({ "type": "tool", "name": "a", "disable_parallel_tool_use": true }),
        &[],
    );
    check(
        json!({ "tool_choice": { "type": "function", "function": { "name": "b" } } }),
        Value::Null,
        &["tool_choice.function"],
    );
    let allowed =
        json!({ "mode": "required", "tools": [{ "type": "function", "function": { "name": "a" } }] });
    check(
        json!({ "tool_choice": { "type": "allowed_tools", "allowed_tools": allowed } }),
        json!({ "type": "any" }),
        &["tool_choice.allowed_tools.tools"],
    );
    check_members(
        json!({ "tool_choice": "required", "parallel_tool_calls": false }),
        json!({}),
        &["tool_choice"],
    );
    check_members(json!({ "tool_choice": "auto", "tools": [] }), json!({}), &[]);
}

#[test]
fn functions_of_the_older_form_are_carried_and_their_form_is_told() {
    check_members(
        json!({
            "functions": [{ "name": "a", "parameters": { "type": "object" } }],
            "function_call": { "name": "a" }
        }),
        json!({
            "tools": [{ "name": "a", "input_schema": { "type": "object" } }],
            "tool_choice": { "type": "tool", "name": "a" }
        }),
        &["functions"],
    );
}

#[test]
fn the_limit_of_tokens_is_carried_under_either_name() {
    check_members(json!({}), json!({ "max_tokens": 512 }), &[]);
    check_members(json!({ "max_tokens": 7 }), json!({ "max_tokens": 7 }), &[]);
    check_members(json!({ "max_tokens": 7, "max_completion_tokens": 9.0 }), json!({ "max_tokens": 9 }), &[]);
    check_refused(json!({ "max_tokens": 0 }), "max_tokens", "expected at least 1");
    check_refused(
        json!({ "max_tokens": 1.5 }),
        "max_tokens",
        "expected a whole number that is not negative, but got a number",
    );
}

#[test]
fn one_of_temperature_and_top_p_is_carried() {
    check_members(json!({ "temperature": 0.2 }), json!({ "temperature": 0.2 }), &[]);
    check_members(json!({ "temperature": 1.7 }), json!({ "temperature": 1.0 }), &["temperature"]);
    check_members(json!({ "temperature": 0, "top_p": 1 }), json!({ "temperature": 0 }), &[]);
    check_members(json!({ "top_p": 0.5 }), json!({ "top_p": 0.5 }), &[]);
    check_members(json!({ "temperature": 1, "top_p": 0.5 }), json!({ "top_p": 0.5 }), &[]);
    check_members(json!({ "temperature": 0.3, "top_p": 0.5 }), json!({ "temperature": 0.3 }), &["top_p"]);
    check_refused(
        json!({ "temperature": 3 }),
        "temperature",
        "expected a number from 0 to 2, but got another one",
    );
    check_refused(json!({ "top_p": "1" }), "top_p", "expected a number from 0 to 1, but got a string");
}

#[test]
fn texts_to_stop_at_are_carried_unless_they_are_white_space() {
    check_members(json!({ "stop": "END" }), json!({ "stop_sequences": ["END"] }), &[]);
    check_members(
        json!({ "stop": ["\n", "END", ""] }),
        json!({ "stop_sequences": ["END"] }),
        &["stop[0]", "stop[2]"],
    );
    check_members(json!({ "stop": " " }), json!({}), &["stop"]);
    check_members(json!({ "stop": [] }), json!({}), &[]);
    check_refused(json!({ "stop": ["a", 1] }), "stop[1]", "expected a string, but got a number");
}

#[test]
fn who_asks_is_carried_under_the_newest_name() {
    let user = |name: &str| json!({ "metadata": { "user_id": name } });
    check_members(json!({ "user": "u" }), user("u"), &[]);
    check_members(json!({ "user": "u", "safety_identifier": "s" }), user("s"), &["user"]);
    check_members(
        json!({ "metadata": { "user_id": "m", "plan": "free" }, "user": "m" }),
        user("m"),
        &["metadata.plan"],
    );
}

#[test]
fn thinking_is_asked_for_where_it_means_the_same() {
    let thinking = |budget: u64| json!({ "type": "enabled", "budget_tokens": budget });
    for (effort, budget) in [("low", 1024), ("medium", 2048), ("high", 4096)] {
        check_members(
            json!({ "reasoning_effort": effort, "max_tokens": 8000 }),
            json!({ "max_tokens": 8000, "thinking": thinking(budget) }),
            &[],
        );
    }
    check_members(json!({ "reasoning_effort": "minimal" }), json!({}), &[]);
    check_members(json!({ "reasoning_effort": "none" }), json!({}), &[]);
    let told = ["reasoning_effort"];
    check_members(
        json!({ "reasoning_effort": "xhigh", "max_tokens": 9000 }),
        json!({ "max_tokens": 9000 }),
        &told,
    );
    check_members(
        json!({ "reasoning_effort": "low", "max_tokens": 1024 }),
        json!({ "max_tokens": 1024 }),
        &told,
    );
    check_members(
        json!({ "reasoning_effort": "low", "max_tokens": 2000, "temperature": 0.5 }),
        json!({ "max_tokens": 2000, "temperature": 0.5 }),
        &told,
    );
    let tools = json!([{ "type": "function", "function": { "name": "a" } }]);
    check_members(
        json!({ "reasoning_effort": "low", "max_tokens": 2000, "tools": tools, "tool_choice": "required" }),
        json!({
            "max_tokens": 2000,
            "tools": [{ "name": "a", "input_schema": { "type": "object", "properties": {} } }],
            "tool_choice": { "type": "any" }
        }),
        &told,
    );
    check_members(
        json!({ "reasoning_effort": "low", "max_tokens": 2000, "messages": [
            { "role": "assistant", "tool_calls": [call("a", "{}")] },
            { "role": "tool", "tool_call_id": "a", "content": "ok" }
        ] }),
        json!({ "max_tokens": 2000, "messages": [
            { "role": "assistant", "content": [tool_use("a", json!({}))] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": "ok" }] }
        ] }),
        &told,
    );
}

#[test]
fn a_schema_is_carried_where_anthropic_holds_answers_to_it() {
    let format = |schema: &Value| {
        let named = json!({ "name": "n", "schema": schema, "strict": true });
        json!({ "response_format": { "type": "json_schema", "json_schema": named } })
    };
    let object = |of: Value| json!({ "type": "object", "properties": of, "additionalProperties": false });
    let mut nested = object(json!({ "x": { "anyOf": [{ "$ref": "#/$defs/y" }, { "type": "null" }] } }));
    nested["$defs"] = json!({ "y": object(json!({ "z": { "type": "string", "format": "date" } })) });
    for schema in [object(json!({ "x": { "type": "integer", "enum": [1, 2] } })), nested.clone()] {
        let expected = json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } });
        check_members(format(&schema), expected, &[]);
    }
    let mut looped = nested;
    looped["$defs"]["y"]["properties"]["z"] = json!({ "$ref": "#/$defs/y" });
    for schema in [
        json!({ "type": "object", "properties": {} }),
        json!({ "type": "array", "items": { "type": "string" } }),
        object(json!({ "x": { "type": "integer", "minimum": 1 } })),
        object(json!({ "x": { "type": "array", "items": { "type": "object" } } })),
        object(json!({ "x": { "$ref": "#" } })),
        looped,
    ] {
        check_members(format(&schema), json!({}), &["response_format"]);
    }
    check_members(json!({ "response_format": { "type": "json_object" } }), json!({}), &["response_format"]);
    check_members(json!({ "response_format": { "type": "text" } }), json!({}), &[]);
}

#[test]
fn what_asks_for_nothing_is_not_told() {
    check_members(
        json!({
            "n": 1, "logprobs": false, "top_logprobs": 0, "store": false, "presence_penalty": 0,
            "frequency_penalty": 0.0, "logit_bias": {}, "modalities": ["text"], "verbosity": "medium",
            "service_tier": "auto", "seed": null, "stream": true, "stream_options": { "include_usage": true }, "prompt_cache_key": "k"
        }),
        json!({ "stream": true }),
        &[],
    );
}

#[test]
fn what_messages_cannot_say_is_told() {
    let members = json!({
        "seed": 1, "n": 2, "logprobs": true, "top_logprobs": 2, "logit_bias": { "1": 2 }, "presence_penalty": 0.1,
        "frequency_penalty": -1, "prediction": { "type": "content", "content": "x" },
        "modalities": ["text", "audio"], "audio": { "voice": "alloy" }, "store": true,
        "web_search_options": { "user_location": null }, "verbosity": "low", "service_tier": "flex", "mine": 1
    });
    let names: Vec<_> = members.as_object().unwrap().keys().cloned().collect();
    check_members(members, json!({}), &names.iter().map(String::as_str).collect::<Vec<_>>());
}
