//! What one call did, from its assignment to its end, counted when it ends.
//!
//! An observation is owned by whatever the client's answer depends on: the handler, then the answer's body. If that is dropped
//! before the end, the client has left, and the drop says so. Outcomes belong to the version *assigned*, also when a lower
//! tier answered.

use std::sync::Arc;

use bytes::Bytes;
use lockgate_config::value::{Price, TargetKind, Version};
use lockgate_core::drill::Fault;
use lockgate_core::duration_levels::{level, never};
use lockgate_store::row::Answer;
use lockgate_wire::answer::{AnswerSummary, Usage};
use tokio::time::Instant;

use crate::admit::Place;
use crate::answers::{CLIENT_LEFT, UNDER_WAY};
use crate::assign::Assigned;
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::handle::Arrival;
use crate::record::Observed;
use crate::sessions::Cost;
use crate::shadow;
use crate::tally::{Begun, Tally};
use crate::trouble::TargetError;

/// One call under way. Dropped without an end, it counts as cancelled, or as an error if the version had failed by then.
#[derive(Debug)]
pub(crate) struct Observation {
    gateway: Arc<Gateway>,
    _place: Place,
    tally: Tally,
    arrived: Instant,
    deadline: Instant,
    answer: Answer,
    version: Arc<Version>,
    /// How many times as dear the call counts as it was; not 1 in a rehearsal only.
    times_as_dear: f64,
    first_tier: FirstTier,
    /// Which tier has to answer: the first, but for a conversation that only a lower one can go on with.
    own_tier: usize,
    /// Whether a lower tier answers than should.
    is_degraded: bool,
    /// Whether another version answers instead, because this one was withdrawn; how that one does is not this one's.
    is_replaced: bool,
    has_content: bool,
    /// What the target that was asked last may bill, by what is known of it.
    estimate: Estimate,
    /// The copy to be made when the answer is complete.
    shadow: Option<Box<shadow::Planned>>,
    has_ended: bool,
}

/// What a call may cost of which the provider never told.
#[derive(Debug, Clone, Copy, Default)]
struct Estimate {
    price: Option<Price>,
    tokens_read: u64,
    tokens_written: u64,
}

/// Bytes per token of text and JSON together, where nobody has counted.
const BYTES_PER_TOKEN: u64 = 4;

/// How the version's own first tier did, or the one that has to answer in its place.
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
    /// A complete answer. Whether the model declined in it is known of a chat that could be read.
    Answered { usage: Option<Usage>, cost_nano_usd: Option<u64>, refused: Option<bool> },
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
        let first_tier = if assigned.first_tier > 0 { FirstTier::PassedOver } else { FirstTier::Sound };
        let subject = assigned.subject(caller);
        let begun = Begun::of(&subject, assigned, caller, first_tier != FirstTier::PassedOver);
        let tally = Tally::begin(gateway.books(), begun, ts);
        let answer = assigned.row(caller, arrival.id, ts, UNDER_WAY);
        gateway.answers.note(answer.clone());
        Self {
            gateway: Arc::clone(gateway),
            _place: place,
            tally,
            arrived: arrival.at,
            deadline: arrival.deadline,
            answer,
            version: Arc::clone(&assigned.version),
            times_as_dear: match assigned.drill {
                Some(Fault::Cost(times)) => times,
                _ => 1.0,
            },
            first_tier,
            own_tier: own_tier(assigned),
            is_degraded: false,
            is_replaced: false,
            has_content: false,
            estimate: Estimate::default(),
            shadow: None,
            has_ended: false,
        }
    }

    /// A tier gave no usable answer. It is the version's error when it was the one that had to answer.
    pub(crate) fn tier_failed(&mut self, tier: usize, error: &TargetError) {
        if tier == self.own_tier {
            self.fails(if error.is_timeout() { FirstTier::TimedOut } else { FirstTier::Failed });
        }
    }

    /// The version was withdrawn, and from here on another one is asked.
    pub(crate) fn replaced(&mut self) {
        self.is_replaced = true;
    }

    /// A target is asked, and from now on may bill what it is told.
    pub(crate) fn asks(&mut self, price: Option<Price>, bytes: usize) {
        let tokens_read = bytes as u64 / BYTES_PER_TOKEN;
        self.estimate = Estimate { price, tokens_read, tokens_written: 0 };
    }

    /// So many tokens have come of a stream.
    pub(crate) fn wrote(&mut self, tokens: u64) {
        self.estimate.tokens_written = tokens;
    }

    /// A tier answers; `is_degraded` says that it is a lower one than should.
    pub(crate) fn answered_by(&mut self, tier: usize, target: &str, status: u16, is_degraded: bool) {
        self.is_degraded = is_degraded;
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
            let first = Observed::FirstToken(level(self.arrived.elapsed()));
            self.tally.count(self.gateway.clock.now(), first);
        }
    }

    /// What to mirror once the answer is complete.
    pub(crate) fn plan_shadow(&mut self, mut planned: shadow::Planned) {
        planned.copied_from = self.tally.seat();
        self.shadow = Some(Box::new(planned));
    }

    /// Keeps what was answered, if a copy's answer is to be compared with it.
    pub(crate) fn keep_for_comparison(&mut self, answer: &AnswerSummary) {
        if let Some(planned) = &mut self.shadow {
            planned.stable = Some(Box::new(answer.clone()));
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
        let end = self.as_dear_as_rehearsed(end);
        let is_answered = matches!(end, End::Answered { .. });
        let (observed, cost, now) = (self.observed(&end), self.cost(&end), self.gateway.clock.now());
        self.tally.end(&self.gateway.sessions, cost, now, observed);
        if let Some(planned) = self.shadow.take()
            && is_answered
        {
            self.gateway.shadows.submit(&self.gateway, planned);
        }
        self.gateway.answers.note(self.answer.clone());
    }

    fn observed(&self, end: &End) -> [Option<Observed>; 5] {
        let is_answered = matches!(end, End::Answered { .. });
        let told_less = self.is_degraded || !is_answered;
        let finished = Some(self.finished(self.is_degraded && is_answered, told_less));
        match *end {
            End::CallersFault if !self.has_failed() => [Some(Observed::Rejected), None, None, None, None],
            End::Failed | End::CallersFault if self.first_tier == FirstTier::TimedOut => {
                [finished, Some(Observed::Latency(never())), None, None, None]
            }
            // How fast a failure came says nothing about how fast answers are.
            End::Failed | End::CallersFault => [finished, None, None, None, None],
            End::Answered { usage, cost_nano_usd, refused } => [
                finished,
                Some(Observed::Latency(level(self.arrived.elapsed()))),
                refused.map(|refused| Observed::Answered { refused }),
                usage.map(used),
                cost_nano_usd.map(Observed::CostNanoUsd),
            ],
        }
    }

    /// A rehearsal may count a call as dearer than it was.
    fn as_dear_as_rehearsed(&self, end: End) -> End {
        let End::Answered { usage, cost_nano_usd, refused } = end else { return end };
        if self.times_as_dear == 1.0 {
            return end;
        }
        let more = |count: u64| (count as f64 * self.times_as_dear).round() as u64;
        let usage = usage.map(|usage| Usage {
            prompt_tokens: more(usage.prompt_tokens),
            completion_tokens: more(usage.completion_tokens),
            cached_tokens: more(usage.cached_tokens),
            cache_written_tokens: more(usage.cache_written_tokens),
            reasoning_tokens: more(usage.reasoning_tokens),
        });
        End::Answered { usage, cost_nano_usd: cost_nano_usd.map(more), refused }
    }

    /// What the call adds to its session's cost. What was refused or went wrong at once is not billed; what was given up, or
    /// broke off, may be.
    fn cost(&self, end: &End) -> Cost {
        match end {
            End::Answered { cost_nano_usd: Some(nano_usd), .. } => Cost::NanoUsd(*nano_usd),
            End::Answered { .. } if self.is_answered_by_rules() => Cost::NanoUsd(0),
            End::CallersFault => Cost::NanoUsd(0),
            End::Failed if self.first_tier != FirstTier::TimedOut && !self.has_content => Cost::NanoUsd(0),
            End::Answered { .. } | End::Failed => self.estimate.cost(),
        }
    }

    fn is_answered_by_rules(&self) -> bool {
        let tier = self.answer.tier.and_then(|tier| self.version.chain.get(tier as usize));
        tier.is_some_and(|tier| matches!(tier.target.kind, TargetKind::Rules(_)))
    }

    /// Whether the version's own first tier let the call down, whatever came of it afterwards.
    fn has_failed(&self) -> bool {
        matches!(self.first_tier, FirstTier::Failed | FirstTier::TimedOut)
    }

    /// `told_less` says that the user got less than a whole answer of a first tier. Where another version stepped in and did
    /// no better, this one is to blame only if it had failed before.
    fn finished(&self, fallback: bool, told_less: bool) -> Observed {
        let error = self.has_failed();
        let timeout = self.first_tier == FirstTier::TimedOut;
        Observed::Finished { error, timeout, fallback, degraded: told_less && (error || !self.is_replaced) }
    }
}

/// The tier that has to answer, where it is not the first.
fn own_tier(assigned: &Assigned) -> usize {
    let Some(pinned) = &assigned.pinned else { return 0 };
    assigned.version.chain.iter().position(|tier| tier.target.name == *pinned).unwrap_or(0)
}

impl Estimate {
    /// What is taken to have been billed, where there is a price to go by.
    fn cost(&self) -> Cost {
        self.price.map_or(Cost::Unknown, |price| {
            Cost::NanoUsd(price.nano_usd(self.tokens_read, self.tokens_written))
        })
    }
}

/// What a call used, as it is counted.
pub(crate) fn used(usage: Usage) -> Observed {
    Observed::Used {
        read: usage.prompt_tokens,
        written: usage.completion_tokens,
        hit_cache: usage.cached_tokens > 0,
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        // Where the first tier had failed, the call is the version's error and finished with it, like any other. It is counted
        // so and not as cancelled, for a call is one or the other and both would count it twice.
        let left = if self.has_failed() { self.finished(false, true) } else { Observed::Cancelled };
        // A client that waited for content in vain waited longer than any limit; one that left in the middle of an answer
        // says nothing about how long the rest would have taken.
        let waited = (!self.has_content).then(|| Observed::Latency(never()));
        let now = self.gateway.clock.now();
        self.tally.end(&self.gateway.sessions, self.estimate.cost(), now, [Some(left), waited]);
        self.answer.status = CLIENT_LEFT;
        self.gateway.answers.note(self.answer.clone());
    }
}
