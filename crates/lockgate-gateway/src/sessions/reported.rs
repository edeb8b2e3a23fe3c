//! What is reported of a session whose answers are given elsewhere.
//!
//! Reports count in a rate of mishaps up to and with the first hit in a session, as calls do. A call tells all that went wrong in
//! it at once; a report tells one thing, so each rate is closed by its own hits.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::mishap::Mishap;
use lockgate_core::signal::Signal;

use super::{Caller, Cost, Sessions};
use crate::record::Slot;

/// One thing that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported<'s> {
    pub(crate) signal: &'s Signal,
    /// Whether it is a hit of the signal's rate.
    pub(crate) is_hit: bool,
    /// What it adds to the session's cost.
    pub(crate) cost: Option<Cost>,
}

/// Rates of mishaps that a report has hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hits(u8);

/// The signals of [`Hits`], by their place.
const MISHAPS: [Signal; 7] = [
    Signal::Error,
    Signal::Timeout,
    Signal::Fallback,
    Signal::Degraded,
    Signal::Refusal,
    Signal::Rejected,
    Signal::Cancelled,
];

impl Sessions {
    /// Whether a rate is closed to the session of a caller, because it was hit in it before.
    pub(crate) fn is_closed(
        &self,
        caller: Caller<'_>,
        slot: &Arc<Slot>,
        signal: &Signal,
        now: Timestamp,
        idle: Duration,
    ) -> bool {
        let (key, open) = (self.key(caller, slot), self.lock());
        let place = open.places.get(&key).copied().filter(|place| open.goes_on(*place, now, idle));
        place.and_then(|place| open.held(place)).is_some_and(|held| {
            held.reported.has(signal) || Mishap::of(signal).is_some_and(|mishap| held.mishaps.has(mishap))
        })
    }

    /// Takes in what was reported of an answer to a caller, if his session still goes on.
    pub(crate) fn report(
        &self,
        caller: Caller<'_>,
        slot: &Arc<Slot>,
        reported: Reported<'_>,
        now: Timestamp,
        idle: Duration,
    ) {
        let (key, mut open) = (self.key(caller, slot), self.lock());
        let Some(place) = open.places.get(&key).copied().filter(|place| open.goes_on(*place, now, idle))
        else {
            return;
        };
        let Some(held) = &mut open.sessions[place as usize].held else { return };
        held.heard_of = held.heard_of.max(now);
        held.cost = reported.cost.map_or(held.cost, |cost| held.cost.plus(cost));
        if reported.is_hit {
            held.reported = held.reported.with(reported.signal);
        }
        open.move_to_front(place);
    }
}

impl Hits {
    fn has(self, signal: &Signal) -> bool {
        MISHAPS.iter().position(|known| known == signal).is_some_and(|at| self.0 & (1 << at) != 0)
    }

    fn with(self, signal: &Signal) -> Self {
        MISHAPS.iter().position(|known| known == signal).map_or(self, |at| Self(self.0 | 1 << at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mishap_has_a_place_of_its_own() {
        let of_mishaps: Vec<_> =
            Signal::built_in().iter().filter(|signal| Mishap::of(signal).is_some()).collect();
        assert_eq!(of_mishaps, MISHAPS.iter().collect::<Vec<_>>());
        for signal in &MISHAPS {
            let hits = Hits::default().with(signal);
            let has: Vec<_> = MISHAPS.iter().filter(|other| hits.has(other)).collect();
            assert_eq!(has, [signal]);
        }
        assert_eq!(Hits::default().with(&Signal::Latency), Hits::default());
    }
}
