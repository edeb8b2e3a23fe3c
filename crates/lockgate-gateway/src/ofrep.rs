//! Answers which version somebody has of a feature, for applications that call their agents themselves.
//!
//! It speaks the OpenFeature remote evaluation protocol, so that any OpenFeature SDK can ask. A feature is a flag and the name of a
//! version its value. Whoever asks is assigned as a caller of the gateway with the same key and labels is, by the same code and
//! the same table. What comes of it is known only as far as it is reported ([`crate::feedback`]): an evaluation counts in the
//! measured share and nowhere else, and in that once per session ([`crate::tally::evaluated`]), for SDKs ask again and again.
//!
//! A killed feature tells stable's version with the reason `DISABLED`, and in its metadata where the kill switch points; with
//! `rules` there, the application is meant to answer with a fixed text of its own. A shadow phase needs the answers themselves and
//! cannot see what is answered elsewhere; there everybody has stable, with the reason `STATIC`.

mod outcome;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use lockgate_config::live::Table;
use lockgate_config::value::{Client, Config, Feature};
use lockgate_core::name::{FeatureName, RequestId, Revision};
use lockgate_core::route::{KillTo, Mode, Route, Trial};
use lockgate_core::share::Share;
use lockgate_wire::error::Failure;
use lockgate_wire::ofrep::{self, Context, ContextError, ErrorCode, Reason};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) use self::outcome::Outcome;

use crate::answers::EVALUATED;
use crate::assign::{self, Assigned};
use crate::caller::{self, Caller, may_call};
use crate::gateway::Gateway;
use crate::handle::{Arrival, echo};
use crate::tally::{self, Begun};
use crate::{admit, body, headers, refusal};

/// Largest request: a context is about one person, and a page of text is more than anybody is targeted by.
const BYTES_MAX: usize = 64 * 1024;

/// Why nothing was evaluated.
#[derive(Debug)]
enum Refused {
    /// As for any request.
    Failure(Failure),
    Context(ContextError),
    UnknownFlag {
        known: Vec<String>,
    },
    NoTargetingKey,
}

/// What somebody was assigned, before it is counted and told.
#[derive(Debug)]
struct Evaluation {
    assigned: Assigned,
    caller: Caller,
    reason: Reason,
    killed: Option<KillTo>,
}

/// `POST /ofrep/v1/evaluate/flags/{feature}`
pub(crate) async fn evaluate(
    gateway: &Arc<Gateway>,
    config: &Config,
    request: Request<Incoming>,
    feature: &str,
    arrival: &Arrival,
) -> Response<Bytes> {
    match one(gateway, config, request, feature, arrival).await {
        Ok(response) => response,
        Err(refused) => refused.response(Some(feature)),
    }
}

/// `POST /ofrep/v1/evaluate/flags`: every feature that the client may call.
pub(crate) async fn evaluate_all(
    gateway: &Arc<Gateway>,
    config: &Config,
    request: Request<Incoming>,
    deadline: Instant,
) -> Response<Bytes> {
    match all(gateway, config, request, deadline).await {
        Ok(response) => response,
        Err(refused) => refused.response(None),
    }
}

async fn one(
    gateway: &Arc<Gateway>,
    config: &Config,
    request: Request<Incoming>,
    feature: &str,
    arrival: &Arrival,
) -> Result<Response<Bytes>, Refused> {
    let (head, incoming) = request.into_parts();
    let client = caller::authenticate(config, &head.headers)?;
    let _place = admit::place(&gateway.places, config.bounds.calls_max)?;
    let bytes = read(config, &head.headers, incoming, arrival.deadline).await?;
    let context = Context::read(&bytes)?;

    let table = gateway.live.table();
    let Some(feature) = table.config.features.get(feature).map(Arc::clone) else {
        let features = table.config.features.keys().filter(|name| may_call(client, name));
        return Err(Refused::UnknownFlag { known: features.map(ToString::to_string).collect() });
    };
    if !may_call(client, &feature.name) {
        return Err(Failure::NotAllowed { feature: feature.name.to_string() }.into());
    }
    let evaluation = Evaluation::of(gateway, table, &feature, client, &head.headers, &context)?;
    evaluation.count(gateway, arrival.id);
    Ok(json(StatusCode::OK, &evaluation.told(arrival.id)))
}

async fn all(
    gateway: &Arc<Gateway>,
    config: &Config,
    request: Request<Incoming>,
    deadline: Instant,
) -> Result<Response<Bytes>, Refused> {
    let (head, incoming) = request.into_parts();
    let client = caller::authenticate(config, &head.headers)?;
    let _place = admit::place(&gateway.places, config.bounds.calls_max)?;
    let bytes = read(config, &head.headers, incoming, deadline).await?;
    let context = Context::read(&bytes)?;

    let table = gateway.live.table();
    let mut evaluations = BTreeMap::new();
    for (name, feature) in table.config.features.iter().filter(|(name, _)| may_call(client, name)) {
        match Evaluation::of(gateway, Arc::clone(&table), feature, client, &head.headers, &context) {
            // Nobody was named, so no feature can be evaluated.
            Err(refused @ Refused::NoTargetingKey) => return Err(refused),
            evaluated => evaluations.insert(name.clone(), evaluated),
        };
    }
    drop(table);
    let tag = tag(&evaluations);
    let asked = head.headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let mut response = if asked.is_some_and(|tags| ofrep::is_matched(tags, &tag)) {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let flags: Vec<Value> = evaluations
            .iter()
            .map(|(name, evaluated)| match evaluated {
                Ok(evaluation) => {
                    // A request has one id, and each of its evaluations is reported by one of its own.
                    let id = RequestId(Uuid::now_v7());
                    evaluation.count(gateway, id);
                    evaluation.told(id)
                }
                Err(refused) => refused.told(Some(name.as_str())),
            })
            .collect();
        json(StatusCode::OK, &json!({ "flags": flags }))
    };
    headers::put(response.headers_mut(), ETAG, tag);
    Ok(response)
}

async fn read(
    config: &Config,
    headers: &HeaderMap,
    incoming: Incoming,
    deadline: Instant,
) -> Result<Bytes, Failure> {
    body::read(headers, incoming, BYTES_MAX.min(config.bounds.body_bytes_max), deadline).await
}

/// Names what is assigned, whatever ids it is told with. What a client has that matches it is as good as what it would be told.
fn tag(evaluations: &BTreeMap<FeatureName, Result<Evaluation, Refused>>) -> String {
    let mut text = String::new();
    for (name, evaluated) in evaluations {
        let told = match evaluated {
            Ok(evaluation) => evaluation.flag(evaluation.metadata()),
            Err(refused) => refused.told(Some(name.as_str())),
        };
        text.push_str(&told.to_string());
        text.push('\n');
    }
    format!("W/\"{}\"", Revision::of(text.as_bytes()))
}

impl Evaluation {
    fn of(
        gateway: &Gateway,
        table: Arc<Table>,
        feature: &Feature,
        client: Option<&Client>,
        headers: &HeaderMap,
        context: &Context<'_>,
    ) -> Result<Self, Refused> {
        let caller = caller::identify_by_context(feature, client, headers, context, &gateway.labels)?;
        let Some(key) = caller.sticky_key.clone() else { return Err(Refused::NoTargetingKey) };
        let route = table.routes.get(&feature.name).cloned();
        let assigned = assign::version(table, &feature.name, &caller, &key)?;
        let killed = route.as_ref().and_then(|route| route.killed);
        let reason = reason(route.as_ref(), &assigned);
        Ok(Self { assigned, caller, reason, killed })
    }

    /// Notes it, so that what is reported of it later finds the version, and counts it. `id` is the one by which it is
    /// reported.
    fn count(&self, gateway: &Gateway, id: RequestId) {
        let (assigned, caller) = (&self.assigned, &self.caller);
        let ts = gateway.clock.now();
        let subject = assigned.subject(caller);
        // Sent past the version to a fixed answer, nobody's outcome says anything about the version.
        let is_telling = self.killed != Some(KillTo::Rules);
        tally::evaluated(
            gateway.books(),
            &Begun::of(&subject, assigned, caller, is_telling),
            assigned.point,
            ts,
        );
        gateway.answers.note(assigned.row(caller, id, ts, EVALUATED));
    }

    fn told(&self, id: RequestId) -> Value {
        let mut metadata = self.metadata();
        metadata.insert("request_id".to_owned(), id.to_string().into());
        self.flag(metadata)
    }

    fn flag(&self, metadata: Map<String, Value>) -> Value {
        let Assigned { feature, version, .. } = &self.assigned;
        ofrep::flag(feature.name.as_str(), version.id.name.as_str(), self.reason, metadata)
    }

    /// What is told beside the value, but for the id.
    fn metadata(&self) -> Map<String, Value> {
        let assigned = &self.assigned;
        let killed = self.killed.map(|to| match to {
            KillTo::Stable => "stable",
            KillTo::Rules => "rules",
        });
        let members = [
            ("revision", Some(assigned.version.id.revision.short())),
            ("arm", Some(assigned.arm.to_string())),
            ("rollout", assigned.rollout.map(|rollout| rollout.to_string())),
            ("killed", killed.map(str::to_owned)),
        ];
        let told = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        told.collect()
    }
}

/// Why the version is what it is. A share of everybody splits nobody.
fn reason(route: Option<&Route>, assigned: &Assigned) -> Reason {
    let is_real = |trial: &&Trial| trial.drill.is_none();
    match (route.and_then(|route| route.killed), route.and_then(|route| route.trial.as_ref()).filter(is_real))
    {
        (Some(_), _) => Reason::Disabled,
        (None, Some(Trial { mode: Mode::Canary { share, .. }, .. })) => {
            let is_split = assigned.rollout.is_some() && *share != Share::FULL;
            if is_split { Reason::Split } else { Reason::TargetingMatch }
        }
        (None, _) => Reason::Static,
    }
}

impl Refused {
    fn response(&self, flag: Option<&str>) -> Response<Bytes> {
        let mut response = json(self.status(), &self.told(flag.map(echo).as_deref()));
        if let Self::Failure(failure) = self {
            refusal::tell(response.headers_mut(), failure);
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Failure(failure) => refusal::status(failure),
            Self::Context(_) | Self::NoTargetingKey => StatusCode::BAD_REQUEST,
            Self::UnknownFlag { .. } => StatusCode::NOT_FOUND,
        }
    }

    fn told(&self, flag: Option<&str>) -> Value {
        let (code, details) = match self {
            Self::Failure(failure @ Failure::InvalidValue { .. }) => {
                (ErrorCode::InvalidContext, failure.to_string())
            }
            Self::Failure(failure) => (ErrorCode::General, failure.to_string()),
            Self::Context(error @ ContextError::Body(_)) => (ErrorCode::ParseError, error.to_string()),
            Self::Context(error @ ContextError::WrongType { .. }) => {
                (ErrorCode::InvalidContext, error.to_string())
            }
            Self::UnknownFlag { known } => (ErrorCode::FlagNotFound, no_such_flag(known)),
            Self::NoTargetingKey => {
                let details =
                    "The context names nobody: send the user as `targetingKey`, or a session as `session`.";
                (ErrorCode::TargetingKeyMissing, details.to_owned())
            }
        };
        ofrep::failure(flag, code, &details)
    }
}

/// Flags told in one message, as many as a reader looks through for a slip of the pen.
const KNOWN_TOLD_MAX: usize = 20;

fn no_such_flag(known: &[String]) -> String {
    let told = &known[..known.len().min(KNOWN_TOLD_MAX)];
    match told {
        [] => "No feature has this name, and there are none here that you may ask for.".to_owned(),
        told => format!("No feature has this name. Features here are: `{}`.", told.join("`, `")),
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ContextError> for Refused {
    fn from(error: ContextError) -> Self {
        Self::Context(error)
    }
}

fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
