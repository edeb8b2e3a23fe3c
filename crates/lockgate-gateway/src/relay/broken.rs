//! Why an answer that has begun cannot go on, and how that is told.

use bytes::Bytes;

use crate::events::What;

/// Why a relay ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    CutOff,
    Silent,
    OutOfTime,
    TooLong,
    Crawling,
    WithoutEnd,
    Malformed,
    /// The target told so itself, in the stream.
    Told,
}

impl Broken {
    /// What a stream's trouble is, and the target's own word for it.
    pub(super) fn by(what: What) -> (Self, Option<Bytes>) {
        match what {
            What::CutOff(_) => (Self::CutOff, None),
            What::WithoutEnd => (Self::WithoutEnd, None),
            What::Malformed => (Self::Malformed, None),
            What::Told { event } => (Self::Told, event),
        }
    }

    pub(super) fn problem(self) -> &'static str {
        match self {
            Self::CutOff => "the target broke off",
            Self::Silent => "the target fell silent",
            Self::OutOfTime => "the call's time ran out",
            Self::TooLong => "the target took longer than a stream may",
            Self::Crawling => "the target became too slow",
            Self::Malformed => "the target sent what cannot be read",
            Self::WithoutEnd | Self::Told => "the target ended it without its terminal event",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::CutOff => "cut_off",
            Self::Silent => "silent",
            Self::OutOfTime => "deadline",
            Self::TooLong => "timeout",
            Self::Crawling => "crawling",
            Self::Malformed => "unusable",
            Self::WithoutEnd => "without_end",
            Self::Told => "error",
        }
    }
}
