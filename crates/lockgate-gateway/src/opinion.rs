//! Reads the name and value of a piece of feedback: which signal it is and what was observed.

use lockgate_config::value::Feature;
use lockgate_core::signal::{Measure, Signal};
use lockgate_core::sums::score_step;
use lockgate_store::row::Observed;
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
/// The range in which quality is told.
const UNIT: (f64, f64) = (0.0, 1.0);

/// The signal of a name, and what the value says of it.
pub(crate) fn read(feature: &Feature, name: &str, value: &Value) -> Result<(Signal, Observed), Failure> {
    let (signal, range) = signal_of(feature, name)?;
    let observed = match signal.measure() {
        Measure::Score => score(value, range)?,
        _ if signal == Signal::ThumbsDown => Observed::Was(points_down(value)?),
        _ => Observed::Was(yes_or_no(value)?),
    };
    Ok((signal, observed))
}

fn signal_of(feature: &Feature, name: &str) -> Result<(Signal, (f64, f64)), Failure> {
    if let Some(declared) = feature.feedback.get(name) {
        return Ok((declared.signal.clone(), declared.range));
    }
    let built_in = NAMES.iter().find(|(known, _)| *known == name).map(|(_, signal)| signal.clone());
    let signal = built_in.ok_or_else(|| unknown_name(feature, name))?;
    let range = if signal == Signal::Csat { feature.csat_range } else { UNIT };
    Ok((signal, range))
}

fn unknown_name(feature: &Feature, name: &str) -> Failure {
    let declared = feature.feedback.keys().map(|name| name.as_str());
    let known: Vec<String> =
        NAMES.iter().map(|(name, _)| *name).chain(declared).map(|name| format!("`{name}`")).collect();
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
