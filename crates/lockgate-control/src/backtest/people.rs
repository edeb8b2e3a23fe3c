//! Who called: how many different people, who is new since the share last changed, and which sessions begin and end.
//!
//! People are told apart by hashes, and there may be more of them than fit. Then every second one is let go of, by a bit of
//! the hash: what is left is a fair part of both arms, so counts can be scaled up and splits stay what they are.

use std::collections::{HashMap, HashSet};

use super::bucket::SlotIndex;

/// Most people held at once, some 20 MB.
const PEOPLE_MAX: usize = 1 << 20;
/// Most sessions open at once, some 30 MB. Calls of further ones are not counted as sessions.
const SESSIONS_MAX: usize = 1 << 19;
/// A session that was quiet for so long is over; the next call begins another.
const IDLE_MS: i64 = 10 * 60 * 1000;
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
    last_ms: i64,
    cost_nano_usd: Option<u64>,
    slot: SlotIndex,
    /// Whether it began under the share that is in force.
    is_whole: bool,
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
    /// Notes a call. Returns whether it begins a session, and the end of the one before it that was quiet for too long.
    pub(super) fn call(
        &mut self,
        session: u64,
        ts_ms: i64,
        slot: SlotIndex,
        cost: Option<u64>,
    ) -> (bool, Option<Ended>) {
        if let Some(known) = self.open.get_mut(&session) {
            if ts_ms - known.last_ms < IDLE_MS {
                known.last_ms = known.last_ms.max(ts_ms);
                known.cost_nano_usd = match (known.cost_nano_usd, cost) {
                    (Some(before), Some(cost)) => Some(before.saturating_add(cost)),
                    (before, cost) => before.or(cost),
                };
                return (false, None);
            }
            let ended = known.end();
            *known = Session { last_ms: ts_ms, cost_nano_usd: cost, slot, is_whole: true };
            return (true, ended);
        }
        if self.open.len() >= SESSIONS_MAX {
            self.uncounted += 1;
            return (false, None);
        }
        self.open.insert(session, Session { last_ms: ts_ms, cost_nano_usd: cost, slot, is_whole: true });
        (true, None)
    }

    /// Ends those that have been quiet for long enough at a moment. Looked for only now and then.
    pub(super) fn sweep(&mut self, now_ms: i64, mut ended: impl FnMut(Ended)) {
        if now_ms - self.swept_ms < SWEEP_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.open.retain(|_, session| {
            let is_open = now_ms - session.last_ms < IDLE_MS;
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
    fn end(&self) -> Option<Ended> {
        let cost_nano_usd = self.cost_nano_usd.filter(|_| self.is_whole)?;
        Some(Ended { slot: self.slot, cost_nano_usd })
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(sessions.call(1, 0, 0, Some(5)), (true, None));
        assert_eq!(sessions.call(1, IDLE_MS - 1, 0, Some(7)), (false, None));
        let ended = Ended { slot: 0, cost_nano_usd: 12 };
        assert_eq!(sessions.call(1, 2 * IDLE_MS, 0, None), (true, Some(ended)));
        let mut costs = Vec::new();
        sessions.sweep(3 * IDLE_MS, |ended| costs.push(ended));
        assert!(costs.is_empty() && sessions.open.is_empty(), "nothing is known of what it cost");
    }

    #[test]
    fn a_session_from_before_the_share_changed_is_not_counted() {
        let mut sessions = Sessions::default();
        sessions.call(1, 0, 0, Some(5));
        sessions.cut();
        sessions.call(2, 1, 1, Some(6));
        let mut costs = Vec::new();
        sessions.end_all(|ended| costs.push(ended));
        assert_eq!(costs, [Ended { slot: 1, cost_nano_usd: 6 }]);
    }
}
