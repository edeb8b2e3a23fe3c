//! Whether a plan can judge a feature. The two are written apart and meet when a rollout starts.
//!
//! A gate that waits for what nothing will ever count would wait until its deadline, days later: it is a mistake now. One
//! that stands aside, and a trigger, do no harm by it, but say less than their author thought: they are told of.

use lockgate_core::plan::{Gate, Need, Phase, Plan, SliceAction};
use lockgate_core::signal::Signal;

use crate::check::plan::is_everybody;
use crate::nearest;
use crate::problem::Problem;
use crate::value::{Feature, Surface, TargetKind, Version};

/// How a plan and a feature go together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fit {
    /// What keeps the plan from judging the feature.
    pub problems: Vec<Problem>,
    /// What works, but deserves a second look.
    pub warnings: Vec<Problem>,
}

/// Everything that keeps a plan from judging a feature: labels it does not have, values they do not take, signals it does
/// not declare, gates that nothing can feed. Empty when it can.
pub fn check_plan_for(feature: &Feature, plan: &Plan) -> Vec<Problem> {
    fit_plan(feature, plan).problems
}

/// How a plan and a feature go together, whichever of its versions are compared: what any of them feeds is taken to be fed.
pub fn fit_plan(feature: &Feature, plan: &Plan) -> Fit {
    let all: Vec<&Version> = feature.versions.values().map(|version| &**version).collect();
    let priced: Vec<&Version> = all.iter().copied().filter(|version| is_priced(version)).collect();
    fit_rollout(feature, if priced.is_empty() { &all } else { &priced }, plan)
}

/// How a plan and a feature go together when these versions of it are compared: stable and candidate.
pub fn fit_rollout(feature: &Feature, versions: &[&Version], plan: &Plan) -> Fit {
    let mut meeting = Meeting { feature, versions, fit: Fit::default() };
    for (i, phase) in plan.phases.iter().enumerate() {
        meeting.phase(phase, &format!("plans.{}.phases[{i}]", plan.name));
    }
    for (i, trigger) in plan.triggers.iter().enumerate() {
        let path = format!("plans.{}.triggers[{i}].signal", plan.name);
        meeting.undeclared(&trigger.signal, &path);
        if let Some(lack) = meeting.lack(&trigger.signal) {
            meeting.warn(&path, format!("{}, so that this trigger never fires", lack.message), &lack.hint);
        }
    }
    if feature.labels.is_empty() && plan.slices.action == SliceAction::Withdraw && plan.slices.part > 0.0 {
        let message = format!("feature `{}` has no label by which its traffic could be sliced", feature.name);
        let hint = "add `segments: [tier]` to the feature";
        meeting.warn(&format!("plans.{}.slices", plan.name), message, hint);
    }
    meeting.fit
}

/// A plan's parts held against a feature, and what came of it so far.
struct Meeting<'f> {
    feature: &'f Feature,
    versions: &'f [&'f Version],
    fit: Fit,
}

/// Why a signal will not be counted.
struct Lack {
    message: String,
    hint: String,
}

impl Meeting<'_> {
    fn phase(&mut self, phase: &Phase, path: &str) {
        for (j, matcher) in phase.confine.0.iter().enumerate() {
            for (label, values) in &matcher.0 {
                let path = format!("{path}.only[{j}].{label}");
                self.labels(label.as_str(), values.iter(), &path);
            }
        }
        let mut judges = is_everybody(phase);
        for (j, gate) in phase.gates.iter().enumerate() {
            judges |= self.gate(gate, &format!("{path}.gates[{j}].signal"));
        }
        if !judges {
            let message =
                format!("nothing that its gates look at is counted in feature `{}`", self.feature.name);
            self.refuse(&format!("{path}.gates"), message, "add a gate on what is: error, latency");
        }
    }

    /// Whether a gate will have something to judge.
    fn gate(&mut self, gate: &Gate, path: &str) -> bool {
        self.undeclared(&gate.signal, path);
        if let Some(lack) = self.lack(&gate.signal) {
            match gate.need {
                Need::Always => self.refuse(path, lack.message, &lack.hint),
                Need::IfReported => {
                    self.warn(path, format!("{}, so that this gate stands aside", lack.message), &lack.hint);
                }
            }
            // A gate that waits has been refused by itself.
            return gate.need == Need::Always;
        }
        self.note_weak(&gate.signal, path);
        true
    }

    fn labels<'v>(&mut self, label: &str, values: impl Iterator<Item = &'v String>, path: &str) {
        let feature = self.feature;
        let Some(declared) = feature.labels.get(label) else {
            let hint = match nearest::nearest(label, feature.labels.keys().map(|known| known.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `segments: [{label}]` to the feature"),
            };
            return self.refuse(path, format!("feature `{}` has no label `{label}`", feature.name), &hint);
        };
        let unknown = values.filter(|value| !declared.values.is_empty() && !declared.values.contains(value));
        for value in unknown {
            let hint = nearest::hint(value, declared.values.iter().map(String::as_str)).unwrap_or_default();
            let message = format!("`{value}` is not a value of `{label}` in feature `{}`", feature.name);
            self.refuse(path, message, &hint);
        }
    }

    fn undeclared(&mut self, signal: &Signal, path: &str) {
        let (Signal::DeclaredRate(name) | Signal::DeclaredScore(name)) = signal else { return };
        if self.feature.feedback.get(name).is_some_and(|feedback| feedback.signal == *signal) {
            return;
        }
        let message = format!("feature `{}` does not declare the signal `{signal}`", self.feature.name);
        let hint = format!(
            "add it to the feature's `feedback`, as `{name}: rate` or `{name}: {{ score: [0, 10] }}`"
        );
        self.refuse(path, message, &hint);
    }

    /// Why a signal will never be counted, if it will not. What users and checkers report may come at any time.
    fn lack(&self, signal: &Signal) -> Option<Lack> {
        let feature = &self.feature.name;
        if self.feature.surface == Surface::Agent && (is_of_usage(signal) || *signal == Signal::Refusal) {
            let what = if is_of_usage(signal) { "how many tokens they took" } else { "whether they decline" };
            return Some(Lack {
                message: format!(
                    "`{signal}` is not counted in feature `{feature}`: the answers of plain agents do not say {what}"
                ),
                hint: "let the agent report what matters, as a signal under the feature's `feedback`".into(),
            });
        }
        let unpriced =
            self.versions.iter().find(|version| !is_priced(version)).filter(|_| is_money(signal))?;
        let model = unpriced.chain.iter().find_map(|tier| tier.model.as_deref()).unwrap_or("MODEL");
        Some(Lack {
            message: format!(
                "`{signal}` is not counted in feature `{feature}`: no tier of version `{}` has a price",
                unpriced.id.name
            ),
            hint: price_hint(model),
        })
    }

    /// What is counted, but says less than it seems to.
    fn note_weak(&mut self, signal: &Signal, path: &str) {
        for version in self.versions {
            let name = &version.id.name;
            if *signal == Signal::Fallback && version.chain.len() == 1 {
                let message =
                    format!("version `{name}` has one tier and nothing to fall back to: this always passes");
                self.warn(path, message, "judge `error` or `degraded` instead");
            }
            let Some(first) = version.chain.first() else { continue };
            if is_money(signal)
                && first.price.is_none()
                && let Some(model) = &first.model
            {
                let message = format!(
                    "the first tier of version `{name}` has no price: what it answers is not counted"
                );
                self.warn(path, message, &price_hint(model));
            }
            if is_of_usage(signal)
                && let TargetKind::OpenAi(endpoint) = &first.target.kind
                && !endpoint.asks_usage
            {
                let message = format!(
                    "target `{}` is not asked for the usage of streams: calls that stream are not counted",
                    first.target.name
                );
                self.warn(
                    path,
                    message,
                    "write asks_usage: true at the target, if it knows `stream_options`",
                );
            }
        }
    }

    fn refuse(&mut self, path: &str, message: String, hint: &str) {
        self.fit.problems.push(problem(path, message, hint));
    }

    /// Once for each reason: the same gate stands in several phases.
    fn warn(&mut self, path: &str, message: String, hint: &str) {
        if self.fit.warnings.iter().any(|warning| warning.message == message) {
            return;
        }
        self.fit.warnings.push(problem(path, message, hint));
    }
}

fn problem(path: &str, message: String, hint: &str) -> Problem {
    let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
    Problem { path: path.to_owned(), line: None, message, hint }
}

/// What is counted only where tokens have a price.
fn is_money(signal: &Signal) -> bool {
    matches!(signal, Signal::Cost | Signal::SessionCost)
}

/// What is read from the usage that a model server tells.
fn is_of_usage(signal: &Signal) -> bool {
    is_money(signal)
        || matches!(
            signal,
            Signal::Tokens
                | Signal::TokensIn
                | Signal::TokensOut
                | Signal::InputLength
                | Signal::OutputLength
                | Signal::CacheHit
        )
}

fn is_priced(version: &Version) -> bool {
    version.chain.iter().any(|tier| tier.price.is_some())
}

fn price_hint(model: &str) -> String {
    format!("add prices: {{ {model}: {{ input_per_million: 2.5, output_per_million: 10 }} }}")
}
