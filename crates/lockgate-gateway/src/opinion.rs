//! Reads the name and value of a piece of feedback: which signal it is and what was observed.
//!
//! People tell what they think of any answer. What went wrong with an answer, how long it took and what it cost is measured of the
//! calls that are carried here, and so may be reported only of those that are not: where somebody asked which version he has
//! and was served elsewhere.

use std::time::Duration;

use lockgate_config::value::Feature;
use lockgate_core::signal::{Measure, Signal};
use lockgate_core::sums::score_step;
use lockgate_core::{duration_levels, size_levels};
use lockgate_store::row::Observed;
use lockgate_wire::answer::TOKENS_MAX;
use lockgate_wire::error::Failure;
use serde_json::Value;

use crate::refusal::invalid;

/// The built-in names, as they are sent.
const NAMES: [(&str, Signal); 13] = [
    ("thumbs", Signal::ThumbsDown),
    ("csat", Signal::Csat),
    ("task_success", Signal::TaskSuccess),
    ("escalated", Signal::Escalated),
    ("retried", Signal::Retried),
    ("abandoned", Signal::Abandoned),
    ("hallucination", Signal::Hallucination),
    ("quality", Signal::Quality),
    ("invalid", Signal::Invalid),
    ("injection", Signal::Injection),
    ("filtered", Signal::Filtered),
    ("pii_leak", Signal::PiiLeak),
    ("incident", Signal::Incident),
];
/// What is measured of calls and reported of other answers.
const OUTCOMES: [(&str, Signal); 16] = [
    ("error", Signal::Error),
    ("timeout", Signal::Timeout),
    ("fallback", Signal::Fallback),
    ("degraded", Signal::Degraded),
    ("refusal", Signal::Refusal),
    ("rejected", Signal::Rejected),
    ("cancelled", Signal::Cancelled),
    ("cache_hit", Signal::CacheHit),
    ("latency_ms", Signal::Latency),
    ("first_token_ms", Signal::FirstToken),
    ("tokens", Signal::Tokens),
    ("tokens_in", Signal::TokensIn),
    ("tokens_out", Signal::TokensOut),
    ("input_length", Signal::InputLength),
    ("output_length", Signal::OutputLength),
    ("cost_usd", Signal::Cost),
];
/// The range in which quality is told.
const UNIT: (f64, f64) = (0.0, 1.0);
/// Nobody waits longer for an answer; a greater number is one in another unit.
const LATENCY_MS_MAX: f64 = 86_400_000.0;
/// No answer costs more; a greater number is one in another unit and would spoil every sum that it entered.
const COST_USD_MAX: f64 = 10_000.0;
const NANO_USD_PER_USD: f64 = 1e9;

/// Where the answer came from that something is said about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// It was answered here, and measured.
    Here,
    /// Somebody was told his version here and served elsewhere.
    Elsewhere,
}

/// The signal of a name, and what the value says of it.
pub(crate) fn read(
    feature: &Feature,
    from: From,
    name: &str,
    value: &Value,
) -> Result<(Signal, Observed), Failure> {
    let (signal, range) = signal_of(feature, from, name)?;
    let observed = match signal.measure() {
        Measure::Score => score(value, range)?,
        Measure::Durations => duration_ms(value)?,
        Measure::Sizes => Observed::Level(size_levels::level(tokens(value)?)),
        Measure::Amount if signal.is_money() => nano_usd(value)?,
        Measure::Amount => Observed::Amount(tokens(value)?),
        Measure::Rate if signal == Signal::ThumbsDown => Observed::Was(points_down(value)?),
        Measure::Rate => Observed::Was(yes_or_no(value)?),
    };
    Ok((signal, observed))
}

fn signal_of(feature: &Feature, from: From, name: &str) -> Result<(Signal, (f64, f64)), Failure> {
    if let Some(declared) = feature.feedback.get(name) {
        return Ok((declared.signal.clone(), declared.range));
    }
    let find = |names: &[(&str, Signal)]| {
        names.iter().find(|(known, _)| *known == name).map(|(_, signal)| signal.clone())
    };
    let signal = match (find(&NAMES), find(&OUTCOMES), from) {
        (Some(signal), ..) | (None, Some(signal), From::Elsewhere) => signal,
        (None, Some(_), From::Here) => {
            let why = "is measured of an answer that was given here, and reported only of one that an evaluation announced";
            return Err(invalid(
                "name",
                format!("`{name}` {why} (`POST /ofrep/v1/evaluate/flags/{}`)", feature.name),
            ));
        }
        (None, None, _) => return Err(unknown_name(feature, from, name)),
    };
    let range = if signal == Signal::Csat { feature.csat_range } else { UNIT };
    Ok((signal, range))
}

fn unknown_name(feature: &Feature, from: From, name: &str) -> Failure {
    let declared = feature.feedback.keys().map(|name| name.as_str());
    let outcomes = OUTCOMES.iter().filter(|_| from == From::Elsewhere);
    let built_in = NAMES.iter().chain(outcomes).map(|(name, _)| *name);
    let known: Vec<String> = built_in.chain(declared).map(|name| format!("`{name}`")).collect();
    invalid("name", format!("`{name}` is not a name of feedback here; known are {}", known.join(", ")))
}

/// 1 and true are up; -1, 0 and false are down.
fn points_down(value: &Value) -> Result<bool, Failure> {
    match (value.as_bool(), value.as_f64()) {
        (Some(is_up), _) => Ok(!is_up),
        (_, Some(1.0)) => Ok(false),
        (_, Some(-1.0 | 0.0)) => Ok(true),
        _ => Err(invalid("value", "thumbs are 1 or true for up, and -1, 0 or false for down")),
    }
}

fn yes_or_no(value: &Value) -> Result<bool, Failure> {
    match (value.as_bool(), value.as_f64()) {
        (Some(was), _) => Ok(was),
        (_, Some(1.0)) => Ok(true),
        (_, Some(0.0)) => Ok(false),
        _ => Err(invalid("value", "it is yes or no here: true, false, 1 or 0")),
    }
}

fn score(value: &Value, (lowest, highest): (f64, f64)) -> Result<Observed, Failure> {
    let scaled = value.as_f64().map(|number| (number - lowest) / (highest - lowest));
    scaled
        .and_then(score_step)
        .map(Observed::Step)
        .ok_or_else(|| invalid("value", format!("it is a number from {lowest} to {highest} here")))
}

fn duration_ms(value: &Value) -> Result<Observed, Failure> {
    let ms = up_to(value, LATENCY_MS_MAX, "milliseconds")?;
    Ok(Observed::Level(duration_levels::level(Duration::from_secs_f64(ms / 1e3))))
}

fn nano_usd(value: &Value) -> Result<Observed, Failure> {
    let usd = up_to(value, COST_USD_MAX, "US dollars")?;
    Ok(Observed::Amount((usd * NANO_USD_PER_USD).round() as u64))
}

fn tokens(value: &Value) -> Result<u64, Failure> {
    let tokens = value.as_u64().filter(|tokens| *tokens <= TOKENS_MAX);
    tokens.ok_or_else(|| {
        invalid("value", format!("it is a whole number of tokens from 0 to {TOKENS_MAX} here"))
    })
}

fn up_to(value: &Value, highest: f64, unit: &str) -> Result<f64, Failure> {
    let number = value.as_f64().filter(|number| (0.0..=highest).contains(number));
    number.ok_or_else(|| invalid("value", format!("it is a number of {unit} from 0 to {highest} here")))
}
