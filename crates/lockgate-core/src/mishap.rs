//! What a session says only once.
//!
//! Callers stay on one arm, and whoever meets a failure tries again. So what comes after the first failure of a session is not
//! one more observation of the version: it is the same one again, and a single caller could decide a rollout with it. Within a
//! session, calls therefore count in a rate of mishaps up to and with the first hit, and not after it until the session has
//! ended. Whether a call counts is decided by what was before it and never by the call itself, so evidence that is valid for
//! every call given its past stays so, however calls of a session hang together; and of independent calls those that are
//! left out are as good as those that are counted.

use crate::signal::Signal;

/// A kind of mishap, as far as sessions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// The version failed, or the user got less than its own whole answer.
    LetDown,
    /// The model declined to answer.
    Refused,
    /// The target refused the call as the caller's own mistake.
    Rejected,
    /// The client left first.
    Cancelled,
}

/// The kinds of mishap that a session has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mishaps(u8);

impl Mishap {
    /// The kind that a hit of a signal is; `None` for signals of which every observation counts.
    pub fn of(signal: &Signal) -> Option<Self> {
        match signal {
            Signal::Error | Signal::Timeout | Signal::Fallback | Signal::Degraded => Some(Self::LetDown),
            Signal::Refusal => Some(Self::Refused),
            Signal::Rejected => Some(Self::Rejected),
            Signal::Cancelled => Some(Self::Cancelled),
            _ => None,
        }
    }
}

impl Mishaps {
    /// Whether there was one of a kind, after which rates of it are closed to the session.
    pub fn has(self, mishap: Mishap) -> bool {
        self.0 & (1 << mishap as u8) != 0
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl FromIterator<Mishap> for Mishaps {
    fn from_iter<I: IntoIterator<Item = Mishap>>(mishaps: I) -> Self {
        Self(mishaps.into_iter().fold(0, |all, mishap| all | 1 << mishap as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        let had: Mishaps = [Mishap::LetDown, Mishap::Rejected].into_iter().collect();
        let all = [Mishap::LetDown, Mishap::Refused, Mishap::Rejected, Mishap::Cancelled];
        assert_eq!(all.map(|mishap| had.has(mishap)), [true, false, true, false]);
        let more = had.and([Mishap::Cancelled].into_iter().collect());
        assert_eq!(all.map(|mishap| more.has(mishap)), [true, false, true, true]);
    }

    #[test]
    fn of_most_signals_every_observation_counts() {
        let limited: Vec<_> =
            Signal::built_in().iter().filter(|signal| Mishap::of(signal).is_some()).collect();
        let named = [
            Signal::Error,
            Signal::Timeout,
            Signal::Fallback,
            Signal::Degraded,
            Signal::Refusal,
            Signal::Rejected,
            Signal::Cancelled,
        ];
        assert_eq!(limited, named.iter().collect::<Vec<_>>());
    }
}
