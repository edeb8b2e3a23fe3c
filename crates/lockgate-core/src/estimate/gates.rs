//! What each gate of each phase takes and sees.

use super::cell::{ask, chance_within};
use super::course::{Question, Scene};
use super::schedule::{Passing, Schedule, two_digits};
use super::worse::{Worse, bounds, worse};
use super::{Effort, Expected, GateEstimate, PhaseEstimate, Regression, Smallest};
use crate::plan::{Gate, Phase, PhaseKind, Rule};
use crate::signal::Signal;

/// The regressions that are told of.
const TIMES: [f64; 2] = [2.0, 4.0];
/// What counts as seen: in so many of all cases.
const POWER: f64 = 0.8;
/// How often the range of regressions is halved along what is expected, and then by draws.
const HALVINGS: [u32; 2] = [8, 3];

pub(super) fn phases(scene: &Scene<'_>, schedule: &Schedule, effort: Effort) -> Vec<PhaseEstimate> {
    let each = scene.plan.phases.iter().enumerate();
    each.map(|(i, phase)| {
        let gates: Vec<GateEstimate> =
            (phase.gates.iter().enumerate()).map(|(j, _)| gate(scene, schedule, i, j, effort)).collect();
        let slowest = (gates.iter())
            .filter_map(|gate| gate.pass.map(|pass| (pass.seconds, &gate.name)))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let dwell_seconds = phase.dwell.as_secs_f64();
        let is_left = schedule.phases[i].passes.iter().all(|passing| *passing != Passing::Never);
        let waits = slowest.filter(|(seconds, _)| *seconds > dwell_seconds);
        PhaseEstimate {
            phase: i,
            name: phase.name.clone(),
            copies: matches!(phase.kind, PhaseKind::Shadow { .. }),
            calls_per_second: scene.candidate_calls(phase),
            dwell_seconds,
            deadline_seconds: phase.deadline.as_secs_f64(),
            seconds: is_left.then(|| waits.map_or(dwell_seconds, |(seconds, _)| seconds)),
            waits_for: waits.map(|(_, name)| name.clone()),
            gates,
        }
    })
    .collect()
}

fn gate(scene: &Scene<'_>, schedule: &Schedule, i: usize, j: usize, effort: Effort) -> GateEstimate {
    let phase = &scene.plan.phases[i];
    let gate = &phase.gates[j];
    let passing = schedule.phases[i].passes[j];
    let pass = match passing {
        Passing::After(_) => {
            let question = Question::of_gate(i, gate, None);
            ask(scene, schedule, &question, effort.runs, effort.seed).map(|figure| figure.expected)
        }
        Passing::Shown(_) => {
            Some(Expected { observations: 0.0, calls: 0.0, seconds: 0.0, in_time: 1.0, standard_error: 0.0 })
        }
        Passing::Aside | Passing::Never => None,
    };
    let per_second = scene.candidate_calls(phase) * scene.per_call(phase, &gate.signal);
    let smallest = |within| smallest(scene, schedule, (i, gate), within, effort);
    let (dwell, deadline) = (phase.dwell.as_secs_f64(), phase.deadline.as_secs_f64());
    GateEstimate {
        name: format!("{} {}", gate.signal, gate.rule),
        signal: gate.signal.clone(),
        need: gate.need,
        observations_per_second: per_second,
        shown_in: match passing {
            Passing::Shown(before) => Some(scene.plan.phases[before].name.clone()),
            _ => None,
        },
        pass,
        fail: TIMES
            .into_iter()
            .filter_map(|times| regression(scene, schedule, (i, gate), times, effort))
            .collect(),
        seen_in_dwell: smallest(dwell),
        seen_in_deadline: if deadline > dwell { smallest(deadline) } else { None },
    }
}

fn regression(
    scene: &Scene<'_>,
    schedule: &Schedule,
    (i, gate): (usize, &Gate),
    times: f64,
    effort: Effort,
) -> Option<Regression> {
    let phase = &scene.plan.phases[i];
    let stable = scene.traffic.stable.of(&gate.signal);
    let Worse { of, level, manner, .. } = worse(gate.rule, gate.signal.measure(), &stable, times)?;
    let question = Question::of_gate(i, gate, Some(manner));
    // A gate without a part of alpha only ever passes.
    let figure = (gate.weight > 0.0 || gate.rule == Rule::Never)
        .then(|| ask(scene, schedule, &question, effort.runs, effort.seed))
        .flatten();
    let reached = figure.map(|figure| reached(phase, figure.reached));
    Some(Regression {
        times,
        of,
        level,
        until: figure.map(|figure| figure.expected),
        calls_reached: reached,
        users_reached: reached.and_then(|calls| users(scene, calls)),
    })
}

/// Copies reach nobody.
fn reached(phase: &Phase, calls: f64) -> f64 {
    match phase.kind {
        PhaseKind::Shadow { .. } => 0.0,
        PhaseKind::Canary { .. } => calls,
    }
}

/// Different users among so many calls, where somebody knows how many calls a user makes.
fn users(scene: &Scene<'_>, calls: f64) -> Option<f64> {
    let visitors = scene.traffic.stable.of(&Signal::Visitors);
    visitors.counted.then(|| calls * visitors.per_call.min(1.0))
}

/// The smallest regression that is shown within so many seconds in four of five cases.
fn smallest(
    scene: &Scene<'_>,
    schedule: &Schedule,
    (i, gate): (usize, &Gate),
    within: f64,
    effort: Effort,
) -> Option<Smallest> {
    let can_fail = gate.weight > 0.0 || gate.rule == Rule::Never;
    if within <= 0.0 || !can_fail {
        return None;
    }
    let stable = scene.traffic.stable.of(&gate.signal);
    let measure = gate.signal.measure();
    let (from, to) = bounds(gate.rule, measure, &stable);
    let at = |times: f64| worse(gate.rule, measure, &stable, times);
    let question = |worse: Worse| Question::of_gate(i, gate, Some(worse.manner));
    let typically = |times: f64| {
        at(times).is_some_and(|worse| scene.expected(schedule, &question(worse), Some(within)).is_some())
    };
    let mostly = |times: f64| {
        at(times).is_some_and(|worse| {
            chance_within(scene, schedule, &question(worse), within, effort.runs.div_ceil(2), effort.seed)
                >= POWER
        })
    };
    if to <= from || !mostly(to) {
        return None;
    }
    // Along what is expected first: that is where half of the cases are, and four of five are not far above it.
    let half = halve(from, (from, to), HALVINGS[0], typically);
    let (mut below, mut above) = half;
    while above < to && !mostly(above) {
        below = above;
        above = (from + 1.5 * (above - from)).min(to);
    }
    let times = halve(from, (below, above), HALVINGS[1], mostly).1;
    let Worse { of, level, .. } = at(times)?;
    Some(Smallest { times: two_digits(times), of, level: two_digits(level) })
}

/// Halves a range, by the ratio of its ends' distances from where a regression begins, keeping what holds above.
fn halve(
    from: f64,
    (mut below, mut above): (f64, f64),
    halvings: u32,
    holds: impl Fn(f64) -> bool,
) -> (f64, f64) {
    for _ in 0..halvings {
        let near = (below - from).max(1e-3 * (above - from));
        let middle = from + (near * (above - from)).sqrt();
        if holds(middle) { above = middle } else { below = middle }
    }
    (below, above)
}
