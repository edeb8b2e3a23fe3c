//! Asks one tier once, and says whether what came can be used.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use lockgate_config::clock::Clock;
use lockgate_config::live::Table;
use lockgate_config::value::{Endpoint, Rules, Surface, TargetKind, Tier};
use lockgate_core::name::RequestId;
use lockgate_wire::body::Body;
use lockgate_wire::chat::{self, AnswerSummary};
use lockgate_wire::chat_stream::StreamReader;
use lockgate_wire::rules::{ChatText, agent_answer};
use lockgate_wire::splice::{self, Edits};
use tokio::time::Instant;

use crate::headers;
use crate::upstream::{Asking, Content, Reply, TargetError, Upstream};

/// What an OpenAI-compatible endpoint's URL is followed by; an agent's URL is the whole address.
const CHAT_PATH: &str = "/chat/completions";

/// What a client asks, read as far as it matters here.
#[derive(Debug)]
pub(crate) struct Question<'q> {
    pub(crate) id: RequestId,
    pub(crate) surface: Surface,
    /// Already only what may be passed on.
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: &'q Bytes,
    /// `None` for an agent's body that is JSON but no object.
    pub(crate) body: Option<&'q Body<'q>>,
    pub(crate) wants_stream: bool,
    /// Whether the client asked for a stream's usage chunk itself.
    pub(crate) wants_usage: bool,
    /// Whether everything that would let the answer act is taken away.
    pub(crate) strips_tools: bool,
    /// Set as the body's `metadata`.
    pub(crate) metadata: Option<serde_json::Value>,
    pub(crate) deadline: Instant,
    /// The whole time of the call, for telling that it ran out.
    pub(crate) allowed: Duration,
    pub(crate) kept_bytes_max: usize,
}

/// An answer that can be told to the client: a good one, or an error of the client's own.
#[derive(Debug)]
pub(crate) struct TierAnswer {
    pub(crate) head: Parts,
    pub(crate) told: Told,
}

/// How an answer is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// At once; for a chat, with what was read in it.
    Whole { bytes: Bytes, summary: Option<Box<AnswerSummary>> },
    /// Too long to be kept, so relayed unread.
    Long { start: VecDeque<Bytes>, rest: Incoming, idle: Duration },
    /// As it comes.
    Stream {
        first: Bytes,
        rest: Incoming,
        /// Reads beside the relay; `None` for an agent, whose events nobody here knows.
        reader: Option<Box<StreamReader>>,
        /// Whether we asked for the usage chunk and the client did not.
        strips_usage: bool,
        idle: Duration,
    },
}

/// Asks a tier. The table is dropped as soon as the request has been sent.
pub(crate) async fn ask(
    upstream: &Upstream,
    clock: &Clock,
    question: &Question<'_>,
    tier: &Tier,
    is_degraded: bool,
    table: Arc<Table>,
) -> Result<TierAnswer, TargetError> {
    let (endpoint, path) = match &tier.target.kind {
        TargetKind::OpenAi(endpoint) => (endpoint, CHAT_PATH),
        TargetKind::Agent(endpoint) => (endpoint, ""),
        TargetKind::Rules(rules) => return Ok(from_rules(rules, clock, question, is_degraded)),
    };
    let asks_usage = question.surface == Surface::Chat
        && question.wants_stream
        && !question.wants_usage
        && endpoint.asks_usage;
    let mut headers = question.headers.clone();
    headers::authorize(&mut headers, endpoint.api_key.as_ref());
    let reply = upstream
        .ask(Asking {
            target: &tier.target.name,
            endpoint,
            path,
            headers,
            body: rewritten(question, tier, asks_usage),
            table,
            deadline: question.deadline,
            kept_bytes_max: question.kept_bytes_max,
            wants_events: question.surface == Surface::Chat && question.wants_stream,
        })
        .await?;
    judge(reply, question, tier, endpoint, asks_usage)
}

/// The body as this tier is asked it: the client's own bytes but for what the version sets.
fn rewritten(question: &Question<'_>, tier: &Tier, asks_usage: bool) -> Bytes {
    let Some(body) = question.body else { return question.bytes.clone() };
    let mut parameters = Cow::Borrowed(&tier.parameters);
    if let Some(metadata) = &question.metadata {
        parameters.to_mut().insert("metadata".to_owned(), metadata.clone());
    }
    let edits = Edits {
        model: tier.model.as_deref(),
        system: tier.system.as_deref(),
        parameters: &parameters,
        ask_usage: asks_usage,
        strip_tools: question.strips_tools,
    };
    match splice::rewrite(body, &edits) {
        Cow::Borrowed(_) => question.bytes.clone(),
        Cow::Owned(edited) => edited.into(),
    }
}

/// Tells an answer that can be used from one that another tier should be asked for.
fn judge(
    reply: Reply,
    question: &Question<'_>,
    tier: &Tier,
    endpoint: &Endpoint,
    asks_usage: bool,
) -> Result<TierAnswer, TargetError> {
    let target = || tier.target.name.clone();
    let Reply { head, content } = reply;
    // What a target packs although it was asked not to is relayed as it is and cannot be read.
    let is_packed = head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let is_chat = question.surface == Surface::Chat && !is_packed;
    let is_success = head.status.is_success();
    if head.status.is_redirection() {
        // Passed on, it would lead clients past the gateway.
        return Err(TargetError::Redirect { target: target() });
    }
    let told = match content {
        Content::Whole(bytes) => {
            let summary = (is_chat && is_success).then(|| Box::new(chat::read_plain(&bytes)));
            // A client that waits for events finds none in a plain answer, and takes it for an empty one.
            if summary.as_deref().is_some_and(|summary| question.wants_stream || says_nothing(summary)) {
                return Err(TargetError::Unusable { target: target() });
            }
            Told::Whole { bytes, summary }
        }
        Content::Long { start, rest } => Told::Long { start, rest, idle: endpoint.idle_timeout },
        Content::Stream { first, rest } => {
            let mut reader = is_chat.then(|| Box::new(StreamReader::new(question.kept_bytes_max)));
            if let Some(reader) = &mut reader {
                reader.push(&first);
                let says_nothing =
                    says_nothing(reader.answer()) && (reader.is_done() || is_wrong(reader.answer()));
                if says_nothing || !question.wants_stream {
                    return Err(TargetError::Unusable { target: target() });
                }
            }
            let idle = endpoint.idle_timeout;
            Told::Stream { first, rest, reader, strips_usage: asks_usage, idle }
        }
    };
    let status = head.status;
    let answer = TierAnswer { head, told };
    if is_success || is_callers_fault(status) {
        Ok(answer)
    } else {
        Err(TargetError::Status { target: target(), status, answer: Box::new(answer) })
    }
}

/// Whether an answer has neither content nor an end that somebody chose: not even an empty text was meant.
fn says_nothing(answer: &AnswerSummary) -> bool {
    !answer.has_content && (is_wrong(answer) || answer.finish_reason.is_none())
}

fn is_wrong(answer: &AnswerSummary) -> bool {
    answer.is_unreadable || answer.error.is_some()
}

/// Whether a status says that the request itself cannot be answered, by this target or another. The other 4xx speak of keys,
/// models, quotas and addresses, which the configuration chose and not the caller.
pub(crate) fn is_callers_fault(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// The deterministic answer, in the form that was asked for.
fn from_rules(rules: &Rules, clock: &Clock, question: &Question<'_>, is_degraded: bool) -> TierAnswer {
    let asked = match (question.surface, question.body) {
        (Surface::Chat, Some(body)) => body.last_user_text().map(Cow::Owned),
        _ => Some(String::from_utf8_lossy(question.bytes)),
    };
    let asked = asked.unwrap_or_default();
    let rule = rules.rules.iter().find(|rule| rule.when.is_match(&asked));
    let text = rule.map_or(&rules.otherwise, |rule| &rule.answer);
    let model = question.body.and_then(|body| body.model().ok());
    let chat = ChatText {
        id: &format!("chatcmpl-{}", question.id),
        created: clock.now().as_second(),
        model: model.as_deref().unwrap_or_default(),
        text,
    };
    let (kind, bytes) = match question.surface {
        Surface::Agent => ("application/json", agent_answer(text, is_degraded)),
        Surface::Chat if question.wants_stream && question.wants_usage => {
            ("text/event-stream", chat.stream_with_usage())
        }
        Surface::Chat if question.wants_stream => ("text/event-stream", chat.stream()),
        Surface::Chat => ("application/json", chat.plain()),
    };
    let summary = (question.surface == Surface::Chat).then(|| {
        let (id, text) = (Some(chat.id.to_owned()), text.clone());
        Box::new(AnswerSummary { id, text, has_content: true, ..AnswerSummary::default() })
    });
    let (mut head, ()) = Response::new(()).into_parts();
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    TierAnswer { head, told: Told::Whole { bytes: bytes.into(), summary } }
}
