//! Chat completions calls that cannot be said as messages.

use serde_json::json;

use super::Way;
use super::to_messages::{call, check_refused, check_talk_refused};

#[test]
fn what_is_wrong_is_told_by_its_path() {
    let missing = |what: &str| format!("it is missing: expected {what}");
    super::check_refused(Way::ChatToMessages, &json!({}), "messages", &missing("an array of messages"));
    check_refused(json!({ "messages": "hi" }), "messages", "expected an array, but got a string");
    check_refused(json!({ "messages": ["hi"] }), "messages[0]", "expected an object, but got a string");
    check_refused(json!({ "stream": 1 }), "stream", "expected a boolean, but got a number");
    check_refused(
        json!({ "tool_choice": "maybe" }),
        "tool_choice",
        "expected `auto`, `none`, `required` or an object that names a tool",
    );
    check_refused(
        json!({ "tools": [{ "type": "function" }] }),
        "tools[0].function",
        &missing("an object with the function's name and parameters"),
    );
    check_refused(
        json!({ "tools": [{ "type": "function", "function": { "name": "a", "parameters": { "type": "string" } } }] }),
        "tools[0].function.parameters.type",
        "expected `object`, but got a string",
    );

    let text = "a string that is not empty";
    check_talk_refused(json!([{ "content": "hi" }]), "messages[0].role", &missing(text));
    check_talk_refused(
        json!([{ "role": "robot", "content": "hi" }]),
        "messages[0].role",
        "expected `system`, `developer`, `user`, `assistant` or `tool`",
    );
    check_talk_refused(
        json!([{ "role": "user" }]),
        "messages[0].content",
        &missing("a string or an array of parts"),
    );
    check_talk_refused(
        json!([{ "role": "user", "content": [{}] }]),
        "messages[0].content[0].type",
        &missing(text),
    );
    check_talk_refused(
        json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "gs://a" } }] }]),
        "messages[0].content[0].image_url.url",
        "expected an `https:` URL, or a `data:` URL in base64",
    );
    check_talk_refused(
        json!([{ "role": "tool", "content": "ok" }]),
        "messages[0].tool_call_id",
        &missing(text),
    );
}

#[test]
fn calls_and_results_that_do_not_belong_together_are_refused() {
    let asked = |arguments: &str| json!({ "role": "assistant", "tool_calls": [call("a", arguments)] });
    let answered = json!({ "role": "tool", "tool_call_id": "a", "content": "ok" });
    let user = json!({ "role": "user", "content": "hi" });
    let arguments = "messages[0].tool_calls[0].function.arguments";
    check_talk_refused(
        json!([asked("{x}"), answered]),
        arguments,
        "expected a string that holds a JSON object, but it is not JSON",
    );
    check_talk_refused(
        json!([asked("[1]"), answered]),
        arguments,
        "expected a string that holds a JSON object, but got an array",
    );
    let no_call = "expected the id of a call in the assistant's turn before it that has no result yet";
    check_talk_refused(json!([answered]), "messages[0].tool_call_id", no_call);
    check_talk_refused(json!([asked("{}"), answered, answered]), "messages[2].tool_call_id", no_call);
    let no_result = "no result follows for this call: each needs one before the assistant speaks again";
    check_talk_refused(json!([asked("{}")]), "messages[0].tool_calls[0].id", no_result);
    check_talk_refused(
        json!([asked("{}"), user, { "role": "assistant", "content": "so" }]),
        "messages[0].tool_calls[0].id",
        no_result,
    );
    check_talk_refused(
        json!([{ "role": "assistant", "tool_calls": [call("a", "{}"), call("a", "{}")] }]),
        "messages[0].tool_calls[1].id",
        "another call of this turn has the same id: each needs its own",
    );
    check_talk_refused(
        json!([{ "role": "function", "name": "look", "content": "ok" }]),
        "messages[0].name",
        "expected the name of the function that was called last",
    );
}
