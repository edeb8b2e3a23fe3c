//! The behaviours that are measured, and how each is counted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::DeclaredSignal;

/// As what a version took part in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// It is the version that users have.
    Stable,
    /// It is on trial and answered the user.
    Candidate,
    /// It is on trial and answered a copy that nobody saw.
    Shadow,
}

impl Arm {
    /// The word used in headers, stored rows and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
            Self::Shadow => "shadow",
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A measured behaviour, attributed to a version, an arm and a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Calls given to a version, counted when they are assigned: the measured share. Amount (the sum is not used).
    Assigned,
    /// The version's own first tier gave no usable answer: an error, a cut stream, a time-out. Rate over finished calls.
    Error,
    /// The part of the errors that were time-outs. Rate over finished calls.
    Timeout,
    /// A lower tier answered. Rate over finished calls.
    Fallback,
    /// The target refused the call as the caller's own mistake (400, 413, 422). No error of the version's, unless the
    /// version sends what its target does not take; then stable's callers make fewer such mistakes. Rate over calls that
    /// finished or were refused so.
    Rejected,
    /// The client left before the answer was complete. Rate over all calls.
    Cancelled,
    /// From the call's arrival to its last byte. Durations.
    Latency,
    /// From the call's arrival to the first content. Durations.
    FirstToken,
    /// Tokens read by the model per call. Amount.
    TokensIn,
    /// Tokens written by the model per call. Amount.
    TokensOut,
    /// Money per call, in nano-dollars. Amount.
    Cost,
    /// How far a shadow answer agreed with the user's. Score.
    Agreement,
    /// Of the calls that should have been mirrored, those whose shadow answer was compared. Rate.
    Coverage,
    /// Of the thumbs given, those that point down. Rate over feedback.
    ThumbsDown,
    /// Satisfaction told by the user, scaled to 0..1. Score.
    Csat,
    /// The user's task was done. Rate over feedback, higher is better.
    TaskSuccess,
    /// The session was handed to a person. Rate over feedback.
    Escalated,
    /// The user asked the same again. Rate over feedback.
    Retried,
    /// The user left the session unfinished. Rate over feedback.
    Abandoned,
    /// The answer claimed what is not so, as told by whoever checked it. Rate over checked answers.
    Hallucination,
    /// How good the answer was, as told by whoever judged it, scaled to 0..1. Score.
    Quality,
    /// A yes-or-no signal that the configuration declares. Rate over feedback.
    DeclaredRate(DeclaredSignal),
    /// A bounded score that the configuration declares, scaled to 0..1. Score.
    DeclaredScore(DeclaredSignal),
}

/// How a signal is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// So many of so many.
    Rate,
    /// A value in 0..1, counted per hundredth.
    Score,
    /// A time, counted per level of [`crate::duration_levels`].
    Durations,
    /// A whole number per call, summed.
    Amount,
}

const PLAIN: [Signal; 21] = [
    Signal::Assigned,
    Signal::Error,
    Signal::Timeout,
    Signal::Fallback,
    Signal::Rejected,
    Signal::Cancelled,
    Signal::Latency,
    Signal::FirstToken,
    Signal::TokensIn,
    Signal::TokensOut,
    Signal::Cost,
    Signal::Agreement,
    Signal::Coverage,
    Signal::ThumbsDown,
    Signal::Csat,
    Signal::TaskSuccess,
    Signal::Escalated,
    Signal::Retried,
    Signal::Abandoned,
    Signal::Hallucination,
    Signal::Quality,
];

impl Signal {
    /// All built-in signals.
    pub fn built_in() -> &'static [Self] {
        &PLAIN
    }

    /// How it is counted.
    pub fn measure(&self) -> Measure {
        match self {
            Self::Latency | Self::FirstToken => Measure::Durations,
            Self::Assigned | Self::TokensIn | Self::TokensOut | Self::Cost => Measure::Amount,
            Self::Agreement | Self::Csat | Self::Quality | Self::DeclaredScore(_) => Measure::Score,
            _ => Measure::Rate,
        }
    }

    /// Whether it comes from people, after the answer, and not from the call itself.
    pub fn is_feedback(&self) -> bool {
        matches!(
            self,
            Self::ThumbsDown
                | Self::Csat
                | Self::TaskSuccess
                | Self::Escalated
                | Self::Retried
                | Self::Abandoned
                | Self::Hallucination
                | Self::Quality
                | Self::DeclaredRate(_)
                | Self::DeclaredScore(_)
        )
    }

    fn plain_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Assigned => "assigned",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Fallback => "fallback",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Latency => "latency",
            Self::FirstToken => "first_token",
            Self::TokensIn => "tokens_in",
            Self::TokensOut => "tokens_out",
            Self::Cost => "cost",
            Self::Agreement => "agreement",
            Self::Coverage => "coverage",
            Self::ThumbsDown => "thumbs_down",
            Self::Csat => "csat",
            Self::TaskSuccess => "task_success",
            Self::Escalated => "escalated",
            Self::Retried => "retried",
            Self::Abandoned => "abandoned",
            Self::Hallucination => "hallucination",
            Self::Quality => "quality",
            Self::DeclaredRate(_) | Self::DeclaredScore(_) => return None,
        })
    }
}

/// A plain name, or `rate:NAME` and `score:NAME` for declared ones.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeclaredRate(name) => write!(f, "rate:{name}"),
            Self::DeclaredScore(name) => write!(f, "score:{name}"),
            plain => f.pad(plain.plain_name().unwrap_or_default()),
        }
    }
}

/// A text that names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signal")]
pub struct SignalError(pub String);

impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        let unknown = || SignalError(text.chars().take(80).collect());
        if let Some(name) = text.strip_prefix("rate:") {
            return DeclaredSignal::new(name).map(Self::DeclaredRate).map_err(|_| unknown());
        }
        if let Some(name) = text.strip_prefix("score:") {
            return DeclaredSignal::new(name).map(Self::DeclaredScore).map_err(|_| unknown());
        }
        PLAIN.iter().find(|signal| signal.plain_name() == Some(text)).cloned().ok_or_else(unknown)
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_read_back_from_its_name() {
        let declared = DeclaredSignal::new("resolved").unwrap();
        let all = PLAIN
            .iter()
            .cloned()
            .chain([Signal::DeclaredRate(declared.clone()), Signal::DeclaredScore(declared)]);
        for signal in all {
            assert_eq!(signal.to_string().parse(), Ok(signal));
        }
        assert!("eror".parse::<Signal>().is_err());
    }
}
