//! Who called: how many different people, who is new since the share last changed, which sessions begin and end, and what has
//! gone wrong in them.
//!
//! People are told apart by hashes, and there may be more of them than fit. Then every second one is let go of, by a bit of
//! the hash: what is left is a fair part of both arms, so counts can be scaled up and splits stay what they are.

use std::collections::{HashMap, HashSet};

use lockgate_core::mishap::Mishaps;

use super::bucket::SlotIndex;

/// Most people held at once, some 20 MB.
const PEOPLE_MAX: usize = 1 << 20;
/// Most sessions open at once, some 40 MB. Calls of further ones are not counted as sessions.
const SESSIONS_MAX: usize = 1 << 19;
/// A session that was quiet for so long is over; the next call begins another.
const IDLE_MS: i64 = 10 * 60 * 1000;
/// Longest life of a session, as in a gateway.
const LIFE_MS: i64 = 24 * 3600 * 1000;
/// How often, in the time of the file, sessions are looked through for those that are over.
const SWEEP_MS: i64 = 60 * 1000;

/// A set of people of bounded size.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    held: HashSet<u64>,
    /// Only hashes that end in so many zeros are held.
    zeros: u32,
    /// People without a name, who are all different and need not be held.
    nameless: u64,
}

impl Distinct {
    /// Takes in one; returns whether it is new and among those that are held.
    pub(super) fn insert(&mut self, person: u64) -> bool {
        if person.trailing_zeros() < self.zeros || !self.held.insert(person) {
            return false;
        }
        while self.held.len() > PEOPLE_MAX {
            self.zeros += 1;
            let zeros = self.zeros;
            self.held.retain(|person| person.trailing_zeros() >= zeros);
        }
        person.trailing_zeros() >= self.zeros
    }

    /// Takes in somebody who is not told apart from anybody, and so counts as new.
    pub(super) fn insert_nameless(&mut self) {
        self.nameless += 1;
    }

    /// How many; exact up to [`PEOPLE_MAX`], and to a tenth of a percent or so beyond.
    pub(super) fn count(&self) -> u64 {
        self.nameless + ((self.held.len() as u64) << self.zeros.min(63))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A session under way.
#[derive(Debug, Clone, Copy)]
struct Session {
    began_ms: i64,
    last_ms: i64,
    cost_nano_usd: Option<u64>,
    slot: SlotIndex,
    mishaps: Mishaps,
    /// Whether it began under the share that is in force.
    is_whole: bool,
}

/// What a call is to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Share {
    /// Whether the session begins with it.
    pub(super) begins: bool,
    /// The end of the session before it that was quiet for too long.
    pub(super) ended: Option<Ended>,
    /// What had gone wrong in the session before it.
    pub(super) before: Mishaps,
}

/// What a session's end adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) slot: SlotIndex,
    pub(super) cost_nano_usd: u64,
}

/// All sessions under way.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: HashMap<u64, Session>,
    swept_ms: i64,
    /// Calls that could not be counted as part of a session.
    pub(super) uncounted: u64,
}

impl Sessions {
    /// Notes a call of a session.
    pub(super) fn call(
        &mut self,
        session: u64,
        ts_ms: i64,
        slot: SlotIndex,
        cost: Option<u64>,
        mishaps: Mishaps,
    ) -> Share {
        let begun =
            Session { began_ms: ts_ms, last_ms: ts_ms, cost_nano_usd: cost, slot, mishaps, is_whole: true };
        if let Some(known) = self.open.get_mut(&session) {
            if known.goes_on(ts_ms) {
                let before = known.mishaps;
                known.mishaps = before.and(mishaps);
                known.last_ms = known.last_ms.max(ts_ms);
                known.cost_nano_usd = match (known.cost_nano_usd, cost) {
                    (Some(before), Some(cost)) => Some(before.saturating_add(cost)),
                    (before, cost) => before.or(cost),
                };
                return Share { before, ..Share::default() };
            }
            let ended = std::mem::replace(known, begun).end();
            return Share { begins: true, ended, ..Share::default() };
        }
        if self.open.len() >= SESSIONS_MAX {
            self.uncounted += 1;
            return Share::default();
        }
        self.open.insert(session, begun);
        Share { begins: true, ..Share::default() }
    }

    /// Ends those that have been quiet for long enough at a moment. Looked for only now and then.
    pub(super) fn sweep(&mut self, now_ms: i64, mut ended: impl FnMut(Ended)) {
        if now_ms - self.swept_ms < SWEEP_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.open.retain(|_, session| {
            let is_open = session.goes_on(now_ms);
            if let Some(end) = session.end().filter(|_| !is_open) {
                ended(end);
            }
            is_open
        });
    }

    /// Ends all of them.
    pub(super) fn end_all(&mut self, ended: impl FnMut(Ended)) {
        self.open.drain().filter_map(|(_, session)| session.end()).for_each(ended);
    }

    /// The share has changed: what is under way began under another one, and its cost is not counted.
    pub(super) fn cut(&mut self) {
        self.open.values_mut().for_each(|session| session.is_whole = false);
    }
}

impl Session {
    fn goes_on(&self, now_ms: i64) -> bool {
        now_ms - self.last_ms < IDLE_MS && now_ms - self.began_ms < LIFE_MS
    }

    fn end(&self) -> Option<Ended> {
        let cost_nano_usd = self.cost_nano_usd.filter(|_| self.is_whole)?;
        Some(Ended { slot: self.slot, cost_nano_usd })
    }
}

#[cfg(test)]
mod tests {
    use lockgate_core::mishap::Mishap;

    use super::*;

    #[test]
    fn more_people_than_fit_are_estimated_and_take_no_more_room() {
        let mut people = Distinct::default();
        let spread = |n: u64| (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
        let many = 3 * PEOPLE_MAX as u64;
        (0..many).for_each(|n| {
            people.insert(spread(n));
        });
        assert!(people.held.len() <= PEOPLE_MAX);
        assert!(people.count().abs_diff(many) < many / 100, "{} of {many}", people.count());
        assert!((0..1000).all(|n| !people.insert(spread(n))), "they are known");
    }

    #[test]
    fn a_session_ends_when_it_was_quiet_and_another_begins() {
        let mut sessions = Sessions::default();
        let mut call = |ts_ms, cost| {
            let Share { begins, ended, .. } = sessions.call(1, ts_ms, 0, cost, Mishaps::default());
            (begins, ended)
        };
        assert_eq!(call(0, Some(5)), (true, None));
        assert_eq!(call(IDLE_MS - 1, Some(7)), (false, None));
        let ended = Ended { slot: 0, cost_nano_usd: 12 };
        assert_eq!(call(2 * IDLE_MS, None), (true, Some(ended)));
        let mut costs = Vec::new();
        sessions.sweep(3 * IDLE_MS, |ended| costs.push(ended));
        assert!(costs.is_empty() && sessions.open.is_empty(), "nothing is known of what it cost");
    }

    #[test]
    fn what_went_wrong_is_known_until_the_session_is_over() {
        let mut sessions = Sessions::default();
        let failed: Mishaps = [Mishap::LetDown].into_iter().collect();
        let mut call = |session, ts_ms, mishaps| sessions.call(session, ts_ms, 0, None, mishaps).before;
        assert_eq!(call(1, 0, failed), Mishaps::default());
        assert_eq!(call(1, 1, Mishaps::default()), failed);
        assert_eq!(call(2, 2, failed), Mishaps::default(), "another session");
        assert_eq!(call(1, IDLE_MS, failed), failed);
        assert_eq!(call(1, 2 * IDLE_MS, failed), Mishaps::default(), "it was quiet");
    }

    #[test]
    fn a_session_that_never_pauses_ends_after_a_day() {
        let mut sessions = Sessions::default();
        let calls = 2 * LIFE_MS / 60_000;
        let begins = |minute| sessions.call(1, minute * 60_000, 0, None, Mishaps::default()).begins;
        assert_eq!((0..calls).map(begins).filter(|begins| *begins).count(), 2);
    }

    #[test]
    fn a_session_from_before_the_share_changed_is_not_counted() {
        let mut sessions = Sessions::default();
        sessions.call(1, 0, 0, Some(5), Mishaps::default());
        sessions.cut();
        sessions.call(2, 1, 1, Some(6), Mishaps::default());
        let mut costs = Vec::new();
        sessions.end_all(|ended| costs.push(ended));
        assert_eq!(costs, [Ended { slot: 1, cost_nano_usd: 6 }]);
    }
}
