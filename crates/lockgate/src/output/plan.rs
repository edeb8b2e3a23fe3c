//! A plan, as what a rollout by it would be judged by.

use lockgate_core::plan::{Action, Need, Phase, PhaseKind, Plan};
use lockgate_core::share::percent;

use super::words::{columns, span};

/// Phases with their gates, then triggers.
pub fn text(plan: &Plan) -> String {
    let mut lines = vec![format!(
        "{}: {} phases; wrong in at most {} of rollouts that should go through, and in {} per gate of those that should not",
        plan.name,
        plan.phases.len(),
        percent(plan.alpha),
        percent(plan.beta),
    )];
    for (i, phase) in plan.phases.iter().enumerate() {
        lines.push(String::new());
        lines.push(heading(i, phase));
        let gates = phase.gates.iter().map(|gate| {
            let waits = match gate.need {
                Need::Always => "waits until it is shown",
                Need::IfReported => "if anybody reports it",
            };
            vec![format!("   {}", gate.signal), gate.rule.to_string(), waits.to_owned()]
        });
        let gates = columns(&gates.collect::<Vec<_>>());
        lines.extend((!gates.is_empty()).then_some(gates));
    }
    lines.push(String::new());
    lines.push("at any moment".into());
    let triggers = plan.triggers.iter().map(|trigger| {
        let acts = match trigger.action {
            Action::RollBack => "shown to be broken: rolls back",
            Action::Freeze => "broken: freezes",
        };
        let over = format!("over {}", span(trigger.over.as_secs_f64()));
        vec![format!("   {}", trigger.signal), trigger.rule.to_string(), over, acts.to_owned()]
    });
    lines.push(columns(&triggers.collect::<Vec<_>>()));
    lines.push(String::new());
    lines.push(format!("the old version stays ready for {}", span(plan.warm_for.as_secs_f64())));
    lines.join("\n")
}

fn heading(i: usize, phase: &Phase) -> String {
    let what = match phase.kind {
        PhaseKind::Shadow { sample } => format!("copies of {sample} of the calls"),
        PhaseKind::Canary { share } => format!("{share} of the users"),
    };
    let until = match (phase.dwell.is_zero(), phase.gates.is_empty()) {
        (true, true) => "at once".to_owned(),
        _ => format!(
            "at least {}, pauses after {}",
            span(phase.dwell.as_secs_f64()),
            span(phase.deadline.as_secs_f64())
        ),
    };
    format!("{}. {}: {what}, of {}; {until}", i + 1, phase.name, phase.confine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_plan_is_shown_with_every_gate_and_trigger() {
        let plan = Plan::standard();
        let shown = text(&plan);
        let gates: usize = plan.phases.iter().map(|phase| phase.gates.len()).sum();
        assert_eq!(shown.lines().filter(|line| line.starts_with("   ")).count(), gates + plan.triggers.len());
        assert!(shown.contains("at least 7 d,") && shown.contains("P99 < 5s"), "{shown}");
    }
}
