//! What every answer of a call is told with: the headers that name its version, its id and its time, and the form of its errors.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use jiff::Timestamp;
use lockgate_config::clock::Clock;
use lockgate_core::name::RequestId;
use lockgate_wire::api::Api;
use lockgate_wire::error::Failure;
use tokio::time::Instant;

use crate::answer::{Answer, Kind, Tried};
use crate::assign::Assigned;
use crate::handle::Arrival;
use crate::headers::{
    self, ARM, ATTEMPTS, DEGRADED, DROPPED, FALLBACK, FEATURE, REVISION, TARGET, TIER, VERSION,
};
use crate::stage::Stage;

/// How a call's answer is told, whoever answers it.
#[derive(Debug)]
pub(crate) struct Telling<'a> {
    pub(crate) stage: &'a Stage,
    clock: &'a Clock,
    id: RequestId,
    arrived: Instant,
    /// Time that was not spent here: waiting for the client's body and for targets.
    outside: Duration,
    api: Option<Api>,
    /// Longest silence towards a client that waits for a stream.
    pub(crate) ping: Duration,
    about: HeaderMap,
}

impl<'a> Telling<'a> {
    pub(crate) fn new(
        stage: &'a Stage,
        clock: &'a Clock,
        arrival: &Arrival,
        api: Option<Api>,
        ping: Duration,
        about: HeaderMap,
    ) -> Self {
        let (id, arrived, outside) = (arrival.id, arrival.at, arrival.outside);
        Self { stage, clock, id, arrived, outside, api, ping, about }
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// By which API the client speaks; an agent's client, about whom nothing is known, is told errors as a chat's.
    pub(crate) fn api(&self) -> Api {
        self.api.unwrap_or(Api::Chat)
    }

    /// Adds which version answers, and what was tried for it.
    pub(crate) fn tell_about(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.about {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// Adds the call's id and the time spent inside. To be called last.
    pub(crate) fn tell_time(&self, headers: &mut HeaderMap) {
        headers::tell_call(headers, self.id, self.arrived.elapsed().saturating_sub(self.outside));
    }

    /// Begins to tell an answer whose head is there.
    pub(crate) fn begin(&self, mut head: Response<()>) {
        self.tell_time(head.headers_mut());
        self.stage.begin(head);
    }

    /// Begins a stream before it is known who will tell it, because the client has waited for as long as it may in silence.
    pub(crate) fn begin_early(&self) {
        let mut head = Response::new(());
        let headers = head.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        self.tell_about(headers);
        self.begin(head);
    }

    /// A failure as an event of the client's API.
    pub(crate) fn event(&self, failure: &Failure) -> Bytes {
        failure.event(self.api(), &self.id.to_string()).into()
    }

    /// As a comment, what the head would have told had it been known when the head was sent.
    pub(crate) fn whence(&self, headers: &HeaderMap) -> Bytes {
        let mut comment = String::from(":");
        for name in [TARGET, TIER, ATTEMPTS, FALLBACK, DEGRADED, DROPPED] {
            if let Some(value) = headers.get(&name).and_then(|value| value.to_str().ok()) {
                let name = name.as_str().trim_start_matches("x-lockgate-");
                comment.push_str(&format!(" {name}={value}"));
            }
        }
        comment.push_str("\n\n");
        comment.into()
    }
}

/// Which version answers.
pub(crate) fn about_version(assigned: &Assigned) -> HeaderMap {
    let mut told = HeaderMap::with_capacity(8);
    headers::put(&mut told, FEATURE, assigned.feature.name.to_string());
    headers::put(&mut told, VERSION, assigned.version.id.name.to_string());
    headers::put(&mut told, REVISION, assigned.version.id.revision.short());
    headers::put(&mut told, ARM, assigned.arm.to_string());
    told
}

/// Which version answers, and what was tried for it.
pub(crate) fn about(assigned: &Assigned, tried: &Tried) -> HeaderMap {
    let mut told = about_version(assigned);
    headers::put(&mut told, ATTEMPTS, tried.attempts.to_string());
    if !tried.steps.is_empty() {
        let steps: Vec<String> = tried.steps.iter().map(|(target, why)| format!("{target}={why}")).collect();
        headers::put(&mut told, FALLBACK, steps.join(", "));
    }
    told
}

/// Notes in the log what did not go as it should. That a caller asked for what cannot be is the caller's business.
pub(crate) fn note(assigned: &Assigned, tried: &Tried, call: RequestId, answered: Result<&Answer, &Failure>) {
    let failure = answered.err();
    let is_callers = answered.is_ok_and(|answer| answer.kind == Kind::CallersFault);
    if is_callers || (tried.steps.is_empty() && failure.is_none()) {
        return;
    }
    let steps: Vec<String> = tried.steps.iter().map(|(target, why)| format!("{target}={why}")).collect();
    let (feature, version, steps) = (&assigned.feature.name, &assigned.version.id.name, steps.join(", "));
    match failure {
        None => {
            tracing::info!(%call, %feature, %version, attempts = tried.attempts, %steps, "answered after failures")
        }
        Some(why) => {
            tracing::warn!(%call, %feature, %version, attempts = tried.attempts, %steps, %why, "no answer could be given");
        }
    }
}
