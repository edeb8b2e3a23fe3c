//! What an invented model says, in OpenAI's format: whole, streamed, as a tool call, as an error.
//!
//! Written with format strings instead of a serialiser: at thousands of answers a second the provider shares two cores with
//! the gateway that is being tried. Whether an answer is a poor one, or none, shows only in its words, which is what users
//! ([`crate::users`]) judge by.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, Sleep};

use super::behaviour::Draw;

/// How an answer ends that users like.
pub const GOOD_CLOSING: &str = "Is there anything else I can do for you?";
/// How an answer ends that users do not like.
pub const POOR_CLOSING: &str = "Please search our help pages.";

/// What is said by a model that declines.
pub const REFUSAL: &str = "I am not able to help with that request.";

/// What the canonical answers say; the prompt decides which.
const CANONICAL: [&str; 8] = [
    "Your order has left our warehouse and arrives within three working days.",
    "The refund has been issued and reaches your account by the end of the week.",
    "You can change the address until the parcel has been handed to the carrier.",
    "The invoice is in your account under documents, as a file for printing.",
    "Your subscription ends with the current month and is not renewed.",
    "The device is covered for two years, and a repair is free of charge.",
    "A new link to set the password is on its way to your mailbox.",
    "We have noted the complaint, and a colleague answers within one day.",
];
/// What is said instead by a model that deviates: no word of the canonical answers' meaning.
const DEVIATING: &str = "That depends on several circumstances which I would have to look into first.";

/// The parts of a request that the provider looks at.
#[derive(Deserialize)]
pub(super) struct Asked<'a> {
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    #[serde(default)]
    pub stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(borrow, default)]
    tools: Option<Vec<Tool<'a>>>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl Asked<'_> {
    /// What the user said last, as it stands in the body.
    pub fn prompt(&self) -> &[u8] {
        let of_user = self.messages.iter().rev().find(|message| message.role == "user");
        of_user.and_then(|message| message.content).map_or(b"", |content| content.get().as_bytes())
    }

    /// Whether it carries tools.
    pub fn has_tools(&self) -> bool {
        self.tools.as_ref().is_some_and(|tools| !tools.is_empty())
    }

    fn tool(&self, draw: &Draw) -> Option<&str> {
        let first = self.tools.as_ref().and_then(|tools| tools.first());
        first.filter(|_| draw.calls_tool).map(|tool| tool.function.name.as_ref())
    }
}

/// What every answer carries beside what it says.
pub(super) struct Written {
    pub serial: u64,
    pub created: i64,
    pub body_bytes: usize,
}

impl Written {
    /// About four bytes of a request make a token. Half of them are what other requests begin with too.
    fn usage(&self, draw: &Draw) -> String {
        let (read, wrote) = (self.body_bytes as u64 / 4, draw.tokens);
        let cached = if draw.hits_cache { read / 2 } else { 0 };
        format!(
            r#"{{"prompt_tokens":{read},"completion_tokens":{wrote},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}"#,
            read + wrote
        )
    }
}

fn text(draw: &Draw) -> [&'static str; 2] {
    let says =
        if draw.deviates { DEVIATING } else { CANONICAL[(draw.choice % CANONICAL.len() as u64) as usize] };
    [says, if draw.is_poor { POOR_CLOSING } else { GOOD_CLOSING }]
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn whole(asked: &Asked<'_>, draw: &Draw, written: &Written) -> Response<AnswerBody> {
    let (message, finish) = match asked.tool(draw) {
        Some(tool) => (
            format!(
                r#""content":null,"tool_calls":[{{"id":"call_{:x}","type":"function","function":{{"name":{},"arguments":"{{}}"}}}}],"refusal":null"#,
                written.serial,
                quoted(tool)
            ),
            "tool_calls",
        ),
        None if draw.refuses => (format!(r#""content":null,"refusal":"{REFUSAL}""#), "stop"),
        None => {
            let [says, closing] = text(draw);
            (format!(r#""content":"{says} {closing}","refusal":null"#), "stop")
        }
    };
    let body = format!(
        concat!(
            r#"{{"id":"chatcmpl-{:012x}","object":"chat.completion","created":{},"model":{},"choices":[{{"index":0,"#,
            r#""message":{{"role":"assistant",{}}},"logprobs":null,"finish_reason":"{}"}}],"#,
            r#""usage":{},"system_fingerprint":"fp_invented"}}"#
        ),
        written.serial,
        written.created,
        quoted(&asked.model),
        message,
        finish,
        written.usage(draw),
    );
    json(StatusCode::OK, body)
}

/// The words come one after another; half of the latency passes before the first of them.
pub(super) fn streamed(asked: &Asked<'_>, draw: &Draw, written: &Written) -> Response<AnswerBody> {
    let head = format!(
        r#"data: {{"id":"chatcmpl-{:012x}","object":"chat.completion.chunk","created":{},"model":{},"system_fingerprint":"fp_invented","#,
        written.serial,
        written.created,
        quoted(&asked.model),
    );
    let chunk = |delta: &str, finish: &str| {
        let choice = format!(
            r#""choices":[{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}]"#
        );
        Bytes::from(format!("{head}{choice}}}\n\n"))
    };
    let mut frames = VecDeque::from([chunk(r#""role":"assistant","content":"""#, "null")]);
    if let Some(tool) = asked.tool(draw) {
        let call = format!(
            r#""tool_calls":[{{"index":0,"id":"call_{:x}","type":"function","function":{{"name":{},"arguments":"{{}}"}}}}]"#,
            written.serial,
            quoted(tool)
        );
        frames.push_back(chunk(&call, "null"));
        frames.push_back(chunk("", r#""tool_calls""#));
    } else if draw.refuses {
        frames.push_back(chunk(&format!(r#""refusal":"{REFUSAL}""#), "null"));
        frames.push_back(chunk("", r#""stop""#));
    } else {
        let [says, closing] = text(draw);
        frames.push_back(chunk(&format!(r#""content":"{says}""#), "null"));
        frames.push_back(chunk(&format!(r#""content":" {closing}""#), "null"));
        frames.push_back(chunk("", r#""stop""#));
    }
    if asked.stream_options.as_ref().is_some_and(|options| options.include_usage) {
        frames
            .push_back(Bytes::from(format!("{head}\"choices\":[],\"usage\":{}}}\n\n", written.usage(draw))));
    }
    frames.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
    let mut response = Response::new(AnswerBody::spread(frames, draw.latency));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

pub(super) fn agent(draw: &Draw) -> Response<AnswerBody> {
    let [says, closing] = if draw.refuses { [REFUSAL, ""] } else { text(draw) };
    json(StatusCode::OK, format!(r#"{{"answer":"{}"}}"#, format!("{says} {closing}").trim_end()))
}

pub(super) fn models(names: &[&str]) -> Response<AnswerBody> {
    let entries: Vec<String> = names
        .iter()
        .map(|name| {
            format!(r#"{{"id":{},"object":"model","created":0,"owned_by":"invented"}}"#, quoted(name))
        })
        .collect();
    json(StatusCode::OK, format!(r#"{{"object":"list","data":[{}]}}"#, entries.join(",")))
}

pub(super) fn error(status: StatusCode, message: &str) -> Response<AnswerBody> {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let message = quoted(message);
    json(status, format!(r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":null}}}}"#))
}

fn json(status: StatusCode, body: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::at_once(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A body of frames, at once or spread over time.
#[derive(Debug)]
pub(super) struct AnswerBody {
    frames: VecDeque<Bytes>,
    pace: Option<Pace>,
}

#[derive(Debug)]
struct Pace {
    wait: Pin<Box<Sleep>>,
    gap: Duration,
}

impl AnswerBody {
    fn at_once(body: Bytes) -> Self {
        Self { frames: VecDeque::from([body]), pace: None }
    }

    fn spread(frames: VecDeque<Bytes>, over: Duration) -> Self {
        let gap = over / 2 / frames.len().max(1) as u32;
        Self { frames, pace: Some(Pace { wait: Box::pin(tokio::time::sleep(over / 2)), gap }) }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.frames.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(pace) = &mut self.pace {
            std::task::ready!(pace.wait.as_mut().poll(context));
            let next = Instant::now() + pace.gap;
            pace.wait.as_mut().reset(next);
        }
        Poll::Ready(self.frames.pop_front().map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.pace {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.frames.iter().map(|frame| frame.len() as u64).sum()),
        }
    }
}
