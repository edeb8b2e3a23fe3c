//! A rollout with as little as possible around one rule, and the sums of two arms that are handed to its ledger.

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::event::Outcome;
use lockgate_core::evidence::{Check, Ledger};
use lockgate_core::name::{FeatureName, PlanName, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::plan::{
    Gate, Need, OnDeadline, Phase, PhaseKind, Plan, Rule, SliceAction, Slices, Trigger,
};
use lockgate_core::segment::{Confine, Segment};
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::state::Rollout;
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};

use crate::CalibrateError;

/// The width of a bucket: a look every ten seconds.
pub(crate) const BUCKET: Duration = Duration::from_secs(10);
/// Looks in two days.
pub(crate) const LOOKS_48H: u64 = 17_280;

/// One rollout's ledger with its two versions.
pub(crate) struct Bench {
    feature: FeatureName,
    stable: VersionRef,
    candidate: VersionRef,
    rollout: Rollout,
    ledger: Ledger,
    sums: BucketSums,
    next: i64,
    changes: u64,
}

impl Bench {
    /// A rollout in the canary phase of a plan.
    pub(crate) fn new(plan: Plan) -> Result<Self, CalibrateError> {
        let version = |name: &str| -> Result<VersionRef, CalibrateError> {
            Ok(VersionRef { name: VersionName::new(name)?, revision: Revision::of(name.as_bytes()) })
        };
        let (stable, candidate) = (version("stable")?, version("candidate")?);
        let id = RolloutId(Default::default());
        let rollout = Rollout::begin(id, stable.clone(), candidate.clone(), plan, Timestamp::UNIX_EPOCH);
        let mut ledger = Ledger::new(&rollout, BUCKET);
        ledger.follow(&rollout);
        Ok(Self {
            feature: FeatureName::new("bench")?,
            stable,
            candidate,
            rollout,
            ledger,
            sums: BucketSums::new(),
            next: 0,
            changes: 0,
        })
    }

    /// Forgets everything: another run.
    pub(crate) fn again(&mut self) {
        self.ledger = Ledger::new(&self.rollout, BUCKET);
        self.ledger.follow(&self.rollout);
        self.next = 0;
        self.changes = 0;
    }

    /// One sum of the bucket that comes next.
    pub(crate) fn put(&mut self, arm: Arm, segment: &Segment, signal: Signal, sum: Sum) {
        let version = if arm == Arm::Stable { &self.stable } else { &self.candidate };
        let key = SumKey {
            feature: self.feature.clone(),
            revision: version.revision,
            arm,
            segment: segment.clone(),
            signal,
        };
        self.sums.insert(key, sum);
    }

    /// A call of each arm's in the bucket that comes next: by its calls a candidate is seen.
    pub(crate) fn call(&mut self) {
        let one = Sum::Amount { n: 1, total: 1, squares: 1 };
        self.put(Arm::Candidate, &Segment::none(), Signal::Assigned, one.clone());
        self.put(Arm::Stable, &Segment::none(), Signal::Assigned, one);
    }

    /// Closes the bucket. Whether a check has come to stand elsewhere.
    pub(crate) fn close(&mut self) -> bool {
        self.ledger.take(BucketStart(self.next), &self.sums);
        self.next += BUCKET.as_millis() as i64;
        let before = std::mem::replace(&mut self.changes, self.ledger.changes());
        self.changes != before
    }

    /// Where the checks stand.
    pub(crate) fn checks(&self) -> Vec<Check> {
        self.ledger.evidence().checks
    }

    /// Closes up to so many buckets, each filled beforehand, until a check fails: in which one failed, and in which one passed
    /// before that, counted from 1.
    pub(crate) fn play(&mut self, most: u64, mut fill: impl FnMut(&mut Self)) -> (Option<u64>, Option<u64>) {
        let mut told = (None, None);
        for bucket in 1..=most {
            fill(self);
            if !self.close() {
                continue;
            }
            for check in self.checks() {
                match check.verdict.outcome {
                    Outcome::Fail => told.0 = told.0.or(Some(bucket)),
                    Outcome::Pass => told.1 = told.1.or(Some(bucket)),
                    Outcome::Inconclusive => {}
                }
            }
            if told.0.is_some() {
                break;
            }
        }
        told
    }

    /// The evidence as a whole.
    pub(crate) fn evidence(&self) -> lockgate_core::evidence::Evidence {
        self.ledger.evidence()
    }
}

/// So many of so many.
pub(crate) fn rate(n: u64, hits: u64) -> Sum {
    Sum::Rate { n, hits }
}

/// A plan of one canary phase.
pub(crate) fn plan(
    share: f64,
    gates: Vec<Gate>,
    triggers: Vec<Trigger>,
    slices: f64,
) -> Result<Plan, CalibrateError> {
    Ok(Plan {
        name: PlanName::new("bench")?,
        phases: vec![Phase {
            name: "canary".into(),
            kind: PhaseKind::Canary { share: Share::from_fraction(share).unwrap_or(Share::NONE) },
            dwell: Duration::from_secs(48 * 3600),
            deadline: Duration::from_secs(48 * 3600),
            confine: Confine::everyone(),
            gates,
        }],
        triggers,
        alpha: 0.01,
        beta: 0.05,
        warm_for: Duration::ZERO,
        slices: Slices { action: SliceAction::RollBack, part: slices },
        on_deadline: OnDeadline::Pause,
    })
}

/// A gate that is waited for.
pub(crate) fn gate(signal: Signal, rule: Rule) -> Gate {
    Gate { signal, rule, need: Need::Always, weight: 1.0 }
}
