//! How long each phase is expected to take, and which gates cannot decide in time: found by walking along what is expected,
//! without chance.
//!
//! On a path without chance a gate passes about when half of all candidates would have passed it. That is good enough to lay
//! phases end to end, to say that a gate has no hope before its deadline, and to choose how finely the draws must look.

use super::course::{Question, Scene};
use super::{PhaseEstimate, Undecidable};
use crate::evidence::course::lane_of;
use crate::plan::{Gate, Need, Phase, PhaseKind, Plan, Rule};
use crate::share::percent;
use crate::signal::Measure;

/// When phases begin and how long they take, as expected of a candidate as good as stable.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    /// In seconds from the rollout's beginning.
    pub(super) starts: Vec<f64>,
    /// In the plan's order.
    pub(super) phases: Vec<Expectation>,
}

/// How long one phase is expected to take.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expectation {
    /// Where a gate never passes, up to the deadline.
    pub(super) seconds: f64,
    /// Per gate.
    pub(super) passes: Vec<Passing>,
}

/// When a gate is expected to pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Passing {
    /// It was shown in this earlier phase, which is not left without it.
    Shown(usize),
    /// Nobody reports it and it does not wait.
    Aside,
    /// After so many seconds in the phase.
    After(f64),
    /// Not in any time that one could wait.
    Never,
}

/// A gate decides in time when it does so in four of five rollouts.
const IN_TIME: f64 = 0.8;
/// What is expected on average takes at most so much longer in four of five cases.
const SPREAD: f64 = 1.25;
/// What is advised is enough for nearly all cases, and not for every other.
const ENOUGH: f64 = 1.6;

impl Schedule {
    /// Lays the phases of a plan end to end.
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let mut schedule = Self { starts: vec![0.0], phases: Vec::new() };
        for (i, phase) in scene.plan.phases.iter().enumerate() {
            let passes: Vec<Passing> =
                phase.gates.iter().map(|gate| passing(scene, &schedule, i, gate)).collect();
            let waits = passes.iter().map(|passing| match passing {
                Passing::After(seconds) => *seconds,
                Passing::Never => phase.deadline.as_secs_f64(),
                Passing::Shown(_) | Passing::Aside => 0.0,
            });
            let seconds = waits.fold(phase.dwell.as_secs_f64(), f64::max);
            schedule.starts.push(schedule.starts[i] + seconds);
            schedule.phases.push(Expectation { seconds, passes });
        }
        schedule
    }

    /// The gates that cannot be expected to pass before their deadlines: by what was drawn, where it was, else by what is
    /// expected.
    pub(super) fn undecidable(&self, scene: &Scene<'_>, drawn: &[PhaseEstimate]) -> Vec<Undecidable> {
        let each = scene.plan.phases.iter().zip(&self.phases).enumerate();
        each.flat_map(|(i, (phase, expectation))| {
            let gates = phase.gates.iter().zip(&expectation.passes).enumerate();
            let late = gates.filter_map(|(j, (gate, passing))| {
                let deadline = phase.deadline.as_secs_f64();
                let told = drawn.get(i).and_then(|phase| phase.gates.get(j)).and_then(|gate| gate.pass);
                let after = match (*passing, told) {
                    (Passing::Shown(_) | Passing::Aside, _) => return None,
                    (Passing::Never, _) => None,
                    (Passing::After(_), Some(told)) if told.in_time >= IN_TIME => return None,
                    (Passing::After(_), Some(told)) => Some(told.seconds),
                    (Passing::After(seconds), None) if seconds * SPREAD <= deadline => return None,
                    (Passing::After(seconds), None) => Some(seconds),
                };
                Some(reason(scene, phase, gate, after))
            });
            late.collect::<Vec<_>>()
        })
        .collect()
    }
}

fn passing(scene: &Scene<'_>, schedule: &Schedule, phase: usize, gate: &Gate) -> Passing {
    let of = &scene.plan.phases[phase];
    if let Some(before) = shown_before(scene.plan, phase, gate) {
        return Passing::Shown(before);
    }
    if gate.need == Need::IfReported && scene.per_call(of, &gate.signal) <= 0.0 {
        return Passing::Aside;
    }
    // What never happens passes while nobody reports it.
    if gate.rule == Rule::Never {
        return Passing::Aside;
    }
    let question = Question::of_gate(phase, gate, None);
    scene.expected(schedule, &question, None).map_or(Passing::Never, Passing::After)
}

/// The phase before this one that is not left without the same gate, and whose people are like those of this one.
fn shown_before(plan: &Plan, phase: usize, gate: &Gate) -> Option<usize> {
    let lane = lane_of(&plan.phases[phase]);
    let confine = &plan.phases[phase].confine;
    plan.phases[..phase].iter().position(|before| {
        let is_same = |other: &Gate| other.signal == gate.signal && other.rule == gate.rule;
        lane_of(before) == lane && before.gates.iter().any(is_same) && before.confine.covers(confine)
    })
}

fn reason(scene: &Scene<'_>, phase: &Phase, gate: &Gate, after: Option<f64>) -> Undecidable {
    let deadline = phase.deadline.as_secs_f64();
    let per_call = scene.per_call(phase, &gate.signal);
    let calls = scene.candidate_calls(phase);
    let words = |why: String, hint: String| Undecidable {
        phase: phase.name.clone(),
        gate: format!("{} {}", gate.signal, gate.rule),
        why,
        hint,
    };
    if calls <= 0.0 {
        let hint = "more traffic, a larger share, or callers that the phase admits";
        return words("the candidate gets no calls in this phase".into(), hint.into());
    }
    if per_call <= 0.0 {
        let hint = format!("report `{}`, or let the gate wait only if it is reported", gate.signal);
        return words(format!("nobody reports `{}`", gate.signal), hint);
    }
    match after {
        Some(after) => {
            let times = after / deadline.max(1.0);
            let why = format!(
                "a candidate as good as stable needs about {} observations, {}, and {} come in before the deadline after {}",
                rounded(after * calls * per_call),
                days(after),
                rounded(deadline * calls * per_call),
                days(deadline),
            );
            words(why, help(scene, phase, times, after))
        }
        None => words(
            format!("{}; a candidate like that does not pass in any time", standing(scene, gate)),
            "a limit that is further from what stable does, or a version that is better than stable".into(),
        ),
    }
}

fn help(scene: &Scene<'_>, phase: &Phase, times: f64, after: f64) -> String {
    let more = times * ENOUGH;
    let traffic = format!("traffic of {}/s", two_digits(scene.traffic.per_second * more));
    let share = match phase.kind {
        PhaseKind::Shadow { sample } => ("copies of", sample.fraction() * more),
        PhaseKind::Canary { share } => ("a share of", share.fraction() * more),
    };
    let share = if share.1 <= 1.0 {
        format!(", {} {}", share.0, percent(two_digits(share.1)))
    } else {
        String::new()
    };
    format!("{traffic}{share}, a deadline of {}, or a wider margin", days(after * ENOUGH))
}

/// Where stable stands against the limit.
fn standing(scene: &Scene<'_>, gate: &Gate) -> String {
    let manner = scene.traffic.stable.of(&gate.signal);
    let measure = gate.signal.measure();
    match gate.rule {
        Rule::SlowUnder { limit, .. } => {
            format!(
                "stable is slower than {limit:?} in {} of its calls",
                percent(two_digits(manner.slower_than(limit)))
            )
        }
        _ if matches!(measure, Measure::Rate | Measure::Score) => {
            format!("stable's `{}` is {}", gate.signal, percent(two_digits(manner.level(measure))))
        }
        _ => format!("stable's `{}` varies much", gate.signal),
    }
}

/// A number with the two or three digits that it is worth.
pub(super) fn two_digits(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(2 - x.log10().floor() as i32);
    (x * scale).round() / scale
}

fn rounded(x: f64) -> u64 {
    two_digits(x) as u64
}

fn days(seconds: f64) -> String {
    match seconds {
        s if s < 3_600.0 => format!("{:.0} min", (s / 60.0).max(1.0)),
        s if s < 48.0 * 3_600.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::LabelName;
    use crate::segment::{Confine, Matcher};

    #[test]
    fn what_was_shown_of_some_people_is_not_expected_to_be_shown_of_others() {
        let mut plan = Plan::standard();
        let only = |tiers: &[&str]| {
            let tiers = tiers.iter().map(|tier| (*tier).to_owned()).collect();
            Confine(vec![Matcher([(LabelName::new("tier").unwrap(), tiers)].into())])
        };
        let error = plan.phases[1].gates[1].clone();
        assert_eq!(shown_before(&plan, 3, &error), Some(1), "a larger share of the same people");
        plan.phases[1].confine = only(&["internal"]);
        assert_eq!((shown_before(&plan, 2, &error), shown_before(&plan, 3, &error)), (None, Some(2)));
        plan.phases[2].confine = only(&["internal", "premium"]);
        plan.phases[3].confine = only(&["premium"]);
        assert_eq!((shown_before(&plan, 2, &error), shown_before(&plan, 3, &error)), (None, Some(2)));
    }
}
