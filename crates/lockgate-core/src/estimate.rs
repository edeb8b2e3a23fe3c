//! What a plan costs and finds, told before it begins: how long each phase takes, what each gate can see, whom a bad
//! candidate reaches, and which gates cannot decide in time.
//!
//! Nothing here knows a formula for it. The code that decides live is handed sums that are drawn by chance ([`sums`]), and is
//! watched: when a [`Ledger`](crate::evidence::Ledger) first shows a rule to be kept or broken (`course`), and how a whole
//! [`Playback`](crate::playback::Playback) ends (`whole`). Only a window taken at its word has no evidence to ask, and is
//! scanned on its own (`literal`). The same arguments give the same estimate.

pub mod draw;
pub mod sums;
pub mod traffic;

mod cell;
mod course;
mod gates;
mod literal;
mod schedule;
mod slices;
mod whole;
mod worse;

use serde::Serialize;

pub use self::traffic::{Behaviour, Manner, Traffic, Values};
use crate::name::PlanName;
use crate::plan::{Mode, Need, Plan};
use crate::segment::Slice;
use crate::signal::Signal;

/// How much work an estimate may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Effort {
    /// How often each figure is drawn.
    pub runs: u32,
    /// How often the whole rollout is played through.
    pub rollouts: u32,
    /// Another seed, other lots.
    pub seed: u64,
}

impl Effort {
    /// Enough for two digits, within seconds.
    pub const FULL: Self = Self { runs: 128, rollouts: 12, seed: 1 };
    /// Enough for one digit.
    pub const QUICK: Self = Self { runs: 12, rollouts: 2, seed: 1 };
}

/// What a plan costs and finds at a given traffic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The plan.
    pub plan: PlanName,
    /// Calls of users, both versions together.
    pub calls_per_second: f64,
    /// How often things were drawn.
    pub effort: Effort,
    /// The largest relative standard error among the mean observations below, but for gates that earlier phases have all but
    /// shown: of next to nothing, a part says nothing.
    pub standard_error: f64,
    /// How stable was taken to behave, for every signal of the plan.
    pub behaviour: Vec<Taken>,
    /// In the plan's order.
    pub phases: Vec<PhaseEstimate>,
    /// The rollout as a whole, for a candidate as good as stable.
    pub whole: Whole,
    /// Every trigger's window, taken at its word.
    pub triggers: Vec<TriggerEstimate>,
    /// What is seen in single slices, and how much later in the whole.
    pub slices: Vec<SliceEstimate>,
    /// Gates that cannot be expected to decide before their phase's deadline.
    pub undecidable: Vec<Undecidable>,
}

/// How a signal was taken to behave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Taken {
    /// Which.
    pub signal: Signal,
    /// Observations per call.
    pub per_call: f64,
    /// Its rate or mean, in its own unit; for times, what is in `slower`.
    pub level: f64,
    /// For times: the limits that the plan names, in seconds, and the part of the calls that takes longer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slower: Vec<(f64, f64)>,
    /// Whether nobody said or measured how it comes out.
    pub assumed: bool,
    /// Whether nobody said or measured how often it is observed.
    pub per_call_assumed: bool,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseEstimate {
    /// Its place in the plan, from 0.
    pub phase: usize,
    /// Its name.
    pub name: String,
    /// Whether the candidate answers copies and not users.
    pub copies: bool,
    /// Calls (or copies) that the candidate gets.
    pub calls_per_second: f64,
    /// It is not left before.
    pub dwell_seconds: f64,
    /// It pauses after.
    pub deadline_seconds: f64,
    /// How long it takes on average for a candidate as good as stable that a person lets go on after its deadline; absent when
    /// a gate never passes.
    pub seconds: Option<f64>,
    /// The gate that it waits for beyond its dwell, if any.
    pub waits_for: Option<String>,
    /// Its gates.
    pub gates: Vec<GateEstimate>,
}

/// One gate in one phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateEstimate {
    /// `error < 0.5 %`.
    pub name: String,
    /// What is looked at.
    pub signal: Signal,
    /// Whether it is waited for when nobody reports it.
    pub need: Need,
    /// Observations of the candidate.
    pub observations_per_second: f64,
    /// Where it was shown already, when an earlier phase cannot be left without.
    pub shown_in: Option<String>,
    /// Until it passes, for a candidate as good as stable. Absent when it never does.
    pub pass: Option<Expected>,
    /// Until it fails, for a candidate that becomes worse as the phase begins.
    pub fail: Vec<Regression>,
    /// The smallest regression that it shows within the phase's dwell in 80 % of the cases.
    pub seen_in_dwell: Option<Smallest>,
    /// The same within the deadline.
    pub seen_in_deadline: Option<Smallest>,
}

/// How much something takes, on average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expected {
    /// Observations of the candidate.
    pub observations: f64,
    /// Calls (or copies) of the candidate.
    pub calls: f64,
    /// Time in the phase.
    pub seconds: f64,
    /// The probability that it happens before the deadline.
    pub in_time: f64,
    /// Relative standard error of the first three.
    pub standard_error: f64,
}

/// A candidate that is worse by a stated amount.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Regression {
    /// How many times.
    pub times: f64,
    /// Of what.
    pub of: Yardstick,
    /// What the signal's rate or mean then is (of times, the part of slow calls).
    pub level: f64,
    /// Until this gate fails. Absent when it does not.
    pub until: Option<Expected>,
    /// Calls of users that the candidate answered before any gate or trigger on this signal took it back.
    pub calls_reached: Option<f64>,
    /// Different users among them.
    pub users_reached: Option<f64>,
}

/// What a regression is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Yardstick {
    /// What the rule allows: a rate, a part of slow calls, a drop, a rise.
    Limit,
    /// What stable has.
    Stable,
    /// One call in a thousand, for what must never happen.
    Thousandth,
}

/// The smallest regression that is seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Smallest {
    /// How many times the yardstick.
    pub times: f64,
    /// Of what.
    pub of: Yardstick,
    /// What the signal's rate or mean then is.
    pub level: f64,
}

/// A rollout as a whole, for a candidate as good as stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Whole {
    /// How long it takes from the start to everybody, on average, when it goes through without a person.
    pub seconds: Option<f64>,
    /// The part of rollouts that go through without a person.
    pub completed: f64,
    /// The part that is taken back.
    pub rolled_back: f64,
    /// The part that stops and waits for a person.
    pub stopped: f64,
    /// The sum of the phases' times, also where a person must let one go on; absent when a gate never passes.
    pub phases_seconds: Option<f64>,
}

/// A trigger whose window is taken at its word.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TriggerEstimate {
    /// `error < 2 %`.
    pub name: String,
    /// Its window.
    pub over_seconds: f64,
    /// How it is read: in evidence mode a crossing pages and moves nothing.
    pub mode: Mode,
    /// Per phase in which the candidate is called, the probability that the window is over its limit at least once although
    /// the candidate is as good as stable; calls are taken to come evenly, which is the least that it can be.
    pub false_alarms: Vec<FalseAlarm>,
}

/// How often a healthy candidate crosses a window's limit in one phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalseAlarm {
    /// The phase's place in the plan.
    pub phase: usize,
    /// Its name.
    pub name: String,
    /// Within the phase's expected time.
    pub probability: f64,
    /// How long it takes on average until it does; absent when it was never seen to.
    pub seconds_between: Option<f64>,
}

/// What is seen of one slice in one phase when the candidate is worse in it alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SliceEstimate {
    /// The slice.
    pub slice: Slice,
    /// Its part of the traffic.
    pub part: f64,
    /// The phase's place in the plan.
    pub phase: usize,
    /// The phase's name.
    pub phase_name: String,
    /// The gate: `error < 0.5 %`.
    pub gate: String,
    /// How many times the yardstick the signal is in the slice.
    pub times: f64,
    /// Of what.
    pub of: Yardstick,
    /// What the signal's rate or mean is in the slice.
    pub level: f64,
    /// Until the slice's own check fails, counted in the slice.
    pub alone: Option<Expected>,
    /// Until the check of the whole fails, counted in the whole.
    pub pooled: Option<Expected>,
    /// How many times sooner the slice's own check is; absent when the whole never shows it.
    pub sooner: Option<f64>,
}

/// A gate that cannot be expected to decide before its phase's deadline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Undecidable {
    /// The phase.
    pub phase: String,
    /// The gate: `error < 0.5 %`.
    pub gate: String,
    /// Why, with what it would take.
    pub why: String,
    /// What would help.
    pub hint: String,
}

/// What a plan costs and finds at this traffic.
pub fn estimate(plan: &Plan, traffic: &Traffic, effort: Effort) -> Estimate {
    let scene = course::Scene::new(plan, traffic);
    let schedule = schedule::Schedule::of(&scene);
    let phases = gates::phases(&scene, &schedule, effort);
    let largest_error = phases.iter().flat_map(errors_of).fold(0.0, f64::max);
    Estimate {
        plan: plan.name.clone(),
        calls_per_second: traffic.per_second,
        effort,
        standard_error: largest_error,
        behaviour: scene.taken(),
        whole: whole::play(&scene, &schedule, effort),
        triggers: literal::triggers(&scene, &schedule, effort),
        slices: slices::slices(&scene, &schedule, effort),
        undecidable: schedule.undecidable(&scene, &phases),
        phases,
    }
}

/// The gates of a plan that cannot be expected to decide before their deadlines at this traffic. Quick: nothing is drawn, the
/// evidence is walked along what is expected.
pub fn undecidable(plan: &Plan, traffic: &Traffic) -> Vec<Undecidable> {
    let scene = course::Scene::new(plan, traffic);
    schedule::Schedule::of(&scene).undecidable(&scene, &[])
}

/// Of a phase, what it does not take this part of the dwell to show hardly matters.
const HARDLY: f64 = 0.1;

fn errors_of(phase: &PhaseEstimate) -> impl Iterator<Item = f64> {
    let matters = |pass: &Expected| pass.seconds > HARDLY * phase.dwell_seconds;
    phase.gates.iter().flat_map(move |gate| {
        let fails = gate.fail.iter().filter_map(|regression| regression.until);
        gate.pass.filter(matters).into_iter().chain(fails).map(|expected| expected.standard_error)
    })
}

#[cfg(test)]
mod tests;
