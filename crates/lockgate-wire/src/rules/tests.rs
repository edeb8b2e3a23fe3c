//! A fixed text passes for a model's answer in every API.

use super::*;
use crate::answer::Usage;
use crate::reader::{StreamReader, read_plain};
use crate::sse::{Events, Seen};

const TEXT: &str = "A colleague\nwill \"look\".";
const CONVERSATIONS: [Api; 3] = [Api::Chat, Api::Responses, Api::Messages];

fn answer(api: Api) -> FixedText<'static> {
    let id = match api {
        Api::Chat => "chatcmpl-1",
        Api::Responses => "resp_1",
        _ => "msg_1",
    };
    FixedText { id, created: 1_700_000_000, model: "support-reply", text: TEXT }
}

#[test]
fn a_fixed_text_reads_like_a_models_answer() {
    for api in CONVERSATIONS {
        let answer = answer(api);
        let summary = read_plain(api, &answer.plain(api).unwrap());
        assert_eq!((summary.id.as_deref(), summary.model.as_deref()), (Some(answer.id), Some(answer.model)));
        assert_eq!(summary.text, TEXT, "{api:?}");
        assert!(summary.finish_reason.is_some() && summary.has_content && !summary.is_unreadable);
        assert_eq!(summary.is_refusal(), Some(false));
        assert_eq!(summary.usage, Some(Usage::default()));
        assert_eq!(summary.error, None);
    }
}

#[test]
fn a_fixed_text_streams_like_a_models_answer() {
    for api in CONVERSATIONS {
        for with_usage in [false, true] {
            let mut reader = StreamReader::new(api, usize::MAX);
            reader.push(&answer(api).stream(api, with_usage).unwrap());
            let summary = reader.finish();
            assert!(summary.is_done && summary.is_finished && !summary.answer.is_unreadable, "{api:?}");
            assert_eq!((summary.answer.text.as_str(), summary.answer.error), (TEXT, None));
            assert_eq!(summary.answer.usage.is_some(), with_usage || api != Api::Chat);
        }
    }
}

#[test]
fn a_stream_ends_as_the_plain_answer_does() {
    for api in CONVERSATIONS {
        let mut reader = StreamReader::new(api, usize::MAX);
        reader.push(&answer(api).stream(api, true).unwrap());
        assert_eq!(reader.finish().answer, read_plain(api, &answer(api).plain(api).unwrap()), "{api:?}");
    }
}

#[test]
fn an_api_that_says_nothing_has_no_fixed_text() {
    for api in Api::ALL {
        assert_eq!(answer(api).plain(api).is_some(), api.is_conversation());
        assert_eq!(answer(api).stream(api, true).is_some(), api.is_conversation());
    }
}

/// The events of a stream: each one's name as the line before it says, and its data.
fn events(api: Api) -> Vec<(String, Value)> {
    let (mut events, mut seen) = (Events::default(), Vec::new());
    events.push(&answer(api).stream(api, false).unwrap(), |one| {
        if let Seen::Event(event) = one {
            let name = String::from_utf8(event.name.to_vec()).unwrap();
            seen.push((name, serde_json::from_slice(&event.data).unwrap()));
        }
    });
    seen
}

#[test]
fn a_chats_usage_chunk_comes_only_where_it_was_asked_for() {
    let count = |with_usage| {
        let mut reader = StreamReader::new(Api::Chat, usize::MAX);
        reader.push(&answer(Api::Chat).stream(Api::Chat, with_usage).unwrap());
        reader.finish().events
    };
    assert_eq!((count(false), count(true)), (4, 5));
}

#[test]
fn events_of_a_response_come_in_order_numbered_and_named_after_their_type() {
    let events = events(Api::Responses);
    let types: Vec<_> = events.iter().map(|(_, event)| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (number, (name, event)) in events.iter().enumerate() {
        assert_eq!(*name, event["type"]);
        assert_eq!(event["sequence_number"], json!(number));
    }
    let (first, last) = (&events[0].1["response"], &events[8].1["response"]);
    assert_eq!(
        (&first["status"], &first["usage"], &first["output"]),
        (&json!("in_progress"), &Value::Null, &json!([]))
    );
    assert_eq!(
        last,
        &serde_json::from_slice::<Value>(&answer(Api::Responses).plain(Api::Responses).unwrap()).unwrap()
    );
    assert_eq!(last["output"][0], events[7].1["item"]);
    assert_eq!(last["output"][0]["id"], "msg_1");
    for (_, event) in &events[3..7] {
        assert_eq!(event["item_id"], "msg_1");
    }
}

#[test]
fn events_of_a_message_come_in_order_and_named_after_their_type() {
    let events = events(Api::Messages);
    let types: Vec<_> = events.iter().map(|(_, event)| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert!(events.iter().all(|(name, event)| *name == event["type"]));
    assert_eq!(events[0].1["message"]["stop_reason"], Value::Null);
    assert_eq!(events[4].1["delta"], json!({ "stop_reason": "end_turn", "stop_sequence": null }));
}

#[test]
fn a_plain_agent_is_told_where_the_answer_came_from() {
    assert_eq!(agent_answer("hi", true), br#"{"answer":"hi","source":"rules","degraded":true}"#);
}
