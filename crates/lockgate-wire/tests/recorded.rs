//! Reads exchanges that were recorded from real providers.
//!
//! A few rows stand beside this file with what was found in them by another program. Set `LOCKGATE_EVAL_DATA` to a directory
//! that holds `api_transcripts.jsonl` and every chat row of it is read too.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lockgate_wire::body::Body;
use lockgate_wire::chat::{AnswerSummary, read_plain};
use lockgate_wire::chat_stream::{StreamReader, StreamSummary};
use lockgate_wire::chat_usage_strip::UsageStrip;
use lockgate_wire::splice::{Edits, rewrite};
use serde_json::{Map, Value, json};

const KEPT: usize = 1 << 20;

#[test]
fn the_rows_beside_this_file_read_as_another_program_read_them() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded");
    let mut rows = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let row: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let found = check(&row);
        let answer = &found.answer;
        let mut facts = json!({
            "text": answer.text,
            "refusal": answer.refusal,
            "tool_calls": answer.tool_calls.iter().map(|call| json!([call.name, call.arguments])).collect::<Vec<_>>(),
            "finish_reason": answer.finish_reason,
            "usage": answer.usage.map(|usage| [usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens]),
            "error": answer.error.as_ref().map(|error| &error.message),
        });
        if let Some(is_done) = found.is_done {
            facts["done"] = json!(is_done);
        }
        assert_eq!(facts, row["expected"], "{}", path.display());
        rows += 1;
    }
    assert_eq!(rows, 10);
}

#[test]
fn every_recorded_chat_row_is_read_and_relayed() {
    let Some(directory) = std::env::var_os("LOCKGATE_EVAL_DATA") else {
        println!("skipped: LOCKGATE_EVAL_DATA does not name a directory with api_transcripts.jsonl");
        return;
    };
    let path = std::path::Path::new(&directory).join("api_transcripts.jsonl");
    let (mut streams, mut plain, mut errors, mut events, mut usages, mut withheld) = (0, 0, 0, 0, 0, 0);
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let api = row["api"].as_str().unwrap();
        if !api.ends_with(".chat") && api != "gemini.openai_compat" {
            continue;
        }
        let found = check(&row);
        let said = &found.answer;
        if row["status"] != 200 {
            assert!(said.error.is_some() && !said.has_content, "{row}");
            errors += 1;
            continue;
        }
        assert!(said.error.is_none() && !said.is_unreadable && !said.is_cut, "{said:?}");
        assert!(said.has_content && said.finish_reason.is_some(), "{said:?}");
        usages += usize::from(said.usage.is_some());
        match found.is_done {
            Some(is_done) => {
                assert!(is_done, "{row}");
                streams += 1;
                events += found.events;
                withheld += found.withheld;
            }
            None => plain += 1,
        }
    }
    println!(
        "{streams} streams with {events} events, {plain} plain answers, {errors} errors; usage read from {usages}, {withheld} \
         usage chunks withheld"
    );
    assert!(streams > 0 && plain > 0 && errors > 0);
}

/// What was found in a row.
struct Found {
    answer: AnswerSummary,
    /// For a stream.
    is_done: Option<bool>,
    events: u64,
    withheld: usize,
}

/// Reads one row in every way that a gateway would, and holds the findings against a plain reading of the JSON.
fn check(row: &Value) -> Found {
    check_request(&row["request"]);
    let body = row["response_body"].as_str().unwrap();
    if row["stream"] != true || row["status"] != 200 {
        let answer = read_plain(body.as_bytes());
        let chunk: Value = serde_json::from_str(body).unwrap();
        check_answer(&answer, &[chunk], "message");
        return Found { answer, is_done: None, events: 0, withheld: 0 };
    }
    let whole = read_stream(&[body.as_bytes()]);
    for seed in 0..20 {
        assert_eq!(read_stream(&cut(body.as_bytes(), seed)), whole);
    }
    let chunks: Vec<Value> = body.split("\n\n").filter_map(chunk).collect();
    check_answer(&whole.answer, &chunks, "delta");
    assert_eq!(whole.is_done, body.contains("data: [DONE]"));
    let withheld = check_strip(body);
    Found { answer: whole.answer, is_done: Some(whole.is_done), events: whole.events, withheld }
}

fn check_request(request: &Value) {
    let text = serde_json::to_string_pretty(request).unwrap();
    let body = Body::read(text.as_bytes()).unwrap();
    assert_eq!(body.model().unwrap(), request["model"].as_str().unwrap());
    assert_eq!(body.stream().unwrap(), request["stream"] == true);
    assert_eq!(body.include_usage().unwrap(), request["stream_options"]["include_usage"] == true);
    body.check_messages().unwrap();
    let parameters = Map::new();
    let edits = Edits {
        model: Some("other"),
        system: Some("Be kind."),
        parameters: &parameters,
        ask_usage: true,
        strip_tools: true,
    };
    let edited: Value = serde_json::from_slice(&rewrite(&body, &edits)).unwrap();
    let mut expected = request.clone();
    expected["model"] = json!("other");
    expected["stream_options"]["include_usage"] = json!(true);
    expected["messages"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({ "role": "system", "content": "Be kind." }));
    let members = expected.as_object_mut().unwrap();
    for name in ["tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"] {
        members.remove(name);
    }
    assert_eq!(edited, expected);
}

/// Holds what was read against the chunks as any JSON reader sees them.
fn check_answer(answer: &AnswerSummary, chunks: &[Value], said: &str) {
    let first_choice = |chunk: &Value| {
        let choices = chunk["choices"].as_array().cloned().unwrap_or_default();
        choices.into_iter().find(|choice| choice["index"] == 0).unwrap_or_default()
    };
    let text: String = chunks
        .iter()
        .map(|chunk| first_choice(chunk)[said]["content"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(answer.text, text);
    let arguments: usize = chunks
        .iter()
        .flat_map(|chunk| first_choice(chunk)[said]["tool_calls"].as_array().cloned().unwrap_or_default())
        .map(|call| call["function"]["arguments"].as_str().unwrap_or_default().len())
        .sum();
    if arguments > 0 {
        assert_eq!(answer.tool_calls.iter().map(|call| call.arguments.len()).sum::<usize>(), arguments);
        assert!(answer.tool_calls.iter().all(|call| !call.name.is_empty()), "{answer:?}");
        for call in &answer.tool_calls {
            assert!(serde_json::from_str::<Value>(&call.arguments).is_ok(), "{call:?}");
        }
    }
    for (read, name) in [(&answer.id, "id"), (&answer.model, "model")] {
        let told = chunks.iter().filter_map(|chunk| chunk[name].as_str()).find(|text| !text.is_empty());
        assert_eq!(read.as_deref(), told);
    }
    let told = |chunk: &Value| {
        [&chunk["usage"], &chunk["x_groq"]["usage"]].into_iter().find(|usage| usage.is_object()).cloned()
    };
    let usage = chunks.iter().rev().find_map(told);
    let counts = usage.map(|usage| (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()));
    let read = answer.usage.map(|usage| (Some(usage.prompt_tokens), Some(usage.completion_tokens)));
    assert_eq!(read, counts.map(|(prompt, completion)| (prompt, Some(completion.unwrap_or(0)))));
}

/// Strips the usage chunk with several cuttings; gives how many there were.
fn check_strip(body: &str) -> usize {
    let is_usage = |event: &&str| {
        chunk(event).is_some_and(|chunk| chunk["choices"] == json!([]) && chunk["usage"].is_object())
    };
    let expected: String = body.split_inclusive("\n\n").filter(|event| !is_usage(event)).collect();
    for seed in 0..20 {
        let mut strip = UsageStrip::default();
        let mut out: Vec<u8> = Vec::new();
        for piece in cut(body.as_bytes(), seed) {
            out.extend_from_slice(&strip.push(piece));
        }
        out.extend(strip.finish());
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
    body.split_inclusive("\n\n").filter(is_usage).count()
}

fn chunk(event: &str) -> Option<Value> {
    let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str(data).ok()
}

fn read_stream(pieces: &[&[u8]]) -> StreamSummary {
    let mut reader = StreamReader::new(KEPT);
    pieces.iter().for_each(|piece| reader.push(piece));
    reader.finish()
}

/// Cuts bytes into pieces of 1 to 97 bytes, differently for every seed; whole for seed 0.
fn cut(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed;
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // Constants of Knuth's MMIX generator; the high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = if seed == 0 { rest.len() } else { ((state >> 33) as usize % 97 + 1).min(rest.len()) };
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    pieces
}
