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

use crate::report::share;
use crate::{CalibrateError, Finding};

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
    pub(crate) fn play(&mut self, most: u64, mut fill: impl FnMut(&mut Self)) -> Told {
        let mut told = Told::default();
        for bucket in 1..=most {
            fill(self);
            if !self.close() {
                continue;
            }
            for check in self.checks() {
                match check.verdict.outcome {
                    Outcome::Fail => told.failed = told.failed.or(Some(bucket)),
                    Outcome::Pass => told.passed = told.passed.or(Some(bucket)),
                    Outcome::Inconclusive => {}
                }
            }
            if told.failed.is_some() {
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

/// In which bucket a check first failed, and first passed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) failed: Option<u64>,
    pub(crate) passed: Option<u64>,
}

/// What came of many runs of the same.
pub(crate) struct Runs(pub(crate) Vec<Told>);

impl Runs {
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// How many failed at some time.
    pub(crate) fn failed(&self) -> u64 {
        self.0.iter().filter(|told| told.failed.is_some()).count() as u64
    }

    /// How many passed before they failed, if they did.
    pub(crate) fn passed(&self) -> u64 {
        self.0.iter().filter(|told| told.passed.is_some()).count() as u64
    }

    /// In which bucket they failed on average, of those that did.
    pub(crate) fn mean_failed(&self) -> f64 {
        mean(self.0.iter().filter_map(|told| told.failed))
    }

    /// In which bucket they passed on average, of those that did.
    pub(crate) fn mean_passed(&self) -> f64 {
        mean(self.0.iter().filter_map(|told| told.passed))
    }

    /// A candidate that is no worse is taken back in at most one run of a hundred.
    pub(crate) fn seldom_taken_back(&self, case: &'static str, what: &str) -> Finding {
        let (failed, runs) = (self.failed(), self.len());
        let holds = failed as f64 <= 0.01 * runs as f64;
        Finding::held(case, format!("{what}: taken back"), share(failed, runs), "at most 1 %", holds)
    }
}

/// The mean of some; 0 of none.
pub(crate) fn mean(all: impl Iterator<Item = u64>) -> f64 {
    let (n, sum) = all.fold((0_u64, 0.0), |(n, sum), at| (n + 1, sum + at as f64));
    sum / n.max(1) as f64
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
