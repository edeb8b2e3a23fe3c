//! What mutations start from: exchanges that were recorded from real providers, and configurations.
//!
//! A few exchanges stand in the repository; a directory with `api_transcripts.jsonl` gives more of them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use lockgate_wire::api::Api;
use lockgate_wire::sse::Cutter;
use serde_json::Value;

/// Longest seed. What is longer is mutated where it does not matter, and slowly.
pub const SEED_BYTES_MAX: usize = 8 * 1024;

/// Events of a stream that is too long which are kept from its end: what tells how it went.
const LAST_EVENTS: usize = 4;

/// Parts of configurations, each of which leads to others of the checks.
const CONFIGURATIONS: [&str; 4] = [
    include_str!("../../examples/lockgate.yaml"),
    "listen: 127.0.0.1:0\nadmin: { listen: \"[::]:1\", token: { env: T } }\nstore: postgres://u@h/d\nlimits: memory\n",
    "plans:\n  p:\n    phases:\n      - { name: one, share: 1%, dwell: 48h, gates: [ { signal: error, max: 0.5% } ] }\n    triggers: \
     [ { signal: latency, p: 99, max: 10s, for: 3m, then: roll_back } ]\n",
    "targets: &t\n  a: { kind: rules, rules: [ { when: \"(?i)refund\", answer: x } ], otherwise: y }\nfeatures:\n  f: { stable: v, \
     versions: { v: { kind: model, chain: [ { target: a } ] } } }\nagain: *t\n",
];

/// One recorded exchange.
#[derive(Debug, Clone)]
pub struct Row {
    /// By which API it went.
    pub api: Api,
    /// The answer's status.
    pub status: u16,
    is_stream: bool,
    request: String,
    answer: Vec<u8>,
}

/// The exchanges beside the tests of `lockgate-wire`, and those in a directory of recorded data.
pub fn recorded(root: &Path, data: Option<&Path>) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(root.join("crates/lockgate-wire/tests/recorded"))? {
        rows.extend(Row::read(&std::fs::read_to_string(entry?.path())?));
    }
    if let Some(data) = data {
        let text = std::fs::read_to_string(data.join("api_transcripts.jsonl"))?;
        rows.extend(text.lines().filter_map(Row::read));
    }
    Ok(rows)
}

/// Writes a target's seeds into a folder, each under a name made of its bytes.
pub fn write(target: crate::Target, rows: &[Row], folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let seeds: BTreeSet<Vec<u8>> = (target.seeds)(rows).into_iter().collect();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}

/// Configurations, whole and in parts.
pub fn configurations() -> Vec<Vec<u8>> {
    CONFIGURATIONS.map(|text| text.as_bytes().to_vec()).into()
}

impl Row {
    /// Reads one line; `None` for an API that Lockgate does not speak.
    fn read(text: &str) -> Option<Self> {
        let row: Value = serde_json::from_str(text).ok()?;
        let api = match row["api"].as_str()? {
            "anthropic.messages" => Api::Messages,
            "openai.responses" => Api::Responses,
            "gemini.openai_compat" => Api::Chat,
            name if name.ends_with(".chat") => Api::Chat,
            _ => return None,
        };
        Some(Self {
            api,
            status: row["status"].as_u64()?.try_into().ok()?,
            is_stream: row["stream"] == true,
            request: row["request"].to_string(),
            answer: row["response_body"].as_str()?.as_bytes().to_vec(),
        })
    }

    /// The request.
    pub fn request(&self) -> Option<Vec<u8>> {
        (self.request.len() <= SEED_BYTES_MAX).then(|| self.request.clone().into_bytes())
    }

    /// A stream, without events from its middle where it is long.
    pub fn stream(&self) -> Option<Vec<u8>> {
        (self.is_stream && self.status == 200).then(|| shortened(&self.answer))
    }

    /// A plain answer, or an error.
    pub fn plain(&self) -> Option<Vec<u8>> {
        let is_plain = !self.is_stream || self.status != 200;
        (is_plain && self.answer.len() <= SEED_BYTES_MAX).then(|| self.answer.clone())
    }

    /// An error.
    pub fn error(&self) -> Option<Vec<u8>> {
        self.plain().filter(|_| self.status >= 400)
    }
}

fn shortened(stream: &[u8]) -> Vec<u8> {
    let mut cutter = Cutter::default();
    let mut events = Vec::new();
    let mut rest = stream;
    while let Some(end) = cutter.cut(rest) {
        let (event, after) = rest.split_at(end);
        events.push(event);
        rest = after;
    }
    let (middle, last) = events.split_at(events.len().saturating_sub(LAST_EVENTS));
    let mut room = SEED_BYTES_MAX.saturating_sub(last.iter().map(|event| event.len()).sum());
    let first = middle.iter().take_while(|event| {
        let fits = event.len() <= room;
        room = room.saturating_sub(event.len());
        fits
    });
    first.chain(last).copied().flatten().copied().collect()
}
