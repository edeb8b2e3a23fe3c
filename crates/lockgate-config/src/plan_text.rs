//! A plan as it would be written in the file: what `parse_plan` reads back as the same plan.
//!
//! For people who want to see what they are judged by, and to begin a plan of their own from. Everything is written out,
//! defaults too.

use std::fmt::{self, Write as _};

use lockgate_core::plan::{Action, Blame, Gate, Need, Phase, PhaseKind, Plan, Rule, Trigger};
use lockgate_core::segment::{Confine, Matcher};
use lockgate_core::share::Share;

use crate::duration;
use crate::percent;

/// Writes a plan as YAML, as it would stand below `plans.NAME`.
pub fn write_plan(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_lines(&mut text, plan);
    text
}

fn write_lines(text: &mut String, plan: &Plan) -> fmt::Result {
    writeln!(text, "alpha: {}", part(plan.alpha))?;
    writeln!(text, "beta: {}", part(plan.beta))?;
    writeln!(text, "warm_for: {}", duration::write(plan.warm_for))?;
    writeln!(text, "phases:")?;
    plan.phases.iter().try_for_each(|phase| write_phase(text, phase))?;
    writeln!(text, "triggers:")?;
    plan.triggers.iter().try_for_each(|trigger| writeln!(text, "  - {{ {} }}", trigger_fields(trigger)))
}

fn write_phase(text: &mut String, phase: &Phase) -> fmt::Result {
    writeln!(text, "  - name: {}", quoted(&phase.name))?;
    match phase.kind {
        PhaseKind::Shadow { sample } => writeln!(text, "    shadow: {}", share(sample))?,
        PhaseKind::Canary { share: users } => writeln!(text, "    share: {}", share(users))?,
    }
    if phase.kind.share() == Share::FULL {
        return Ok(());
    }
    writeln!(text, "    dwell: {}", duration::write(phase.dwell))?;
    writeln!(text, "    deadline: {}", duration::write(phase.deadline))?;
    if phase.confine != Confine::everyone() {
        let matchers: Vec<String> = phase.confine.0.iter().map(matcher).collect();
        writeln!(text, "    only: [ {} ]", matchers.join(", "))?;
    }
    writeln!(text, "    gates:")?;
    phase.gates.iter().try_for_each(|gate| writeln!(text, "      - {{ {} }}", gate_fields(gate)))
}

fn matcher(matcher: &Matcher) -> String {
    let labels: Vec<String> = matcher
        .0
        .iter()
        .map(|(label, values)| {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("{}: [ {} ]", quoted(label.as_str()), values.join(", "))
        })
        .collect();
    format!("{{ {} }}", labels.join(", "))
}

fn gate_fields(gate: &Gate) -> String {
    let rule = match gate.rule {
        Rule::RateUnder { limit, blame } => format!("below: {}, {}", part(limit), blame_field(blame)),
        Rule::SlowUnder { limit, part, blame } => {
            format!("{}_below: {}, {}", percentile(part), duration::write(limit), blame_field(blame))
        }
        Rule::RatioUnder { fail, pass } => format!("ratio_below: {pass}, ratio_fail: {fail}"),
        Rule::MeanOver { limit } => format!("above: {}", part(limit)),
        Rule::DropUnder { fail, pass } => format!("within: {}, fail_beyond: {}", part(pass), part(fail)),
        Rule::AmountUnder { times } => format!("times_stable: {times}"),
    };
    let need = match gate.need {
        Need::Always => "always",
        Need::IfReported => "if_reported",
    };
    format!("signal: {}, {rule}, need: {need}, weight: {}", signal(&gate.signal), gate.weight)
}

fn trigger_fields(trigger: &Trigger) -> String {
    let rule = match trigger.rule {
        Rule::RateUnder { limit, blame } => format!("above: {}, {}", part(limit), blame_field(blame)),
        Rule::SlowUnder { limit, part, blame } => {
            format!("{}_above: {}, {}", percentile(part), duration::write(limit), blame_field(blame))
        }
        Rule::RatioUnder { fail, .. } => format!("ratio_above: {fail}"),
        Rule::MeanOver { limit } => format!("below: {}", part(limit)),
        Rule::DropUnder { fail, .. } => format!("drops: {}", part(fail)),
        Rule::AmountUnder { times } => format!("times_stable: {times}"),
    };
    let action = match trigger.action {
        Action::RollBack => "roll_back",
        Action::Freeze => "freeze",
    };
    let over = duration::write(trigger.over);
    format!(
        "signal: {}, {rule}, over: {over}, do: {action}, weight: {}",
        signal(&trigger.signal),
        trigger.weight
    )
}

fn blame_field(blame: Blame) -> String {
    match blame {
        Blame::Always => "blame: always".into(),
        Blame::OverStable { ratio } => format!("blame: {ratio}"),
    }
}

/// `p99` for the part that may be slower, 0.01.
fn percentile(part: f64) -> String {
    let percent = ((1.0 - part) * 1e4).round() / 100.0;
    format!("p{percent}").replace('.', "")
}

/// With as few digits as say the same points: a share is a count of points, and 10 % is not quite a tenth of them.
fn share(share: Share) -> String {
    let percent = share.fraction() * 100.0;
    let fewest =
        (0..=8).map(|digits| format!("{percent:.digits$}%")).find(|text| Share::parse(text) == Some(share));
    fewest.unwrap_or_else(|| share.fraction().to_string())
}

/// As a percentage if that reads back as the same number, else as a fraction.
fn part(fraction: f64) -> String {
    let text = format!("{}%", (fraction * 1e12).round() / 1e10);
    if percent::parse(&text) == Some(fraction) { text } else { fraction.to_string() }
}

/// A colon in `rate:NAME` means nothing to YAML, but much to its readers.
fn signal(signal: &lockgate_core::signal::Signal) -> String {
    let name = signal.to_string();
    if name.contains(':') { quoted(&name) } else { name }
}

/// JSON's quotes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use lockgate_core::name::PlanName;

    use super::*;

    const EVERYTHING: &str = "
alpha: 0.0123
phases:
  - { name: 'a: \"b\" # c', shadow: 33.3%, dwell: 90m, gates: [ { signal: agreement, above: 90% }, { signal: error, below: 1.23456% } ] }
  - { share: 0.1%, dwell: 1d, only: [ { tier: [ a, b ], geo: eu }, { tier: '1.0' } ], gates: [ { signal: 'rate:ok', within: 5%, fail_beyond: 2% } ] }
  - share: 7%
    dwell: 1d
    gates:
      - { signal: latency, p999_below: 5s, blame: 1.5 }
      - { signal: latency, p50_below: 1500ms, blame: always }
      - { signal: escalated, ratio_below: 1.5, weight: 0.25 }
      - { signal: 'score:nps', above: 50%, need: if_reported }
triggers:
  - { signal: error, above: 2% }
  - { signal: escalated, ratio_above: 2 }
  - { signal: task_success, below: 50% }
  - { signal: csat, drops: 10%, do: freeze }
  - { signal: cost, times_stable: 3.5, over: 1h30m }
  - { signal: first_token, p95_above: 10s }
";

    #[test]
    fn a_written_plan_reads_back_the_same() {
        let name = PlanName::new("everything").unwrap();
        let everything =
            crate::parse_plan(EVERYTHING, name.clone()).unwrap_or_else(|problems| panic!("{problems}"));
        let standard = Plan { name: name.clone(), ..Plan::standard() };
        for plan in [everything, standard] {
            let text = write_plan(&plan);
            let read = crate::parse_plan(&text, name.clone())
                .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
            assert_eq!(read, plan, "\n{text}");
        }
    }
}
