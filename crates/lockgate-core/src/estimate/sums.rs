//! The sums that gateways would have written, drawn by chance or by what is expected.

use std::collections::{BTreeMap, BTreeSet};

use super::draw::Draw;
use super::traffic::{Behaviour, Manner, Values};
use crate::name::{FeatureName, Revision, VersionName, VersionRef};
use crate::plan::PhaseKind;
use crate::segment::{Confine, Segment};
use crate::share::Share;
use crate::signal::{Arm, Signal};
use crate::sums::{BucketSums, Sum, SumKey};

/// Who takes part on paper.
#[derive(Debug, Clone)]
pub struct Parties {
    /// The feature.
    pub feature: FeatureName,
    /// The version that users have.
    pub stable: VersionRef,
    /// The version on trial.
    pub candidate: VersionRef,
}

impl Default for Parties {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "literals that every test of this module covers")]
        let version = |name: &str| VersionRef {
            name: VersionName::new(name).expect("a name"),
            revision: Revision::of(name.as_bytes()),
        };
        #[expect(clippy::expect_used, reason = "a literal that every test of this module covers")]
        let feature = FeatureName::new("on-paper").expect("a name");
        Self { feature, stable: version("stable"), candidate: version("candidate") }
    }
}

/// Callers with the same labels.
#[derive(Debug, Clone)]
pub struct Group {
    /// Their labels.
    pub segment: Segment,
    /// Their part of all calls.
    pub part: f64,
    /// How the version behaves with them that users have.
    pub stable: Behaviour,
    /// How the candidate behaves, on copies of their calls.
    pub shadow: Behaviour,
    /// How the candidate behaves, on calls of their own.
    pub candidate: Behaviour,
}

impl Group {
    /// One in which both versions behave alike.
    pub fn alike(segment: Segment, part: f64, both: &Behaviour) -> Self {
        Self { segment, part, stable: both.clone(), shadow: both.clone(), candidate: both.clone() }
    }
}

/// What is in force while a bucket is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InForce {
    /// The candidate's part of the users.
    pub share: Share,
    /// The part of the calls that is copied to it.
    pub sample: Share,
    /// The error rate of both versions, where something hits both.
    pub incident: Option<f64>,
}

impl InForce {
    /// All calls to stable.
    pub const NOTHING: Self = Self { share: Share::NONE, sample: Share::NONE, incident: None };

    /// What a phase lets the candidate have.
    pub fn of(kind: PhaseKind) -> Self {
        match kind {
            PhaseKind::Shadow { sample } => Self { sample, ..Self::NOTHING },
            PhaseKind::Canary { share } => Self { share, ..Self::NOTHING },
        }
    }
}

/// One bucket's sums. The map is made once; buckets only change what is in it, and arms that nobody calls are not in it.
#[derive(Debug, Clone)]
pub struct Drawn {
    parties: Parties,
    signals: BTreeSet<Signal>,
    groups: Vec<Group>,
    /// Which groups the candidate may touch.
    admitted: Vec<bool>,
    arms: Vec<Arm>,
    sums: BucketSums,
    /// For each sum, in the map's order, what it is drawn from.
    lots: Vec<Lot>,
}

#[derive(Debug, Clone)]
struct Lot {
    arm: Arm,
    group: usize,
    is_error: bool,
    manner: Manner,
    /// What expectation owes: observations first, then each outcome.
    owed: Vec<f64>,
}

/// An outcome is counted as soon as it is expected by half, so that rare ones come neither early nor late.
const OWED_FIRST: f64 = 0.5;

impl Drawn {
    /// For these callers; only these signals are counted, and always who was assigned and what failed.
    pub fn new(parties: Parties, signals: impl IntoIterator<Item = Signal>, groups: Vec<Group>) -> Self {
        let mut signals: BTreeSet<Signal> = signals.into_iter().collect();
        signals.extend([Signal::Assigned, Signal::Error]);
        let admitted = vec![true; groups.len()];
        Self { parties, signals, groups, admitted, arms: Vec::new(), sums: BTreeMap::new(), lots: Vec::new() }
    }

    /// From now on the candidate touches only these callers.
    pub fn confine(&mut self, to: &Confine) {
        self.admitted = self.groups.iter().map(|group| to.admits(&group.segment)).collect();
    }

    /// From now on the candidate comes out like this in the groups of a slice; in all, where none is named.
    pub fn turn(&mut self, signal: &Signal, candidate: &Manner, only: impl Fn(&Segment) -> bool) {
        for group in self.groups.iter_mut().filter(|group| only(&group.segment)) {
            group.candidate = group.candidate.clone().with(signal.clone(), candidate.clone());
            group.shadow = group.shadow.clone().with(signal.clone(), candidate.clone());
        }
        self.arms.clear();
    }

    /// The sums of the bucket that was drawn last.
    pub fn as_map(&self) -> &BucketSums {
        &self.sums
    }

    /// Calls of users that the candidate was given in it.
    pub fn assigned(&self) -> u64 {
        let of_candidate = |key: &&SumKey| key.arm == Arm::Candidate && key.signal == Signal::Assigned;
        self.sums.iter().filter(|(key, _)| of_candidate(key)).map(|(_, sum)| sum.n()).sum()
    }

    /// The same, each with what it was drawn from.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&SumKey, &Sum, &Manner)> {
        self.sums.iter().zip(&self.lots).map(|((key, sum), lot)| (key, sum, &lot.manner))
    }

    /// Draws one bucket in which so many calls are expected of all groups together.
    pub fn draw(&mut self, draw: &mut Draw, expected: f64, now: InForce) {
        self.let_in(now);
        let calls: Vec<[u64; 3]> = (self.groups.iter().zip(&self.admitted))
            .map(|(group, admitted)| {
                let now = if *admitted { now } else { InForce::NOTHING };
                let share = now.share.fraction();
                let stable = draw.arrivals(expected * group.part * (1.0 - share));
                let candidate = draw.arrivals(expected * group.part * share);
                [stable, candidate, draw.binomial(stable, now.sample.fraction())]
            })
            .collect();
        for (sum, lot) in self.sums.values_mut().zip(&self.lots) {
            let calls = calls[lot.group][lot.arm as usize];
            fill(sum, draw, lot, now.incident, calls);
        }
    }

    /// Fills in what is expected of so many calls, without chance. What is less than one is owed to the next bucket.
    pub fn expect(&mut self, expected: f64, now: InForce) {
        self.let_in(now);
        let calls: Vec<[f64; 3]> = (self.groups.iter().zip(&self.admitted))
            .map(|(group, admitted)| {
                let now = if *admitted { now } else { InForce::NOTHING };
                let stable = expected * group.part * (1.0 - now.share.fraction());
                let candidate = expected * group.part * now.share.fraction();
                [stable, candidate, stable * now.sample.fraction()]
            })
            .collect();
        for (sum, lot) in self.sums.values_mut().zip(&mut self.lots) {
            let calls = calls[lot.group][lot.arm as usize];
            pay(sum, lot, calls);
        }
    }

    /// Keeps the keys of the arms that are in force.
    fn let_in(&mut self, now: InForce) {
        let mut arms = Vec::new();
        arms.extend((now.share < Share::FULL).then_some(Arm::Stable));
        arms.extend((now.share > Share::NONE).then_some(Arm::Candidate));
        arms.extend((now.sample > Share::NONE).then_some(Arm::Shadow));
        if arms == self.arms {
            return;
        }
        let mut keyed: BTreeMap<SumKey, Lot> = BTreeMap::new();
        for (group, of) in self.groups.iter().enumerate() {
            for arm in &arms {
                let (behaviour, version) = match arm {
                    Arm::Stable => (&of.stable, &self.parties.stable),
                    Arm::Candidate => (&of.candidate, &self.parties.candidate),
                    Arm::Shadow => (&of.shadow, &self.parties.candidate),
                };
                for signal in self.signals.iter().filter(|signal| is_counted(signal, *arm)) {
                    let manner = behaviour.of(signal);
                    if manner.per_call <= 0.0 {
                        continue;
                    }
                    let key = SumKey {
                        feature: self.parties.feature.clone(),
                        revision: version.revision,
                        arm: *arm,
                        segment: of.segment.clone(),
                        signal: signal.clone(),
                    };
                    let is_error = *signal == Signal::Error;
                    keyed.insert(key, Lot { arm: *arm, group, is_error, manner, owed: Vec::new() });
                }
            }
        }
        self.sums = keyed.keys().map(|key| (key.clone(), Sum::zero(key.signal.measure()))).collect();
        self.lots = keyed.into_values().collect();
        self.arms = arms;
    }
}

/// Whether a gateway counts a signal of an arm: copies have no users, and only copies are compared.
pub(super) fn is_counted(signal: &Signal, arm: Arm) -> bool {
    let is_compared = matches!(signal, Signal::Agreement | Signal::Coverage);
    match arm {
        Arm::Shadow => {
            let is_of_users = matches!(
                signal,
                Signal::Assigned
                    | Signal::Sessions
                    | Signal::Visitors
                    | Signal::SessionCost
                    | Signal::Cancelled
            );
            is_compared || !(signal.is_feedback() || is_of_users)
        }
        Arm::Stable | Arm::Candidate => !is_compared,
    }
}

fn fill(sum: &mut Sum, draw: &mut Draw, lot: &Lot, incident: Option<f64>, calls: u64) {
    let per_call = lot.manner.per_call;
    let seen = if per_call >= 1.0 { calls } else { draw.binomial(calls, per_call) };
    match (sum, &lot.manner.values) {
        (Sum::Rate { n, hits }, Values::Rate(rate)) => {
            let rate = if lot.is_error { incident.unwrap_or(*rate) } else { *rate };
            (*n, *hits) = (seen, draw.binomial(seen, rate));
        }
        (Sum::Amount { n, total, squares }, Values::Amount { mean, spread }) => {
            let deviation = if *spread > 0.0 && seen > 0 { draw.normal() * spread } else { 0.0 };
            let sum = (seen as f64 * mean + (seen as f64).sqrt() * deviation).max(0.0);
            (*n, *total) = (seen, sum.round() as u64);
            *squares = (seen as f64 * (mean * mean + spread * spread)) as u128;
        }
        (Sum::Levels(counts), Values::Levels(levels)) => {
            counts.clear();
            spread_over(counts, draw, levels, seen);
        }
        _ => {}
    }
}

/// Hands out whole observations of what has become due.
fn pay(sum: &mut Sum, lot: &mut Lot, calls: f64) {
    let outcomes = match &lot.manner.values {
        Values::Levels(levels) => levels.len(),
        _ => 1,
    };
    lot.owed.resize(outcomes + 1, OWED_FIRST);
    let due = |owed: &mut f64, more: f64| {
        *owed += more;
        let whole = owed.floor().max(0.0);
        *owed -= whole;
        whole
    };
    let seen = due(&mut lot.owed[0], calls * lot.manner.per_call.min(1.0));
    match (sum, &lot.manner.values) {
        (Sum::Rate { n, hits }, Values::Rate(rate)) => {
            let hit = due(&mut lot.owed[1], seen * rate).min(seen);
            (*n, *hits) = (seen as u64, hit as u64);
        }
        (Sum::Amount { n, total, squares }, Values::Amount { mean, spread }) => {
            (*n, *total) = (seen as u64, (seen * mean).round() as u64);
            *squares = (seen * (mean * mean + spread * spread)) as u128;
        }
        (Sum::Levels(counts), Values::Levels(levels)) => {
            counts.clear();
            for ((level, part), owed) in levels.iter().zip(&mut lot.owed[1..]) {
                let here = due(owed, seen * part) as u64;
                if here > 0 {
                    *counts.entry(*level).or_insert(0) += here;
                }
            }
        }
        _ => {}
    }
}

/// Deals so many observations out to levels.
fn spread_over(counts: &mut BTreeMap<u16, u64>, draw: &mut Draw, levels: &[(u16, f64)], seen: u64) {
    let (mut left, mut part_left) = (seen, 1.0);
    for (i, (level, part)) in levels.iter().enumerate() {
        if left == 0 {
            return;
        }
        let is_last = i + 1 == levels.len();
        let here = if is_last { left } else { draw.binomial(left, (part / part_left).min(1.0)) };
        if here > 0 {
            *counts.entry(*level).or_insert(0) += here;
        }
        left -= here;
        part_left = (part_left - part).max(f64::MIN_POSITIVE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_that_nobody_calls_have_no_sums() {
        let group = Group::alike(Segment::none(), 1.0, &Behaviour::healthy());
        let mut drawn = Drawn::new(Parties::default(), [Signal::Agreement, Signal::Csat], vec![group]);
        let mut draw = Draw::new(1);
        let shadow = InForce { share: Share::NONE, sample: Share::FULL, incident: None };
        drawn.draw(&mut draw, 1000.0, shadow);
        let arms: BTreeSet<Arm> = drawn.as_map().keys().map(|key| key.arm).collect();
        assert_eq!(arms, [Arm::Stable, Arm::Shadow].into());
        assert!(drawn.as_map().keys().any(|key| key.signal == Signal::Agreement && key.arm == Arm::Shadow));
        assert!(!drawn.as_map().keys().any(|key| key.signal == Signal::Csat && key.arm == Arm::Shadow));
        drawn.draw(&mut draw, 1000.0, InForce { share: Share::FULL, sample: Share::NONE, incident: None });
        assert!(drawn.as_map().keys().all(|key| key.arm == Arm::Candidate));
    }

    #[test]
    fn every_signal_comes_out_as_its_manner_says() {
        let behaviour = Behaviour::healthy();
        let signals: Vec<Signal> =
            Signal::built_in().iter().filter(|signal| is_counted(signal, Arm::Stable)).cloned().collect();
        let group = Group::alike(Segment::none(), 1.0, &behaviour);
        let mut drawn = Drawn::new(Parties::default(), signals, vec![group]);
        let mut draw = Draw::new(1);
        let now = InForce { share: Share::NONE, sample: Share::NONE, incident: None };
        drawn.draw(&mut draw, 1e8, now);
        for (key, sum) in drawn.as_map() {
            let manner = behaviour.of(&key.signal);
            let n = 1e8 * manner.per_call;
            assert!((sum.n() as f64 / n - 1.0).abs() < 0.06, "{}: {} of {n}", key.signal, sum.n());
            let level = manner.level(key.signal.measure());
            let seen = Behaviour::default()
                .measured(key.signal.clone(), sum, 100_000_000)
                .of(&key.signal)
                .level(key.signal.measure());
            assert!((seen - level).abs() <= 0.1 * level, "{}: {seen}, not {level}", key.signal);
        }
    }
}
