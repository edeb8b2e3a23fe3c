//! What a plan costs and finds, as tables: phases with their gates, then windows at their word, slices, what was assumed, and
//! first of all what cannot be decided in time.

use lockgate_core::estimate::{
    Estimate, Expected, GateEstimate, PhaseEstimate, Regression, Smallest, Taken, Yardstick,
};
use lockgate_core::plan::{Mode, Need};
use lockgate_core::share::percent;
use lockgate_core::signal::{Measure, Signal};

use super::words::{columns, count, part, span};

/// The whole estimate.
pub fn text(estimate: &Estimate) -> String {
    let mut blocks = vec![headline(estimate)];
    blocks.extend(undecidable(estimate));
    blocks.extend(estimate.phases.iter().map(phase));
    blocks.extend(windows(estimate));
    blocks.extend(slices(estimate));
    blocks.push(taken(estimate));
    blocks.join("\n\n")
}

fn headline(estimate: &Estimate) -> String {
    let whole = &estimate.whole;
    let takes = match (whole.seconds, whole.phases_seconds) {
        (Some(seconds), _) => format!("takes {}", span(seconds)),
        (None, Some(seconds)) => format!("takes {}, with a person's help at deadlines", span(seconds)),
        (None, None) => "never goes through".into(),
    };
    let mut lines = vec![format!(
        "{} at {}/s: a candidate as good as stable {takes}",
        estimate.plan,
        short(estimate.calls_per_second)
    )];
    lines.push(format!(
        "of {} rollouts like that on paper {} go through, {} stop for a person, {} are taken back",
        estimate.effort.rollouts,
        part(whole.completed),
        part(whole.stopped),
        part(whole.rolled_back),
    ));
    lines.push(format!(
        "means of {} draws each; standard error up to {}",
        estimate.effort.runs,
        part(estimate.standard_error)
    ));
    lines.join("\n")
}

fn undecidable(estimate: &Estimate) -> Option<String> {
    let lines = estimate.undecidable.iter().map(|gate| {
        format!("   {}, {}: {}\n      what would help: {}", gate.phase, gate.gate, gate.why, gate.hint)
    });
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| format!("cannot decide before their deadlines\n{}", lines.join("\n")))
}

fn phase(phase: &PhaseEstimate) -> String {
    let what = if phase.copies { "copies" } else { "calls" };
    let takes = match (&phase.waits_for, phase.seconds) {
        (_, None) => "never left".into(),
        (Some(gate), Some(seconds)) => format!("takes {}, waiting for {gate}", span(seconds)),
        (None, Some(seconds)) => format!("takes {}", span(seconds)),
    };
    let deadline = span(phase.deadline_seconds);
    let heading =
        format!("{}. {}: {}/s {what}; {takes}", phase.phase + 1, phase.name, short(phase.calls_per_second));
    if phase.gates.is_empty() {
        return heading;
    }
    let title = ["   gate", "passes after", "fails after, and reaches", "", "sees in dwell", "by deadline"];
    let mut rows = vec![title.map(str::to_owned).to_vec()];
    rows.extend(phase.gates.iter().map(|each| gate(phase, each)));
    format!("{heading} (pauses after {deadline})\n{}", columns(&rows))
}

fn gate(phase: &PhaseEstimate, gate: &GateEstimate) -> Vec<String> {
    let passes = match (&gate.shown_in, gate.pass) {
        (Some(before), _) => format!("shown in {before}"),
        (None, Some(pass)) => format!("{}{}", seen(pass), late(pass, phase.deadline_seconds)),
        (None, None) if gate.need == Need::IfReported && gate.observations_per_second <= 0.0 => {
            "not reported".into()
        }
        (None, None) => "never".into(),
    };
    let fails =
        |i: usize| gate.fail.get(i).map_or_else(|| "-".into(), |regression| fail(gate, phase, regression));
    let smallest = |smallest: Option<Smallest>| {
        smallest.map_or_else(
            || "-".into(),
            |smallest| level(&gate.signal, smallest.level, smallest.of, smallest.times),
        )
    };
    vec![
        format!("   {}", gate.name),
        passes,
        fails(0),
        fails(1),
        smallest(gate.seen_in_dwell),
        smallest(gate.seen_in_deadline.or(gate.seen_in_dwell)),
    ]
}

fn fail(gate: &GateEstimate, phase: &PhaseEstimate, regression: &Regression) -> String {
    let at = level(&gate.signal, regression.level, regression.of, regression.times);
    match (regression.until, regression.calls_reached) {
        (None, _) => format!("at {at}: never"),
        (Some(until), _) if phase.copies => format!("at {at}: {}, nobody", span(until.seconds)),
        (Some(until), Some(calls)) => {
            format!("at {at}: {}, {} calls", span(until.seconds), rounded(calls))
        }
        (Some(until), None) => format!("at {at}: {}", span(until.seconds)),
    }
}

fn seen(expected: Expected) -> String {
    if expected.observations < 0.5 {
        return "at once".into();
    }
    format!("{} seen, {}", rounded(expected.observations), span(expected.seconds))
}

/// Said when it is later than the deadline, or may well be.
fn late(expected: Expected, deadline: f64) -> String {
    match expected.in_time {
        _ if expected.seconds > deadline => " (too late)".into(),
        in_time if in_time < 0.9 => format!(" (in time in {})", part(in_time)),
        _ => String::new(),
    }
}

/// A rate or mean, or how many times what it is.
fn level(signal: &Signal, level: f64, of: Yardstick, times: f64) -> String {
    match (signal.measure(), of) {
        (Measure::Rate | Measure::Score | Measure::Durations, _) => digits(level),
        (_, Yardstick::Stable) => format!("{times} x stable"),
        _ => format!("{times} x the limit"),
    }
}

fn windows(estimate: &Estimate) -> Option<String> {
    if estimate.triggers.is_empty() {
        return None;
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for trigger in &estimate.triggers {
        let mut row = vec![
            format!("   {}", trigger.name),
            format!("over {}", span(trigger.over_seconds)),
            match trigger.mode {
                Mode::Evidence => "pages".into(),
                Mode::Literal => "acts".into(),
            },
        ];
        let each = trigger.false_alarms.iter().map(|alarm| {
            let chance = match alarm.probability {
                never if never < 5e-4 => "0 %".into(),
                always if always > 0.9995 => "100 %".into(),
                probability => part(probability),
            };
            format!("{}: {chance}", alarm.name)
        });
        row.push(each.collect::<Vec<_>>().join(", "));
        rows.push(row);
    }
    Some(format!(
        "windows at their word cross their limits by chance, with a candidate as good as stable, in\n{}",
        columns(&rows)
    ))
}

fn slices(estimate: &Estimate) -> Option<String> {
    if estimate.slices.is_empty() {
        return None;
    }
    let title = ["   slice", "phase", "errors in it alone", "its own check", "the whole's", "sooner by"];
    let mut rows = vec![title.map(str::to_owned).to_vec()];
    for slice in &estimate.slices {
        let until = |expected: Option<Expected>| {
            expected.map_or_else(
                || "never".into(),
                |expected| format!("{} calls, {}", rounded(expected.calls), span(expected.seconds)),
            )
        };
        rows.push(vec![
            format!("   {} ({})", slice.slice, digits(slice.part)),
            slice.phase_name.clone(),
            digits(slice.level),
            until(slice.alone),
            until(slice.pooled),
            slice.sooner.map_or_else(|| "-".into(), |sooner| format!("{sooner:.0} x")),
        ]);
    }
    Some(format!("a candidate that is bad in one slice only\n{}", columns(&rows)))
}

fn taken(estimate: &Estimate) -> String {
    let rows = estimate.behaviour.iter().map(|taken| {
        vec![
            format!("   {}", taken.signal),
            format!("{}{}", value(taken), if taken.assumed { ", assumed" } else { "" }),
            match (taken.per_call, taken.per_call_assumed) {
                (per_call, _) if per_call >= 1.0 => "every call".into(),
                (per_call, true) => format!("{} of the calls, assumed", digits(per_call)),
                (per_call, false) => format!("{} of the calls", digits(per_call)),
            },
        ]
    });
    format!("stable was taken to be like this\n{}", columns(&rows.collect::<Vec<_>>()))
}

fn value(taken: &Taken) -> String {
    let slower =
        taken.slower.iter().map(|(limit, slower)| format!("{} over {}", digits(*slower), span(*limit)));
    match taken.signal.measure() {
        _ if !taken.slower.is_empty() => slower.collect::<Vec<_>>().join(", "),
        Measure::Rate | Measure::Score => digits(taken.level),
        Measure::Durations => span(taken.level),
        Measure::Amount | Measure::Sizes if matches!(taken.signal, Signal::Cost | Signal::SessionCost) => {
            format!("$ {}", short(taken.level / 1e9))
        }
        Measure::Amount | Measure::Sizes => short(taken.level),
    }
}

/// A part with the three digits that it is worth.
fn digits(fraction: f64) -> String {
    percent(short(fraction).parse().unwrap_or(fraction))
}

/// A number with three digits.
fn short(x: f64) -> String {
    if x <= 0.0 || !x.is_finite() {
        return "0".into();
    }
    let scale = 10f64.powi(2 - x.log10().floor() as i32);
    format!("{}", (x * scale).round() / scale)
}

/// A count with two digits, which is all that an estimate is worth.
fn rounded(x: f64) -> String {
    if x < 10.0 {
        return count(x.round().max(0.0) as u64);
    }
    let scale = 10f64.powi(x.log10().floor() as i32 - 1);
    count(((x / scale).round() * scale) as u64)
}

#[cfg(test)]
mod tests {
    use lockgate_core::estimate::{Effort, Traffic, estimate};
    use lockgate_core::plan::Plan;

    use super::*;

    #[test]
    fn an_estimate_names_every_phase_gate_and_window_and_what_it_assumed() {
        let mut plan = Plan::standard();
        plan.phases.drain(2..4);
        plan.phases[1].gates.truncate(3);
        plan.triggers.truncate(2);
        let effort = Effort { runs: 2, rollouts: 1, seed: 1 };
        let shown = text(&estimate(&plan, &Traffic::assumed(0.5, &plan), effort));
        for phase in &plan.phases {
            assert!(shown.contains(&format!(". {}: ", phase.name)), "{shown}");
            assert!(
                phase.gates.iter().all(|gate| shown.contains(&format!("   {} ", gate.signal))),
                "{shown}"
            );
        }
        for said in ["cannot decide before their deadlines", "what would help", "assumed", "at their word"] {
            assert!(shown.contains(said), "{said} in {shown}");
        }
    }

    #[test]
    fn counts_say_no_more_than_is_known() {
        assert_eq!([rounded(36_498.0), rounded(541.0), rounded(3.2)], ["36,000", "540", "3"]);
    }
}
