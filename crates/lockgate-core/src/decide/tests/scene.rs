//! A rollout, its account and its clock, and the buckets they are fed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::assign::Salt;
use crate::decide::{Decision, decide};
use crate::event::{Cause, Entry, Event};
use crate::evidence::{Evidence, Ledger};
use crate::name::{FeatureName, LabelName, PlanName, Revision, RolloutId, VersionName, VersionRef};
use crate::plan::{Action, Blame, Gate, Need, Phase, PhaseKind, Plan, Rule, Trigger};
use crate::segment::{Confine, Segment};
use crate::share::Share;
use crate::signal::{Arm, Signal};
use crate::state::FeatureState;
use crate::sums::{BucketStart, BucketSums, Sum, SumKey};

pub(super) const BUCKET: Duration = Duration::from_secs(10);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const BLAME: Blame = Blame::OverStable { ratio: 1.25 };

pub(super) fn version(name: &str) -> VersionRef {
    VersionRef { name: VersionName::new(name).unwrap(), revision: Revision::of(name.as_bytes()) }
}

pub(super) fn gate(signal: Signal, rule: Rule, need: Need) -> Gate {
    Gate { signal, rule, need, weight: 1.0 }
}

pub(super) fn error_under(limit: f64) -> Gate {
    gate(Signal::Error, Rule::RateUnder { limit, blame: BLAME }, Need::Always)
}

pub(super) fn phase(name: &str, kind: PhaseKind, gates: Vec<Gate>) -> Phase {
    Phase { name: name.into(), kind, dwell: HOUR, deadline: 4 * HOUR, confine: Confine::everyone(), gates }
}

/// Copies, a tenth, everybody.
pub(super) fn plan() -> Plan {
    let canary = |share| PhaseKind::Canary { share: Share::from_fraction(share).unwrap() };
    let csat = gate(Signal::Csat, Rule::DropUnder { fail: 0.02, pass: 0.10 }, Need::IfReported);
    Plan {
        name: PlanName::new("short").unwrap(),
        phases: vec![
            phase(
                "shadow",
                PhaseKind::Shadow { sample: Share::FULL },
                vec![gate(Signal::Agreement, Rule::MeanOver { limit: 0.9 }, Need::Always)],
            ),
            phase("10 %", canary(0.1), vec![error_under(0.02), csat]),
            Phase {
                dwell: Duration::ZERO,
                deadline: Duration::ZERO,
                ..phase("100 %", canary(1.0), Vec::new())
            },
        ],
        triggers: vec![
            Trigger {
                signal: Signal::Error,
                rule: Rule::RateUnder { limit: 0.05, blame: BLAME },
                over: Duration::from_secs(300),
                mode: Default::default(),
                action: Action::RollBack,
                weight: 1.0,
            },
            Trigger {
                signal: Signal::TokensOut,
                rule: Rule::SpendUnder { times: 3.0 },
                over: HOUR,
                mode: Default::default(),
                action: Action::Freeze,
                weight: 0.0,
            },
        ],
        alpha: 0.01,
        beta: 0.05,
        warm_for: 24 * HOUR,
        slices: Default::default(),
        on_deadline: Default::default(),
    }
}

/// A rollout, its account and its clock.
pub(super) struct Scene {
    pub(super) state: FeatureState,
    pub(super) ledger: Ledger,
    pub(super) next: i64,
}

impl Scene {
    pub(super) fn new(plan: Plan) -> Self {
        let mut state = FeatureState::new(version("v1"));
        let started = Event::RolloutStarted {
            rollout: RolloutId(Default::default()),
            stable: version("v1"),
            candidate: version("v2"),
            plan: Box::new(plan),
            owner: "team".into(),
            salt: Salt::from_random(1),
            confine: Confine::everyone(),
            undecidable: Vec::new(),
            drill: None,
        };
        state.apply(&entry(Timestamp::UNIX_EPOCH, started));
        let ledger = Ledger::new(state.rollout.as_ref().unwrap(), BUCKET);
        Self { state, ledger, next: 0 }
    }

    /// In the canary phase, entered at the start.
    pub(super) fn in_canary() -> Self {
        let mut scene = Self::new(plan());
        scene.happen(entered(1));
        scene
    }

    pub(super) fn now(&self) -> Timestamp {
        BucketStart(self.next).timestamp()
    }

    pub(super) fn happen(&mut self, event: Event) {
        let now = self.now();
        self.state.apply(&entry(now, event));
    }

    /// The same bucket so many times.
    pub(super) fn pass_time(&mut self, buckets: u64, sums: &BucketSums) {
        if let Some(rollout) = &self.state.rollout {
            self.ledger.follow(rollout);
        }
        for _ in 0..buckets {
            self.ledger.take(BucketStart(self.next), sums);
            self.next += 10_000;
        }
    }

    pub(super) fn decide(&self) -> Decision {
        decide(&self.state, &self.ledger.evidence(), None, self.now())
    }

    pub(super) fn evidence(&self) -> Evidence {
        self.ledger.evidence()
    }

    /// Decides and carries out; the words of what was decided.
    pub(super) fn step(&mut self) -> Vec<&'static str> {
        let events = self.decide().events;
        let words = events.iter().map(Event::kind).collect();
        events.into_iter().for_each(|event| self.happen(event));
        words
    }

    pub(super) fn word(&self) -> &'static str {
        self.state.rollout.as_ref().unwrap().state_word()
    }
}

pub(super) fn entry(ts: Timestamp, event: Event) -> Entry {
    Entry { ts, feature: FeatureName::new("f").unwrap(), author: "test".into(), event }
}

pub(super) fn entered(phase: usize) -> Event {
    Event::PhaseEntered {
        rollout: RolloutId(Default::default()),
        phase,
        name: "by hand".into(),
        cause: Cause::Person,
        why: "a test".into(),
        standing: Vec::new(),
    }
}

pub(super) fn key(arm: Arm, signal: Signal) -> SumKey {
    let of = if arm == Arm::Stable { "v1" } else { "v2" };
    let feature = FeatureName::new("f").unwrap();
    SumKey { feature, revision: Revision::of(of.as_bytes()), arm, segment: Segment::none(), signal }
}

pub(super) fn rate(n: u64, hits: u64) -> Sum {
    Sum::Rate { n, hits }
}

pub(super) fn amount(n: u64, total: u64) -> Sum {
    Sum::Amount { n, total, squares: 0 }
}

pub(super) fn score(level: u16, n: u64) -> Sum {
    Sum::Levels(BTreeMap::from([(level, n)]))
}

/// A bucket of user calls: the candidate's and stable's calls and errors.
pub(super) fn calls(candidate: (u64, u64), stable: (u64, u64)) -> BucketSums {
    BTreeMap::from([
        (key(Arm::Candidate, Signal::Assigned), amount(candidate.0, 0)),
        (key(Arm::Candidate, Signal::Error), rate(candidate.0, candidate.1)),
        (key(Arm::Stable, Signal::Assigned), amount(stable.0, 0)),
        (key(Arm::Stable, Signal::Error), rate(stable.0, stable.1)),
    ])
}

/// A bucket of copies that agree so far.
pub(super) fn copies(agreement: u16) -> BucketSums {
    BTreeMap::from([
        (key(Arm::Shadow, Signal::Error), rate(20, 0)),
        (key(Arm::Shadow, Signal::Agreement), score(agreement, 20)),
        (key(Arm::Stable, Signal::Error), rate(20, 0)),
    ])
}

pub(super) fn trigger(signal: Signal, rule: Rule, over_seconds: u64, action: Action) -> Trigger {
    let over = Duration::from_secs(over_seconds);
    Trigger { signal, rule, over, mode: Default::default(), action, weight: 1.0 }
}

/// Sizes: so many of each.
pub(super) fn sizes(counts: &[(u64, u64)]) -> Sum {
    Sum::Levels(counts.iter().map(|(size, n)| (crate::size_levels::level(*size), *n)).collect())
}

/// The same sums in another slice of the traffic.
pub(super) fn labelled(sums: BucketSums, labels: &[(&str, &str)]) -> BucketSums {
    let label = |(label, value): &(&str, &str)| (LabelName::new(label).unwrap(), (*value).to_owned());
    let segment = Segment::from_labels(&labels.iter().map(label).collect());
    sums.into_iter().map(|(key, sum)| (SumKey { segment: segment.clone(), ..key }, sum)).collect()
}

/// Several parts of a bucket together.
pub(super) fn together(parts: impl IntoIterator<Item = BucketSums>) -> BucketSums {
    let mut all = BucketSums::new();
    for (key, sum) in parts.into_iter().flatten() {
        all.entry(key.clone()).or_insert_with(|| Sum::zero(key.signal.measure())).add(&sum);
    }
    all
}

/// SplitMix64 (Steele, Lea, Flood 2014): draws that are the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// How many of `n` hit, each with this chance.
    pub(super) fn hits(&mut self, n: u64, chance: f64) -> u64 {
        (0..n).filter(|_| (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= chance).count() as u64
    }
}
