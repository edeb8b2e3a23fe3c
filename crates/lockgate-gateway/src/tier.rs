//! Asks one tier once, and says whether what came can be used.
//!
//! [`put`] finds the words: by which API the target is asked, and with which body. [`ask`] sends them and reads the answer as far as
//! it must be known before anything of it is told: a plain one whole, a stream up to its first content, so that until then another
//! tier can still answer.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use hyper::body::Incoming;
use lockgate_config::clock::Clock;
use lockgate_config::live::Table;
use lockgate_config::value::{Endpoint, Rules, TargetKind, Tier};
use lockgate_core::name::RequestId;
use lockgate_wire::answer::{AnswerError, AnswerSummary};
use lockgate_wire::api::{Api, Family};
use lockgate_wire::blame;
use lockgate_wire::body::Body;
use lockgate_wire::error::Failure;
use lockgate_wire::reader::read_plain;
use lockgate_wire::rules::{FixedText, agent_answer};
use lockgate_wire::splice::{self, Edits};
use lockgate_wire::translate::{self, RequestSettings, StreamTranslator, Wanted, Way};
use tokio::time::{Instant, timeout_at};

use crate::events::{EventStream, How, Next, What};
use crate::headers;
use crate::packed::Packing;
use crate::reply::{self, Content, Reply};
use crate::spoken::{self, Spoken};
use crate::trouble::TargetError;
use crate::upstream::{Sending, Upstream};

/// Most bytes of a stream that are held back while it has no content yet.
const HELD_BYTES_MAX: usize = 1 << 20;
/// Longest plain answer that is translated; it has to be kept whole for that.
const TRANSLATED_BYTES_MAX: usize = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a client asks, read as far as it matters here.
#[derive(Debug)]
pub(crate) struct Question<'q> {
    pub(crate) id: RequestId,
    /// By which API; `None` for an agent.
    pub(crate) api: Option<Api>,
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
    /// Whether a call is refused of which a part cannot be said to a target.
    pub(crate) is_strict: bool,
    pub(crate) deadline: Instant,
    /// The whole time of the call, for telling that it ran out.
    pub(crate) allowed: Duration,
    /// Whether the caller gave the call less time than others have.
    pub(crate) is_hurried: bool,
    pub(crate) kept_bytes_max: usize,
}

/// What a target is told.
#[derive(Debug)]
pub(crate) struct Put<'e> {
    spoken: Spoken<'e>,
    headers: HeaderMap,
    body: Bytes,
    asks_usage: bool,
    /// What could not be said.
    dropped: Vec<String>,
}

/// An answer that can be told to the client: a good one, or an error in the target's words.
#[derive(Debug)]
pub(crate) struct TierAnswer {
    pub(crate) head: Parts,
    pub(crate) told: Told,
    /// What of the call could not be said to the target.
    pub(crate) dropped: Vec<String>,
}

/// How an answer is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// At once; where it could be read, with what was read in it.
    Whole { bytes: Bytes, summary: Option<Box<AnswerSummary>> },
    /// Too long to be kept, so relayed unread.
    Long { start: VecDeque<Bytes>, rest: Incoming },
    /// As it comes.
    Stream(Box<Opened>),
}

/// A stream that has begun to say something.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What was held back until now.
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) stream: EventStream,
    /// Whether all of it is in `pieces`.
    pub(crate) is_over: bool,
}

/// Finds the words for a target that is reached over the network.
pub(crate) fn put<'e>(
    question: &Question<'_>,
    tier: &'e Tier,
    endpoint: &'e Endpoint,
) -> Result<Put<'e>, TargetError> {
    let target = || tier.target.name.clone();
    let spoken = spoken::spoken(question.api, &tier.target, endpoint)
        .ok_or_else(|| TargetError::NotSpoken { target: target() })?;
    let asks_usage = spoken.api == Some(Api::Chat)
        && question.wants_stream
        && endpoint.asks_usage
        && (spoken.way.is_some() || !question.wants_usage);
    let mut headers = question.headers.clone();
    spoken::prepare(&mut headers, spoken);
    let (body, dropped) = match (spoken.api, spoken.way, question.body) {
        (Some(api), Some(way), Some(body)) => {
            let settings = RequestSettings { max_tokens: endpoint.max_tokens };
            let translated = translate::request(way, body.text(), settings).map_err(|error| {
                TargetError::NotTranslatable {
                    target: target(),
                    failure: Failure::InvalidValue { name: error.param, problem: error.problem },
                }
            })?;
            if question.is_strict && !translated.dropped.is_empty() {
                let failure = Failure::NotTranslatable { dropped: translated.dropped };
                return Err(TargetError::NotTranslatable { target: target(), failure });
            }
            let said = match way {
                Way::MessagesToChat if limits_completion(tier) => with_completion_limit(translated.body),
                Way::MessagesToChat | Way::ChatToMessages => translated.body,
            };
            // What was just written can be read.
            let body = Body::read(&said).map_err(|_| TargetError::Unusable { target: target() })?;
            let edited = edited(api, &body, question, tier, asks_usage);
            (Bytes::from(edited.into_owned()), translated.dropped)
        }
        (api, _, Some(body)) => {
            let edited = edited(api.unwrap_or(Api::Chat), body, question, tier, asks_usage);
            let bytes = match edited {
                Cow::Borrowed(_) => question.bytes.clone(),
                Cow::Owned(edited) => edited.into(),
            };
            (bytes, Vec::new())
        }
        (_, _, None) => (question.bytes.clone(), Vec::new()),
    };
    Ok(Put { spoken, headers, body, asks_usage, dropped })
}

/// Whether a tier's model is one of those that count what they think, and so want the limit by another name.
fn limits_completion(tier: &Tier) -> bool {
    let model = tier.model.as_deref().unwrap_or_default();
    let name = model.rsplit('/').next().unwrap_or_default();
    let is_reasoning = name.starts_with("gpt-5")
        || (name.starts_with('o') && name[1..].starts_with(|char: char| char.is_ascii_digit()));
    is_reasoning
        || ["max_completion_tokens", "reasoning_effort"]
            .iter()
            .any(|name| tier.parameters.contains_key(*name))
}

/// The same with `max_completion_tokens` for `max_tokens`.
fn with_completion_limit(body: Vec<u8>) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut call)) = serde_json::from_slice(&body) else { return body };
    let Some(limit) = call.shift_remove("max_tokens") else { return body };
    call.entry("max_completion_tokens").or_insert(limit);
    serde_json::Value::Object(call).to_string().into_bytes()
}

/// The body as this tier is asked it: the client's own bytes but for what the version sets.
fn edited<'b>(
    api: Api,
    body: &Body<'b>,
    question: &Question<'_>,
    tier: &Tier,
    ask_usage: bool,
) -> Cow<'b, [u8]> {
    let mut parameters = Cow::Borrowed(&tier.parameters);
    // Anthropic knows one member of `metadata` and refuses all others.
    if let Some(metadata) = question.metadata.as_ref().filter(|_| matches!(api, Api::Chat | Api::Responses)) {
        parameters.to_mut().insert("metadata".to_owned(), metadata.clone());
    }
    let edits = Edits {
        api,
        model: tier.model.as_deref(),
        system: tier.system.as_deref(),
        parameters: &parameters,
        ask_usage,
        strip_tools: question.strips_tools,
    };
    splice::rewrite(body, &edits)
}

/// Asks a target. The table is dropped as soon as the request has been sent.
pub(crate) async fn ask(
    upstream: &Upstream,
    clock: &Clock,
    question: &Question<'_>,
    tier: &Tier,
    endpoint: &Endpoint,
    put: Put<'_>,
    table: Arc<Table>,
) -> Result<TierAnswer, TargetError> {
    let asked = Instant::now();
    let times = &tier.times;
    let within = if question.wants_stream { times.first_content } else { times.answer };
    let answer_by = question.deadline.min(asked + within);
    let Put { spoken, headers, body, asks_usage, dropped } = put;
    let target = || tier.target.name.clone();
    let late = || TargetError::Timeout { target: target(), within: asked.elapsed() };
    let answering = async {
        let response = upstream
            .send(Sending {
                target: &tier.target.name,
                endpoint,
                path: spoken.path,
                headers,
                body,
                table,
                connect: times.connect,
                answer_by,
            })
            .await?;
        let kept = if spoken.way.is_some() { TRANSLATED_BYTES_MAX } else { question.kept_bytes_max };
        reply::read(response, &tier.target.name, kept, question.wants_stream).await
    };
    let asking = Asking { question, tier, spoken, asks_usage, clock, answer_by };
    let answered = async {
        let reply = timeout_at(answer_by, answering).await.map_err(|_| late())??;
        Ok(match asking.judge(reply)? {
            Judged::Answer(answer) => answer,
            Judged::Stream { head, first, stream } => {
                let opened = asking.open(first, stream).await?;
                TierAnswer { head, told: Told::Stream(Box::new(opened)), dropped: Vec::new() }
            }
        })
    };
    match answered.await {
        Ok(answer) => Ok(TierAnswer { dropped, ..answer }),
        // It was not the target's own time that ran out.
        Err(error) if error.is_timeout() && Instant::now() >= question.deadline => {
            Err(TargetError::OutOfTime { target: target() })
        }
        Err(TargetError::Status { target, status, fault, retry_after, mut answer }) => {
            answer.dropped = dropped;
            Err(TargetError::Status { target, status, fault, retry_after, answer })
        }
        Err(error) => Err(error),
    }
}

/// One attempt, as far as it is known when its answer comes.
struct Asking<'a> {
    question: &'a Question<'a>,
    tier: &'a Tier,
    spoken: Spoken<'a>,
    asks_usage: bool,
    clock: &'a Clock,
    answer_by: Instant,
}

enum Judged {
    Answer(TierAnswer),
    Stream { head: Parts, first: Bytes, stream: EventStream },
}

impl Asking<'_> {
    /// Tells an answer that can be used from one that another tier should be asked for.
    fn judge(&self, reply: Reply) -> Result<Judged, TargetError> {
        let unusable = || TargetError::Unusable { target: self.tier.target.name.clone() };
        let Reply { mut head, mut content } = reply;
        if self.spoken.way.is_some() {
            self.identify(&mut head.headers);
        }
        if let Content::Whole(bytes) = &content
            && let Some(packing) =
                head.headers.get(CONTENT_ENCODING).and_then(|name| Packing::named(name.as_bytes()))
        {
            let undone = packing.undone(bytes, TRANSLATED_BYTES_MAX).ok_or_else(unusable)?;
            content = Content::Whole(undone.into());
            head.headers.remove(CONTENT_ENCODING);
        }
        // What else a target packs although it was asked not to cannot be read.
        let is_packed = head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        let api = self.spoken.api.filter(|_| !is_packed);
        if head.status.is_redirection() {
            // Passed on, it would lead clients past the gateway.
            return Err(TargetError::Redirect { target: self.tier.target.name.clone() });
        }
        if !head.status.is_success() {
            return Err(self.refused(head, content, api));
        }
        if self.spoken.way.is_some() && is_packed {
            return Err(unusable());
        }
        let told = match content {
            Content::Whole(bytes) => {
                let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
                let summary = api.map(|api| Box::new(read_plain(api, text)));
                // Some servers tell of an error with a good status.
                if let Some(error) = summary.as_deref().and_then(|summary| summary.error.clone()) {
                    return Err(self.told(error));
                }
                // A client that waits for events finds none in a plain answer, and takes it for an empty one.
                if summary
                    .as_deref()
                    .is_some_and(|summary| self.question.wants_stream || says_nothing(summary))
                {
                    return Err(unusable());
                }
                let bytes = match self.spoken.way {
                    Some(way) => translate::answer(way, text, self.created(way), self.wanted())
                        .map_err(|_| unusable())?
                        .into(),
                    None => bytes,
                };
                Told::Whole { bytes, summary }
            }
            Content::Long { .. } if self.spoken.way.is_some() => return Err(unusable()),
            // Poured into a stream it would be no event.
            Content::Long { .. } if api.is_some() && self.question.wants_stream => return Err(unusable()),
            Content::Long { start, rest } => Told::Long { start, rest },
            Content::Stream { .. } if api.is_some() && !self.question.wants_stream => return Err(unusable()),
            // Unread, nobody could tell whether it came to its end.
            Content::Stream { .. } if is_packed && self.question.api.is_some() => return Err(unusable()),
            Content::Stream { first, rest } => {
                let stream = match api {
                    Some(api) => EventStream::read(rest, self.how(api)),
                    None => EventStream::unread(rest),
                };
                if self.spoken.way.is_some() {
                    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                }
                return Ok(Judged::Stream { head, first, stream });
            }
        };
        Ok(Judged::Answer(TierAnswer { head, told, dropped: Vec::new() }))
    }

    /// Adds the call's id where a client of the caller's API looks for one; the target's own stands where others look.
    fn identify(&self, headers: &mut HeaderMap) {
        let name = match self.question.api.map(Api::family) {
            Some(Family::Anthropic) => HeaderName::from_static("request-id"),
            Some(Family::OpenAi) | None => HeaderName::from_static("x-request-id"),
        };
        if !headers.contains_key(&name) {
            headers::put(headers, name, self.question.id.to_string());
        }
    }

    /// When an answer was made, in a form that tells it; in one that does not, a number that no other answer has.
    fn created(&self, way: Way) -> i64 {
        match way {
            Way::ChatToMessages => self.clock.now().as_second(),
            // The random half of the call's id, without its sign.
            Way::MessagesToChat => (self.question.id.0.as_u128() as u64 >> 1) as i64,
        }
    }

    /// What the caller asked to be told beside the answer itself.
    fn wanted(&self) -> Wanted {
        let thinking = self.question.body.zip(self.question.api);
        Wanted {
            usage_chunk: self.question.wants_usage,
            thinking: thinking.is_some_and(|(body, api)| body.wants_thinking(api)),
        }
    }

    fn how(&self, api: Api) -> How {
        let translator =
            self.spoken.way.map(|way| Box::new(StreamTranslator::new(way, self.created(way), self.wanted())));
        How {
            api,
            translator,
            strips_usage: self.asks_usage && self.spoken.way.is_none(),
            kept_bytes_max: self.question.kept_bytes_max,
        }
    }

    /// An error, in the words of the target and in the form of the caller.
    fn refused(&self, mut head: Parts, content: Content, api: Option<Api>) -> TargetError {
        let target = self.tier.target.name.clone();
        let status = head.status;
        let Content::Whole(bytes) = content else {
            // Nobody's error is that long.
            let fault = blame::of(status.as_u16(), None);
            let told = Told::Whole { bytes: Bytes::new(), summary: None };
            let answer = Box::new(TierAnswer { head, told, dropped: Vec::new() });
            return TargetError::Status { target, status, fault, retry_after: None, answer };
        };
        let error = api.and_then(|api| read_plain(api, &bytes).error);
        let fault = blame::of(status.as_u16(), error.as_ref());
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let retry_after = blame::retry_after_of(header, self.clock.now().as_second(), error.as_ref());
        let bytes = match self.spoken.way {
            Some(way) => {
                head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                head.headers.remove(CONTENT_ENCODING);
                translate::error(way, status.as_u16(), &bytes).into()
            }
            None => bytes,
        };
        let told = Told::Whole { bytes, summary: None };
        let answer = Box::new(TierAnswer { head, told, dropped: Vec::new() });
        TargetError::Status { target, status, fault, retry_after, answer }
    }

    /// Reads a stream up to its first content, or as far as it is to be held back.
    async fn open(&self, first: Bytes, mut stream: EventStream) -> Result<Opened, TargetError> {
        let mut pieces = Vec::new();
        let mut held_bytes = 0;
        let mut next = stream.take(first).map(Next::Pieces);
        loop {
            let (more, is_over) = match next {
                Ok(Next::Pieces(more)) => (more, false),
                Ok(Next::End(more)) => (more, true),
                Err(trouble) => return Err(self.trouble(&stream, trouble.what)),
            };
            held_bytes += more.iter().map(Bytes::len).sum::<usize>();
            pieces.extend(more);
            let is_enough = stream.is_done()
                || (stream.summary().is_none() && stream.has_content())
                || (stream.has_content() && stream.tokens() >= u64::from(self.tier.hold_back))
                || held_bytes > HELD_BYTES_MAX;
            if is_enough || is_over {
                if stream.is_done() && stream.summary().is_some_and(says_nothing) {
                    return Err(TargetError::Unusable { target: self.tier.target.name.clone() });
                }
                return Ok(Opened { pieces, stream, is_over });
            }
            // Once it has begun to speak, it has the time that a stream has between two chunks.
            let by = if stream.has_content() {
                self.question.deadline.min(Instant::now() + self.tier.times.idle)
            } else {
                self.answer_by
            };
            next = timeout_at(by, stream.next()).await.map_err(|_| TargetError::Timeout {
                target: self.tier.target.name.clone(),
                within: self.tier.times.first_content,
            })?;
        }
    }

    fn trouble(&self, stream: &EventStream, what: What) -> TargetError {
        let target = self.tier.target.name.clone();
        let received_bytes = stream.received_bytes();
        match what {
            What::CutOff(source) => TargetError::CutOff { target, received_bytes, source },
            What::WithoutEnd => TargetError::CutOff { target, received_bytes, source: None },
            What::Malformed => TargetError::Unusable { target },
            What::Told { .. } => {
                self.told(stream.summary().and_then(|summary| summary.error.clone()).unwrap_or_default())
            }
        }
    }

    /// An error that came with a good status.
    fn told(&self, error: AnswerError) -> TargetError {
        let fault = blame::of(200, Some(&error));
        TargetError::Told { target: self.tier.target.name.clone(), fault, error: Box::new(error) }
    }
}

/// Whether an answer has neither content nor an end that somebody chose: not even an empty text was meant.
fn says_nothing(answer: &AnswerSummary) -> bool {
    let is_wrong = answer.is_unreadable || answer.error.is_some();
    !answer.has_content && (is_wrong || answer.finish_reason.is_none())
}

/// The deterministic answer, in the form that was asked for; `None` where no text can be one.
pub(crate) fn from_rules(
    rules: &Rules,
    clock: &Clock,
    question: &Question<'_>,
    is_degraded: bool,
) -> Option<TierAnswer> {
    let asked = match (question.api, question.body) {
        (Some(api), Some(body)) => body.last_user_text(api).map(Cow::Owned),
        _ => Some(String::from_utf8_lossy(question.bytes)),
    };
    let asked = asked.unwrap_or_default();
    let rule = rules.rules.iter().find(|rule| rule.when.is_match(&asked));
    let text = rule.map_or(&rules.otherwise, |rule| &rule.answer);
    let (mut head, ()) = Response::new(()).into_parts();
    let mut kind = "application/json";
    let (bytes, summary) = match question.api {
        None => (agent_answer(text, is_degraded), None),
        Some(api) => {
            let id = format!("{}{}", id_prefix(api), question.id);
            let model = question.body.and_then(|body| body.model().ok()).unwrap_or_default();
            let fixed = FixedText { id: &id, created: clock.now().as_second(), model: &model, text };
            let bytes = if question.wants_stream {
                kind = "text/event-stream";
                fixed.stream(api, question.wants_usage)?
            } else {
                fixed.plain(api)?
            };
            let text = text.clone();
            let summary = AnswerSummary { id: Some(id), text, has_content: true, ..AnswerSummary::default() };
            (bytes, Some(Box::new(summary)))
        }
    };
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(TierAnswer { head, told: Told::Whole { bytes: bytes.into(), summary }, dropped: Vec::new() })
}

/// What the ids of an API's answers begin with.
fn id_prefix(api: Api) -> &'static str {
    match api {
        Api::Chat => "chatcmpl-",
        Api::Responses => "resp_",
        Api::Messages => "msg_",
        Api::Embeddings | Api::CountTokens => "",
    }
}

/// Whether a tier's target needs no network.
pub(crate) fn rules_of(tier: &Tier) -> Option<&Rules> {
    match &tier.target.kind {
        TargetKind::Rules(rules) => Some(rules),
        TargetKind::OpenAi(_) | TargetKind::Anthropic(_) | TargetKind::Agent(_) => None,
    }
}
