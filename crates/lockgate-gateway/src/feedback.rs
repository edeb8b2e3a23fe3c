//! Takes what people, programs and judges say about an answer, and counts it for the version that answered.
//!
//! A piece of feedback names its answer, is attributed to the version the call was *assigned*, and is counted in the bucket of
//! its arrival, however late that is. It is on disk before the sender hears of it, and counts once however often it is sent.
//!
//! An application that only asked which version somebody has reports here how that went, too ([`crate::ofrep`]). Such a report
//! counts as a call's own outcome would: a rate of mishaps is closed to a session by the first hit in it.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use lockgate_config::duration;
use lockgate_config::value::{Client, Config};
use lockgate_core::name::{FeatureName, RequestId};
use lockgate_core::signal::Signal;
use lockgate_store::row::{About, Answer, FeedbackOutcome, FeedbackRow};
use lockgate_wire::api::Family;
use lockgate_wire::body::BodyError;
use lockgate_wire::error::Failure;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::answers::is_evaluation;
use crate::body;
use crate::caller::{self, may_call};
use crate::gateway::Gateway;
use crate::ofrep::Outcome;
use crate::opinion::{self, From};
use crate::record::{Subject, bucket_at};
use crate::refusal::invalid;

/// Most pieces in one request: enough for a job that sends what came in since its last run, few enough for one transaction
/// each within a second.
const PIECES_MAX: usize = 100;
/// Largest request: every piece has room for a thousand bytes and then some.
const BYTES_MAX: usize = 256 * 1024;
/// Longest id, name or session in a piece.
const TEXT_BYTES_MAX: usize = 256;

/// `POST /v1/feedback`: one piece, or a list of them.
pub(crate) async fn receive(
    gateway: &Gateway,
    config: &Config,
    request: Request<Incoming>,
    deadline: Instant,
) -> Result<Response<Bytes>, Failure> {
    let (head, incoming) = request.into_parts();
    let client = caller::authenticate(config, &head.headers)?;
    let bytes_max = BYTES_MAX.min(config.bounds.body_bytes_max);
    let bytes = body::read(&head.headers, incoming, bytes_max, deadline).await?;
    match read(&bytes)? {
        Value::Array(pieces) if pieces.len() > PIECES_MAX => {
            Err(invalid("body", format!("a list holds at most {PIECES_MAX} pieces of feedback")))
        }
        Value::Array(pieces) => {
            let mut outcomes = Vec::with_capacity(pieces.len());
            let mut all_taken = true;
            for piece in pieces {
                outcomes.push(match take(gateway, config, client, piece).await {
                    Ok(outcome) => outcome,
                    // Whoever sends the list again later loses nothing; what was counted is not counted twice.
                    Err(failure @ Failure::StoreAway) => return Err(failure),
                    Err(failure) => {
                        all_taken = false;
                        refused(&failure)
                    }
                });
            }
            let status = if all_taken { StatusCode::OK } else { StatusCode::MULTI_STATUS };
            Ok(told(status, &Value::Array(outcomes)))
        }
        piece => Ok(told(StatusCode::OK, &take(gateway, config, client, piece).await?)),
    }
}

fn read(bytes: &Bytes) -> Result<Value, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| BodyError::Utf8 { offset: error.valid_up_to() })?;
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        BodyError::Syntax { what: "no JSON value can be read".to_owned(), line, column }.into()
    })
}

/// One piece, from its text to the disk.
async fn take(
    gateway: &Gateway,
    config: &Config,
    client: Option<&Client>,
    piece: Value,
) -> Result<Value, Failure> {
    let Value::Object(piece) = piece else {
        return Err(invalid("body", "feedback is a JSON object, or a list of them"));
    };
    let about = about(&piece)?;
    let name = required(&piece, "name")?;
    check_moment(&piece)?;
    let answer = gateway.answers.find(&gateway.store, &about).await.map_err(away)?;
    let answer = answer.ok_or_else(|| unknown(&about, config))?;
    let feature = config.features.get(&answer.feature).filter(|feature| may_call(client, &feature.name));
    let feature = feature.ok_or_else(|| Failure::NotAllowed { feature: answer.feature.to_string() })?;
    let value = piece.get("value").unwrap_or(&Value::Null);
    let from = if is_evaluation(&answer) { From::Elsewhere } else { From::Here };
    let (signal, observed) = opinion::read(feature, from, name, value)?;

    let now = gateway.clock.now();
    let subject = Subject {
        feature: answer.feature.clone(),
        revision: answer.version.revision,
        arm: answer.arm,
        segment: answer.segment.clone(),
    };
    let outcome = Outcome::of(gateway, &answer, &subject, now, config.signals.session_idle);
    if outcome.as_ref().is_some_and(|outcome| outcome.is_closed(&signal)) {
        return Ok(counted("left_out", &answer, value.clone()));
    }
    let row = FeedbackRow {
        idempotency_key: idempotency_key(&piece, client, answer.request_id, &signal)?,
        ts: now,
        request_id: answer.request_id,
        signal: signal.clone(),
        observed: observed.clone(),
        value: value.to_string(),
    };
    let bucket = bucket_at(now, config.signals.bucket);
    match gateway.store.put_feedback(row, bucket, subject.key(signal.clone())).await.map_err(away)? {
        FeedbackOutcome::Counted => {
            // Only now, so that a report which the store did not take is not missed by the next one.
            if let Some(outcome) = outcome {
                outcome.note(&signal, &observed);
            }
            Ok(counted("counted", &answer, value.clone()))
        }
        FeedbackOutcome::Duplicate { value } => {
            let first = serde_json::from_str(&value).unwrap_or(Value::String(value));
            Ok(counted("duplicate", &answer, first))
        }
    }
}

fn about(piece: &Map<String, Value>) -> Result<About, Failure> {
    let request = optional(piece, "request_id")?;
    let answer = optional(piece, "answer_id")?;
    let session = optional(piece, "session")?;
    match (request, answer, session) {
        (Some(id), None, None) => id.parse().map(About::Request).map_err(|_| {
            invalid(
                "request_id",
                "it is not an id from `x-lockgate-request-id`; a provider's own goes in `answer_id`",
            )
        }),
        (None, Some(id), None) => Ok(About::Answer(id.to_owned())),
        (None, None, Some(session)) => {
            let feature = optional(piece, "feature")?.map(FeatureName::new).transpose();
            let feature = feature.map_err(|error| invalid("feature", error.to_string()))?;
            Ok(About::Session { session: session.to_owned(), feature })
        }
        _ => Err(invalid(
            "request_id",
            "exactly one of `request_id`, `answer_id` and `session` says what this is about",
        )),
    }
}

fn required<'p>(piece: &'p Map<String, Value>, name: &'static str) -> Result<&'p str, Failure> {
    optional(piece, name)?.ok_or_else(|| invalid(name, "it is missing"))
}

fn optional<'p>(piece: &'p Map<String, Value>, name: &'static str) -> Result<Option<&'p str>, Failure> {
    match piece.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= TEXT_BYTES_MAX => Ok(Some(text)),
        Some(_) => Err(invalid(name, format!("it must be a text of 1 to {TEXT_BYTES_MAX} bytes"))),
    }
}

/// The sender's own time is taken for what it is, a claim; it must at least be a time.
fn check_moment(piece: &Map<String, Value>) -> Result<(), Failure> {
    let Some(text) = optional(piece, "ts")? else { return Ok(()) };
    let moment: Result<jiff::Timestamp, _> = text.parse();
    moment.map(|_| ()).map_err(|_| invalid("ts", "it is not an RFC 3339 time such as `2026-01-31T12:00:00Z`"))
}

/// What makes two pieces the same one: the sender's own key, else the call that it is about, however it was named, and the
/// signal.
fn idempotency_key(
    piece: &Map<String, Value>,
    client: Option<&Client>,
    request_id: RequestId,
    signal: &Signal,
) -> Result<String, Failure> {
    if let Some(id) = optional(piece, "id")? {
        // Two clients may number their feedback alike.
        return Ok(format!("id/{}/{id}", client.map_or("", |client| &client.name)));
    }
    Ok(format!("request/{request_id}/{signal}"))
}

fn unknown(about: &About, config: &Config) -> Failure {
    let id = match about {
        About::Request(id) => id.to_string(),
        About::Answer(id) => id.clone(),
        About::Session { session, .. } => session.clone(),
    };
    let kept = duration::write(config.signals.retention);
    let problem = format!(
        "it was never answered here, or has not arrived here yet (try again in a few seconds), or is older than the {kept} \
         for which answers are kept"
    );
    Failure::UnknownAnswer { id, problem }
}

fn away(error: lockgate_store::StoreError) -> Failure {
    tracing::warn!(%error, "feedback could not be kept");
    Failure::StoreAway
}

fn counted(status: &str, answer: &Answer, value: Value) -> Value {
    json!({
        "status": status,
        "request_id": answer.request_id,
        "feature": answer.feature,
        "version": answer.version.name,
        "arm": answer.arm,
        "value": value,
    })
}

fn refused(failure: &Failure) -> Value {
    let mut told: Value = serde_json::from_slice(&failure.body(Family::OpenAi, "")).unwrap_or_default();
    told["status"] = "refused".into();
    told
}

fn told(status: StatusCode, value: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
