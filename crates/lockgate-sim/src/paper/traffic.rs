//! Who calls on paper, how versions behave, and the sums that gateways would have written.

use std::collections::BTreeMap;
use std::time::Duration;

use lockgate_core::duration_levels::level;
use lockgate_core::name::{FeatureName, VersionRef};
use lockgate_core::segment::Segment;
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};

use super::draw::Draw;

/// Who calls, and how the versions behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Calls of users, both versions together.
    pub calls_per_second: f64,
    /// The version that users have.
    pub stable: Behaviour,
    /// The candidate, on copies.
    pub shadow: Behaviour,
    /// The candidate, on calls of users.
    pub candidate: Behaviour,
    /// Something that hits both versions alike.
    pub incident: Option<Incident>,
}

/// A stretch of time in which every call fails with this probability, whichever version answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    /// When it begins, after the rollout's start.
    pub begins: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// The error rate in it.
    pub error: f64,
}

/// How a version behaves: probabilities per call, and for feedback per piece of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// Of an error.
    pub error: f64,
    /// Of taking between 5 and 10 seconds.
    pub slow: f64,
    /// Of taking more than 10 seconds.
    pub very_slow: f64,
    /// Of a copy agreeing with the user's answer; else it agrees by half.
    pub agreement: f64,
    /// Of a copy being compared.
    pub coverage: f64,
    /// Of a call drawing each kind of feedback below.
    pub feedback: f64,
    /// Of a thumb pointing down.
    pub thumbs_down: f64,
    /// Of a satisfied mark of 1; else it is a half.
    pub csat: f64,
    /// Of a task being done.
    pub task_success: f64,
    /// Of a session being handed to a person.
    pub escalated: f64,
    /// Of a checked answer claiming what is not so.
    pub hallucination: f64,
    /// Of a judged answer being good, at 0.9; else it is at 0.4.
    pub quality: f64,
    /// Tokens written per call.
    pub tokens_out: u64,
}

impl Behaviour {
    /// A version well within the standard plan's limits.
    pub fn healthy() -> Self {
        Self {
            error: 0.004,
            slow: 0.004,
            very_slow: 0.001,
            agreement: 0.95,
            coverage: 0.95,
            feedback: 0.01,
            thumbs_down: 0.02,
            csat: 0.7,
            task_success: 0.85,
            escalated: 0.05,
            hallucination: 0.01,
            quality: 0.8,
            tokens_out: 300,
        }
    }
}

impl Traffic {
    /// Both versions healthy and alike.
    pub fn healthy(calls_per_second: f64) -> Self {
        let alike = Behaviour::healthy();
        Self { calls_per_second, stable: alike, shadow: alike, candidate: alike, incident: None }
    }

    fn error_now(&self, of: &Behaviour, start: BucketStart) -> f64 {
        let since = Duration::from_millis(start.0.unsigned_abs());
        let hit = |incident: &&Incident| {
            since >= incident.begins && since < incident.begins.saturating_add(incident.lasts)
        };
        self.incident.as_ref().filter(hit).map_or(of.error, |incident| incident.error)
    }
}

/// One bucket's sums of three arms. The map is made once; buckets only change what is in it.
pub(crate) struct Sums(BucketSums);

/// What is counted on paper.
const COUNTED: [Signal; 11] = [
    Signal::Assigned,
    Signal::Error,
    Signal::Latency,
    Signal::TokensOut,
    Signal::Agreement,
    Signal::Coverage,
    Signal::ThumbsDown,
    Signal::Csat,
    Signal::TaskSuccess,
    Signal::Escalated,
    Signal::Hallucination,
];

impl Sums {
    pub(crate) fn new(feature: &FeatureName, stable: &VersionRef, candidate: &VersionRef) -> Self {
        let arms = [(Arm::Stable, stable), (Arm::Candidate, candidate), (Arm::Shadow, candidate)];
        let keys = arms.into_iter().flat_map(|(arm, version)| {
            COUNTED.into_iter().chain([Signal::Quality]).map(move |signal| (arm, version.revision, signal))
        });
        Self(
            keys.map(|(arm, revision, signal)| {
                let zero = Sum::zero(signal.measure());
                (SumKey { feature: feature.clone(), revision, arm, segment: Segment::none(), signal }, zero)
            })
            .collect(),
        )
    }

    pub(crate) fn as_map(&self) -> &BucketSums {
        &self.0
    }

    /// Draws one bucket.
    pub(crate) fn draw(
        &mut self,
        draw: &mut Draw,
        traffic: &Traffic,
        bucket: Duration,
        start: BucketStart,
        share: Share,
        is_mirrored: bool,
    ) {
        let expected = traffic.calls_per_second * bucket.as_secs_f64();
        let calls = draw.arrivals(expected);
        let candidate_calls = draw.binomial(calls, share.fraction());
        for (key, sum) in &mut self.0 {
            let (behaviour, n) = match key.arm {
                Arm::Stable => (&traffic.stable, calls - candidate_calls),
                Arm::Candidate => (&traffic.candidate, candidate_calls),
                Arm::Shadow => (&traffic.shadow, if is_mirrored { calls } else { 0 }),
            };
            let error = traffic.error_now(behaviour, start);
            fill(sum, draw, behaviour, error, key.arm, &key.signal, n);
        }
    }
}

fn fill(
    sum: &mut Sum,
    draw: &mut Draw,
    behaviour: &Behaviour,
    error: f64,
    arm: Arm,
    signal: &Signal,
    calls: u64,
) {
    let is_copy = arm == Arm::Shadow;
    let n = match signal {
        Signal::Agreement | Signal::Coverage if !is_copy => 0,
        Signal::Assigned if is_copy => 0,
        // Nobody thumbs a copy that nobody saw.
        signal if signal.is_feedback() && is_copy => 0,
        signal if signal.is_feedback() => draw.binomial(calls, behaviour.feedback),
        _ => calls,
    };
    match sum {
        Sum::Rate { n: seen, hits } => {
            let probability = match signal {
                Signal::Error => error,
                Signal::Coverage => behaviour.coverage,
                Signal::ThumbsDown => behaviour.thumbs_down,
                Signal::TaskSuccess => behaviour.task_success,
                Signal::Escalated => behaviour.escalated,
                _ => behaviour.hallucination,
            };
            (*seen, *hits) = (n, draw.binomial(n, probability));
        }
        Sum::Amount { n: seen, total, .. } => {
            (*seen, *total) = (n, n.saturating_mul(behaviour.tokens_out));
        }
        Sum::Levels(levels) => fill_levels(levels, draw, behaviour, signal, n),
    }
}

fn fill_levels(
    levels: &mut BTreeMap<u16, u64>,
    draw: &mut Draw,
    behaviour: &Behaviour,
    signal: &Signal,
    n: u64,
) {
    levels.clear();
    if n == 0 {
        return;
    }
    let mut put = |level: u16, count: u64| {
        if count > 0 {
            levels.insert(level, count);
        }
    };
    if *signal == Signal::Latency {
        let slow = draw.binomial(n, behaviour.slow + behaviour.very_slow);
        let of_slow = behaviour.very_slow / (behaviour.slow + behaviour.very_slow).max(f64::MIN_POSITIVE);
        let very_slow = draw.binomial(slow, of_slow);
        put(level(Duration::from_secs(1)), n - slow);
        put(level(Duration::from_secs(7)), slow - very_slow);
        put(level(Duration::from_secs(15)), very_slow);
        return;
    }
    let (good, high, low) = match signal {
        Signal::Agreement => (behaviour.agreement, 100, 50),
        Signal::Csat => (behaviour.csat, 100, 50),
        _ => (behaviour.quality, 90, 40),
    };
    let highs = draw.binomial(n, good);
    put(high, highs);
    put(low, n - highs);
}
