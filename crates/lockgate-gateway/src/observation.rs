//! What one call did, from its assignment to its end, counted when it ends.
//!
//! An observation is owned by whatever the client's answer depends on: the handler, then the answer's body. If that is dropped
//! before the end, the client has left, and the drop says so. Outcomes belong to the version *assigned*, also when a lower
//! tier answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lockgate_core::duration_levels::{level, never};
use lockgate_store::row::Answer;
use lockgate_wire::chat::{AnswerSummary, Usage};
use tokio::time::Instant;

use crate::admit::Place;
use crate::answers::{CLIENT_LEFT, UNDER_WAY};
use crate::assign::Assigned;
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::handle::Arrival;
use crate::record::{Observed, Slot, Subject};
use crate::shadow;
use crate::upstream::TargetError;

/// One call under way. Dropped without an end, it counts as cancelled, or as an error if the version had failed by then.
#[derive(Debug)]
pub(crate) struct Observation {
    gateway: Arc<Gateway>,
    _place: Place,
    slot: Arc<Slot>,
    bucket: Duration,
    arrived: Instant,
    deadline: Instant,
    answer: Answer,
    first_tier: FirstTier,
    /// Whether another version answers instead, because this one was withdrawn; how that one does is not this one's.
    is_replaced: bool,
    has_content: bool,
    /// The copy to be made when the answer is complete.
    shadow: Option<Box<shadow::Planned>>,
    has_ended: bool,
}

/// How the version's own first tier did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstTier {
    /// Never asked: a kill switch sends callers past it, to fixed answers that say nothing about the version.
    PassedOver,
    Sound,
    Failed,
    TimedOut,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// A complete answer.
    Answered { usage: Option<Usage>, cost_nano_usd: Option<u64> },
    /// No answer, or one that broke off.
    Failed,
    /// The target says that the caller asked for what cannot be. No error of the version's, but counted apart, unless the
    /// version's own first tier had failed before it and a lower one says so.
    CallersFault,
}

impl Observation {
    /// Begins with the assignment, which is counted at once: the share is measured by what was given, not by what came of it.
    pub(crate) fn begin(
        gateway: &Arc<Gateway>,
        place: Place,
        arrival: &Arrival,
        assigned: &Assigned,
        caller: &Caller,
    ) -> Self {
        let ts = gateway.clock.now();
        let bucket = assigned.bucket;
        let answer = Answer {
            request_id: arrival.id,
            answer_id: None,
            session: caller.session.clone(),
            ts,
            feature: assigned.feature.name.clone(),
            version: assigned.version.id.clone(),
            arm: assigned.arm,
            rollout: assigned.rollout,
            segment: caller.segment.clone(),
            point: assigned.point,
            target: None,
            tier: None,
            status: UNDER_WAY,
        };
        let slot = gateway.recorder.slot(Subject {
            feature: answer.feature.clone(),
            revision: answer.version.revision,
            arm: answer.arm,
            segment: answer.segment.clone(),
        });
        slot.observe(ts, bucket, &[Observed::Assigned]);
        gateway.answers.note(answer.clone());
        Self {
            gateway: Arc::clone(gateway),
            _place: place,
            slot,
            bucket,
            arrived: arrival.at,
            deadline: arrival.deadline,
            answer,
            first_tier: if assigned.first_tier > 0 { FirstTier::PassedOver } else { FirstTier::Sound },
            is_replaced: false,
            has_content: false,
            shadow: None,
            has_ended: false,
        }
    }

    /// A tier gave no usable answer. It is the version's error when it was the version's own first tier.
    pub(crate) fn tier_failed(&mut self, tier: usize, error: &TargetError) {
        if tier == 0 {
            self.fails(if error.is_timeout() { FirstTier::TimedOut } else { FirstTier::Failed });
        }
    }

    /// The version was withdrawn, and from here on another one is asked.
    pub(crate) fn replaced(&mut self) {
        self.is_replaced = true;
    }

    /// A tier answers.
    pub(crate) fn answered_by(&mut self, tier: usize, target: &str, status: u16) {
        self.answer.tier = u32::try_from(tier).ok();
        self.answer.target = Some(target.to_owned());
        self.answer.status = status;
    }

    /// The provider's id of the answer.
    pub(crate) fn identified(&mut self, answer_id: String) {
        self.answer.answer_id = Some(answer_id);
    }

    /// Content of a stream reaches the client; only the first time counts.
    pub(crate) fn has_content(&mut self) {
        if !std::mem::replace(&mut self.has_content, true) {
            self.count(&[Observed::FirstToken(level(self.arrived.elapsed()))]);
        }
    }

    /// What to mirror once the answer is complete.
    pub(crate) fn plan_shadow(&mut self, planned: shadow::Planned) {
        self.shadow = Some(Box::new(planned));
    }

    /// Keeps what was answered, if a copy's answer is to be compared with it.
    pub(crate) fn keep_for_comparison(&mut self, answer: Box<AnswerSummary>) {
        if let Some(planned) = &mut self.shadow {
            planned.stable = Some(answer);
        }
    }

    /// Keeps an answer of a form that nobody here reads as the text that it is.
    pub(crate) fn keep_text_for_comparison(&mut self, answer: &Bytes) {
        if let Some(planned) = &mut self.shadow {
            planned.stable = Some(Box::new(shadow::unread(answer)));
        }
    }

    /// An answer that was being told broke off. That is the version's error, whichever tier told it.
    pub(crate) fn broke_off(&mut self) {
        self.fails(FirstTier::Failed);
    }

    /// An answer that was being told did not go on. That is the version's error, whichever tier told it.
    pub(crate) fn fell_silent(&mut self) {
        self.fails(FirstTier::TimedOut);
    }

    fn fails(&mut self, how: FirstTier) {
        if !self.is_replaced {
            self.first_tier = how;
        }
    }

    /// When the call's time runs out.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The call is over and its client has, or is about to have, what there is.
    pub(crate) fn end(mut self, status: u16, end: End) {
        self.has_ended = true;
        self.answer.status = status;
        let is_fallback = self.answer.tier.is_some_and(|tier| tier > 0);
        let finished = self.finished(is_fallback && matches!(end, End::Answered { .. }));
        match end {
            End::CallersFault if !self.has_failed() => self.count(&[Observed::Rejected]),
            End::Failed | End::CallersFault if self.first_tier == FirstTier::TimedOut => {
                self.count(&[finished, Observed::Latency(never())]);
            }
            // How fast a failure came says nothing about how fast answers are.
            End::Failed | End::CallersFault => self.count(&[finished]),
            End::Answered { usage, cost_nano_usd } => {
                self.count(&[finished, Observed::Latency(level(self.arrived.elapsed()))]);
                if let Some(Usage { prompt_tokens, completion_tokens, .. }) = usage {
                    self.count(&[Observed::TokensIn(prompt_tokens), Observed::TokensOut(completion_tokens)]);
                }
                if let Some(cost) = cost_nano_usd {
                    self.count(&[Observed::CostNanoUsd(cost)]);
                }
                if let Some(planned) = self.shadow.take() {
                    self.gateway.shadows.submit(&self.gateway, planned);
                }
            }
        }
        self.gateway.answers.note(self.answer.clone());
    }

    /// Whether the version's own first tier let the call down, whatever came of it afterwards.
    fn has_failed(&self) -> bool {
        matches!(self.first_tier, FirstTier::Failed | FirstTier::TimedOut)
    }

    fn finished(&self, fallback: bool) -> Observed {
        let timeout = self.first_tier == FirstTier::TimedOut;
        Observed::Finished { error: self.has_failed(), timeout, fallback }
    }

    fn count(&self, observed: &[Observed]) {
        if self.first_tier == FirstTier::PassedOver {
            return;
        }
        self.slot.observe(self.gateway.clock.now(), self.bucket, observed);
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        // Where the first tier had failed, the call is the version's error and finished with it, like any other. It is counted
        // so and not as cancelled, for a call is one or the other and both would count it twice.
        let left = if self.has_failed() { self.finished(false) } else { Observed::Cancelled };
        // A client that waited for content in vain waited longer than any limit; one that left in the middle of an answer
        // says nothing about how long the rest would have taken.
        if self.has_content {
            self.count(&[left]);
        } else {
            self.count(&[left, Observed::Latency(never())]);
        }
        self.answer.status = CLIENT_LEFT;
        self.gateway.answers.note(self.answer.clone());
    }
}
