//! Passes an answer on to the client, reads beside it, and sees to it that its end is recorded.
//!
//! A plain answer is handed over whole. A stream is told event by event as it comes; one that breaks off, falls silent, crawls or
//! ends without its terminal event is told so in its own form, and no terminal event follows, so that no client takes it for a
//! finished one. Any other body that breaks off is cut, which HTTP shows to the client. While a target is silent, the client is
//! sent comments, which keep what stands between us from hanging up.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lockgate_config::health::Pass;
use lockgate_config::value::{Price, RATE_WINDOW, Times};
use lockgate_core::breaker::Outcome;
use lockgate_wire::answer::AnswerSummary;
use lockgate_wire::api::Api;
use lockgate_wire::blame::{self, Blame};
use lockgate_wire::error::Failure;
use lockgate_wire::reader::read_plain;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::answer::{Answer, Kind};
use crate::events::{EventStream, Next};
use crate::headers::{self, COST, DEGRADED, DROPPED, SHOULD_RETRY, TARGET, TIER};
use crate::observation::{End, Observation};
use crate::refusal;
use crate::resume::{Resume, Resumed};
use crate::stage::{Ending, WholeBody};
use crate::telling::Telling;
use crate::tier::{TierAnswer, Told};

use broken::Broken;

mod broken;

/// How long a target may take to close a stream whose terminal event has come. What comes in that time is still passed on.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Tells an answer; gives the response when it came whole and nothing has been told yet.
pub(crate) async fn to_client(
    answer: Answer,
    mut observation: Observation,
    telling: &Telling<'_>,
    resume: Resume<'_>,
) -> Option<Response<WholeBody>> {
    let Answer { answer, tier, target, price, kind, is_degraded, pass, times } = answer;
    let TierAnswer { head, told, dropped } = answer;
    let status = head.status;
    observation.answered_by(tier, &target, status.as_u16(), is_degraded);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers::to_client(&head.headers);
    let headers = response.headers_mut();
    telling.tell_about(headers);
    headers::put(headers, TARGET, target.clone());
    headers::put(headers, TIER, tier.to_string());
    if !dropped.is_empty() {
        headers::put(headers, DROPPED, headers::visible(&dropped.join(", ")));
    }
    match kind {
        Kind::LastResort => headers::put(headers, SHOULD_RETRY, "false".to_owned()),
        Kind::Good | Kind::CallersFault if is_degraded => headers::put(headers, DEGRADED, "true".to_owned()),
        Kind::Good | Kind::CallersFault => {}
    }
    let failed = match kind {
        Kind::Good => None,
        Kind::CallersFault => Some(End::CallersFault),
        Kind::LastResort => Some(End::Failed),
    };
    match told {
        Told::Whole { bytes, summary } => {
            if summary.is_none() {
                observation.keep_text_for_comparison(&bytes);
            }
            let end = failed.unwrap_or_else(|| read(summary.as_deref(), price, &mut observation));
            if let End::Answered { cost_nano_usd: Some(cost), .. } = end {
                headers::put(headers, COST, usd(cost));
            }
            let ending = Ending { observation, status: status.as_u16(), end };
            if telling.stage.has_begun() {
                telling.stage.tell(telling.whence(response.headers())).await;
                tell_whole_in_stream(telling, &response, bytes, ending).await;
                return None;
            }
            telling.tell_time(response.headers_mut());
            Some(response.map(|()| WholeBody::observed(bytes, ending)))
        }
        Told::Long { start, rest } => {
            telling.begin(response);
            let end = failed.unwrap_or(NOTHING_KNOWN);
            let ending = Ending { observation, status: status.as_u16(), end };
            pass_on(telling, start, rest, &times, ending).await;
            None
        }
        Told::Stream(opened) => {
            if telling.stage.has_begun() {
                telling.stage.tell(telling.whence(response.headers())).await;
            } else {
                telling.begin(response);
            }
            let heard = Heard { price, pass, times };
            let relay = Relay::new(telling, resume, opened.stream, observation, heard, status.as_u16());
            relay.run(opened.pieces, opened.is_over).await;
            None
        }
    }
}

/// Tells that no answer came; gives the response when nothing has been told yet.
pub(crate) async fn failure(
    failure: &Failure,
    observation: Observation,
    is_hurried: bool,
    telling: &Telling<'_>,
) -> Option<Response<WholeBody>> {
    if is_hurried && matches!(failure, Failure::DeadlinePassed { .. }) {
        // Whoever gives a call less time than others have has left when it runs out.
        drop(observation);
        return tell_failure(failure, None, telling).await;
    }
    let is_callers = (400..500).contains(&failure.status());
    let end = if is_callers { End::CallersFault } else { End::Failed };
    let ending = Ending { observation, status: failure.status(), end };
    tell_failure(failure, Some(ending), telling).await
}

async fn tell_failure(
    failure: &Failure,
    ending: Option<Ending>,
    telling: &Telling<'_>,
) -> Option<Response<WholeBody>> {
    if telling.stage.has_begun() {
        match ending {
            Some(ending) => telling.stage.tell_last(telling.event(failure), ending).await,
            None => telling.stage.tell(telling.event(failure)).await,
        }
        return None;
    }
    if let Some(ending) = ending {
        ending.record();
    }
    let mut response = refusal::response(failure, telling.api().family(), &telling.id().to_string());
    telling.tell_about(response.headers_mut());
    telling.tell_time(response.headers_mut());
    Some(response.map(WholeBody::own))
}

/// The end of an answer that nobody here could read.
const NOTHING_KNOWN: End = End::Answered { usage: None, cost_nano_usd: None, refused: None };

/// A whole answer to a client who has been told to expect a stream: a deterministic one is a stream already; an error becomes an
/// event.
async fn tell_whole_in_stream(telling: &Telling<'_>, response: &Response<()>, bytes: Bytes, ending: Ending) {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let bytes = if kind.starts_with("text/event-stream") { bytes } else { as_event(telling, &bytes) };
    telling.stage.tell_last(bytes, ending).await;
}

/// A target's error, in the form of the caller's API, as an event of that API.
fn as_event(telling: &Telling<'_>, body: &[u8]) -> Bytes {
    // Written anew it is one line, as an event's data must be.
    let told =
        serde_json::from_slice::<serde_json::Value>(body).ok().filter(|told| told["error"].is_object());
    match (telling.api(), told) {
        (Api::Chat, Some(told)) => format!("data: {told}\n\n").into(),
        (Api::Messages, Some(told)) => format!("event: error\ndata: {told}\n\n").into(),
        (api, _) => {
            let error = read_plain(api, body).error.unwrap_or_default();
            telling.event(&Failure::CutOff {
                problem: format!("the target told of an error: {}", error.message),
            })
        }
    }
}

/// Passes on a plain answer that is too long to be kept.
async fn pass_on(
    telling: &Telling<'_>,
    start: VecDeque<Bytes>,
    mut rest: Incoming,
    times: &Times,
    mut ending: Ending,
) {
    for chunk in start {
        telling.stage.tell(chunk).await;
    }
    let deadline = ending.observation.deadline();
    loop {
        let by = deadline.min(Instant::now() + times.idle);
        match timeout_at(by, rest.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    telling.stage.tell(chunk).await;
                }
            }
            Ok(None) => {
                telling.stage.taken().await;
                return ending.record();
            }
            Ok(Some(Err(_))) => {
                ending.observation.broke_off();
                break;
            }
            Err(_) => {
                ending.observation.fell_silent();
                break;
            }
        }
    }
    telling.stage.cut().await;
    Ending { end: End::Failed, ..ending }.record();
}

/// A stream on its way.
struct Relay<'t> {
    telling: &'t Telling<'t>,
    resume: Resume<'t>,
    stream: EventStream,
    /// `None` once the end has been told.
    observation: Option<Observation>,
    heard: Heard,
    status: u16,
    clock: Watch,
}

/// Whom we listen to: what its words cost, whose health it tells of, and how long it may take.
struct Heard {
    price: Option<Price>,
    pass: Option<Pass>,
    times: Times,
}

/// The moments by which something must have come.
struct Watch {
    deadline: Instant,
    /// When the stream must have ended.
    stream_by: Option<Instant>,
    idle_by: Instant,
    ping_at: Instant,
    /// Since when the speed is measured, and how much had come then.
    since: (Instant, u64),
    /// How much had been said when the target was last heard.
    progress: usize,
    /// How long the client took to take what it was told. None of it is the target's doing.
    blocked: Duration,
    begun: Instant,
}

impl<'t> Relay<'t> {
    fn new(
        telling: &'t Telling<'t>,
        resume: Resume<'t>,
        stream: EventStream,
        observation: Observation,
        heard: Heard,
        status: u16,
    ) -> Self {
        let clock = Watch::new(observation.deadline(), &heard.times, telling.ping, stream.tokens());
        Self { telling, resume, stream, observation: Some(observation), heard, status, clock }
    }

    /// Tells what was held back, then what comes, to the end.
    async fn run(mut self, pieces: Vec<Bytes>, mut is_over: bool) {
        self.tell(pieces).await;
        while !is_over {
            let wake = self.wake();
            let next = tokio::select! {
                biased;
                next = self.stream.next() => Some(next),
                () = sleep_until(wake) => None,
            };
            let broken = match next {
                Some(Ok(Next::Pieces(pieces))) => {
                    self.tell(pieces).await;
                    let progress = self.stream.progress();
                    if self.observation.is_some()
                        && progress > std::mem::replace(&mut self.clock.progress, progress)
                    {
                        self.clock.idle_by = Instant::now() + self.heard.times.idle;
                    }
                    let now = Instant::now();
                    if self.observation.is_none() && now >= self.clock.idle_by {
                        break;
                    }
                    // A client that takes its time does not make the call longer.
                    (now >= self.clock.deadline).then_some((Broken::OutOfTime, None))
                }
                Some(Ok(Next::End(pieces))) => {
                    self.tell(pieces).await;
                    break;
                }
                Some(Err(trouble)) => {
                    self.tell(trouble.before).await;
                    Some(Broken::by(trouble.what))
                }
                // All was told, and the target takes its time to close.
                None if self.observation.is_none() => break,
                None => {
                    self.ping().await;
                    self.late().map(|broken| (broken, None))
                }
            };
            let broken = broken.or_else(|| self.is_crawling().then_some((Broken::Crawling, None)));
            if let Some((broken, event)) = broken {
                match self.go_on(broken).await {
                    Some(over) => is_over = over,
                    None => return self.break_off(broken, event).await,
                }
            }
        }
        self.close().await;
    }

    /// Lets another target go on with what was said; whether all that it says has been told already.
    async fn go_on(&mut self, broken: Broken) -> Option<bool> {
        self.observation.as_ref()?;
        let is_targets = match broken {
            Broken::OutOfTime => false,
            // What a target refuses to go on with, no other is asked to.
            Broken::Told => self.outcome(broken) == Outcome::Failed,
            _ => true,
        };
        let said = self.stream.summary().filter(|_| is_targets)?;
        let resumed = {
            let mut going_on = std::pin::pin!(self.resume.go_on(said));
            loop {
                tokio::select! {
                    biased;
                    resumed = going_on.as_mut() => break resumed?,
                    () = tokio::time::sleep(self.telling.ping) => self.telling.stage.tell(PING).await,
                }
            }
        };
        let Resumed { opened, tier, target, price, times, pass } = resumed;
        self.note(broken);
        if let Some(observation) = &mut self.observation {
            observation.broke_off();
            observation.answered_by(tier, &target, self.status, true);
        }
        let whence = format!(": target={target} tier={tier} goes on with it\n\n");
        self.telling.stage.tell(whence.into()).await;
        self.clock = Watch::new(self.clock.deadline, &times, self.telling.ping, opened.stream.tokens());
        self.heard = Heard { price, pass: Some(pass), times };
        self.stream = opened.stream;
        self.tell(opened.pieces).await;
        Some(opened.is_over)
    }

    /// Says how the target did that cannot be listened to any more.
    fn note(&mut self, broken: Broken) {
        if let Some(pass) = self.heard.pass.take() {
            pass.end(self.telling.now(), self.outcome(broken), broken.word());
        }
        tracing::info!(call = %self.telling.id(), why = broken.word(), "an answer broke off after it had begun");
    }

    /// Passes pieces on. With the terminal event among them the answer is over, and its client may leave before the target
    /// closes the stream.
    async fn tell(&mut self, mut pieces: Vec<Bytes>) {
        if let Some(observation) = &mut self.observation {
            observation.wrote(self.stream.tokens());
            if self.stream.has_content() {
                observation.has_content();
            }
        }
        if pieces.is_empty() {
            return;
        }
        let last = if self.stream.is_done() && self.observation.is_some() { pieces.pop() } else { None };
        let telling = Instant::now();
        for piece in pieces {
            self.telling.stage.tell(piece).await;
        }
        self.clock.shift(telling.elapsed());
        if let Some(last) = last {
            let Some(ending) = self.ending() else { return };
            self.telling.stage.tell_last(last, ending).await;
            self.clock.idle_by = Instant::now() + CLOSING_TIME;
        }
        self.clock.ping_at = Instant::now() + self.telling.ping;
    }

    /// The good end.
    fn ending(&mut self) -> Option<Ending> {
        let mut observation = self.observation.take()?;
        if let Some(pass) = self.heard.pass.take() {
            pass.end(self.telling.now(), Outcome::Good, "good");
        }
        let whole = self.stream.summary().and_then(|summary| self.resume.whole(summary));
        let end = read(whole.as_ref().or(self.stream.summary()), self.heard.price, &mut observation);
        Some(Ending { observation, status: self.status, end })
    }

    /// The target has closed the stream, and all of it has been told.
    async fn close(mut self) {
        self.telling.stage.taken().await;
        if let Some(ending) = self.ending() {
            ending.record();
        }
    }

    /// Ends a stream that cannot go on. `event` is the target's own word for it.
    async fn break_off(mut self, broken: Broken, event: Option<Bytes>) {
        // Everything was said; how the connection ended after it is of no interest.
        let Some(mut observation) = self.observation.take() else { return };
        if broken == Broken::OutOfTime && self.clock.is_clients_doing() {
            drop(observation);
            let problem = broken.problem().to_owned();
            return self.telling.stage.tell(self.telling.event(&Failure::CutOff { problem })).await;
        }
        match broken {
            Broken::Silent | Broken::OutOfTime | Broken::TooLong | Broken::Crawling => {
                observation.fell_silent()
            }
            Broken::CutOff | Broken::WithoutEnd | Broken::Malformed | Broken::Told => observation.broke_off(),
        }
        if let Some(id) = self.stream.summary().and_then(|summary| summary.id.clone()) {
            observation.identified(id);
        }
        self.note(broken);
        let ending = Ending { observation, status: self.status, end: End::Failed };
        if self.stream.summary().is_none() {
            self.telling.stage.cut().await;
            return ending.record();
        }
        let problem = broken.problem().to_owned();
        let event = event.unwrap_or_else(|| self.telling.event(&Failure::CutOff { problem }));
        let last = if self.stream.is_inside_event() { [b"\n\n", &event[..]].concat().into() } else { event };
        self.telling.stage.tell_last(last, ending).await;
    }

    /// What it says of the target's health.
    fn outcome(&self, broken: Broken) -> Outcome {
        let error = self.stream.summary().and_then(|summary| summary.error.as_ref());
        match broken {
            // It was the call's time that ran out, and most of it may have been spent elsewhere.
            Broken::OutOfTime => Outcome::Unknown,
            Broken::Told => match blame::of(200, error).blame {
                Blame::Target | Blame::Limited => Outcome::Failed,
                Blame::Caller | Blame::ContentFilter | Blame::ContextLength => Outcome::Good,
                Blame::Ours => Outcome::Unknown,
            },
            _ => Outcome::Failed,
        }
    }

    fn wake(&self) -> Instant {
        let Watch { deadline, stream_by, idle_by, ping_at, since, .. } = &self.clock;
        let speed_by = self.heard.times.tokens_per_second.map(|_| since.0 + RATE_WINDOW);
        let ping_at = self.may_ping().then_some(*ping_at);
        [*stream_by, speed_by, ping_at].into_iter().flatten().fold((*deadline).min(*idle_by), Instant::min)
    }

    /// Why no more is waited for.
    fn late(&self) -> Option<Broken> {
        let now = Instant::now();
        let is_past = |by: Instant| now >= by;
        if is_past(self.clock.deadline) {
            Some(Broken::OutOfTime)
        } else if self.clock.stream_by.is_some_and(is_past) {
            Some(Broken::TooLong)
        } else if is_past(self.clock.idle_by) {
            Some(Broken::Silent)
        } else {
            None
        }
    }

    /// Whether the stream has come slower than it may, over the last while.
    fn is_crawling(&mut self) -> bool {
        let Some(floor) = self.heard.times.tokens_per_second else { return false };
        if self.stream.summary().is_none() {
            return false;
        }
        let (now, (since, before)) = (Instant::now(), self.clock.since);
        let took = now.saturating_duration_since(since);
        if took < RATE_WINDOW || self.stream.is_done() {
            return false;
        }
        let tokens = self.stream.tokens();
        self.clock.since = (now, tokens);
        (tokens - before) as f64 / took.as_secs_f64() < floor
    }

    /// A comment may stand between events, of streams that we know to be made of them.
    fn may_ping(&self) -> bool {
        self.observation.is_some() && self.stream.summary().is_some() && !self.stream.is_inside_event()
    }

    async fn ping(&mut self) {
        if self.may_ping() && Instant::now() >= self.clock.ping_at {
            self.telling.stage.tell(PING).await;
            self.clock.ping_at = Instant::now() + self.telling.ping;
        }
    }
}

/// A comment: clients skip it, and what stands between us sees that the connection lives.
pub(crate) const PING: Bytes = Bytes::from_static(b": ping\n\n");

impl Watch {
    fn new(deadline: Instant, times: &Times, ping: Duration, tokens: u64) -> Self {
        let now = Instant::now();
        Self {
            deadline,
            stream_by: times.stream.map(|stream| now + stream),
            idle_by: now + times.idle,
            ping_at: now + ping,
            since: (now, tokens),
            progress: 0,
            blocked: Duration::ZERO,
            begun: now,
        }
    }
}

impl Watch {
    /// Leaves out of the target's times what the client took.
    fn shift(&mut self, blocked: Duration) {
        self.blocked += blocked;
        self.since.0 += blocked;
        self.idle_by += blocked;
        if let Some(stream_by) = &mut self.stream_by {
            *stream_by += blocked;
        }
    }

    /// Whether most of the time was spent waiting for the client.
    fn is_clients_doing(&self) -> bool {
        self.blocked > self.begun.elapsed() / 2
    }
}

/// What an answer's end is recorded as. The summary goes on to the comparison with a copy's answer, if one is to be made.
pub(crate) fn read(
    summary: Option<&AnswerSummary>,
    price: Option<Price>,
    observation: &mut Observation,
) -> End {
    let Some(summary) = summary else { return NOTHING_KNOWN };
    if let Some(id) = &summary.id {
        observation.identified(id.clone());
    }
    observation.keep_for_comparison(summary);
    let usage = summary.usage;
    let cost =
        usage.zip(price).map(|(usage, price)| price.nano_usd(usage.prompt_tokens, usage.completion_tokens));
    End::Answered { usage, cost_nano_usd: cost, refused: summary.is_refusal() }
}

/// Nano-dollars as a decimal of dollars.
fn usd(nano_usd: u64) -> String {
    format!("{}.{:09}", nano_usd / 1_000_000_000, nano_usd % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_told_as_a_decimal_to_the_nano_dollar() {
        assert_eq!(usd(0), "0.000000000");
        assert_eq!(usd(3_100_000), "0.003100000");
        assert_eq!(usd(12_000_000_001), "12.000000001");
    }
}
