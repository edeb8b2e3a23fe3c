//! One request from top to bottom.
//!
//! [`request`] finds the endpoint, and [`call`] is the table of contents of a call: each step is a file of the same name and
//! returns what the next one needs, so that none can be left out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response};
use hyper::body::Incoming;
use lockgate_config::live::Table;
use lockgate_config::value::{Client, Config, Feature, Surface};
use lockgate_core::name::RequestId;
use lockgate_wire::body::{Body, BodyError};
use lockgate_wire::error::Failure;
use tokio::time::Instant;
use uuid::Uuid;

use crate::answer::Tried;
use crate::assign::{self, Assigned};
use crate::caller::{self, Rehearsal, may_call};
use crate::gateway::Gateway;
use crate::headers::{self, ARM, ATTEMPTS, FEATURE, REVISION, VERSION};
use crate::observation::{End, Observation};
use crate::refusal::{self, invalid};
use crate::relay::{self, AnswerBody};
use crate::shadow::Planned;
use crate::tier::Question;
use crate::{admit, answer, body, feedback, health, models};

const DEADLINE: HeaderName = HeaderName::from_static("x-lockgate-deadline-ms");
const CHAT: &str = "/v1/chat/completions";
const FEEDBACK: &str = "/v1/feedback";
const MODELS: &str = "/v1/models";
const AGENTS: &str = "/agents/";

/// When a request came, as what, and until when it may take.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) id: RequestId,
    pub(crate) at: Instant,
    pub(crate) deadline: Instant,
    /// Time that was not spent here: waiting for the client's body and for targets.
    outside: Duration,
}

/// What a path and a method ask for.
#[derive(Debug)]
enum Endpoint {
    Call(Surface),
    Models,
    Model(String),
    Feedback,
    Live,
    Ready,
}

/// Answers one request, whatever it is.
pub(crate) async fn request(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<AnswerBody> {
    let config = Arc::clone(&gateway.live.table().config);
    let now = Instant::now();
    let mut arrival = Arrival {
        id: RequestId(Uuid::now_v7()),
        at: now,
        deadline: now + config.bounds.deadline,
        outside: Duration::ZERO,
    };
    let answered = answer(&gateway, &config, request, &mut arrival).await;
    let mut response = answered.unwrap_or_else(|failure| refusal::response(&failure).map(AnswerBody::own));
    let inside = arrival.at.elapsed().saturating_sub(arrival.outside);
    headers::tell_call(response.headers_mut(), arrival.id, inside);
    response
}

async fn answer(
    gateway: &Arc<Gateway>,
    config: &Config,
    request: Request<Incoming>,
    arrival: &mut Arrival,
) -> Result<Response<AnswerBody>, Failure> {
    let bytes_max = config.bounds.header_bytes_max;
    if headers::weight(request.headers()) > bytes_max {
        return Err(Failure::HeadersTooLarge { bytes_max });
    }
    let own = match endpoint(request.method(), request.uri().path())? {
        Endpoint::Call(surface) => return call(gateway, config, surface, request, arrival).await,
        Endpoint::Models => models::list(config, request.headers())?,
        Endpoint::Model(name) => models::one(config, request.headers(), &name)?,
        Endpoint::Feedback => feedback::receive(gateway, config, request, arrival.deadline).await?,
        Endpoint::Live => health::live(),
        Endpoint::Ready => health::ready(gateway),
    };
    Ok(own.map(AnswerBody::own))
}

/// A call of a feature, step by step.
async fn call(
    gateway: &Arc<Gateway>,
    config: &Config,
    surface: Surface,
    request: Request<Incoming>,
    arrival: &mut Arrival,
) -> Result<Response<AnswerBody>, Failure> {
    let (head, incoming) = request.into_parts();
    let allowed = shorten_deadline(arrival, &head.headers)?;
    let client = caller::authenticate(config, &head.headers)?;
    let place = admit::place(&gateway.places, config.bounds.calls_max)?;

    let reading = Instant::now();
    let bytes = body::read(&head.headers, incoming, config.bounds.body_bytes_max, arrival.deadline).await?;
    arrival.outside += reading.elapsed();
    let body = parse(surface, &bytes)?;

    // From here to the first request that is sent, the table in force is held: see `assign`.
    let table = gateway.live.table();
    let feature = feature(&table, client, surface, head.uri.path(), body.as_ref())?;
    let rehearsal = if assign::is_drilled(&table, &feature.name) { Rehearsal::On } else { Rehearsal::Off };
    let caller =
        caller::identify(&feature, client, &head.headers, body.as_ref(), &gateway.labels, rehearsal)?;
    let chat = body.as_ref().filter(|_| surface == Surface::Chat);
    let question = Question {
        id: arrival.id,
        surface,
        headers: headers::to_target(&head.headers),
        bytes: &bytes,
        wants_stream: chat.map_or(Ok(false), Body::stream)?,
        wants_usage: chat.map_or(Ok(false), Body::include_usage)?,
        body: body.as_ref(),
        strips_tools: false,
        metadata: None,
        deadline: arrival.deadline,
        allowed,
        kept_bytes_max: config.bounds.answer_bytes_kept_max,
    };
    let mut assigned = assign::version(table, &feature.name, &caller, &arrival.id.to_string())?;
    let mut observation = Observation::begin(gateway, place, arrival, &assigned, &caller);
    if let Some(candidate) = assigned.shadow.take() {
        observation.plan_shadow(Planned::new(&feature, candidate, &caller, &question));
    }

    let asking = Instant::now();
    let mut tried = Tried::default();
    let answered =
        answer::from_chain(gateway, &mut assigned, &caller, &question, &mut tried, &mut observation).await;
    arrival.outside += asking.elapsed();
    let mut response = match answered {
        Ok(answer) => relay::to_client(answer, observation),
        Err(failure) => {
            observation.end(failure.status(), End::Failed);
            refusal::response(&failure).map(AnswerBody::own)
        }
    };
    tell_version(response.headers_mut(), &assigned, tried.attempts);
    Ok(response)
}

fn endpoint(method: &Method, path: &str) -> Result<Endpoint, Failure> {
    let (endpoint, allowed) = match path {
        CHAT => (Endpoint::Call(Surface::Chat), Method::POST),
        FEEDBACK => (Endpoint::Feedback, Method::POST),
        MODELS => (Endpoint::Models, Method::GET),
        "/health/live" => (Endpoint::Live, Method::GET),
        "/health" | "/health/ready" => (Endpoint::Ready, Method::GET),
        _ => {
            let after = |prefix: &str| {
                path.strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains('/'))
            };
            if after(AGENTS).is_some() {
                (Endpoint::Call(Surface::Agent), Method::POST)
            } else if let Some(name) = path.strip_prefix(MODELS).and_then(|rest| rest.strip_prefix('/')) {
                (Endpoint::Model(name.to_owned()), Method::GET)
            } else {
                return Err(Failure::UnknownPath { method: method.to_string(), path: echo(path) });
            }
        }
    };
    let is_allowed = *method == allowed || (allowed == Method::GET && *method == Method::HEAD);
    if is_allowed {
        return Ok(endpoint);
    }
    let allowed = if allowed == Method::GET { "GET, HEAD" } else { "POST" };
    Err(Failure::MethodNotAllowed { method: method.to_string(), path: echo(path), allowed })
}

/// Longest piece of a path or a name that is told back.
const ECHO_CHARS_MAX: usize = 120;

/// A caller's own text, cut to a length that can be told back.
pub(crate) fn echo(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

/// A caller may ask for less time than is allowed, never for more. Returns the whole time that the call has.
fn shorten_deadline(arrival: &mut Arrival, headers: &HeaderMap) -> Result<Duration, Failure> {
    if let Some(text) = caller::text(headers, &DEADLINE)? {
        let asked_ms: u64 = text.parse().ok().filter(|ms| *ms > 0).ok_or_else(|| {
            invalid(DEADLINE.as_str(), format!("`{text}` is not a whole number of milliseconds above 0"))
        })?;
        let asked = arrival.at.checked_add(Duration::from_millis(asked_ms));
        arrival.deadline = asked.map_or(arrival.deadline, |asked| asked.min(arrival.deadline));
    }
    Ok(arrival.deadline.duration_since(arrival.at))
}

/// The members of a body. A chat's must be an object with what a chat needs; an agent takes any JSON.
fn parse(surface: Surface, bytes: &Bytes) -> Result<Option<Body<'_>>, Failure> {
    match (surface, Body::read(bytes)) {
        (Surface::Agent, Err(BodyError::NotAnObject { .. })) => {
            // The members are of no interest, but that it is JSON is promised to the agent.
            let read: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(bytes);
            read.map(|_| None).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                BodyError::Syntax { what: "no JSON value can be read".to_owned(), line, column }.into()
            })
        }
        (Surface::Chat, Ok(body)) => {
            body.check_messages()?;
            Ok(Some(body))
        }
        (_, read) => Ok(Some(read?)),
    }
}

/// The feature that is called, if there is one, if it is called so, and if this client may.
fn feature(
    table: &Table,
    client: Option<&Client>,
    surface: Surface,
    path: &str,
    body: Option<&Body<'_>>,
) -> Result<Arc<Feature>, Failure> {
    let asked = match (surface, body) {
        (Surface::Chat, Some(body)) => body.model()?,
        _ => path.strip_prefix(AGENTS).unwrap_or_default().into(),
    };
    let Some(feature) = table.config.features.get(&*asked) else {
        let known = table
            .config
            .features
            .values()
            .filter(|feature| feature.surface == surface && may_call(client, &feature.name));
        let known = known.map(|feature| feature.name.to_string()).collect();
        return Err(Failure::UnknownFeature { feature: echo(&asked), known });
    };
    if !may_call(client, &feature.name) {
        return Err(Failure::NotAllowed { feature: feature.name.to_string() });
    }
    if feature.surface != surface {
        let right = match feature.surface {
            Surface::Chat => format!("`POST {CHAT}` with `\"model\": \"{}\"`", feature.name),
            Surface::Agent => format!("`POST {AGENTS}{}`", feature.name),
        };
        return Err(Failure::WrongSurface { feature: feature.name.to_string(), right });
    }
    Ok(Arc::clone(feature))
}

fn tell_version(headers: &mut HeaderMap, assigned: &Assigned, attempts: u32) {
    headers::put(headers, FEATURE, assigned.feature.name.to_string());
    headers::put(headers, VERSION, assigned.version.id.name.to_string());
    headers::put(headers, REVISION, assigned.version.id.revision.short());
    headers::put(headers, ARM, assigned.arm.to_string());
    headers::put(headers, ATTEMPTS, attempts.to_string());
}
