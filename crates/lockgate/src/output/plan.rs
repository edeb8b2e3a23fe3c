//! A plan, as what a rollout by it would be judged by.

use lockgate_config::{Fit, duration};
use lockgate_core::event::Role;
use lockgate_core::evidence::{Check, Lane};
use lockgate_core::name::FeatureName;
use lockgate_core::plan::{
    Action, Blame, Gate, Mode, Need, OnDeadline, Phase, PhaseKind, Plan, Rule, SliceAction, Trigger,
};
use lockgate_core::share::percent;

use super::words::{columns, span};

/// How the plan's alpha is shared out.
#[derive(Debug)]
pub struct Budget {
    /// Every check that a rollout begins with; its verdict says its part.
    pub checks: Vec<Check>,
    /// All single slices together.
    pub slices: f64,
    /// What is left for gateways that go back alone, by what they have counted themselves.
    pub gateways: f64,
}

/// Phases with their gates, then what is watched at any moment, each with its part of the error budget.
pub fn text(plan: &Plan, budget: &Budget) -> String {
    let mut lines = vec![
        format!("{}: {} phases", plan.name, plan.phases.len()),
        format!(
            "a harmless candidate is taken back in at most {} of rollouts (alpha: the sum of all parts below), and a gate \
             passes one that is at or past its limit in at most {} (beta)",
            percent(plan.alpha),
            percent(plan.beta),
        ),
    ];
    for (i, phase) in plan.phases.iter().enumerate() {
        lines.push(String::new());
        lines.push(heading(i, phase, plan.on_deadline));
        let gates: Vec<_> = phase.gates.iter().map(|gate| gate_row(gate, phase, &budget.checks)).collect();
        lines.extend((!gates.is_empty()).then(|| columns(&gates)));
    }
    lines.push(String::new());
    lines.push("at any moment".into());
    let triggers = plan.triggers.iter().enumerate();
    let triggers: Vec<_> =
        triggers.map(|(i, trigger)| trigger_row(trigger, &of_trigger(i, &budget.checks))).collect();
    lines.push(columns(&triggers));
    lines.push(String::new());
    lines.push(slices(plan, budget));
    if budget.gateways > 0.0 {
        lines.push(format!(
            "a gateway may go back alone, by what it has counted itself: alpha {} for all gateways together",
            percent(budget.gateways)
        ));
    }
    lines.push(format!("the old version stays ready for {}", span(plan.warm_for.as_secs_f64())));
    lines.join("\n")
}

/// How a plan goes together with the features of a configuration.
pub fn fits(fits: &Result<Vec<(FeatureName, Fit)>, String>) -> String {
    let fits = match fits {
        Ok(fits) => fits,
        Err(why) => return format!("\nthe features beside it cannot be read:\n{why}"),
    };
    let mut lines = vec!["\nwith the features beside it".to_owned()];
    for (feature, fit) in fits {
        let says = match (fit.problems.is_empty(), fit.warnings.is_empty()) {
            (true, true) => "can be judged by it",
            (true, false) => "can be judged by it, but",
            (false, _) => "cannot be judged by it",
        };
        lines.push(format!("   {feature}: {says}"));
        for problem in fit.problems.iter().chain(&fit.warnings) {
            lines.push(format!("      {}: {}", problem.path, problem.message));
            lines.extend(problem.hint.iter().map(|hint| format!("        hint: {hint}")));
        }
    }
    lines.join("\n")
}

fn heading(i: usize, phase: &Phase, on_deadline: OnDeadline) -> String {
    let what = match phase.kind {
        PhaseKind::Shadow { sample } => format!("copies of {sample} of the calls"),
        PhaseKind::Canary { share } => format!("{share} of the users"),
    };
    let then = match on_deadline {
        OnDeadline::Pause => "pauses and calls for a person",
        OnDeadline::RollBack => "goes back",
    };
    let until = match (phase.dwell.is_zero(), phase.gates.is_empty()) {
        (true, true) => "the end".to_owned(),
        _ => format!(
            "at least {}, after {} it {then}",
            span(phase.dwell.as_secs_f64()),
            span(phase.deadline.as_secs_f64())
        ),
    };
    format!("{}. {}: {what}, of {}; {until}", i + 1, phase.name, phase.confine)
}

fn gate_row(gate: &Gate, phase: &Phase, budget: &[Check]) -> Vec<String> {
    let lane = match phase.kind {
        PhaseKind::Shadow { .. } => Lane::Shadow,
        PhaseKind::Canary { .. } => Lane::Candidate,
    };
    let part = budget.iter().find(|check| {
        check.verdict.role == Role::Gate
            && check.lane == lane
            && check.verdict.signal == gate.signal
            && check.rule == gate.rule
    });
    let waits = match gate.need {
        Need::Always if gate.rule == Rule::Never => "passes while nothing happened",
        Need::Always => "waits until it is shown",
        Need::IfReported => "if anybody reports it",
    };
    let (kept, broken) = gate_words(&gate.rule);
    let part = match part.map(|check| check.verdict.alpha) {
        Some(alpha) if alpha > 0.0 => format!("weight {}: alpha {}", gate.weight, percent(alpha)),
        _ if gate.rule == Rule::Never => "outside alpha".into(),
        _ => "weight 0: never fails".into(),
    };
    vec![format!("   {}", gate.signal), kept, broken, waits.to_owned(), part]
}

/// A trigger's checks, one in each lane: in every lane triggers stand in the plan's order.
fn of_trigger(i: usize, budget: &[Check]) -> Vec<&Check> {
    let in_lane = |lane| {
        budget.iter().filter(move |check| check.verdict.role == Role::Trigger && check.lane == lane).nth(i)
    };
    [Lane::Shadow, Lane::Candidate, Lane::Warm].into_iter().filter_map(in_lane).collect()
}

fn trigger_row(trigger: &Trigger, checks: &[&Check]) -> Vec<String> {
    let spending = checks.iter().filter(|check| check.verdict.alpha > 0.0);
    let lanes: Vec<String> =
        spending.map(|check| format!("{} {}", lane_word(check.lane), percent(check.verdict.alpha))).collect();
    let acts = match trigger.action {
        Action::RollBack => "rolls back",
        Action::Freeze => "freezes",
        Action::Alert => "alerts only",
    };
    let reads = match (trigger.rule, trigger.mode) {
        (Rule::SpendUnder { .. } | Rule::Never, _) => "without statistics",
        (_, Mode::Evidence) => "when it is shown",
        (_, Mode::Literal) => "as soon as the window says so",
    };
    let part = match (lanes.is_empty(), trigger.action) {
        (true, _) => "outside alpha".to_owned(),
        (false, Action::Alert) => format!("outside alpha: {}", lanes.join(", ")),
        (false, _) => format!("weight {}: alpha for {}", trigger.weight, lanes.join(", ")),
    };
    vec![
        format!("   {}", trigger.signal),
        trigger_words(&trigger.rule),
        match trigger.rule {
            Rule::Never => "at any time".into(),
            _ => format!("over {}", span(trigger.over.as_secs_f64())),
        },
        acts.to_owned(),
        reads.to_owned(),
        part,
    ]
}

fn slices(plan: &Plan, budget: &Budget) -> String {
    if plan.slices.part <= 0.0 {
        return "slices of the traffic are not judged by themselves".into();
    }
    let follows = match plan.slices.action {
        SliceAction::RollBack => "takes all traffic back",
        SliceAction::Withdraw => "goes back alone, and the rollout goes on without it",
        SliceAction::Freeze => "freezes the rollout",
    };
    format!(
        "single slices of the traffic (one label's value) are judged by the same: alpha {} for all of them together; one \
         that is broken {follows}",
        percent(budget.slices)
    )
}

/// What must be shown for a gate to pass, and for it to fail.
fn gate_words(rule: &Rule) -> (String, String) {
    match rule {
        Rule::RateUnder { limit, blame } => (format!("below {}", percent(*limit)), over_limit(blame)),
        Rule::SlowUnder { limit, part, blame } => {
            (format!("{} below {}", percentile(*part), duration::write(*limit)), over_limit(blame))
        }
        Rule::RatioUnder { fail, pass } => {
            (format!("below {pass} x stable"), format!("broken over {fail} x stable"))
        }
        Rule::MeanOver { limit } => (format!("above {}", percent(*limit)), "broken under it".into()),
        Rule::DropUnder { fail, pass } => (
            format!("within {} of stable", percent(*pass)),
            format!("broken {} under stable", percent(*fail)),
        ),
        Rule::RiseUnder { fail, pass } => (
            format!("within {} over stable", percent(*pass)),
            format!("broken {} over stable", percent(*fail)),
        ),
        Rule::SpendUnder { times } => {
            (format!("below {times} x stable per session"), "broken over it".into())
        }
        Rule::Never => ("never".into(), "broken the first time".into()),
        Rule::ShiftUnder { ratio } => (format!("spread within {ratio} x stable"), "broken beyond it".into()),
    }
}

fn over_limit(blame: &Blame) -> String {
    match blame {
        Blame::Always => "broken over it".into(),
        Blame::OverStable { ratio } => format!("broken over it and over {ratio} x stable"),
    }
}

/// What must be shown for a trigger to fire.
fn trigger_words(rule: &Rule) -> String {
    let and_blame = |blame: &Blame| match blame {
        Blame::Always => String::new(),
        Blame::OverStable { ratio } => format!(" and over {ratio} x stable"),
    };
    match rule {
        Rule::RateUnder { limit, blame } => format!("above {}{}", percent(*limit), and_blame(blame)),
        Rule::SlowUnder { limit, part, blame } => {
            format!("{} above {}{}", percentile(*part), duration::write(*limit), and_blame(blame))
        }
        Rule::RatioUnder { fail, .. } => format!("above {fail} x stable"),
        Rule::MeanOver { limit } => format!("below {}", percent(*limit)),
        Rule::DropUnder { fail, .. } => format!("more than {} under stable", percent(*fail)),
        Rule::RiseUnder { fail, .. } => format!("more than {} over stable", percent(*fail)),
        Rule::SpendUnder { times } => format!("above {times} x stable per session"),
        Rule::Never => "happens at all".into(),
        Rule::ShiftUnder { ratio } => format!("spread beyond {ratio} x stable"),
    }
}

fn percentile(part: f64) -> String {
    format!("P{}", ((1.0 - part) * 1e4).round() / 100.0)
}

fn lane_word(lane: Lane) -> &'static str {
    match lane {
        Lane::Shadow => "copies",
        Lane::Candidate => "users",
        Lane::Warm => "afterwards",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As of a plan whose ledger has not been asked.
    const UNKNOWN: Budget = Budget { checks: Vec::new(), slices: 0.0, gateways: 0.0 };

    /// The rows that begin as a gate or a trigger does.
    fn rows(shown: &str) -> usize {
        shown.lines().filter(|line| line.starts_with("   ")).count()
    }

    #[test]
    fn the_standard_plan_is_shown_with_every_gate_and_trigger() {
        let plan = Plan::standard();
        let shown = text(&plan, &UNKNOWN);
        let gates: usize = plan.phases.iter().map(|phase| phase.gates.len()).sum();
        assert_eq!(rows(&shown), gates + plan.triggers.len());
        assert!(shown.contains("at least 7 d,") && shown.contains("P99 below 5s"), "{shown}");
    }

    #[test]
    fn a_plan_says_what_follows_at_its_deadline_and_from_a_broken_slice() {
        let mut plan = Plan::standard();
        plan.on_deadline = OnDeadline::RollBack;
        plan.slices.action = SliceAction::Withdraw;
        let shown = text(&plan, &UNKNOWN);
        assert!(shown.contains("after 14 d it goes back"), "{shown}");
        assert!(shown.contains("goes back alone"), "{shown}");
        plan.slices.part = 0.0;
        assert!(text(&plan, &UNKNOWN).contains("not judged by themselves"));
    }
}
