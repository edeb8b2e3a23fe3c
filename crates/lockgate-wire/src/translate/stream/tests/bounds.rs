//! What is held is bounded, whatever comes.

use proptest::prelude::*;

use super::*;
use crate::answer::TOOL_CALLS_MAX;
use crate::translate::stream::{blocks, from_messages};

#[test]
fn what_waits_is_bounded() {
    let long = "x".repeat(1 << 20);
    let mut translator = StreamTranslator::new(Way::MessagesToChat, CREATED, wanted(false));
    let mut out = Vec::new();
    translator.push(chunk(&call(0, "a", "f", "{"), None).as_bytes(), &mut out).unwrap();
    let text = chunk(&json!({ "content": long }), None);
    let taken = (0..64).take_while(|_| translator.push(text.as_bytes(), &mut out).is_ok()).count();
    assert_eq!(taken, blocks::HELD_BYTES_MAX / long.len() - 1);

    let endless = chunk(&arguments(0, &long), None);
    let mut translator = StreamTranslator::new(Way::MessagesToChat, CREATED, wanted(false));
    translator.push(chunk(&call(0, "a", "f", "{\""), None).as_bytes(), &mut out).unwrap();
    let taken = (0..64).take_while(|_| translator.push(endless.as_bytes(), &mut out).is_ok()).count();
    assert_eq!(taken, blocks::HELD_BYTES_MAX / long.len() - 1);
}

#[test]
fn the_number_of_calls_and_of_open_blocks_is_bounded() {
    let calls = (0..1_000).map(|at| chunk(&call(at, &format!("c{at}"), "f", "{}"), None));
    let mut translator = StreamTranslator::new(Way::MessagesToChat, CREATED, wanted(false));
    let mut out = Vec::new();
    let taken = calls.take_while(|chunk| translator.push(chunk.as_bytes(), &mut out).is_ok()).count();
    assert_eq!(taken, TOOL_CALLS_MAX);

    let start = json!({ "type": "message_start", "message": { "id": "msg_1" } });
    let mut translator = StreamTranslator::new(Way::ChatToMessages, CREATED, wanted(false));
    translator.push(event(&start).as_bytes(), &mut out).unwrap();
    let block = |at: u64| json!({ "type": "content_block_start", "index": at, "content_block": { "type": "text", "text": "" } });
    let taken =
        (0..1_000).take_while(|at| translator.push(event(&block(*at)).as_bytes(), &mut out).is_ok()).count();
    assert_eq!(taken, from_messages::BLOCKS_OPEN_MAX);
}

#[test]
fn words_that_were_told_make_room_for_others() {
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20));
    let mut translator = StreamTranslator::new(Way::MessagesToChat, CREATED, wanted(false));
    for at in 0..6 {
        let mut out = Vec::new();
        translator.push(chunk(&call(at, &format!("c{at}"), "f", &long), None).as_bytes(), &mut out).unwrap();
        translator.push(chunk(&json!({ "content": long }), None).as_bytes(), &mut out).unwrap();
    }
}

/// JSON that is nearly what events are made of.
fn scrap() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "text",
        "thinking",
        "tool_use",
        "text_delta",
        "thinking_delta",
        "input_json_delta",
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "error",
        "stop",
        "tool_use",
        "{}",
        "{",
        "}",
        "\"",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3u64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "type",
        "message",
        "index",
        "content_block",
        "delta",
        "usage",
        "id",
        "model",
        "text",
        "thinking",
        "name",
        "input",
        "partial_json",
        "stop_reason",
        "choices",
        "content",
        "refusal",
        "tool_calls",
        "function",
        "arguments",
        "finish_reason",
        "reasoning_content",
        "function_call",
        "error",
        "prompt_tokens",
        "prompt_tokens_details",
        "cached_tokens",
    ]);
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes, whole events go out, or none; and once something was bad nothing goes out any more.
    #[test]
    fn any_events_are_translated_or_bad(
        events in prop::collection::vec(prop_oneof![
            3 => scrap().prop_map(|scrap| format!("data: {scrap}\n\n").into_bytes()),
            1 => Just(b"data: [DONE]\n\n".to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..40),
            2 => (0..3u64, "[{}\":a ]{0,4}").prop_map(|(at, text)| chunk(&call(at, "", "f", &text), None).into_bytes()),
        ], 0..12),
        asked_chat in any::<bool>(),
    ) {
        let way = if asked_chat { Way::ChatToMessages } else { Way::MessagesToChat };
        let mut translator = StreamTranslator::new(way, CREATED, wanted(true));
        let mut out = Vec::new();
        let mut is_bad = false;
        for event in &events {
            let told = out.len();
            let pushed = translator.push(event, &mut out);
            if is_bad || pushed.is_err() {
                prop_assert_eq!(out.len(), told);
            }
            is_bad |= pushed.is_err();
            prop_assert!(out.is_empty() || out.ends_with(b"\n\n"));
        }
        for event in String::from_utf8(out).unwrap().split_terminator("\n\n") {
            let (_, data) = event.split_once("data: ").unwrap();
            prop_assert!(data == "[DONE]" || serde_json::from_str::<Value>(data).is_ok());
        }
    }

    /// Whatever the body, it is an answer or it is not; errors are always translated.
    #[test]
    fn any_body_is_translated_or_bad(scrap in scrap(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for way in [Way::ChatToMessages, Way::MessagesToChat] {
            for body in [scrap.to_string().as_bytes(), &bytes] {
                if let Ok(translated) = crate::translate::answer(way, body, CREATED, wanted(true)) {
                    prop_assert!(serde_json::from_slice::<Value>(&translated).is_ok());
                }
                let error = crate::translate::error(way, 500, body);
                prop_assert!(serde_json::from_slice::<Value>(&error).unwrap()["error"]["message"].is_string());
            }
        }
    }
}
