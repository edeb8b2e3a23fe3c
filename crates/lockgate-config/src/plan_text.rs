//! A plan as it would be written in the file: what `parse_plan` reads back as the same plan.
//!
//! For people who want to see what they are judged by, and to begin a plan of their own from. Everything is written out,
//! defaults too.

use std::fmt::{self, Write as _};

use lockgate_core::plan::{
    Action, Blame, Gate, Mode, Need, OnDeadline, Phase, PhaseKind, Plan, Rule, SliceAction, Trigger,
};
use lockgate_core::segment::{Confine, Matcher};
use lockgate_core::share::Share;

use crate::check::{is_everybody, is_hard};
use crate::{duration, percent};

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
    let slice_action = match plan.slices.action {
        SliceAction::RollBack => "roll_back",
        SliceAction::Withdraw => "withdraw",
        SliceAction::Freeze => "freeze",
    };
    writeln!(text, "slices: {{ do: {slice_action}, part: {} }}", part(plan.slices.part))?;
    let on_deadline = match plan.on_deadline {
        OnDeadline::Pause => "pause",
        OnDeadline::RollBack => "roll_back",
    };
    writeln!(text, "on_deadline: {on_deadline}")?;
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
    if is_everybody(phase) {
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
        Rule::SpendUnder { times } => format!("times_stable: {times}"),
        Rule::RiseUnder { fail, pass } => format!("within: {}, fail_beyond: {}", part(pass), part(fail)),
        Rule::Never => "never: true".into(),
        Rule::ShiftUnder { ratio } => format!("shift_below: {ratio}"),
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
        Rule::SpendUnder { times } => format!("times_stable: {times}"),
        Rule::RiseUnder { fail, .. } => format!("rises: {}", part(fail)),
        Rule::Never => "never: true".into(),
        Rule::ShiftUnder { ratio } => format!("shift_above: {ratio}"),
    };
    let action = match trigger.action {
        Action::RollBack => "roll_back",
        Action::Freeze => "freeze",
        Action::Alert => "alert",
    };
    let mode = match trigger.mode {
        _ if is_hard(&trigger.rule) => "",
        Mode::Evidence => " mode: evidence,",
        Mode::Literal => " mode: literal,",
    };
    let over = duration::write(trigger.over);
    format!(
        "signal: {}, {rule}, over: {over},{mode} do: {action}, weight: {}",
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
mod tests;
