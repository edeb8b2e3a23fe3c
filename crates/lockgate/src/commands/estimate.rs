//! What a plan costs and finds at a given traffic. Needs no server: nothing is asked but what is on the command line.

use std::process::ExitCode;
use std::time::Duration;

use lockgate_config::{duration, nearest, percent};
use lockgate_core::estimate::{Effort, Traffic, estimate};
use lockgate_core::name::LabelName;
use lockgate_core::plan::{Plan, Rule};
use lockgate_core::segment::{Slice, is_label_value};
use lockgate_core::signal::{Measure, Signal};
use serde_json::json;

use super::plan;
use crate::cli::EstimateArgs;
use crate::complaint::Complaint;
use crate::output;

const WRONG_USAGE: u8 = 2;
/// In how many of a dollar's parts money is counted.
const NANO_USD: f64 = 1e9;
/// The words of `--rates` that are no signals.
const OTHER_RATES: [&str; 4] = ["feedback", "p50", "p95", "p99"];

/// Prints the estimate.
pub fn run(args: &EstimateArgs, as_json: bool) -> Result<ExitCode, Complaint> {
    let plan = plan::find(&args.plan, args.config.as_deref())?;
    let traffic = match traffic(args, &plan) {
        Ok(traffic) => traffic,
        Err(wrong) => {
            output::complain(&wrong);
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    let estimate = estimate(&plan, &traffic, Effort::FULL);
    if as_json {
        output::json(&json!(estimate));
    } else {
        output::say(&output::estimate::text(&estimate));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the command line says of the traffic; what it does not say is assumed.
fn traffic(args: &EstimateArgs, plan: &Plan) -> Result<Traffic, Complaint> {
    let mut traffic = Traffic::assumed(per_second(&args.traffic)?, plan);
    traffic.slices = args.segments.iter().map(|text| slice(text)).collect::<Result<_, _>>()?;
    fit_into_one(&traffic.slices)?;
    rates(&args.rates, plan, &mut traffic)?;
    Ok(traffic)
}

/// `3/s`, `500/min`, `20000/h`, `1e6/d`.
fn per_second(text: &str) -> Result<f64, Complaint> {
    let wrong = |what: &str| {
        Complaint::new(
            format!("--traffic: `{text}` {what}"),
            "write calls per time: 3/s, 500/min, 20000/h or 1e6/d",
        )
    };
    let (number, unit) = text.split_once('/').ok_or_else(|| wrong("names no unit of time"))?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(wrong("has an unknown unit of time")),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong("is no number of calls"))?;
    if !number.is_finite() || number < 0.0 {
        return Err(wrong("is no number of calls"));
    }
    if number == 0.0 {
        return Err(wrong("is no traffic: nothing would ever be shown"));
    }
    let per_second = number / seconds;
    if per_second > TRAFFIC_MAX {
        return Err(wrong("is more than this can count: a million a second"));
    }
    Ok(per_second)
}

/// More calls per second than any one feature has; beyond it sums over weeks would leave the range of whole numbers.
const TRAFFIC_MAX: f64 = 1e6;

/// `tier=premium:10%`.
fn slice(text: &str) -> Result<(Slice, f64), Complaint> {
    let wrong = |what: &str| {
        Complaint::new(
            format!("--segments: `{text}` {what}"),
            "write a label, its value and its part: tier=premium:10%",
        )
    };
    let (label, rest) = text.split_once('=').ok_or_else(|| wrong("has no `=`"))?;
    let (value, part) = rest.rsplit_once(':').ok_or_else(|| wrong("names no part of the traffic"))?;
    let label =
        LabelName::new(label.trim()).map_err(|error| wrong(&format!("has no label's name: {error}")))?;
    if !is_label_value(value.trim()) {
        return Err(wrong("has no label's value"));
    }
    let part =
        fraction(part).filter(|part| *part > 0.0).ok_or_else(|| wrong("names no part of the traffic"))?;
    Ok((Slice { label, value: value.trim().to_owned() }, part))
}

/// A caller has one value of a label: the parts of a label's values cannot be more than all.
fn fit_into_one(slices: &[(Slice, f64)]) -> Result<(), Complaint> {
    for (i, (slice, _)) in slices.iter().enumerate() {
        if slices[..i].iter().any(|(before, _)| before == slice) {
            return Err(Complaint::new(
                format!("--segments: `{slice}` is named twice"),
                "name each value once",
            ));
        }
        let of_label = slices.iter().filter(|(other, _)| other.label == slice.label);
        let whole: f64 = of_label.map(|(_, part)| part).sum();
        if whole > 1.0 + 1e-9 {
            return Err(Complaint::new(
                format!(
                    "--segments: the values of `{}` are {:.0} % of the traffic together",
                    slice.label,
                    whole * 100.0
                ),
                "a caller has one value of a label, so that they are 100 % at most",
            ));
        }
    }
    Ok(())
}

/// `error=0.4%`, `csat=0.8`, `session_cost=0.02`, `csat.per_call=5%`, `feedback=2%`, `p50=1s`, `p99=4s`.
fn rates(all: &[String], plan: &Plan, traffic: &mut Traffic) -> Result<(), Complaint> {
    let mut times: Vec<(f64, Duration)> = Vec::new();
    for text in all {
        let wrong = |what: String, hint: &str| Complaint::new(format!("--rates: `{text}` {what}"), hint);
        let (name, value) = text.split_once('=').ok_or_else(|| {
            wrong(
                "has no `=`".into(),
                "write a signal and its value: error=0.4%, csat=0.8, feedback=2%, p99=4s",
            )
        })?;
        let (name, value) = (name.trim(), value.trim());
        if let Some(longer) = quantile(name) {
            let time = duration::parse(value).filter(|time| !time.is_zero());
            let time = time.ok_or_else(|| wrong("is no length of time".into(), "write 800ms or 4s"))?;
            times.push((longer, time));
            continue;
        }
        let part = || {
            let hint = "write 2% or 0.02";
            fraction(value).ok_or_else(|| wrong("is no part of all calls".into(), hint))
        };
        let behaviour = std::mem::take(&mut traffic.stable);
        traffic.stable = if name == "feedback" {
            let part = part()?;
            let reported: Vec<Signal> = named(plan).filter(|signal| signal.is_feedback()).cloned().collect();
            reported.into_iter().fold(behaviour, |behaviour, signal| behaviour.seen(signal, part))
        } else if let Some(name) = name.strip_suffix(".per_call") {
            behaviour.seen(signal(name)?, part()?)
        } else {
            let signal = signal(name)?;
            let level =
                level(&signal, value).map_err(|hint| wrong(format!("is no value of `{signal}`"), hint))?;
            behaviour.at(signal, level)
        };
    }
    latency(&times, plan, traffic)
}

fn signal(name: &str) -> Result<Signal, Complaint> {
    name.parse().map_err(|_| {
        let known: Vec<String> = Signal::built_in().iter().map(Signal::to_string).collect();
        let words = known.iter().map(String::as_str).chain(OTHER_RATES);
        Complaint { sentence: format!("--rates: `{name}` is not a signal"), hint: nearest::hint(name, words) }
    })
}

/// A signal's rate or mean in its own unit, or how to write it.
fn level(signal: &Signal, value: &str) -> Result<f64, &'static str> {
    let money = matches!(signal, Signal::Cost | Signal::SessionCost);
    match signal.measure() {
        Measure::Rate | Measure::Score => fraction(value).ok_or("write a part of one: 0.4% or 0.85"),
        Measure::Durations => Err("say how long calls take by two quantiles: p50=1s,p99=4s"),
        Measure::Amount | Measure::Sizes => {
            let number: f64 = value.trim_start_matches('$').parse().unwrap_or(f64::NAN);
            let number = if money { number * NANO_USD } else { number };
            let hint = if money { "write dollars: 0.02" } else { "write a number above 0" };
            (number.is_finite() && number > 0.0).then_some(number).ok_or(hint)
        }
    }
}

/// Which part of all calls takes longer.
fn quantile(name: &str) -> Option<f64> {
    match name {
        "p50" => Some(0.5),
        "p95" => Some(0.05),
        "p99" => Some(0.01),
        _ => None,
    }
}

/// Lays latencies down at the plan's limits, from a median and one more quantile.
fn latency(times: &[(f64, Duration)], plan: &Plan, traffic: &mut Traffic) -> Result<(), Complaint> {
    let Some(median) = times.iter().find(|(longer, _)| *longer == 0.5).map(|(_, time)| *time) else {
        if times.is_empty() {
            return Ok(());
        }
        return Err(Complaint::new("--rates: a quantile without a median", "say both: p50=1s,p99=4s"));
    };
    let upper = times.iter().filter(|(longer, _)| *longer < 0.5).min_by(|a, b| a.0.total_cmp(&b.0));
    let Some((longer, upper)) = upper.copied() else {
        return Err(Complaint::new(
            "--rates: a median alone does not say how many calls are slow",
            "say both: p50=1s,p99=4s",
        ));
    };
    if upper <= median {
        return Err(Complaint::new(
            "--rates: the upper quantile is not above the median",
            "as in p50=1s,p99=4s",
        ));
    }
    let rules = plan.phases.iter().flat_map(|phase| &phase.gates).map(|gate| gate.rule);
    let limits: Vec<Duration> = (rules.chain(plan.triggers.iter().map(|trigger| trigger.rule)))
        .filter_map(|rule| match rule {
            Rule::SlowUnder { limit, .. } => Some(limit),
            _ => None,
        })
        .collect();
    let behaviour = std::mem::take(&mut traffic.stable);
    traffic.stable = behaviour.log_normal(Signal::Latency, median, (upper, longer), &limits);
    Ok(())
}

fn named(plan: &Plan) -> impl Iterator<Item = &Signal> {
    let gates = plan.phases.iter().flat_map(|phase| &phase.gates).map(|gate| &gate.signal);
    gates.chain(plan.triggers.iter().map(|trigger| &trigger.signal))
}

/// A part of a whole: `2%`, `0.02`, and 1 where everything is meant.
fn fraction(text: &str) -> Option<f64> {
    if text.trim() == "1" { Some(1.0) } else { percent::parse(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(traffic: &str, segments: &[&str], rates: &[&str]) -> EstimateArgs {
        let owned = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        EstimateArgs {
            plan: "standard".into(),
            traffic: traffic.into(),
            segments: owned(segments),
            rates: owned(rates),
            config: None,
        }
    }

    fn complaint(args: &EstimateArgs) -> (String, String) {
        let complaint = traffic(args, &Plan::standard()).err().unwrap();
        (complaint.sentence, complaint.hint.unwrap())
    }

    #[test]
    fn traffic_is_read_as_people_write_it() {
        for (text, rate) in [("3/s", 3.0), ("600/min", 10.0), ("7200/h", 2.0), ("8.64e6/d", 100.0)] {
            assert_eq!(per_second(text).ok(), Some(rate), "{text}");
        }
        for wrong in ["0/s", "-1/s", "NaN/s", "inf/s", "3", "3/fortnight", "/s", "", "1e300/s", "x/s"] {
            let (sentence, hint) = complaint(&args(wrong, &[], &[]));
            assert!(sentence.contains("--traffic") && hint.contains("3/s"), "{wrong}: {sentence}");
        }
    }

    #[test]
    fn parts_of_the_traffic_are_no_more_than_all_of_it() {
        let read =
            traffic(&args("3/s", &["tier=premium:10%", "geo=eu:1"], &[]), &Plan::standard()).ok().unwrap();
        assert_eq!(read.slices.iter().map(|(_, part)| *part).collect::<Vec<_>>(), [0.1, 1.0]);
        for wrong in [
            &["tier=premium:60%", "tier=free:50%"][..],
            &["tier=premium:120%"],
            &["tier=premium:-1%"],
            &["tier=premium"],
            &["premium:10%"],
            &["tier=:10%"],
            &["tier=a:0%"],
            &["tier=a:10%", "tier=a:20%"],
        ] {
            assert!(complaint(&args("3/s", wrong, &[])).0.contains("--segments"), "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_read_in_the_units_of_their_signals() {
        let rates = ["error=0.2%", "csat=0.8", "session_cost=0.02", "feedback=2%", "thumbs_down.per_call=5%"];
        let read = traffic(&args("3/s", &[], &rates), &Plan::standard()).ok().unwrap().stable;
        let level = |signal: Signal| read.of(&signal).level(signal.measure());
        assert!((level(Signal::Error) - 0.002).abs() < 1e-12 && (level(Signal::Csat) - 0.8).abs() < 1e-9);
        assert!((level(Signal::SessionCost) / 2e7 - 1.0).abs() < 0.02);
        assert_eq!((read.of(&Signal::Csat).per_call, read.of(&Signal::ThumbsDown).per_call), (0.02, 0.05));
        let times = traffic(&args("3/s", &[], &["p50=1s", "p99=5s"]), &Plan::standard()).ok().unwrap().stable;
        assert!((times.of(&Signal::Latency).slower_than(Duration::from_secs(5)) - 0.01).abs() < 1e-3);
    }

    #[test]
    fn what_is_no_rate_is_named_with_what_was_meant() {
        assert_eq!(complaint(&args("3/s", &[], &["eror=1%"])).1, "did you mean `error`?");
        assert_eq!(complaint(&args("3/s", &[], &["feedbak=1%"])).1, "did you mean `feedback`?");
        for wrong in ["error", "error=101%", "error=NaN", "latency=3s", "p99=4s", "tokens=-3", "p50=soon"] {
            assert!(complaint(&args("3/s", &[], &[wrong])).0.contains("--rates"), "{wrong}");
        }
    }
}
