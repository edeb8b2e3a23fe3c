//! Answers mean the same in the other form: those that were recorded from real providers, and any that both forms can say.
//!
//! A few recorded rows stand beside this file with what another program found in them. Set `LOCKGATE_EVAL_DATA` to a directory
//! that holds `api_transcripts.jsonl` and every row of the two APIs is translated.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "translated_answers/meaning.rs"]
mod meaning;

use lockgate_wire::sse::Cutter;
use lockgate_wire::translate::{StreamTranslator, Wanted, Way, answer, error};
use meaning::{Call, Dice, Meaning};
use proptest::prelude::*;
use serde_json::{Value, json};

const CREATED: i64 = 1_700_000_000;
const WANTED: Wanted = Wanted { usage_chunk: true, thinking: true };

#[test]
fn the_rows_beside_this_file_mean_in_the_other_form_what_another_program_read_in_theirs() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/translated_answers");
    let mut rows = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let row: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(check(&row), row["expected"], "{}", path.display());
        rows += 1;
    }
    assert_eq!(rows, 12);
}

#[test]
fn every_recorded_answer_means_the_same_in_the_other_form() {
    let Some(directory) = std::env::var_os("LOCKGATE_EVAL_DATA") else {
        println!("skipped: LOCKGATE_EVAL_DATA does not name a directory with api_transcripts.jsonl");
        return;
    };
    let path = std::path::Path::new(&directory).join("api_transcripts.jsonl");
    let mut counts = [[0; 3]; 2];
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let api = row["api"].as_str().unwrap();
        if way_of(api).is_some() {
            check(&row);
            let kind = if row["status"] != 200 { 2 } else { usize::from(row["stream"] == true) };
            counts[usize::from(api == "anthropic.messages")][kind] += 1;
        }
    }
    let [chat, messages] = counts;
    println!("plain, streamed, errors: {chat:?} of chat to messages, {messages:?} of messages to chat");
    assert!(counts.as_flattened().iter().all(|count| *count > 0));
}

/// The way on which an answer of this API is translated.
fn way_of(api: &str) -> Option<Way> {
    match api {
        "anthropic.messages" => Some(Way::ChatToMessages),
        _ if api.ends_with(".chat") || api == "gemini.openai_compat" => Some(Way::MessagesToChat),
        _ => None,
    }
}

/// Translates a row, holds its meaning against an independent reading, and says what it means.
fn check(row: &Value) -> Value {
    let way = way_of(row["api"].as_str().unwrap()).unwrap();
    let body = row["response_body"].as_str().unwrap();
    let status = u16::try_from(row["status"].as_u64().unwrap()).unwrap();
    if status != 200 {
        let translated: Value = serde_json::from_slice(&error(way, status, body.as_bytes())).unwrap();
        let original: Value = serde_json::from_str(body).unwrap();
        assert_eq!(translated["error"]["message"], original["error"]["message"]);
        return translated;
    }
    let original =
        if row["stream"] == true { original_of_stream(way, body) } else { original_of_plain(way, body) };
    let translated = if row["stream"] == true {
        translated_stream(way, events(body))
    } else {
        translated_plain(way, &serde_json::from_str(body).unwrap())
    };
    original.assert_said_by(&translated);
    // The same answer told the other way, plain or streamed, means the same.
    let dice = [3, 1, 4, 1, 5, 9, 2, 6];
    let mut dice = Dice(dice.iter().cycle());
    let (plain, streamed) = match way {
        Way::ChatToMessages => (meaning::message(&original), meaning::message_stream(&original, &mut dice)),
        Way::MessagesToChat => (meaning::chat(&original), meaning::chat_stream(&original, &mut dice)),
    };
    let told = translated_plain(way, &plain);
    original.assert_said_by(&Meaning { usage: original.usage, ..told.clone() });
    assert_eq!(translated_stream(way, streamed), told);
    translated.facts()
}

/// What an answer of the target means.
fn original_of_plain(way: Way, body: &str) -> Meaning {
    let body = serde_json::from_str(body).unwrap();
    match way {
        Way::ChatToMessages => meaning::of_message(&body),
        Way::MessagesToChat => told_as_message(meaning::of_chat(&body)),
    }
}

fn original_of_stream(way: Way, body: &str) -> Meaning {
    match way {
        Way::ChatToMessages => meaning::of_message_stream(body),
        Way::MessagesToChat => told_as_message(meaning::of_chat_stream(body)),
    }
}

/// A message always tells its usage, nought where the target did not.
fn told_as_message(meaning: Meaning) -> Meaning {
    Meaning { usage: Some(meaning.usage.unwrap_or_default()), ..meaning }
}

fn translated_plain(way: Way, body: &Value) -> Meaning {
    let translated = answer(way, body.to_string().as_bytes(), CREATED, WANTED).unwrap();
    let translated: Value = serde_json::from_slice(&translated).unwrap();
    match way {
        Way::ChatToMessages => {
            assert_eq!(translated["object"], "chat.completion");
            assert_eq!((&translated["id"], &translated["model"]), (&body["id"], &body["model"]));
            meaning::of_chat(&translated)
        }
        Way::MessagesToChat => {
            assert_eq!((&translated["type"], &translated["role"]), (&json!("message"), &json!("assistant")));
            assert_eq!((&translated["id"], &translated["model"]), (&body["id"], &body["model"]));
            meaning::of_message(&translated)
        }
    }
}

fn translated_stream(way: Way, events: Vec<String>) -> Meaning {
    let mut translator = StreamTranslator::new(way, CREATED, WANTED);
    let mut out = Vec::new();
    for event in &events {
        translator.push(event.as_bytes(), &mut out).unwrap();
    }
    let out = String::from_utf8(out).unwrap();
    match way {
        Way::ChatToMessages => meaning::of_chat_stream(&out),
        Way::MessagesToChat => meaning::of_message_stream(&out),
    }
}

/// Cuts a recorded stream into its events.
fn events(body: &str) -> Vec<String> {
    let mut cutter = Cutter::default();
    let mut rest = body;
    let mut events = Vec::new();
    while let Some(end) = cutter.cut(rest.as_bytes()) {
        let (event, after) = rest.split_at(end);
        events.push(event.to_owned());
        rest = after;
    }
    assert!(rest.is_empty());
    events
}

/// Answers that both forms can say.
fn meanings() -> impl Strategy<Value = Meaning> {
    let words = || prop_oneof!["", "\\PC{1,30}", any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z{}\"\\\\]{0,6}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    });
    let input = prop::collection::btree_map("\\PC{0,6}", value, 0..3).prop_map(|members| json!(members));
    let calls = prop::collection::vec(("[a-zA-Z_]{1,12}", input), 0..4).prop_map(|calls| {
        let numbered = calls.into_iter().enumerate();
        numbered.map(|(at, (name, input))| Call { id: format!("call_{at}"), name, input }).collect::<Vec<_>>()
    });
    let usage = (0..1_000_000u64, 0..1_000_000u64, 0..1_000_000u64);
    (words(), words(), calls, 0..3usize, usage).prop_map(
        |(thinking, text, calls, ending, (read, cached, said))| {
            let ending = match (calls.is_empty(), ending) {
                (_, 0) => "cut short",
                (false, _) => "tools",
                (true, 1) => "refused",
                (true, _) => "whole",
            };
            let usage = Some([read + cached, cached, said]);
            Meaning { thinking, text, calls, ending: ending.to_owned(), usage }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_answer_that_goes_there_and_back_means_what_it_meant(said in meanings()) {
        let there_and_back = |first: Way, second: Way, body: Value| {
            let there = answer(first, body.to_string().as_bytes(), CREATED, WANTED).unwrap();
            translated_plain(second, &serde_json::from_slice(&there).unwrap())
        };
        let (to_chat, to_message) = (Way::ChatToMessages, Way::MessagesToChat);
        prop_assert_eq!(&there_and_back(to_chat, to_message, meaning::message(&said)), &said);
        prop_assert_eq!(&there_and_back(to_message, to_chat, meaning::chat(&said)), &said);
    }

    #[test]
    fn a_stream_means_what_the_plain_answer_means(said in meanings(), dice in prop::collection::vec(0..1_000usize, 1..40)) {
        let mut dice = Dice(dice.iter().cycle());
        let message = meaning::message_stream(&said, &mut dice);
        prop_assert_eq!(&translated_stream(Way::ChatToMessages, message), &said);
        prop_assert_eq!(&translated_plain(Way::ChatToMessages, &meaning::message(&said)), &said);
        let chunks = meaning::chat_stream(&said, &mut dice);
        prop_assert_eq!(&translated_stream(Way::MessagesToChat, chunks), &said);
        prop_assert_eq!(&translated_plain(Way::MessagesToChat, &meaning::chat(&said)), &said);
    }

    #[test]
    fn a_stream_that_goes_there_and_back_means_what_it_meant(
        said in meanings(),
        dice in prop::collection::vec(0..1_000usize, 1..40),
    ) {
        let mut dice = Dice(dice.iter().cycle());
        let there = |way, stream: Vec<String>| {
            let mut translator = StreamTranslator::new(way, CREATED, WANTED);
            let mut out = Vec::new();
            stream.iter().for_each(|event| translator.push(event.as_bytes(), &mut out).unwrap());
            events(&String::from_utf8(out).unwrap())
        };
        let chunks = there(Way::ChatToMessages, meaning::message_stream(&said, &mut dice));
        prop_assert_eq!(&translated_stream(Way::MessagesToChat, chunks), &said);
        let message = there(Way::MessagesToChat, meaning::chat_stream(&said, &mut dice));
        prop_assert_eq!(&translated_stream(Way::ChatToMessages, message), &said);
    }
}
