//! Reads exchanges that were recorded from real providers.
//!
//! A few rows stand beside this file with what was found in them by another program. Set `LOCKGATE_EVAL_DATA` to a directory
//! that holds `api_transcripts.jsonl` and every row of an API that is spoken here is read too. Either way what is read is held
//! against a reading of the same JSON that knows nothing of this crate.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lockgate_wire::answer::{AnswerSummary, ToolCall};
use lockgate_wire::api::Api;
use lockgate_wire::body::Body;
use lockgate_wire::chat::is_usage_chunk;
use lockgate_wire::reader::{StreamReader, StreamSummary, read_plain};
use lockgate_wire::splice::{Edits, rewrite};
use serde_json::{Map, Value, json};

#[path = "recorded/facts.rs"]
mod facts;

const KEPT: usize = 1 << 20;

#[test]
fn the_rows_beside_this_file_read_as_another_program_read_them() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded");
    let mut rows = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let row: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let found = check(api_of(&row).unwrap(), &row);
        let mut facts = facts_of(&found.answer);
        if let Some(is_done) = found.is_done {
            facts["done"] = json!(is_done);
        }
        let mut expected = row["expected"].clone();
        for call in expected["tool_calls"].as_array_mut().unwrap() {
            call[2] = facts::parsed(call[2].as_str().unwrap());
        }
        for (name, expected) in expected.as_object().unwrap() {
            assert_eq!(&facts[name], expected, "{name} of {}", path.display());
        }
        rows += 1;
    }
    assert_eq!(rows, ROWS);
}

#[test]
fn every_recorded_row_is_read_and_relayed() {
    let Some(directory) = std::env::var_os("LOCKGATE_EVAL_DATA") else {
        println!("skipped: LOCKGATE_EVAL_DATA does not name a directory with api_transcripts.jsonl");
        return;
    };
    let path = std::path::Path::new(&directory).join("api_transcripts.jsonl");
    let mut counts = std::collections::BTreeMap::<String, Counts>::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let Some(api) = api_of(&row) else { continue };
        let found = check(api, &row);
        counts.entry(row["api"].as_str().unwrap().to_owned()).or_default().add(&row, &found);
    }
    for (api, counts) in &counts {
        println!("{api}: {counts:?}");
    }
    for api in ["openai.chat", "openai.responses", "anthropic.messages"] {
        assert!(counts.get(api).is_some_and(|counts| counts.streams > 0 && counts.plain > 0), "{api}");
    }
}

/// Rows beside this file.
const ROWS: usize = 25;

/// Which of the APIs that are spoken here a row is of.
fn api_of(row: &Value) -> Option<Api> {
    match row["api"].as_str().unwrap() {
        "openai.responses" => Some(Api::Responses),
        "anthropic.messages" => Some(Api::Messages),
        "gemini.openai_compat" => Some(Api::Chat),
        api => api.ends_with(".chat").then_some(Api::Chat),
    }
}

#[derive(Debug, Default)]
struct Counts {
    streams: usize,
    events: u64,
    plain: usize,
    errors: usize,
    contents: usize,
    usages: usize,
    usage_chunks: usize,
}

impl Counts {
    /// Counts what was found in a row, which has to be a good answer or an error.
    fn add(&mut self, row: &Value, found: &Found) {
        let said = &found.answer;
        if row["status"] != 200 {
            assert!(said.error.is_some() && !said.has_content, "{row}");
            self.errors += 1;
            return;
        }
        assert!(said.error.is_none() && !said.is_unreadable && !said.is_cut, "{said:?}");
        assert!(said.finish_reason.is_some(), "{said:?}");
        self.contents += usize::from(said.has_content);
        self.usages += usize::from(said.usage.is_some());
        self.events += found.events;
        self.usage_chunks += found.usage_chunks;
        match found.is_done {
            Some(is_done) => {
                assert!(is_done, "{row}");
                self.streams += 1;
            }
            None => self.plain += 1,
        }
    }
}

/// What was found in a row.
struct Found {
    answer: AnswerSummary,
    /// For a stream.
    is_done: Option<bool>,
    events: u64,
    usage_chunks: usize,
}

/// Reads one row in every way that a gateway would, and holds the findings against a plain reading of the JSON.
fn check(api: Api, row: &Value) -> Found {
    check_request(api, &row["request"]);
    let body = row["response_body"].as_str().unwrap();
    if row["stream"] != true || row["status"] != 200 {
        let answer = read_plain(api, body.as_bytes());
        let whole: Value = serde_json::from_str(body).unwrap();
        assert_eq!(facts_of(&answer), facts::of_plain(api, &whole), "{body}");
        return Found { answer, is_done: None, events: 0, usage_chunks: 0 };
    }
    let whole = read_stream(api, &[body.as_bytes()]);
    let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    assert_eq!(read_stream(api, &bytes), whole);
    for seed in 1..20 {
        assert_eq!(read_stream(api, &cut(body.as_bytes(), seed)), whole);
    }
    let lines = body.replace("\r\n", "\n");
    let events: Vec<Value> = lines.split("\n\n").filter_map(data).collect();
    assert_eq!(facts_of(&whole.answer), facts::of_stream(api, &events), "{body}");
    assert_eq!(whole.is_done, facts::is_done(api, body));
    let usage_chunks = if api == Api::Chat { check_usage_chunks(body) } else { 0 };
    Found { answer: whole.answer, is_done: Some(whole.is_done), events: whole.events, usage_chunks }
}

/// What was read, in the form that the rows and the other readings have.
fn facts_of(answer: &AnswerSummary) -> Value {
    let usage = answer.usage.map(|usage| {
        json!({
            "prompt": usage.prompt_tokens,
            "completion": usage.completion_tokens,
            "cached": usage.cached_tokens,
            "cache_written": usage.cache_written_tokens,
            "reasoning": usage.reasoning_tokens,
        })
    });
    let call = |call: &ToolCall| json!([call.id, call.name, facts::parsed(&call.arguments)]);
    json!({
        "id": answer.id,
        "model": answer.model,
        "text": answer.text,
        "refusal": answer.refusal,
        "tool_calls": answer.tool_calls.iter().map(call).collect::<Vec<_>>(),
        "finish_reason": answer.finish_reason,
        "usage": usage,
        "error": answer.error.as_ref().map(|error| &error.message),
    })
}

fn check_request(api: Api, request: &Value) {
    let text = serde_json::to_string_pretty(request).unwrap();
    let body = Body::read(text.as_bytes()).unwrap();
    assert_eq!(body.model().ok().as_deref(), request["model"].as_str());
    assert_eq!(body.stream().unwrap(), request["stream"] == true);
    assert_eq!(body.include_usage().unwrap(), request["stream_options"]["include_usage"] == true);
    body.check(api).unwrap();
    assert_eq!(body.last_user_text(api).is_some(), facts::has_user_text(api, request), "{request}");
    let parameters = Map::new();
    let edits = Edits {
        api,
        model: Some("other"),
        system: Some("Be kind."),
        parameters: &parameters,
        ask_usage: true,
        strip_tools: true,
    };
    let edited: Value = serde_json::from_slice(&rewrite(&body, &edits)).unwrap();
    assert_eq!(edited, facts::edited(api, request.clone()), "{request}");
}

/// Counts the usage chunks, and holds what is known of an event by its bytes against its JSON.
fn check_usage_chunks(body: &str) -> usize {
    let is_usage = |event: &&str| {
        data(event).is_some_and(|chunk| chunk["choices"] == json!([]) && chunk["usage"].is_object())
    };
    for event in body.split_inclusive("\n\n") {
        assert_eq!(is_usage_chunk(event.as_bytes()), is_usage(&event), "{event}");
    }
    body.split_inclusive("\n\n").filter(is_usage).count()
}

fn data(event: &str) -> Option<Value> {
    let data = event.lines().find_map(|line| line.strip_prefix("data:"))?;
    serde_json::from_str(data).ok()
}

fn read_stream(api: Api, pieces: &[&[u8]]) -> StreamSummary {
    let mut reader = StreamReader::new(api, KEPT);
    pieces.iter().for_each(|piece| reader.push(piece));
    reader.finish()
}

/// Cuts bytes into pieces of 1 to 97 bytes, differently for every seed.
fn cut(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed;
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // Constants of Knuth's MMIX generator; the high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (piece, after) = rest.split_at(((state >> 33) as usize % 97 + 1).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
