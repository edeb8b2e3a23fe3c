//! Requests: generated ones that both can say, damaged ones, and those that were recorded from real clients.

use lockgate_wire::translate::{RequestSettings, Way, request};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::shapes::{check_chat, check_messages};
use crate::talk::{self, Talk, talks};

const SETTINGS: RequestSettings = RequestSettings { max_tokens: 700 };

fn translated(way: Way, body: &Value) -> (Value, Vec<String>) {
    let done =
        request(way, &body.to_string(), SETTINGS).unwrap_or_else(|error| panic!("{error} in {body:#}"));
    (serde_json::from_slice(&done.body).unwrap(), done.dropped)
}

/// What a request says, whichever of the ways of saying it was taken.
fn meaning(mut body: Value) -> Value {
    let members = body.as_object_mut().unwrap();
    if let Some(tokens) = members.remove("max_completion_tokens") {
        members.insert("max_tokens".to_owned(), tokens);
    }
    if let Some(Value::String(stop)) = members.get("stop") {
        let stop = json!([stop]);
        members.insert("stop".to_owned(), stop);
    }
    let messages = members["messages"].as_array_mut().unwrap();
    let said = std::mem::take(messages);
    for mut message in said {
        if message["role"] == "developer" {
            message["role"] = json!("system");
        }
        spread(&mut message);
        match messages.last_mut().filter(|last| last["role"] == message["role"] && last["role"] != "tool") {
            Some(last) => {
                let more = message["content"].as_array().unwrap().clone();
                last["content"].as_array_mut().unwrap().extend(more);
            }
            None => messages.push(message),
        }
    }
    if members.contains_key("system") {
        let mut system = json!({ "content": members["system"] });
        spread(&mut system);
        members.insert("system".to_owned(), system["content"].take());
    }
    body
}

/// Every content as a list of its parts, and every argument as what it holds.
fn spread(message: &mut Value) {
    let content = &mut message["content"];
    *content = match content.take() {
        Value::Null => json!([]),
        Value::String(text) if text.is_empty() => json!([]),
        Value::String(text) => json!([{ "type": "text", "text": text }]),
        parts => parts,
    };
    for block in content.as_array_mut().unwrap() {
        if block["type"] == "tool_result" {
            spread(block);
        }
    }
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        let arguments = &mut call["function"]["arguments"];
        *arguments = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
    }
}

#[track_caller]
fn check_same(found: Value, expected: Value) {
    let (found, expected) = (meaning(found), meaning(expected));
    assert_eq!(found, expected, "found {found:#}\nexpected {expected:#}");
}

fn check_talk(talk: &Talk) {
    let (chat, messages) = (talk.as_chat(), talk.as_messages());
    check_chat(&chat).unwrap();
    check_messages(&messages).unwrap();

    let (there, dropped) = translated(Way::ChatToMessages, &chat);
    assert_eq!(dropped, [""; 0], "of {chat:#}");
    check_messages(&there).unwrap_or_else(|wrong| panic!("{wrong} in {there:#}"));
    check_same(there.clone(), messages.clone());
    let (back, dropped) = translated(Way::MessagesToChat, &there);
    assert_eq!(dropped, [""; 0], "of {there:#}");
    check_same(back, chat.clone());

    let (there, dropped) = translated(Way::MessagesToChat, &messages);
    assert_eq!(dropped, [""; 0], "of {messages:#}");
    check_chat(&there).unwrap_or_else(|wrong| panic!("{wrong} in {there:#}"));
    check_same(there.clone(), chat);
    let (back, dropped) = translated(Way::ChatToMessages, &there);
    assert_eq!(dropped, [""; 0], "of {there:#}");
    check_same(back, messages);
}

/// Puts something else in the place of one value, or takes it away.
fn damage(value: &mut Value, place: &mut usize, other: &Value) {
    if *place == 0 {
        *value = other.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| damage(item, place, other)),
        Value::Object(members) => members.values_mut().for_each(|member| damage(member, place, other)),
        _ => {}
    }
}

fn others() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(""),
        json!(" "),
        json!("none"),
        json!("user"),
        json!("assistant"),
        json!("system"),
        json!("call_0"),
        json!([]),
        json!([{ "type": "text", "text": "" }]),
        json!([{ "type": "input_audio", "input_audio": {} }]),
        json!({}),
        json!({ "type": "text", "text": "x" }),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_both_can_say_is_said_in_the_others_form_and_comes_back_equal(talk in talks()) {
        check_talk(&talk);
    }

    #[test]
    fn what_is_not_refused_is_a_request_that_the_target_takes(
        talk in talks(), damages in prop::collection::vec((0usize..150, others()), 1..4)
    ) {
        let (mut chat, mut messages) = (talk.as_chat(), talk.as_messages());
        for (place, other) in &damages {
            damage(&mut chat, &mut place.clone(), other);
            damage(&mut messages, &mut place.clone(), other);
        }
        if let Ok(done) = request(Way::ChatToMessages, &chat.to_string(), SETTINGS) {
            let body: Value = serde_json::from_slice(&done.body).unwrap();
            check_messages(&body).unwrap_or_else(|wrong| panic!("{wrong} in {body:#}\nof {chat:#}"));
        }
        if let Ok(done) = request(Way::MessagesToChat, &messages.to_string(), SETTINGS) {
            let body: Value = serde_json::from_slice(&done.body).unwrap();
            check_chat(&body).unwrap_or_else(|wrong| panic!("{wrong} in {body:#}\nof {messages:#}"));
        }
    }
}

#[test]
fn a_whole_request_comes_back_equal() {
    check_talk(&talk::example());
}

#[test]
fn every_recorded_request_is_translated_into_one_that_the_target_takes() {
    let Some(directory) = std::env::var_os("LOCKGATE_EVAL_DATA") else {
        println!("skipped: LOCKGATE_EVAL_DATA does not name a directory with api_transcripts.jsonl");
        return;
    };
    let path = std::path::Path::new(&directory).join("api_transcripts.jsonl");
    let (mut chats, mut messages, mut told) = (0, 0, Map::new());
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let api = row["api"].as_str().unwrap();
        let dropped = if api == "anthropic.messages" {
            messages += 1;
            let (body, dropped) = translated(Way::MessagesToChat, &row["request"]);
            check_chat(&body).unwrap_or_else(|wrong| panic!("{wrong} in {body:#}"));
            dropped
        } else if api.ends_with(".chat") || api == "gemini.openai_compat" {
            chats += 1;
            let (body, dropped) = translated(Way::ChatToMessages, &row["request"]);
            check_messages(&body).unwrap_or_else(|wrong| panic!("{wrong} in {body:#}"));
            dropped
        } else {
            continue;
        };
        for name in dropped {
            let count = told.get(&name).and_then(Value::as_u64).unwrap_or(0);
            told.insert(name, json!(count + 1));
        }
    }
    println!("{chats} chat requests and {messages} messages requests; told: {}", Value::Object(told));
    assert!(chats > 0 && messages > 0);
}
