//! Why a target gave no usable answer, and whose fault that is.

use std::time::Duration;

use http::StatusCode;
use lockgate_core::breaker::Outcome;
use lockgate_core::name::TargetName;
use lockgate_wire::answer::AnswerError;
use lockgate_wire::blame::{Blame, Fault};
use lockgate_wire::error::Failure;

use crate::tier::TierAnswer;

/// Why a target gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("target `{target}` could not be reached")]
    Unreachable {
        target: TargetName,
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    #[error("target `{target}` closed the connection without an answer")]
    NoAnswer {
        target: TargetName,
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    #[error("target `{target}` could not be connected to within {} ms", within.as_millis())]
    ConnectTimeout { target: TargetName, within: Duration },
    #[error("target `{target}` did not answer within {} ms", within.as_millis())]
    Timeout { target: TargetName, within: Duration },
    /// The call's own time ran out; how long the target would have taken is not known.
    #[error("the call's time ran out while target `{target}` was asked")]
    OutOfTime { target: TargetName },
    #[error("target `{target}` broke off after {received_bytes} bytes of its answer")]
    CutOff {
        target: TargetName,
        received_bytes: usize,
        #[source]
        source: Option<hyper::Error>,
    },
    #[error("target `{target}` cannot be asked: its URL does not make a request")]
    Unaskable {
        target: TargetName,
        #[source]
        source: http::Error,
    },
    #[error("target `{target}` answered with status {status}")]
    Status {
        target: TargetName,
        status: StatusCode,
        fault: Fault,
        /// How long the target asks to be left alone.
        retry_after: Option<Duration>,
        answer: Box<TierAnswer>,
    },
    /// It said so with a good status: in a stream before any content, or in a plain answer.
    #[error("target `{target}` told of an error in its answer")]
    Told { target: TargetName, fault: Fault, error: Box<AnswerError> },
    #[error("target `{target}` answered with what is no answer")]
    Unusable { target: TargetName },
    #[error("target `{target}` sends callers on to another address; its `base_url` must be where it answers")]
    Redirect { target: TargetName },
    #[error("target `{target}` is not asked at the moment: its circuit breaker is open")]
    CircuitOpen { target: TargetName },
    #[error("target `{target}` does not speak what was asked")]
    NotSpoken { target: TargetName },
    /// It does not speak the caller's API, and the call cannot be said in its own.
    #[error("target `{target}` cannot be told the call: {failure}")]
    NotTranslatable { target: TargetName, failure: Failure },
    #[error("target `{target}` does not hold the conversation that this call goes on with")]
    Elsewhere { target: TargetName },
    #[error("the call is too long for target `{target}`")]
    TooLong { target: TargetName },
}

impl TargetError {
    /// Whether the target was too slow, rather than wrong.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout { .. } | Self::Timeout { .. } | Self::OutOfTime { .. })
    }

    /// Whose fault it is, and whether the same target may answer when asked again.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Status { fault, .. } | Self::Told { fault, .. } => *fault,
            Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::CutOff { .. } => {
                Fault { blame: Blame::Target, is_retryable: true }
            }
            // Whoever was silent for its whole time would most likely be so again, and the time is better spent on the next.
            Self::ConnectTimeout { .. }
            | Self::Timeout { .. }
            | Self::OutOfTime { .. }
            | Self::Unusable { .. } => Fault { blame: Blame::Target, is_retryable: false },
            Self::Unaskable { .. }
            | Self::Redirect { .. }
            | Self::CircuitOpen { .. }
            | Self::NotSpoken { .. }
            | Self::NotTranslatable { .. }
            | Self::Elsewhere { .. }
            | Self::TooLong { .. } => Fault { blame: Blame::Ours, is_retryable: false },
        }
    }

    /// What it says of the target's health.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.fault().blame {
            // A caller in a hurry says nothing of the target.
            _ if matches!(self, Self::OutOfTime { .. }) => Outcome::Unknown,
            Blame::Target | Blame::Limited => Outcome::Failed,
            Blame::Caller | Blame::ContentFilter | Blame::ContextLength => Outcome::Good,
            Blame::Ours => Outcome::Unknown,
        }
    }

    /// Whether the target was not even asked.
    pub(crate) fn is_passed_over(&self) -> bool {
        matches!(
            self,
            Self::CircuitOpen { .. }
                | Self::NotSpoken { .. }
                | Self::NotTranslatable { .. }
                | Self::Elsewhere { .. }
                | Self::TooLong { .. }
        )
    }

    /// How long the target asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A word for headers, logs and counts.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::NoAnswer { .. } => "no_answer",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::Timeout { .. } => "timeout",
            Self::OutOfTime { .. } => "out_of_time",
            Self::CutOff { .. } => "cut_off",
            Self::Unaskable { .. } => "unaskable",
            Self::Status { fault, status, .. } => match fault.blame {
                Blame::Target if status.as_u16() == 503 || status.as_u16() == 529 => "overloaded",
                blame => word_of(blame),
            },
            Self::Told { fault, .. } => word_of(fault.blame),
            Self::Unusable { .. } => "unusable",
            Self::Redirect { .. } => "redirect",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::NotSpoken { .. } => "not_spoken",
            Self::NotTranslatable { .. } => "not_translatable",
            Self::Elsewhere { .. } => "elsewhere",
            Self::TooLong { .. } => "too_long",
        }
    }
}

fn word_of(blame: Blame) -> &'static str {
    match blame {
        Blame::Target => "error",
        Blame::Limited => "rate_limited",
        Blame::Caller => "rejected",
        Blame::Ours => "misconfigured",
        Blame::ContentFilter => "content_filter",
        Blame::ContextLength => "context_length",
    }
}
