//! Rehearsals: a candidate that is stable with a fault in front of its answers.
//!
//! A drill is a rollout like any other, confined to callers that are labelled for it, so that what is rehearsed is the very
//! path that a real candidate takes back: the gateway counts, the controller decides, the table changes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The label that marks calls of a rehearsal. No configuration may declare it, and no real rollout admits it.
pub const LABEL: &str = "lockgate-drill";
/// The value of [`LABEL`] on calls of a rehearsal.
pub const ON: &str = "on";

/// What a rehearsal makes worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// This part of the answers becomes an error.
    Errors(f64),
    /// Every answer comes so much later.
    Latency(Duration),
    /// Reported quality is this part lower.
    Quality(f64),
    /// Every call is counted as so many times as dear, in tokens and in money.
    Cost(f64),
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault: write errors=5%, latency=+8s, quality=-15% or cost=4x")]
pub struct FaultError(pub String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError(text.chars().take(80).collect());
        let (kind, size) = text.split_once('=').ok_or_else(wrong)?;
        let number = |size: &str, unit: &str, low: f64, high: f64| {
            let number: f64 = size.strip_suffix(unit)?.trim().parse().ok()?;
            (number > low && number <= high).then_some(number)
        };
        let fault = match kind.trim() {
            "errors" => number(size.trim(), "%", 0.0, 100.0).map(|percent| Self::Errors(percent / 100.0)),
            "latency" => {
                let size = size.trim().trim_start_matches('+');
                let seconds = number(size, "ms", 0.0, 600_000.0).map(|ms| ms / 1000.0);
                seconds
                    .or_else(|| number(size, "s", 0.0, 600.0))
                    .map(|seconds| Self::Latency(Duration::from_secs_f64(seconds)))
            }
            "quality" => number(size.trim().trim_start_matches('-'), "%", 0.0, 100.0)
                .map(|percent| Self::Quality(percent / 100.0)),
            "cost" => number(size.trim(), "x", 1.0, 1000.0).map(Self::Cost),
            _ => None,
        };
        fault.ok_or_else(wrong)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors(part) => write!(f, "errors={}%", part * 100.0),
            Self::Latency(by) => write!(f, "latency=+{:?}", by),
            Self::Quality(part) => write!(f, "quality=-{}%", part * 100.0),
            Self::Cost(times) => write!(f, "cost={times}x"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        for text in ["errors=5%", "latency=+8s", "quality=-15%", "cost=4x"] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            "",
            "errors",
            "errors=",
            "errors=0%",
            "errors=101%",
            "latency=8",
            "cost=1x",
            "cost=NaNx",
            "heat=3x",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
