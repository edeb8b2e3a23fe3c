//! The fault that a rehearsal puts in front of stable's own answers.
//!
//! It sits where a bad candidate would be: between the version's first tier and the chain behind it. So a rehearsed error
//! falls back as a real one does, is counted as a real one is, and never reaches a caller who is not part of the rehearsal.
//! What a fault makes dearer is counted in `observation`; what it makes worse in people's eyes is reported by whoever rehearses.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use lockgate_config::value::Tier;
use lockgate_core::drill::Fault;
use lockgate_core::name::RequestId;
use lockgate_wire::blame::{self, Blame};
use tokio::time::{Instant, sleep_until};

use crate::tier::{Question, TierAnswer, Told};
use crate::trouble::TargetError;

/// What a rehearsed error says, in the form of a provider's.
const SAID: &[u8] = br#"{"error":{"message":"this error is rehearsed: a drill is running","type":"server_error","param":null,"code":"drill"}}"#;

/// Asks a tier behind a fault.
pub(crate) async fn in_front(
    fault: Fault,
    question: &Question<'_>,
    tier: &Tier,
    asked: impl Future<Output = Result<TierAnswer, TargetError>>,
) -> Result<TierAnswer, TargetError> {
    match fault {
        // The target is not asked at all: nobody would read its answer.
        Fault::Errors(part) if is_hit(question.id, part) => Err(error(tier)),
        Fault::Latency(by) => {
            let answer = asked.await?;
            hold_back(by, question, tier).await.map(|()| answer)
        }
        Fault::Errors(_) | Fault::Quality(_) | Fault::Cost(_) => asked.await,
    }
}

/// Whether a call is among the part that is hit. Its id decides, so that the audit of calls shows which were.
fn is_hit(id: RequestId, part: f64) -> bool {
    // The last 32 bits of an id are random; those before them also count calls within a millisecond.
    let [.., a, b, c, d] = *id.0.as_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) < part * (f64::from(u32::MAX) + 1.0)
}

fn error(tier: &Tier) -> TargetError {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = StatusCode::INTERNAL_SERVER_ERROR;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let told = Told::Whole { bytes: Bytes::from_static(SAID), summary: None };
    let (target, status) = (tier.target.name.clone(), head.status);
    let fault = blame::Fault { blame: Blame::Target, is_retryable: false };
    let answer = Box::new(TierAnswer { head, told, dropped: Vec::new() });
    TargetError::Status { target, status, fault, retry_after: None, answer }
}

/// Lets time pass before an answer is told. Past the call's deadline the target has not answered in time.
async fn hold_back(by: Duration, question: &Question<'_>, tier: &Tier) -> Result<(), TargetError> {
    let until = Instant::now() + by;
    sleep_until(until.min(question.deadline)).await;
    if until <= question.deadline {
        return Ok(());
    }
    Err(TargetError::Timeout { target: tier.target.name.clone(), within: question.allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_is_hit_is_the_part_that_was_asked_for() {
        let ids: Vec<RequestId> = (0..100_000).map(|_| RequestId(uuid::Uuid::now_v7())).collect();
        let hit = |part| ids.iter().filter(|id| is_hit(**id, part)).count() as f64 / ids.len() as f64;
        assert_eq!((hit(0.0), hit(1.0)), (0.0, 1.0));
        // Six standard deviations.
        assert!((hit(0.05) - 0.05).abs() < 0.005, "{}", hit(0.05));
    }
}
