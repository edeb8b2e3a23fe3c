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
    /// The user got less than the version's own whole answer: a lower tier's, a broken one, none. Rate over finished calls.
    Degraded,
    /// The model declined to answer, as its own answer says. Rate over answered calls.
    Refusal,
    /// The provider read some of the input from its cache, as its usage says. Rate over answered calls with usage.
    CacheHit,
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
    /// Tokens read and written together per call. Amount.
    Tokens,
    /// Money per call, in nano-dollars. Amount.
    Cost,
    /// How long inputs are, in tokens. Sizes.
    InputLength,
    /// How long answers are, in tokens. Sizes.
    OutputLength,
    /// Money per session that ended, in nano-dollars. Sizes.
    SessionCost,
    /// Sessions that began: a caller's first call in a while. Amount (the sum is not used).
    Sessions,
    /// Callers seen for the first time since the present share is in force, by what their assignment sticks to. Amount (the
    /// sum is not used).
    Visitors,
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
    /// The answer was not in the form it had to have, as told by whoever checked it. Rate over checked answers.
    Invalid,
    /// The call tried to plant instructions, as told by whoever checked it. Rate over checked calls.
    Injection,
    /// A content filter cut in, as told by whoever runs it. Rate over checked calls.
    Filtered,
    /// The answer told what is personal, as told by whoever checked it. Rate over checked answers.
    PiiLeak,
    /// An incident of the highest severity was laid at the answer's door. Rate over feedback.
    Incident,
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
    /// A whole number, counted per level of [`crate::size_levels`].
    Sizes,
}

const PLAIN: [Signal; 35] = [
    Signal::Assigned,
    Signal::Error,
    Signal::Timeout,
    Signal::Fallback,
    Signal::Degraded,
    Signal::Refusal,
    Signal::CacheHit,
    Signal::Rejected,
    Signal::Cancelled,
    Signal::Latency,
    Signal::FirstToken,
    Signal::TokensIn,
    Signal::TokensOut,
    Signal::Tokens,
    Signal::Cost,
    Signal::InputLength,
    Signal::OutputLength,
    Signal::SessionCost,
    Signal::Sessions,
    Signal::Visitors,
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
    Signal::Invalid,
    Signal::Injection,
    Signal::Filtered,
    Signal::PiiLeak,
    Signal::Incident,
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
            Self::Assigned
            | Self::TokensIn
            | Self::TokensOut
            | Self::Tokens
            | Self::Cost
            | Self::Sessions
            | Self::Visitors => Measure::Amount,
            Self::InputLength | Self::OutputLength | Self::SessionCost => Measure::Sizes,
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
                | Self::Invalid
                | Self::Injection
                | Self::Filtered
                | Self::PiiLeak
                | Self::Incident
                | Self::DeclaredRate(_)
                | Self::DeclaredScore(_)
        )
    }

    /// Whether it is money, counted in nano-dollars.
    pub fn is_money(&self) -> bool {
        matches!(self, Self::Cost | Self::SessionCost)
    }

    fn plain_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Assigned => "assigned",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Fallback => "fallback",
            Self::Degraded => "degraded",
            Self::Refusal => "refusal",
            Self::CacheHit => "cache_hit",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Latency => "latency",
            Self::FirstToken => "first_token",
            Self::TokensIn => "tokens_in",
            Self::TokensOut => "tokens_out",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::InputLength => "input_length",
            Self::OutputLength => "output_length",
            Self::SessionCost => "session_cost",
            Self::Sessions => "sessions",
            Self::Visitors => "visitors",
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
            Self::Invalid => "invalid",
            Self::Injection => "injection",
            Self::Filtered => "filtered",
            Self::PiiLeak => "pii_leak",
            Self::Incident => "incident",
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
