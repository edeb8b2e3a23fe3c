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
use lockgate_wire::api::{Api, Family};
use lockgate_wire::body::{Body, BodyError};
use lockgate_wire::error::Failure;
use tokio::time::Instant;
use uuid::Uuid;

use crate::answer::Tried;
use crate::caller::{self, Rehearsal, may_call};
use crate::gateway::Gateway;
use crate::observation::Observation;
use crate::refusal::{self, invalid};
use crate::resume::Resume;
use crate::shadow::Planned;
use crate::stage::{AnswerBody, Stage, WholeBody, perform};
use crate::telling::{self, Telling, about_version};
use crate::tier::Question;
use crate::{admit, answer, assign, body, conversation, feedback, headers, health, models, ofrep, relay};

const DEADLINE: HeaderName = HeaderName::from_static("x-lockgate-deadline-ms");
const TRANSLATION: HeaderName = HeaderName::from_static("x-lockgate-translation");
const FEEDBACK: &str = "/v1/feedback";
const MODELS: &str = "/v1/models";
const AGENTS: &str = "/agents/";
const FLAGS: &str = "/ofrep/v1/evaluate/flags";

/// When a request came, as what, and until when it may take.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) id: RequestId,
    pub(crate) at: Instant,
    pub(crate) deadline: Instant,
    /// Time that was not spent here: waiting for the client's body and for targets.
    pub(crate) outside: Duration,
}

/// What a path and a method ask for.
#[derive(Debug)]
enum Endpoint {
    /// A call, by an API or, without one, of an agent.
    Call(Option<Api>),
    Models,
    Model(String),
    Feedback,
    Flag(String),
    Flags,
    Live,
    Ready,
}

/// Answers one request, whatever it is.
pub(crate) async fn request(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<AnswerBody> {
    let stage = Stage::default();
    perform(stage.clone(), Box::pin(act(gateway, request, stage))).await
}

/// One request from its first byte to its last. Gives the answer where that came whole; else it was told on the stage.
async fn act(gateway: Arc<Gateway>, request: Request<Incoming>, stage: Stage) -> Option<Response<WholeBody>> {
    let config = Arc::clone(&gateway.live.table().config);
    let now = Instant::now();
    let mut arrival = Arrival {
        id: RequestId(Uuid::now_v7()),
        at: now,
        deadline: now + config.bounds.deadline,
        outside: Duration::ZERO,
    };
    let family = family(request.uri().path(), request.headers());
    match answer(&gateway, &config, request, &mut arrival, &stage).await {
        Ok(answered) => answered,
        Err(failure) => Some(own(refusal::response(&failure, family, &arrival.id.to_string()), &arrival)),
    }
}

/// An answer of our own.
fn own(response: Response<Bytes>, arrival: &Arrival) -> Response<WholeBody> {
    let mut response = response.map(WholeBody::own);
    let inside = arrival.at.elapsed().saturating_sub(arrival.outside);
    headers::tell_call(response.headers_mut(), arrival.id, inside);
    response
}

async fn answer(
    gateway: &Arc<Gateway>,
    config: &Config,
    request: Request<Incoming>,
    arrival: &mut Arrival,
    stage: &Stage,
) -> Result<Option<Response<WholeBody>>, Failure> {
    let bytes_max = config.bounds.header_bytes_max;
    if headers::weight(request.headers()) > bytes_max {
        return Err(Failure::HeadersTooLarge { bytes_max });
    }
    let response = match endpoint(request.method(), request.uri().path())? {
        Endpoint::Call(api) => return call(gateway, config, api, request, arrival, stage).await,
        Endpoint::Models => models::list(config, request.headers(), request.uri().query())?,
        Endpoint::Model(name) => models::one(config, request.headers(), &name)?,
        Endpoint::Feedback => feedback::receive(gateway, config, request, arrival.deadline).await?,
        Endpoint::Flag(feature) => ofrep::evaluate(gateway, config, request, &feature, arrival).await,
        Endpoint::Flags => ofrep::evaluate_all(gateway, config, request, arrival.deadline).await,
        Endpoint::Live => health::live(),
        Endpoint::Ready => health::ready(gateway),
    };
    Ok(Some(own(response, arrival)))
}

/// A call of a feature, step by step.
async fn call(
    gateway: &Arc<Gateway>,
    config: &Config,
    api: Option<Api>,
    request: Request<Incoming>,
    arrival: &mut Arrival,
    stage: &Stage,
) -> Result<Option<Response<WholeBody>>, Failure> {
    let (head, incoming) = request.into_parts();
    let allowed = shorten_deadline(arrival, &head.headers)?;
    let client = caller::authenticate(config, &head.headers)?;
    let place = admit::place(&gateway.places, config.bounds.calls_max)?;

    let reading = Instant::now();
    let bytes = body::read(&head.headers, incoming, config.bounds.body_bytes_max, arrival.deadline).await?;
    arrival.outside += reading.elapsed();
    let body = parse(api, &bytes)?;
    let conversation = conversation::of(gateway, api, body.as_ref(), arrival.deadline).await;

    // From here to the first request that is sent, the table in force is held: see `assign`.
    let table = gateway.live.table();
    let feature = feature(&table, client, api, head.uri.path(), body.as_ref())?;
    let rehearsal = if assign::is_drilled(&table, &feature.name) { Rehearsal::On } else { Rehearsal::Off };
    let caller =
        caller::identify(&feature, client, &head.headers, body.as_ref(), &gateway.labels, rehearsal)?;
    let asked = body.as_ref().filter(|_| api.is_some());
    let mut question = Question {
        id: arrival.id,
        api,
        headers: headers::to_target(&head.headers),
        bytes: &bytes,
        wants_stream: asked.map_or(Ok(false), Body::stream)? && api.is_some_and(Api::is_conversation),
        wants_usage: asked.map_or(Ok(false), Body::include_usage)?,
        body: body.as_ref(),
        strips_tools: false,
        metadata: None,
        is_strict: is_strict(&feature, &head.headers)?,
        deadline: arrival.deadline,
        allowed,
        is_hurried: allowed < config.bounds.deadline,
        kept_bytes_max: config.bounds.answer_bytes_kept_max,
    };
    let mut assigned = assign::version(table, &feature.name, &caller, &arrival.id.to_string())?;
    if let Some(began) = conversation {
        conversation::pin(began, &mut assigned, &gateway.live.table());
    }
    question.deadline -= answer::reserve(&assigned.version, allowed);
    let mut observation = Observation::begin(gateway, place, arrival, &assigned, &caller);
    if let Some(candidate) = assigned.shadow.take() {
        if conversation::is_kept_elsewhere(api, body.as_ref()) {
            gateway.shadows.drops().stateful.add(1);
        } else {
            observation.plan_shadow(Planned::new(&feature, candidate, &caller, &question));
        }
    }

    let early =
        Telling::new(stage, &gateway.clock, arrival, api, config.bounds.ping, about_version(&assigned));
    let asking = Instant::now();
    let mut tried = Tried::default();
    let answering =
        answer::from_chain(gateway, &mut assigned, &caller, &question, &mut tried, &mut observation);
    let answered = waited_for(answering, &early, question.wants_stream).await;
    arrival.outside += asking.elapsed();
    let about = telling::about(&assigned, &tried);
    let telling = Telling::new(stage, &gateway.clock, arrival, api, config.bounds.ping, about);
    telling::note(&assigned, &tried, arrival.id, answered.as_ref());
    Ok(match answered {
        Ok(answer) => {
            let resume = Resume::new(gateway, &mut assigned, &question);
            relay::to_client(answer, observation, &telling, resume).await
        }
        Err(failure) => relay::failure(&failure, observation, question.is_hurried, &telling).await,
    })
}

/// Waits for an answer. A client that waits for a stream is sent comments meanwhile, so that nobody in between takes its connection
/// for a dead one.
async fn waited_for<T>(answering: impl Future<Output = T>, telling: &Telling<'_>, wants_stream: bool) -> T {
    let mut answering = std::pin::pin!(answering);
    if !wants_stream {
        return answering.await;
    }
    loop {
        tokio::select! {
            biased;
            answered = answering.as_mut() => return answered,
            () = tokio::time::sleep(telling.ping) => {
                if !telling.stage.has_begun() {
                    telling.begin_early();
                }
                telling.stage.tell(relay::PING).await;
            }
        }
    }
}

/// Whether a call is refused of which a part cannot be said to a target: as the call says, else as its feature does.
fn is_strict(feature: &Feature, headers: &HeaderMap) -> Result<bool, Failure> {
    match caller::text(headers, &TRANSLATION)? {
        None => Ok(feature.strict_translation),
        Some("strict") => Ok(true),
        Some("drop") => Ok(false),
        Some(_) => Err(invalid(TRANSLATION.as_str(), "it is `drop` or `strict`")),
    }
}

/// In whose form a failure is told before it is known what is asked: by the path, and where that says nothing by the headers.
fn family(path: &str, headers: &HeaderMap) -> Family {
    let by_path = Api::ALL.into_iter().find(|api| api.path() == path).map(Api::family);
    by_path.unwrap_or_else(|| models::family(headers))
}

fn endpoint(method: &Method, path: &str) -> Result<Endpoint, Failure> {
    let after =
        |prefix: &str| path.strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains('/'));
    let (endpoint, allowed) = match path {
        FEEDBACK => (Endpoint::Feedback, Method::POST),
        FLAGS => (Endpoint::Flags, Method::POST),
        MODELS => (Endpoint::Models, Method::GET),
        "/health/live" => (Endpoint::Live, Method::GET),
        "/health" | "/health/ready" => (Endpoint::Ready, Method::GET),
        _ => {
            if let Some(api) = Api::ALL.into_iter().find(|api| api.path() == path) {
                (Endpoint::Call(Some(api)), Method::POST)
            } else if after(AGENTS).is_some() {
                (Endpoint::Call(None), Method::POST)
            } else if let Some(feature) = path.strip_prefix(FLAGS).and_then(|rest| rest.strip_prefix('/')) {
                (Endpoint::Flag(feature.to_owned()), Method::POST)
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

/// The members of a body. An API's must be an object with what it cannot do without; an agent takes any JSON.
fn parse(api: Option<Api>, bytes: &Bytes) -> Result<Option<Body<'_>>, Failure> {
    match (api, Body::read(bytes)) {
        (None, Err(BodyError::NotAnObject { .. })) => {
            // The members are of no interest, but that it is JSON is promised to the agent.
            let read: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(bytes);
            read.map(|_| None).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                BodyError::Syntax { what: "no JSON value can be read".to_owned(), line, column }.into()
            })
        }
        (Some(api), Ok(body)) => {
            body.check(api)?;
            Ok(Some(body))
        }
        (_, read) => Ok(Some(read?)),
    }
}

/// The feature that is called, if there is one, if it is called so, and if this client may.
fn feature(
    table: &Table,
    client: Option<&Client>,
    api: Option<Api>,
    path: &str,
    body: Option<&Body<'_>>,
) -> Result<Arc<Feature>, Failure> {
    let asked = match (api, body) {
        (Some(_), Some(body)) => body.model()?,
        _ => path.strip_prefix(AGENTS).unwrap_or_default().into(),
    };
    let surface = if api.is_some() { Surface::Model } else { Surface::Agent };
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
            Surface::Model => format!("`POST {}` with `\"model\": \"{}\"`", Api::Chat.path(), feature.name),
            Surface::Agent => format!("`POST {AGENTS}{}`", feature.name),
        };
        return Err(Failure::WrongSurface { feature: feature.name.to_string(), right });
    }
    Ok(Arc::clone(feature))
}
