//! Recorded exchanges, compared byte for byte on both sides of the gateway.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use lockgate_sim::replay::{Ended, Recording, Replay, Seen};
use serde_json::Value;

use crate::recordings;
use crate::server::{CLIENT_KEY, MODEL, Server, TARGET_KEY};

/// A feature whose streams are asked for their usage, as it is by default.
pub const ASKING: &str = "support-reply";
/// A feature whose target must not be asked for it.
pub const QUIET: &str = "support-quiet";
/// A feature whose target speaks messages.
const MESSAGES: &str = "support-messages";

/// Response headers that clients read. Others may differ: they belong to one connection.
const MATTER: [&str; 5] = ["content-type", "request-id", "x-request-id", "retry-after", "cache-control"];
const MATTER_PREFIXES: [&str; 3] = ["openai-", "anthropic-", "x-ratelimit-"];

/// Where bodies are cut; any number would do.
const SEED: u64 = 20_261_122;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_exchanges_come_back_byte_for_byte() {
    let upstream = Replay::start(SEED).await.unwrap();
    let server = Server::start(&configuration(&upstream)).await;
    let recordings = recordings::all();
    let mut calls = 0;
    for (i, recording) in recordings.iter().enumerate() {
        let features: &[&str] = match recording.api.as_str() {
            "anthropic.messages" => &[MESSAGES],
            "openai.responses" => &[ASKING],
            _ => &[QUIET, ASKING],
        };
        for feature in features {
            let call = Call { recording, feature, is_spacious: i % 2 == 1 };
            assert!(upstream.queue(recording.exchange.clone()));
            let answer = server.post(call.path(), call.headers(), call.sent()).await;
            let seen = upstream.seen(&recording.exchange.id);
            call.check_seen(&seen.unwrap_or_else(|| panic!("{} did not arrive: {answer:?}", call.name())));
            call.check_answer(&answer);
            calls += 1;
        }
    }
    println!("{} recorded exchanges came back equal in {calls} calls", recordings.len());
}

/// Targets that are an upstream, and the features behind which they stand. The recorded errors are the upstream's own, one after
/// the other, and must not open its breaker.
pub fn configuration(upstream: &Replay) -> String {
    let base_url = upstream.base_url();
    let root = base_url.trim_end_matches("/v1");
    let reached =
        "api_key: { env: SDK_TARGET_KEY }, retries: 0, breaker: { consecutive: 10000, calls_min: 1000000 }";
    format!(
        r#"
targets:
  asked: {{ kind: openai, base_url: "{base_url}", {reached} }}
  unasked: {{ kind: openai, base_url: "{base_url}", {reached}, asks_usage: false }}
  messages: {{ kind: anthropic, base_url: "{root}", {reached} }}
features:
  {ASKING}: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [{{ target: asked, model: {MODEL} }}] }} }} }}
  {QUIET}: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [{{ target: unasked, model: {MODEL} }}] }} }} }}
  {MESSAGES}: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [{{ target: messages, model: {MODEL} }}] }} }} }}
"#
    )
}

/// One replayed call.
struct Call<'r> {
    recording: &'r Recording,
    feature: &'static str,
    /// Whether the body is written with line breaks and indents.
    is_spacious: bool,
}

impl Call<'_> {
    fn name(&self) -> String {
        format!("{} ({}) as {}", self.recording.exchange.id, self.recording.api, self.feature)
    }

    fn path(&self) -> &'static str {
        match self.recording.api.as_str() {
            "anthropic.messages" => "/v1/messages",
            "openai.responses" => "/v1/responses",
            _ => "/v1/chat/completions",
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.feature == MESSAGES {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
            headers.insert("anthropic-beta", HeaderValue::from_static("a-feature-of-tomorrow"));
        }
        headers
    }

    /// The recorded request with another model, in the order in which it was recorded.
    fn written(&self, model: &str) -> String {
        let mut body: Value = serde_json::from_str(&self.recording.request).unwrap();
        body["model"] = model.into();
        if self.is_spacious { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() }
    }

    fn sent(&self) -> String {
        self.written(self.feature)
    }

    fn client_asks_usage(&self) -> bool {
        let body: Value = serde_json::from_str(&self.recording.request).unwrap();
        body["stream_options"]["include_usage"] == true
    }

    /// Whether Lockgate asks for a usage chunk that the client does not expect.
    fn is_asked_behind_the_clients_back(&self) -> bool {
        let is_chat = self.path() == "/v1/chat/completions";
        is_chat && self.feature == ASKING && self.recording.is_stream && !self.client_asks_usage()
    }

    fn check_seen(&self, seen: &Seen) {
        let mut expected = self.written(MODEL);
        if self.is_asked_behind_the_clients_back() {
            let body_end = expected.trim_end().len() - "}".len();
            let end = expected[..body_end].trim_end().len();
            expected.insert_str(end, r#","stream_options":{"include_usage":true}"#);
        }
        assert_eq!(text(&seen.body), expected, "what the upstream saw: {}", self.name());
        assert_eq!(seen.line, format!("POST {}", self.path()));
        if self.feature == MESSAGES {
            assert_eq!(seen.headers["x-api-key"], TARGET_KEY);
            assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
            assert_eq!(seen.headers["anthropic-beta"], "a-feature-of-tomorrow");
        } else {
            assert_eq!(seen.headers["authorization"], format!("Bearer {TARGET_KEY}"));
        }
        for (name, value) in &seen.headers {
            assert!(
                !text(value.as_bytes()).contains(CLIENT_KEY),
                "the upstream saw the client's key in {name}"
            );
        }
        assert_eq!(seen.ended, Ended::Whole, "{}", self.name());
    }

    fn check_answer(&self, answer: &Response<Bytes>) {
        let recorded = &self.recording.exchange;
        assert_eq!(answer.status(), recorded.status, "{}", self.name());
        let expected = match self.is_asked_behind_the_clients_back() {
            true => without_usage_chunk(text(&recorded.body)),
            false => text(&recorded.body).to_owned(),
        };
        assert_eq!(text(answer.body()), expected, "what the client got: {}", self.name());
        let recorded_headers: Vec<(String, String)> =
            recorded.headers.iter().filter(|(name, _)| matters(name)).cloned().collect();
        assert_eq!(those_that_matter(answer.headers()), recorded_headers, "{}", self.name());
        assert_eq!(answer.headers()["x-lockgate-feature"], self.feature);
        assert_eq!(answer.headers()["x-lockgate-version"], "v1");
    }
}

/// A recorded stream without the event that has usage and no choices.
fn without_usage_chunk(stream: &str) -> String {
    let is_usage = |event: &str| {
        let data =
            event.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data.trim()).ok());
        data.is_some_and(|data| data["usage"].is_object() && data["choices"] == Value::Array(Vec::new()))
    };
    stream.split_inclusive("\n\n").filter(|event| !is_usage(event)).collect()
}

fn matters(name: &str) -> bool {
    MATTER.contains(&name) || MATTER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn those_that_matter(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = headers
        .iter()
        .filter(|(name, _)| matters(name.as_str()))
        .map(|(name, value)| (name.to_string(), text(value.as_bytes()).to_owned()))
        .collect();
    found.sort();
    found
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
