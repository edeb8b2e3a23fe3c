//! Gets an answer: asks the version's tiers in order until one gives what can be used.
//!
//! A tier that cannot be reached, is too slow, breaks off before its first chunk, or answers with an error that is not the
//! caller's own has failed, and the next one is asked. A connection that is closed before any answer is made anew once. All tiers draw on the call's one deadline; a deterministic tier answers
//! even when that has passed, because it takes no time. Once the first chunk of a stream is on its way to the client, nothing
//! here can help any more: see `relay`.

use std::sync::Arc;

use http::StatusCode;
use lockgate_config::value::{Price, TargetKind, Tier};
use lockgate_core::name::FeatureName;
use lockgate_wire::error::Failure;
use tokio::time::Instant;

use crate::assign::{self, Assigned};
use crate::caller::Caller;
use crate::fault;
use crate::gateway::Gateway;
use crate::observation::Observation;
use crate::tier::{self, Question, TierAnswer};
use crate::upstream::TargetError;

/// An answer for the client, and where it is from.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) answer: TierAnswer,
    pub(crate) tier: usize,
    pub(crate) target: String,
    pub(crate) price: Option<Price>,
    /// Set when no tier could be used and this is the last error a target told.
    pub(crate) is_last_resort: bool,
}

/// What came of the tiers that were asked in vain.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// How many were asked, the one that answered included.
    pub(crate) attempts: u32,
    last_error: Option<String>,
    /// The last error that a target told and that may be passed on.
    last_told: Option<Answer>,
}

/// Asks the tiers in order.
pub(crate) async fn from_chain(
    gateway: &Gateway,
    assigned: &mut Assigned,
    caller: &Caller,
    question: &Question<'_>,
    tried: &mut Tried,
    observation: &mut Observation,
) -> Result<Answer, Failure> {
    let mut is_reassigned = false;
    let mut is_asked_again = false;
    let mut index = assigned.first_tier;
    loop {
        let version = Arc::clone(&assigned.version);
        let Some(tier) = version.chain.get(index) else { break };
        let is_instant = matches!(tier.target.kind, TargetKind::Rules(_));
        if !is_instant && Instant::now() >= question.deadline {
            index += 1;
            continue;
        }
        let Some(table) = assigned.held.start() else {
            // The version was withdrawn while its tier before was asked, and whoever withdrew it was told that no call starts
            // on it any more. What is in force now answers; the outcome still belongs to the version first assigned,
            // but for the failures of the one that steps in. The headers tell that one, for it made the answer.
            if std::mem::replace(&mut is_reassigned, true) {
                break;
            }
            let (table, feature) = (gateway.live.table(), assigned.feature.name.clone());
            *assigned = assign::version(table, &feature, caller, &question.id.to_string())?;
            if assigned.version.id != version.id {
                observation.replaced();
                index = assigned.first_tier;
            }
            // The same version may go straight to its deterministic tier now.
            index = index.max(assigned.first_tier);
            continue;
        };
        tried.attempts += 1;
        let asked = tier::ask(&gateway.upstream, &gateway.clock, question, tier, index > 0, table);
        let answered = match assigned.drill.filter(|_| index == 0) {
            Some(fault) => fault::in_front(fault, question, tier, asked).await,
            None => asked.await,
        };
        match answered {
            Ok(answer) => return Ok(Answer::new(answer, index, tier)),
            // Most often a kept connection that the target was just closing: nothing was answered, so nothing is told twice.
            Err(TargetError::NoAnswer { .. }) if !std::mem::replace(&mut is_asked_again, true) => {}
            Err(error) => {
                observation.tier_failed(index, &error);
                tried.note(error, index, tier);
                index += 1;
            }
        }
    }
    tried.last_resort(question, &assigned.feature.name)
}

impl Answer {
    fn new(answer: TierAnswer, index: usize, tier: &Tier) -> Self {
        let (target, price) = (tier.target.name.to_string(), tier.price);
        Self { answer, tier: index, target, price, is_last_resort: false }
    }
}

impl Tried {
    fn note(&mut self, error: TargetError, index: usize, tier: &Tier) {
        let cause = std::error::Error::source(&error);
        tracing::debug!(tier = index, %error, ?cause, "a tier gave no usable answer");
        self.last_error = Some(error.to_string());
        if let TargetError::Status { status, answer, .. } = error
            && may_be_told(status)
        {
            self.last_told = Some(Answer { is_last_resort: true, ..Answer::new(*answer, index, tier) });
        }
    }

    /// The last error that a target told, in its own words; else ours.
    fn last_resort(&mut self, question: &Question<'_>, feature: &FeatureName) -> Result<Answer, Failure> {
        if let Some(told) = self.last_told.take() {
            return Ok(told);
        }
        if Instant::now() >= question.deadline {
            return Err(Failure::DeadlinePassed { deadline_ms: question.allowed.as_millis() });
        }
        let last = self.last_error.take();
        Err(Failure::ChainExhausted {
            feature: feature.to_string(),
            attempts: self.attempts,
            last: last.unwrap_or_else(|| "the version that was to answer was withdrawn".to_owned()),
        })
    }
}

/// Whether a target's error may be passed on. One about a key is about ours: a client would take it for its own, and some
/// providers repeat parts of the key.
fn may_be_told(status: StatusCode) -> bool {
    !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}
