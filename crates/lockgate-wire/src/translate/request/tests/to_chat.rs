//! Messages calls, said as chat completions.

use serde_json::{Value, json};

use super::{Way, translated, with};

/// What a messages request that says `hi` and these members becomes besides the message.
#[track_caller]
fn check_members(members: Value, expected: Value, dropped: &[&str]) {
    let base = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    let mut out = with(base.clone(), expected);
    out.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    super::check(Way::MessagesToChat, &with(base, members), &out, dropped);
}

#[track_caller]
fn check_refused(members: Value, param: &str, problem: &str) {
    let base = json!({ "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    super::check_refused(Way::MessagesToChat, &with(base, members), param, problem);
}

#[track_caller]
fn check_talk(messages: Value, expected: Value, dropped: &[&str]) {
    let out = json!({ "max_tokens": 9, "messages": expected });
    super::check(Way::MessagesToChat, &json!({ "max_tokens": 9, "messages": messages }), &out, dropped);
}

/// What the blocks of one message of the user become.
#[track_caller]
fn check_parts(blocks: Value, parts: Value, dropped: &[&str]) {
    let message = |content| json!([{ "role": "user", "content": content }]);
    check_talk(message(blocks), message(parts), dropped);
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn tool_use(id: &str) -> Value {
    json!({ "type": "tool_use", "id": id, "name": "look", "input": { "x": 1 } })
}

fn call(id: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "look", "arguments": "{\"x\":1}" } })
}

#[test]
fn a_turn_of_the_users_does_not_vanish_because_nothing_of_it_can_be_said() {
    let file = json!({ "role": "user", "content": [{ "type": "container_upload", "file_id": "f" }] });
    let user = |text: &str| json!({ "role": "user", "content": text });
    let hello = json!({ "role": "assistant", "content": "hello" });
    check_talk(
        json!([file, hello, user("hi")]),
        json!([user("[left out: container_upload]"), hello, user("hi")]),
        &["messages[0].content[0].container_upload"],
    );
    let body = json!({ "max_tokens": 9, "messages": [user("hi"), hello, file] });
    let problem =
        "expected something that the target's API can say, since the last turn of the user says nothing else";
    super::check_refused(Way::MessagesToChat, &body, "messages[2].content[0].container_upload", problem);
}

#[test]
fn the_system_prompt_is_the_first_message() {
    let hi = json!({ "role": "user", "content": "hi" });
    let check = |system: Value, content: Value| {
        let mut messages = vec![hi.clone()];
        if !content.is_null() {
            messages.insert(0, json!({ "role": "system", "content": content }));
        }
        check_members(json!({ "system": system }), json!({ "messages": messages }), &[]);
    };
    check(json!("Be kind."), json!("Be kind."));
    check(
        json!([{ "type": "text", "text": "Be kind.", "cache_control": { "type": "ephemeral" } }]),
        json!("Be kind."),
    );
    check(json!([text("Be kind."), text("Be brief.")]), json!([text("Be kind."), text("Be brief.")]));
    check(json!(""), Value::Null);
    check(json!([]), Value::Null);
}

#[test]
fn a_system_message_in_the_conversation_stays_in_its_place() {
    let talk = json!([
        { "role": "user", "content": "hi" },
        { "role": "system", "content": "Speak German now." },
        { "role": "user", "content": "how are you?" }
    ]);
    check_talk(talk.clone(), talk, &[]);
}

#[test]
fn images_and_documents_become_parts() {
    let pdf = json!({ "type": "base64", "media_type": "application/pdf", "data": "JVBERi0x" });
    let pdf_url = "data:application/pdf;base64,JVBERi0x";
    check_parts(
        json!([
            { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
            { "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } },
            { "type": "image", "source": { "type": "file", "file_id": "f" } },
            { "type": "document", "title": "a.pdf", "context": "About a.", "source": pdf },
            { "type": "document", "source": pdf },
            { "type": "document", "title": "b", "context": "About b.", "citations": { "enabled": true },
              "source": { "type": "text", "media_type": "text/plain", "data": "bbb" } },
            { "type": "document", "citations": { "enabled": false },
              "source": { "type": "content", "content": [text("c"), tool_use("d")] } },
            { "type": "document", "source": { "type": "url", "url": "https://example.com/a.pdf" } },
            { "type": "search_result", "title": "t", "source": "s", "content": [text("found")] },
            { "type": "container_upload", "file_id": "f" },
            text("so?")
        ]),
        json!([
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } },
            { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
            text("About a."),
            { "type": "file", "file": { "filename": "a.pdf", "file_data": pdf_url } },
            { "type": "file", "file": { "filename": "document.pdf", "file_data": pdf_url } },
            text("b"), text("About b."), text("bbb"),
            text("c"),
            text("t"), text("s"), text("found"),
            text("so?")
        ]),
        &[
            "messages[0].content[2].source.file",
            "messages[0].content[5].citations",
            "messages[0].content[6].source.content[1].tool_use",
            "messages[0].content[7].source.url",
            "messages[0].content[9].container_upload",
        ],
    );
}

#[test]
fn calls_and_results_become_messages_in_chats_order() {
    check_talk(
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": [text("let me look"), tool_use("a"), tool_use("b")] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "b", "content": [text("one"), text("two")] },
                { "type": "tool_result", "tool_use_id": "a" },
                text("and?")
            ] },
            { "role": "assistant", "content": [tool_use("c")] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "c", "content": "done", "is_error": false }
            ] }
        ]),
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "let me look", "tool_calls": [call("a"), call("b")] },
            { "role": "tool", "tool_call_id": "b", "content": [text("one"), text("two")] },
            { "role": "tool", "tool_call_id": "a", "content": "" },
            { "role": "user", "content": "and?" },
            { "role": "assistant", "content": null, "tool_calls": [call("c")] },
            { "role": "tool", "tool_call_id": "c", "content": "done" }
        ]),
        &[],
    );
}

#[test]
fn messages_that_anthropic_joins_are_joined_where_calls_need_their_results() {
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "ok" });
    check_talk(
        json!([
            { "role": "assistant", "content": [tool_use("a")] },
            { "role": "assistant", "content": [tool_use("b")] },
            { "role": "user", "content": [result("a"), text("one")] },
            { "role": "user", "content": [result("b"), text("two")] }
        ]),
        json!([
            { "role": "assistant", "content": null, "tool_calls": [call("a"), call("b")] },
            { "role": "tool", "tool_call_id": "a", "content": "ok" },
            { "role": "tool", "tool_call_id": "b", "content": "ok" },
            { "role": "user", "content": [text("one"), text("two")] }
        ]),
        &[],
    );
}

#[test]
fn a_failed_result_says_so() {
    let check = |content: Value, said: &str| {
        let result =
            json!({ "type": "tool_result", "tool_use_id": "a", "content": content, "is_error": true });
        check_talk(
            json!([{ "role": "assistant", "content": [tool_use("a")] }, { "role": "user", "content": [result] }]),
            json!([
                { "role": "assistant", "content": null, "tool_calls": [call("a")] },
                { "role": "tool", "tool_call_id": "a", "content": said }
            ]),
            &[],
        );
    };
    check(json!("no such file"), "Error: no such file");
    check(json!([text("no such file")]), "Error: no such file");
    check(Value::Null, "Error");
}

#[test]
fn what_a_result_shows_follows_in_the_users_message() {
    let image = json!({ "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } });
    check_talk(
        json!([
            { "role": "assistant", "content": [tool_use("a")] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "a", "content": [text("a screen"), image] }, text("and?")
            ] }
        ]),
        json!([
            { "role": "assistant", "content": null, "tool_calls": [call("a")] },
            { "role": "tool", "tool_call_id": "a", "content": "a screen" },
            { "role": "user", "content": [
                text("Shown by the result of tool call a:"),
                { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
                text("and?")
            ] }
        ]),
        &[],
    );
}

#[test]
fn thoughts_and_the_providers_own_tools_are_left_out_and_told() {
    check_talk(
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "s" },
                { "type": "redacted_thinking", "data": "d" },
                { "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} },
                { "type": "web_search_tool_result", "tool_use_id": "s", "content": [] },
                { "type": "text", "text": "found", "citations": [{ "type": "char_location" }] }
            ] },
            { "role": "user", "content": "and?" }
        ]),
        json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "found" },
            { "role": "user", "content": "and?" }
        ]),
        &[
            "messages[1].content[0].thinking",
            "messages[1].content[1].redacted_thinking",
            "messages[1].content[2].server_tool_use",
            "messages[1].content[3].web_search_tool_result",
            "messages[1].content[4].citations",
        ],
    );
}

#[test]
fn a_text_that_the_model_was_to_continue_is_told() {
    let talk = json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "I am" }]);
    check_talk(talk.clone(), talk, &["messages[1]"]);
}

#[test]
fn ids_longer_than_chat_takes_are_cut_and_kept_apart() {
    let long = |end: &str| format!("{}{end}", "x".repeat(60));
    let talk = json!([
        { "role": "assistant", "content": [tool_use(&long("a")), tool_use(&long("b"))] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": long("b"), "content": "b" },
            { "type": "tool_result", "tool_use_id": long("a"), "content": "a" }
        ] }
    ]);
    let (body, _) = translated(Way::MessagesToChat, &json!({ "max_tokens": 9, "messages": talk })).unwrap();
    let messages = &body["messages"];
    let ids: Vec<_> = (0..2).map(|call| messages[0]["tool_calls"][call]["id"].as_str().unwrap()).collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 40));
    assert_eq!((&messages[1]["tool_call_id"], &messages[1]["content"]), (&json!(ids[1]), &json!("b")));
    assert_eq!((&messages[2]["tool_call_id"], &messages[2]["content"]), (&json!(ids[0]), &json!("a")));
}

#[test]
fn tools_are_carried_but_for_those_of_the_provider() {
    let open = json!({ "type": "object", "properties": { "x": {} }, "additionalProperties": false });
    let closed = with(open.clone(), json!({ "required": ["x"] }));
    let marked = json!({ "type": "ephemeral" });
    check_members(
        json!({ "tools": [
            { "name": "a", "description": "A tool.", "input_schema": closed, "strict": true, "cache_control": marked },
            { "type": "custom", "name": "b", "input_schema": open, "strict": true, "defer_loading": true },
            { "type": "web_search_20250305", "name": "web_search" }
        ] }),
        json!({ "tools": [
            { "type": "function", "function": {
                "name": "a", "description": "A tool.", "parameters": closed, "strict": true
            } },
            { "type": "function", "function": { "name": "b", "parameters": open } }
        ] }),
        &["tools[1].defer_loading", "tools[1].strict", "tools[2].web_search_20250305"],
    );
}

#[test]
fn whether_a_tool_is_called_is_carried() {
    let tools = json!([{ "name": "a", "input_schema": { "type": "object" } }]);
    let carried =
        json!([{ "type": "function", "function": { "name": "a", "parameters": { "type": "object" } } }]);
    let check = |choice: Value, members: Value, dropped: &[&str]| {
        let expected = with(json!({ "tools": carried }), members);
        check_members(json!({ "tools": tools, "tool_choice": choice }), expected, dropped);
    };
    check(json!({ "type": "auto" }), json!({ "tool_choice": "auto" }), &[]);
    check(json!({ "type": "none" }), json!({ "tool_choice": "none" }), &[]);
    check(
        json!({ "type": "any", "disable_parallel_tool_use": false }),
        json!({ "tool_choice": "required" }),
        &[],
    );
    check(
        json!({ "type": "auto", "disable_parallel_tool_use": true }),
        json!({ "tool_choice": "auto", "parallel_tool_calls": false }),
        &[],
    );
    check(
        json!({ "type": "tool", "name": "a" }),
        json!({ "tool_choice": { "type": "function", "function": { "name": "a" } } }),
        &[],
    );
    check(json!({ "type": "tool", "name": "web_search" }), json!({}), &["tool_choice"]);
    check_members(json!({ "tool_choice": { "type": "any" } }), json!({}), &["tool_choice"]);
}

#[test]
fn settings_are_carried() {
    check_members(
        json!({
            "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["a", "b"], "stream": true,
            "metadata": { "user_id": "u" }, "service_tier": "auto",
            "cache_control": { "type": "ephemeral" }, "thinking": { "type": "disabled" }
        }),
        json!({ "temperature": 0.5, "top_p": 0.9, "stop": ["a", "b"], "stream": true, "user": "u" }),
        &[],
    );
}

#[test]
fn what_chat_cannot_say_is_told() {
    check_members(
        json!({
            "top_k": 5, "stop_sequences": ["a", "b", "c", "d", "e", "f"], "container": "c",
            "mcp_servers": [{ "name": "x" }], "output_config": { "effort": "low" }
        }),
        json!({ "stop": ["a", "b", "c", "d"] }),
        &[
            "top_k",
            "stop_sequences[4]",
            "stop_sequences[5]",
            "container",
            "mcp_servers",
            "output_config.effort",
        ],
    );
    check_members(json!({ "max_tokens": 0 }), json!({ "max_tokens": 1 }), &["max_tokens"]);
}

#[test]
fn thinking_becomes_an_effort_and_its_limit_of_tokens_takes_the_newer_name() {
    let check = |members: Value, effort: &str, dropped: &[&str]| {
        let expected = json!({ "max_tokens": null, "max_completion_tokens": 9, "reasoning_effort": effort });
        check_members(members, expected, dropped);
    };
    let enabled = |budget: u64| json!({ "thinking": { "type": "enabled", "budget_tokens": budget } });
    check(enabled(1024), "low", &[]);
    check(enabled(2047), "low", &[]);
    check(enabled(2048), "medium", &[]);
    check(enabled(32_000), "high", &[]);
    check(
        json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "medium" } }),
        "medium",
        &[],
    );
    check(
        with(enabled(1024), json!({ "output_config": { "effort": "max" } })),
        "low",
        &["output_config.effort"],
    );
    check_members(json!({ "thinking": { "type": "adaptive" } }), json!({}), &["thinking"]);
}

#[test]
fn a_schema_is_promised_where_openai_holds_answers_to_it_and_else_asked_for() {
    let properties = json!({ "x": { "type": "string" } });
    let open = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let closed = with(open.clone(), json!({ "required": ["x"] }));
    let expected = |schema: &Value, strict: bool| {
        let named = json!({ "name": "answer", "schema": schema, "strict": strict });
        json!({ "response_format": { "type": "json_schema", "json_schema": named } })
    };
    let format = |schema: &Value| json!({ "type": "json_schema", "schema": schema });
    check_members(json!({ "output_config": { "format": format(&closed) } }), expected(&closed, true), &[]);
    check_members(json!({ "output_format": format(&closed) }), expected(&closed, true), &[]);
    check_members(
        json!({ "output_config": { "format": format(&open) } }),
        expected(&open, false),
        &["output_config.format"],
    );
}

#[test]
fn what_is_wrong_is_told_by_its_path() {
    let missing = |what: &str| format!("it is missing: expected {what}");
    super::check_refused(
        Way::MessagesToChat,
        &json!({ "max_tokens": 1 }),
        "messages",
        &missing("an array of messages"),
    );
    check_refused(json!({ "max_tokens": null }), "max_tokens", &missing("the most tokens to be written"));
    check_refused(
        json!({ "temperature": 1.5 }),
        "temperature",
        "expected a number from 0 to 1, but got another one",
    );
    check_refused(json!({ "stop_sequences": "a" }), "stop_sequences", "expected an array, but got a string");
    check_refused(
        json!({ "system": 1 }),
        "system",
        "expected a string or an array of blocks, but got a number",
    );
    check_refused(json!({ "tools": [{ "name": "a" }] }), "tools[0].input_schema", &missing("a JSON schema"));
    check_refused(
        json!({ "thinking": { "type": "enabled" } }),
        "thinking.budget_tokens",
        &missing("a number of tokens"),
    );
    check_refused(
        json!({ "tool_choice": { "type": "maybe" } }),
        "tool_choice.type",
        "expected `auto`, `any`, `tool` or `none`",
    );

    let check_talk = |messages: Value, param: &str, problem: &str| {
        check_refused(json!({ "messages": messages }), param, problem);
    };
    let text = "a string that is not empty";
    let image =
        |source: Value| json!([{ "role": "user", "content": [{ "type": "image", "source": source }] }]);
    check_talk(json!([]), "messages", "expected at least one message that says something to the model");
    check_talk(json!([{ "content": "hi" }]), "messages[0].role", &missing(text));
    check_talk(
        json!([{ "role": "tool", "content": "hi" }]),
        "messages[0].role",
        "expected `user` or `assistant`",
    );
    check_talk(
        json!([{ "role": "user" }]),
        "messages[0].content",
        &missing("a string or an array of blocks"),
    );
    check_talk(
        image(json!({ "type": "base64", "data": "A" })),
        "messages[0].content[0].source.media_type",
        &missing(text),
    );
    check_talk(
        image(json!({ "type": "base64", "media_type": "image/tiff", "data": "A" })),
        "messages[0].content[0].source.media_type",
        "expected `image/jpeg`, `image/png`, `image/gif`, `image/webp`",
    );
    check_talk(
        image(json!({ "type": "url", "url": "a.png" })),
        "messages[0].content[0].source.url",
        "expected an `https:` URL",
    );
    check_talk(
        json!([{ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a" }] }]),
        "messages[0].content[0].tool_use_id",
        "expected the id of a call in the assistant's turn before it that has no result yet",
    );
    check_talk(
        json!([{ "role": "assistant", "content": [tool_use("a")] }]),
        "messages[0].content[0].id",
        "no result follows for this call: each needs one before the assistant speaks again",
    );
    check_talk(
        json!([{ "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "b", "input": "{}" }] }]),
        "messages[0].content[0].input",
        "expected an object, but got a string",
    );
}
