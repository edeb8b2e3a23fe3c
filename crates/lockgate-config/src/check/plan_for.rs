//! Whether a plan can judge a feature. The two are written apart and meet when a rollout starts.

use lockgate_core::plan::Plan;
use lockgate_core::signal::Signal;

use crate::nearest;
use crate::problem::Problem;
use crate::value::Feature;

/// Everything that keeps a plan from judging a feature: labels it does not have, values they do not take, signals it does
/// not declare. Empty when it can.
pub fn check_plan_for(feature: &Feature, plan: &Plan) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, phase) in plan.phases.iter().enumerate() {
        let path = format!("plans.{}.phases[{i}]", plan.name);
        for (j, matcher) in phase.confine.0.iter().enumerate() {
            for (label, values) in &matcher.0 {
                let path = format!("{path}.only[{j}].{label}");
                problems.extend(label_problems(feature, label.as_str(), values.iter(), &path));
            }
        }
        let gates = phase.gates.iter().enumerate();
        problems.extend(gates.filter_map(|(j, gate)| {
            signal_problem(feature, &gate.signal, format!("{path}.gates[{j}].signal"))
        }));
    }
    let triggers = plan.triggers.iter().enumerate();
    problems.extend(triggers.filter_map(|(i, trigger)| {
        signal_problem(feature, &trigger.signal, format!("plans.{}.triggers[{i}].signal", plan.name))
    }));
    problems
}

fn label_problems<'v>(
    feature: &Feature,
    label: &str,
    values: impl Iterator<Item = &'v String>,
    path: &str,
) -> Vec<Problem> {
    let problem =
        |message: String, hint: Option<String>| Problem { path: path.to_owned(), line: None, message, hint };
    let Some(declared) = feature.labels.get(label) else {
        let hint = nearest::hint(label, feature.labels.keys().map(|known| known.as_str()));
        let hint = hint.or_else(|| Some(format!("add `segments: [{label}]` to the feature")));
        return vec![problem(format!("feature `{}` has no label `{label}`", feature.name), hint)];
    };
    let unknown = values.filter(|value| !declared.values.is_empty() && !declared.values.contains(value));
    unknown
        .map(|value| {
            let hint = nearest::hint(value, declared.values.iter().map(String::as_str));
            problem(format!("`{value}` is not a value of `{label}` in feature `{}`", feature.name), hint)
        })
        .collect()
}

fn signal_problem(feature: &Feature, signal: &Signal, path: String) -> Option<Problem> {
    let (Signal::DeclaredRate(name) | Signal::DeclaredScore(name)) = signal else { return None };
    let is_declared = feature.feedback.get(name).is_some_and(|feedback| feedback.signal == *signal);
    (!is_declared).then(|| Problem {
        path,
        line: None,
        message: format!("feature `{}` does not declare the signal `{signal}`", feature.name),
        hint: Some(format!(
            "add it to the feature's `feedback`, as `{name}: rate` or `{name}: {{ score: [0, 10] }}`"
        )),
    })
}
