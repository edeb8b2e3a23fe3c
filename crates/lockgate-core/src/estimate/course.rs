//! One rule, watched: when the evidence first shows it to be kept or broken, in one phase of a plan's course.
//!
//! A rule's evidence hangs on nothing but its own signal, so a plan is cut down to the checks of that signal, each with the
//! part of alpha that it has in the whole plan, and a [`Ledger`] is fed nothing else. What earlier phases leave behind
//! is fed first, in few buckets: evidence from the beginning depends on sums alone. A detector of change remembers the
//! latest best, and so the buckets halve towards the end.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Taken;
use super::draw::Draw;
use super::schedule::Schedule;
use super::sums::{Drawn, Group, InForce, Parties};
use super::traffic::{Manner, Traffic, Values};
use crate::duration_levels::first_slower;
use crate::event::Outcome;
use crate::evidence::course::lane_of;
use crate::evidence::{Check, Lane, Ledger};
use crate::name::RolloutId;
use crate::plan::{Action, Gate, Mode, Phase, PhaseKind, Plan, Rule};
use crate::segment::{Confine, Segment, Slice};
use crate::signal::{Arm, Signal};
use crate::state::{InPhase, Move, Rollout, Stage};
use crate::sums::{BucketStart, Sum};

/// How wide buckets are live. Nothing is known sooner than a bucket is closed.
pub(super) const BUCKET: Duration = Duration::from_secs(10);
/// Walking along what is expected, each look is this much later than the one before.
const STRIDE: f64 = 0.1;
/// What is not shown within so many deadlines is never shown.
const HORIZON: f64 = 100.0;
/// The shortest deadline that the horizon is measured by, in seconds.
const DAY: f64 = 86_400.0;

/// A plan, and what is known of the traffic.
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) traffic: &'a Traffic,
    pub(super) parties: Parties,
}

/// One check, and what is asked about it.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// In which phase.
    pub(super) phase: usize,
    pub(super) signal: Signal,
    pub(super) rule: Rule,
    /// For a trigger, what it does.
    pub(super) action: Option<Action>,
    /// Asked of one slice only; the candidate is then worse in that slice only.
    pub(super) slice: Option<(Slice, f64)>,
    /// Whether the check of the slice is asked, or that of the whole.
    pub(super) of_slice: bool,
    /// What the candidate is like from the phase's beginning; like stable unless said.
    pub(super) candidate: Option<Manner>,
}

impl Question {
    /// When a gate passes or fails for a candidate like this from a phase's beginning on.
    pub(super) fn of_gate(phase: usize, gate: &Gate, candidate: Option<Manner>) -> Self {
        Self {
            phase,
            signal: gate.signal.clone(),
            rule: gate.rule,
            action: None,
            slice: None,
            of_slice: false,
            candidate,
        }
    }

    /// Whether a candidate that is worse is asked about.
    pub(super) fn is_about_failing(&self) -> bool {
        self.candidate.is_some()
    }
}

/// A ledger on its way through one phase.
pub(super) struct Walk<'s> {
    scene: &'s Scene<'s>,
    question: Question,
    ledger: Ledger,
    drawn: Drawn,
    changes: u64,
    has_looked: bool,
    /// When the phase began, in seconds from the rollout's beginning.
    starts: f64,
    /// Seconds in the phase.
    pub(super) seconds: f64,
    /// Calls of users whom the phase may touch, per second.
    calls: f64,
    now: InForce,
    lane: Lane,
    is_in_lane: bool,
    pub(super) seen: Seen,
    /// Whether what was asked for was shown.
    pub(super) is_answered: bool,
    /// Whether anything that takes back was shown to be broken.
    pub(super) is_taken_back: bool,
}

/// What was counted of the question's signal in its lane, and how far it is from what was expected of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Seen {
    /// Observations of the candidate in the phase.
    pub(super) observations: f64,
    /// Candidate's and stable's values less their means: on average zero, whenever one stops.
    pub(super) surprise: [f64; 2],
}

impl<'a> Scene<'a> {
    pub(super) fn new(plan: &'a Plan, traffic: &'a Traffic) -> Self {
        Self { plan, traffic, parties: Parties::default() }
    }

    /// Calls of users per second; none where a number makes no sense.
    pub(super) fn per_second(&self) -> f64 {
        let per_second = self.traffic.per_second;
        if per_second.is_finite() { per_second.max(0.0) } else { 0.0 }
    }

    /// Calls of users whom a phase may touch, per second.
    pub(super) fn calls(&self, phase: &Phase) -> f64 {
        self.per_second() * self.part(&phase.confine)
    }

    /// Calls, or copies, that the candidate gets in a phase, per second.
    pub(super) fn candidate_calls(&self, phase: &Phase) -> f64 {
        let part = match phase.kind {
            PhaseKind::Shadow { sample } => sample,
            PhaseKind::Canary { share } => share,
        };
        self.calls(phase) * part.fraction()
    }

    /// Observations of a signal per call in a phase.
    pub(super) fn per_call(&self, phase: &Phase, signal: &Signal) -> f64 {
        if super::sums::is_counted(signal, lane_of(phase).arm()) {
            self.traffic.stable.of(signal).per_call.clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// The known part of the traffic that may be touched. A label of which nothing is known lets everybody in: that is then
    /// told as what it is, an estimate for traffic that is all admitted.
    pub(super) fn part(&self, confine: &Confine) -> f64 {
        if confine.0.is_empty() {
            return 1.0;
        }
        let matchers = confine.0.iter().map(|matcher| {
            let labels = matcher.0.iter().map(|(label, values)| {
                let mut known =
                    self.traffic.slices.iter().filter(|(slice, _)| slice.label == *label).peekable();
                if known.peek().is_none() {
                    return 1.0;
                }
                known.filter(|(slice, _)| values.contains(&slice.value)).map(|(_, part)| part).sum()
            });
            labels.product::<f64>()
        });
        matchers.sum::<f64>().min(1.0)
    }

    /// Labels that a phase admits.
    pub(super) fn segment(&self, phase: &Phase) -> Segment {
        let Some(matcher) = phase.confine.0.first() else { return Segment::none() };
        let labels = matcher
            .0
            .iter()
            .filter_map(|(label, values)| values.first().map(|value| (label.clone(), value.clone())));
        Segment::from_labels(&labels.collect())
    }

    /// Every signal of the plan with how it was taken to behave.
    pub(super) fn taken(&self) -> Vec<Taken> {
        let mut taken: Vec<Taken> = Vec::new();
        for (signal, rule) in rules(self.plan) {
            let manner = self.traffic.stable.of(signal);
            let slow = match rule {
                Rule::SlowUnder { limit, .. } => Some((limit.as_secs_f64(), manner.slower_than(limit))),
                _ => None,
            };
            match taken.iter_mut().find(|taken| taken.signal == *signal) {
                Some(taken) => taken.slower.extend(slow.filter(|slow| !taken.slower.contains(slow))),
                None => taken.push(Taken {
                    signal: signal.clone(),
                    per_call: manner.per_call,
                    level: manner.level(signal.measure()),
                    slower: slow.into_iter().collect(),
                    assumed: !manner.known,
                    per_call_assumed: !manner.counted,
                }),
            }
        }
        taken
    }

    /// The plan with nothing but one signal's checks, each with its part of the whole plan's alpha. Windows taken at their
    /// word have none and are estimated apart.
    fn cut_down(&self, question: &Question) -> Plan {
        let mut plan = self.plan.clone();
        for phase in &mut plan.phases {
            phase.gates.retain(|gate| gate.signal == question.signal);
        }
        plan.triggers.retain(|trigger| trigger.signal == question.signal && trigger.mode == Mode::Evidence);
        let (whole, slice) = self.parts(self.plan, question);
        let (whole_cut, slice_cut) = self.parts(&plan, question);
        let (of_whole, of_slices) = (plan.alpha * (1.0 - plan.slices.part), plan.alpha * plan.slices.part);
        let scaled = |of: f64, wanted: f64, had: f64| if had > 0.0 { of * wanted / had } else { of };
        let of_whole = scaled(of_whole, whole, whole_cut);
        let of_slices = scaled(of_slices, slice, slice_cut);
        if of_whole + of_slices > 0.0 {
            plan.alpha = of_whole + of_slices;
            plan.slices.part = of_slices / plan.alpha;
        }
        plan
    }

    /// What parts of alpha the asked check has under a plan: for the whole, and for one slice.
    fn parts(&self, plan: &Plan, question: &Question) -> (f64, f64) {
        let lane = lane_of(&plan.phases[question.phase]);
        let mut ledger = Ledger::new(&begun(plan, &self.parties), BUCKET);
        let slice = question.slice.as_ref().map(|(slice, _)| slice);
        if let Some(slice) = slice {
            // A slice has an account once it was seen.
            let labels = [(slice.label.clone(), slice.value.clone())].into();
            let group = Group::alike(Segment::from_labels(&labels), 1.0, &self.traffic.stable);
            let mut drawn = Drawn::new(self.parties.clone(), [question.signal.clone()], vec![group]);
            drawn.expect(100.0, InForce::of(self.plan.phases[question.phase].kind));
            ledger.take(BucketStart(0), drawn.as_map());
        }
        let evidence = ledger.evidence();
        let part = |slice: Option<&Slice>| {
            let check = evidence.checks.iter().find(|check| is_asked(check, question, lane, slice));
            check.map_or(0.0, |check| check.verdict.alpha)
        };
        (part(None), slice.map_or(0.0, |slice| part(Some(slice))))
    }

    /// Who calls in a phase, as far as a question needs to tell callers apart.
    fn groups(&self, phase: &Phase, question: &Question) -> Vec<Group> {
        let behaviour = &self.traffic.stable;
        match &question.slice {
            Some((slice, part)) => {
                let labels = [(slice.label.clone(), slice.value.clone())].into();
                vec![
                    Group::alike(Segment::from_labels(&labels), *part, behaviour),
                    Group::alike(Segment::none(), 1.0 - part, behaviour),
                ]
            }
            None => vec![Group::alike(self.segment(phase), 1.0, behaviour)],
        }
    }

    /// A ledger at the beginning of a question's phase, with everything behind it.
    pub(super) fn walk<'s>(
        &'s self,
        schedule: &Schedule,
        question: &Question,
        bucket: Duration,
        mut chance: Option<&mut Draw>,
    ) -> Walk<'s> {
        let rollout = self.rollout(&self.cut_down(question), schedule, question.phase);
        let mut ledger = Ledger::new(&rollout, bucket);
        ledger.follow(&rollout);
        let phase = &self.plan.phases[question.phase];
        let mut walk = Walk {
            scene: self,
            question: question.clone(),
            changes: ledger.changes(),
            has_looked: false,
            ledger,
            drawn: Drawn::new(self.parties.clone(), [], Vec::new()),
            starts: 0.0,
            seconds: 0.0,
            calls: 0.0,
            now: InForce::of(phase.kind),
            lane: lane_of(phase),
            is_in_lane: true,
            seen: Seen::default(),
            is_answered: false,
            is_taken_back: false,
        };
        for (past, expectation) in schedule.phases.iter().enumerate().take(question.phase) {
            walk.enter(past, schedule.starts[past]);
            let mut left = expectation.seconds;
            while left > 1e-3 {
                let width = if 0.5 * left > bucket.as_secs_f64() { 0.5 * left } else { left };
                walk.step(width, chance.as_deref_mut());
                left -= width;
            }
        }
        walk.enter(question.phase, schedule.starts[question.phase]);
        walk.turn();
        walk
    }

    /// How long it takes along what is expected; `None` when it is not shown within the horizon or before `within`.
    pub(super) fn expected(
        &self,
        schedule: &Schedule,
        question: &Question,
        within: Option<f64>,
    ) -> Option<f64> {
        let phase = &self.plan.phases[question.phase];
        if self.candidate_calls(phase) * self.per_call(phase, &question.signal) <= 0.0 {
            return None;
        }
        let mut walk = self.walk(schedule, question, BUCKET, None);
        let horizon = within.unwrap_or(HORIZON * phase.deadline.as_secs_f64().max(DAY));
        loop {
            walk.look();
            if walk.is_answered {
                return Some(walk.seconds);
            }
            if walk.seconds >= horizon {
                return None;
            }
            let width = (walk.seconds * STRIDE).max(BUCKET.as_secs_f64());
            walk.step(width.min((horizon - walk.seconds).max(1e-3)), None);
        }
    }

    fn rollout(&self, plan: &Plan, schedule: &Schedule, phase: usize) -> Rollout {
        let mut rollout = begun(plan, &self.parties);
        rollout.moves = (plan.phases.iter().zip(&schedule.starts).take(phase + 1).enumerate())
            .map(|(i, (phase, starts))| Move {
                at: moment(*starts),
                phase: Some(i),
                share: phase.kind.share(),
                resumed: false,
                seen: None,
            })
            .collect();
        let since = rollout.moves.last().map_or(rollout.started, |moved| moved.at);
        rollout.stage = Stage::Running(InPhase { phase, since, resumed: None, seen: None });
        rollout
    }
}

impl Walk<'_> {
    fn enter(&mut self, phase: usize, starts: f64) {
        let phase = &self.scene.plan.phases[phase];
        (self.starts, self.seconds) = (starts, 0.0);
        (self.now, self.calls) = (InForce::of(phase.kind), self.scene.calls(phase));
        self.is_in_lane = lane_of(phase) == self.lane;
        let groups = self.scene.groups(phase, &self.question);
        let signals = [self.question.signal.clone()];
        self.drawn = Drawn::new(self.scene.parties.clone(), signals, groups);
    }

    /// From here on the candidate is what the question says.
    fn turn(&mut self) {
        self.seen.observations = 0.0;
        if let Some(candidate) = &self.question.candidate {
            let slice = self.question.slice.as_ref().map(|(slice, _)| slice);
            let is_meant = |segment: &Segment| slice.is_none_or(|slice| slice.holds(segment));
            self.drawn.turn(&self.question.signal, candidate, is_meant);
        }
    }

    /// One more bucket of this width: by chance, or as expected.
    pub(super) fn step(&mut self, width: f64, chance: Option<&mut Draw>) {
        match chance {
            Some(draw) => {
                self.drawn.draw(draw, self.calls * width, self.now);
                self.note();
            }
            None => self.drawn.expect(self.calls * width, self.now),
        }
        let start = BucketStart(((self.starts + self.seconds) * 1e3).round() as i64);
        self.ledger.take(start, self.drawn.as_map());
        self.seconds += width;
    }

    /// Looks, if a check has come to stand elsewhere since the last look.
    pub(super) fn look(&mut self) {
        if self.ledger.changes() == self.changes && self.has_looked {
            return;
        }
        (self.changes, self.has_looked) = (self.ledger.changes(), true);
        let evidence = self.ledger.evidence();
        let slice = self.question.slice.as_ref().filter(|_| self.question.of_slice).map(|(slice, _)| slice);
        let asked = (evidence.checks.iter()).find(|check| is_asked(check, &self.question, self.lane, slice));
        self.is_answered |= asked.is_some_and(|check| match self.question.is_about_failing() {
            true => check.broken_since.is_some() || check.verdict.outcome == Outcome::Fail,
            false => check.verdict.outcome == Outcome::Pass,
        });
        self.is_taken_back |= evidence.checks.iter().any(|check| {
            let takes_back = matches!(check.action, None | Some(Action::RollBack));
            check.lane == self.lane && takes_back && check.verdict.outcome == Outcome::Fail
        });
    }

    fn note(&mut self) {
        if !self.is_in_lane {
            return;
        }
        for (key, sum, manner) in self.drawn.counted() {
            if key.signal != self.question.signal {
                continue;
            }
            let is_candidate = key.arm == self.lane.arm();
            if !is_candidate && key.arm != Arm::Stable {
                continue;
            }
            if let (true, Some((slice, _))) = (self.question.of_slice, &self.question.slice)
                && !slice.holds(&key.segment)
            {
                continue;
            }
            let n = sum.n() as f64;
            let surprise = total(sum, self.question.rule) - n * mean(manner, self.question.rule);
            self.seen.surprise[usize::from(!is_candidate)] += surprise;
            if is_candidate {
                self.seen.observations += n;
            }
        }
    }
}

/// What a sum's observations add up to, as the rule sees them.
fn total(sum: &Sum, rule: Rule) -> f64 {
    match (sum, rule) {
        (Sum::Rate { hits, .. }, _) => *hits as f64,
        (Sum::Amount { total, .. }, _) => *total as f64,
        (Sum::Levels(levels), Rule::SlowUnder { limit, .. }) => {
            levels.range(first_slower(limit)..).map(|(_, n)| *n as f64).sum()
        }
        (Sum::Levels(levels), _) => levels.iter().map(|(level, n)| f64::from(*level) * *n as f64).sum(),
    }
}

/// The mean of one observation, in the same unit.
fn mean(manner: &Manner, rule: Rule) -> f64 {
    match (&manner.values, rule) {
        (Values::Levels(_), Rule::SlowUnder { limit, .. }) => manner.slower_than(limit),
        (Values::Levels(levels), _) => levels.iter().map(|(level, part)| f64::from(*level) * part).sum(),
        (Values::Rate(level) | Values::Amount { mean: level, .. }, _) => *level,
    }
}

fn begun(plan: &Plan, parties: &Parties) -> Rollout {
    let id = RolloutId(Default::default());
    let (stable, candidate) = (parties.stable.clone(), parties.candidate.clone());
    Rollout::begin(id, stable, candidate, plan.clone(), Timestamp::UNIX_EPOCH)
}

fn is_asked(check: &Check, question: &Question, lane: Lane, slice: Option<&Slice>) -> bool {
    check.lane == lane
        && check.slice.as_ref() == slice
        && check.action == question.action
        && check.verdict.signal == question.signal
        && check.rule == question.rule
}

fn moment(seconds: f64) -> Timestamp {
    let since = SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or(Timestamp::MAX)
}

/// Every rule of a plan with what it looks at.
pub(super) fn rules(plan: &Plan) -> impl Iterator<Item = (&Signal, Rule)> {
    let gates = plan.phases.iter().flat_map(|phase| &phase.gates).map(|gate| (&gate.signal, gate.rule));
    gates.chain(plan.triggers.iter().map(|trigger| (&trigger.signal, trigger.rule)))
}
