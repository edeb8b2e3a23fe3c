//! Tool calls of chat chunks, however servers tell them.

use super::*;

#[test]
fn calls_that_come_one_after_another_are_told_as_they_come() {
    let chunks = [
        chunk(&call(0, "a", "f", ""), None),
        chunk(&arguments(0, "{\"x\":"), None),
        chunk(&arguments(0, "\"}{\"}"), None),
        chunk(&call(1, "b", "g", "{"), None),
        chunk(&arguments(1, "}"), None),
    ];
    assert_eq!(as_message(&chunks).unwrap(), "a:f(+{\"x\":+\"}{\"}) b:g(+{+}");
}

#[test]
fn calls_that_go_to_and_fro_are_told_one_after_another() {
    let mut chunks = vec![
        chunk(&call(0, "a", "f", "{"), None),
        chunk(&call(1, "b", "g", "{\"y\""), None),
        chunk(&call(2, "c", "h", ""), None),
        chunk(&arguments(2, "{}"), None),
        chunk(&arguments(1, ":1}"), None),
        chunk(&json!({ "content": "And so." }), None),
    ];
    assert_eq!(as_message(&chunks).unwrap(), "a:f(+{");
    chunks.push(chunk(&arguments(0, "}"), None));
    let told = "a:f(+{+}) b:g(+{\"y\":1}) c:h(+{}) text(+And so.";
    assert_eq!(as_message(&chunks).unwrap(), told);
    chunks.extend([chunk(&json!({}), Some("tool_calls")), done()]);
    assert_eq!(as_message(&chunks).unwrap(), format!("{told}) tool_use"));
}

#[test]
fn a_call_without_arguments_lets_the_next_one_wait_for_the_end() {
    let chunks = [
        chunk(&call(0, "a", "f", ""), None),
        chunk(&call(1, "b", "g", "{}"), None),
        chunk(&json!({}), Some("tool_calls")),
        done(),
    ];
    assert_eq!(as_message(&chunks[..3]).unwrap(), "a:f(");
    assert_eq!(as_message(&chunks).unwrap(), "a:f() b:g(+{}) tool_use");
}

#[test]
fn calls_are_told_apart_however_the_server_marks_them() {
    let pieces = |first: Value, second: Value| {
        as_message(&[chunk(&first, None), chunk(&second, None), chunk(&json!({}), Some("stop")), done()])
            .unwrap()
    };
    let told = "a:f(+{}) b:f(+{}) tool_use";
    assert_eq!(pieces(call(0, "a", "f", "{}"), call(1, "b", "f", "{}")), told);
    assert_eq!(pieces(call(0, "a", "f", "{}"), call(0, "b", "f", "{}")), told);
    let unmarked =
        |id: &str| json!({ "tool_calls": [{ "id": id, "function": { "name": "f", "arguments": "{}" } }] });
    assert_eq!(pieces(unmarked("a"), unmarked("b")), told);
    assert_eq!(pieces(unmarked(""), unmarked("")), "call_c1_0:f(+{}) call_c1_1:f(+{}) tool_use");
    // The same call, told of in two pieces by a server that repeats what it said.
    assert_eq!(pieces(call(0, "a", "f", "{"), call(0, "a", "f", "}")), "a:f(+{+}) tool_use");
    let old = |arguments: &str| json!({ "function_call": { "name": "f", "arguments": arguments } });
    assert_eq!(pieces(old("{"), old("}")), "call_c1_0:f(+{+}) tool_use");
}

#[test]
fn arguments_that_are_no_object_never_look_like_a_finished_answer() {
    for wrong in ["{\"a\":}", "[1]", "7", "{}{}", "{\"a\":1"] {
        let chunks = [chunk(&call(0, "a", "f", wrong), None), chunk(&json!({}), Some("tool_calls")), done()];
        assert_eq!(as_message(&chunks), Err(BadAnswer), "{wrong}");
    }
    let late = [
        chunk(&call(0, "a", "f", "{}"), None),
        chunk(&call(1, "b", "f", "{}"), None),
        chunk(&arguments(0, "{}"), None),
    ];
    assert_eq!(as_message(&late), Err(BadAnswer));
    let nameless = [chunk(&arguments(0, "{}"), None), chunk(&json!({}), Some("tool_calls")), done()];
    assert_eq!(as_message(&nameless), Err(BadAnswer));
}

#[test]
fn a_call_that_was_cut_off_stands_as_far_as_it_came() {
    let chunks = [chunk(&call(0, "a", "f", "{\"a\":"), None), chunk(&json!({}), Some("length")), done()];
    assert_eq!(as_message(&chunks).unwrap(), "a:f(+{\"a\":) max_tokens");
}

#[test]
fn a_call_that_does_not_name_its_tool_holds_up_nothing_until_it_does() {
    let nameless = |piece: Value| chunk(&json!({ "tool_calls": [piece] }), None);
    let text = |text: &str| chunk(&json!({ "content": text }), None);
    let mut chunks = vec![
        nameless(json!({ "index": 0, "id": "a" })),
        text("Let me see."),
        nameless(json!({ "index": 0, "function": { "arguments": "{" } })),
        text(" Now."),
    ];
    assert_eq!(as_message(&chunks).unwrap(), "text(+Let me see.+ Now.");
    let end = |reason| [chunk(&json!({}), Some(reason)), done()];
    // A tool was to be called, and nobody knows which.
    assert_eq!(as_message(&[chunks.clone(), end("stop").to_vec()].concat()), Err(BadAnswer));
    let cut_short = as_message(&[chunks.clone(), end("length").to_vec()].concat()).unwrap();
    assert_eq!(cut_short, "text(+Let me see.+ Now.) max_tokens");
    chunks.push(nameless(json!({ "index": 0, "function": { "name": "f", "arguments": "}" } })));
    chunks.extend(end("tool_calls"));
    assert_eq!(as_message(&chunks).unwrap(), "text(+Let me see.+ Now.) a:f(+{}) tool_use");
    let blank = [nameless(json!({ "index": 0 })), text("Yes.")];
    let told = as_message(&[blank.to_vec(), end("stop").to_vec()].concat()).unwrap();
    assert_eq!(told, "text(+Yes.) end_turn");
}
