//! Which calls belong together, what they cost together, and what has gone wrong in them.
//!
//! A session is a caller's calls on one version with no long pause between them. It is known here by a hash while it lasts, in
//! a table of fixed size; when it has ended, its cost is one observation. Nobody can say what a session cost before it is over,
//! so costs are counted when sessions end and not when they begin.
//!
//! While a canary trial runs, a session counts only if it began under the trial as it is now. One that was under way when the
//! share changed was cut by the change, and it would be cut differently in the two arms. What ends with the process is not
//! counted either.
//!
//! Of a session of somebody who only asks for his version and is served elsewhere, what went wrong and what it cost is known as
//! far as it is reported.
//!
//! What has gone wrong once in a session is not counted again in it ([`lockgate_core::mishap`]). That is settled when a call
//! ends, here and under the lock, so that of two calls that fail at once one was first. Copies of a session's calls have
//! their own mishaps, for it is another version that has them.

mod reported;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::live::Table;
use lockgate_core::mishap::Mishaps;
use lockgate_core::route::Mode;
use lockgate_core::size_levels::level;

pub(crate) use self::reported::Reported;

use self::reported::Hits;
use crate::counts::Counter;
use crate::hashed::HashAsIs;
use crate::record::{Observed, Slot};

/// Most sessions that are waited for at once, over all features: some 18 MiB. At ten minutes of idleness that is 160 new
/// sessions a second; beyond it, the one that was silent for longest counts as ended.
const SESSIONS_MAX: usize = 100_000;
/// Most ended sessions that wait for a flush; more than a few hundred only when flushes are late.
const ENDED_MAX: usize = 100_000;
/// Longest life of a session. A program that calls without a pause would otherwise never be counted.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// No place in the table.
const NONE: u32 = u32::MAX;

/// All sessions that go on, and those that have ended and were not counted yet.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    hasher: RandomState,
    open: Mutex<Open>,
    pub(crate) displaced: Counter,
    pub(crate) lost: Counter,
    /// What was left out of a rate.
    pub(crate) repeats: Counter,
}

/// A call's part in its session, to be given back when the call ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seat {
    /// The caller names nothing that a later call could share: the call is the session.
    Alone {
        began: Timestamp,
        trial_since: Option<Timestamp>,
    },
    At {
        place: u32,
        generation: u32,
    },
}

/// Under what a call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Under {
    /// Since when the canary trial that touches the caller has been as it is.
    pub(crate) trial_since: Option<Timestamp>,
    /// The hash of what the assignment sticks to.
    pub(crate) visitor: Option<u64>,
}

/// What was known of a call's caller when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// A session begins.
    Nothing,
    Session,
    /// The session began with the same caller under the same trial, so that he was looked up as a visitor then.
    SessionAndVisitor,
}

/// What a call adds to its session's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    NanoUsd(u64),
    /// Whoever was told a version will say what came of it, or will not.
    Unreported,
    /// Nobody knows, and so nobody knows what the session cost.
    Unknown,
}

/// What a call's end brings to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brought {
    pub(crate) cost: Cost,
    pub(crate) mishaps: Mishaps,
}

/// Who calls, as far as sessions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caller<'c> {
    Session(&'c str),
    StickyKey(&'c str),
    /// Where the caller lies on a trial's line, which is kept of an answer where the key is not.
    Point(u32),
    Nameless,
}

/// A list of sessions by when they were last heard of, in places that are used again.
#[derive(Debug)]
struct Open {
    places: HashMap<u64, u32, HashAsIs>,
    sessions: Vec<Session>,
    /// Places without a session.
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    ended: Vec<Ended>,
}

#[derive(Debug)]
struct Session {
    key: u64,
    /// Tells the sessions that have had this place apart.
    generation: u32,
    newer: u32,
    older: u32,
    /// `None` while the place is free.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    slot: Arc<Slot>,
    began: Timestamp,
    under: Under,
    heard_of: Timestamp,
    calls_under_way: u32,
    cost: Cost,
    mishaps: Mishaps,
    reported: Hits,
    copies: Option<Copies>,
}

/// What has gone wrong in the copies of a session's calls.
#[derive(Debug)]
struct Copies {
    /// Of which version they were asked.
    slot: Arc<Slot>,
    mishaps: Mishaps,
}

/// A session that is over and has a known cost.
#[derive(Debug)]
struct Ended {
    slot: Arc<Slot>,
    began: Timestamp,
    trial_since: Option<Timestamp>,
    nano_usd: u64,
}

impl Sessions {
    /// A call begins.
    pub(crate) fn begin(
        &self,
        caller: Caller<'_>,
        under: Under,
        slot: &Arc<Slot>,
        now: Timestamp,
        idle: Duration,
    ) -> (Seat, Known) {
        if caller == Caller::Nameless {
            return (Seat::Alone { began: now, trial_since: under.trial_since }, Known::Nothing);
        }
        let key = self.key(caller, slot);
        let mut open = self.lock();
        if let Some(place) = open.places.get(&key).copied() {
            if open.goes_on(place, now, idle) {
                let known = open.renew(place, under, now);
                return (open.seat(place), known);
            }
            self.lost.add(open.end(place));
        }
        if open.places.len() >= SESSIONS_MAX {
            self.displaced.add(1);
            let oldest = open.oldest;
            self.lost.add(open.end(oldest));
        }
        let held = Held { calls_under_way: 1, ..Held::begun(slot, under, now) };
        let place = open.put(key, held);
        (open.seat(place), Known::Nothing)
    }

    /// A call has ended. Returns what had gone wrong in its session by then; nothing, if the session had to go meanwhile.
    pub(crate) fn end(&self, seat: Seat, slot: &Arc<Slot>, brought: Brought, now: Timestamp) -> Mishaps {
        let Brought { cost, mishaps } = brought;
        let mut open = self.lock();
        match seat {
            Seat::Alone { began, trial_since } => {
                let under = Under { trial_since, visitor: None };
                self.lost.add(open.note_ended(Held { cost, ..Held::begun(slot, under, began) }));
                Mishaps::default()
            }
            Seat::At { place, generation } => {
                let Some(held) = open.held_by(place, generation) else { return Mishaps::default() };
                held.calls_under_way -= 1;
                held.cost = held.cost.plus(cost);
                held.heard_of = held.heard_of.max(now);
                let before = held.mishaps;
                held.mishaps = before.and(mishaps);
                open.move_to_front(place);
                before
            }
        }
    }

    /// A copy of a session's call has ended. Returns what had gone wrong by then in the session's copies to the same version.
    pub(crate) fn end_copy(&self, of: Seat, slot: &Arc<Slot>, mishaps: Mishaps) -> Mishaps {
        let Seat::At { place, generation } = of else { return Mishaps::default() };
        let mut open = self.lock();
        let Some(held) = open.held_by(place, generation) else { return Mishaps::default() };
        let known = held.copies.as_ref().filter(|copies| Arc::ptr_eq(&copies.slot, slot));
        let before = known.map_or_else(Mishaps::default, |copies| copies.mishaps);
        if before.and(mishaps) != before {
            held.copies = Some(Copies { slot: Arc::clone(slot), mishaps: before.and(mishaps) });
        }
        before
    }

    /// Counts the costs of sessions that have ended by now, as far as they are to be counted.
    pub(crate) fn settle(&self, table: &Table, now: Timestamp) {
        let signals = &table.config.signals;
        let ended = {
            let mut open = self.lock();
            self.lost.add(open.end_idle(now, signals.session_idle));
            std::mem::take(&mut open.ended)
        };
        for ended in ended.iter().filter(|ended| ended.counts(table)) {
            ended.slot.observe(now, signals.bucket, [Observed::SessionCost(level(ended.nano_usd))]);
        }
    }

    /// The slot is part of the key: a caller who comes to another version begins another session there. While the session
    /// lasts it holds the slot, so the address is nobody else's.
    fn key(&self, caller: Caller<'_>, slot: &Arc<Slot>) -> u64 {
        self.hasher.hash_one((Arc::as_ptr(slot).addr(), caller))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'c> Caller<'c> {
    /// The session that was named, else what the assignment sticks to.
    pub(crate) fn named(session: Option<&'c str>, sticky_key: Option<&'c str>) -> Self {
        let by_key = sticky_key.map_or(Self::Nameless, Self::StickyKey);
        session.map_or(by_key, Self::Session)
    }
}

impl Ended {
    /// Whether it was not cut by a change of the trial that runs now.
    fn counts(&self, table: &Table) -> bool {
        let subject = self.slot.subject();
        let trial = table.routes.get(&subject.feature).and_then(|route| route.trial.as_ref());
        match trial.filter(|trial| matches!(trial.mode, Mode::Canary { .. })) {
            None => true,
            // A gateway hears of a change a moment late, so the moment alone would not tell.
            Some(trial) if trial.admits(&subject.segment) => self.trial_since == Some(trial.since),
            Some(trial) => self.began >= trial.since,
        }
    }
}

impl Held {
    fn begun(slot: &Arc<Slot>, under: Under, now: Timestamp) -> Self {
        Self {
            slot: Arc::clone(slot),
            began: now,
            under,
            heard_of: now,
            calls_under_way: 0,
            cost: Cost::NanoUsd(0),
            mishaps: Mishaps::default(),
            reported: Hits::default(),
            copies: None,
        }
    }
}

impl Cost {
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::NanoUsd(mine), Self::NanoUsd(theirs)) => Self::NanoUsd(mine.saturating_add(theirs)),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::NanoUsd(0) | Self::Unreported, Self::Unreported) => Self::Unreported,
            (Self::NanoUsd(known), Self::Unreported) | (Self::Unreported, Self::NanoUsd(known)) => {
                Self::NanoUsd(known)
            }
        }
    }
}

impl Default for Open {
    fn default() -> Self {
        Self {
            places: HashMap::default(),
            sessions: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            ended: Vec::new(),
        }
    }
}

impl Open {
    /// Whether the session at a place is not over. One with calls under way is not, however long they take.
    fn goes_on(&self, place: u32, now: Timestamp, idle: Duration) -> bool {
        let Some(held) = self.held(place) else { return false };
        let passed = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or_default();
        held.calls_under_way > 0 || (passed(held.heard_of) < idle && passed(held.began) < LIFE_MAX)
    }

    fn held(&self, place: u32) -> Option<&Held> {
        self.sessions.get(place as usize)?.held.as_ref()
    }

    /// The session that a seat is in, if it still goes on.
    fn held_by(&mut self, place: u32, generation: u32) -> Option<&mut Held> {
        let session = self.sessions.get_mut(place as usize)?;
        session.held.as_mut().filter(|_| session.generation == generation)
    }

    fn seat(&self, place: u32) -> Seat {
        Seat::At { place, generation: self.sessions[place as usize].generation }
    }

    /// Another call of a session begins.
    fn renew(&mut self, place: u32, under: Under, now: Timestamp) -> Known {
        self.move_to_front(place);
        let Some(held) = &mut self.sessions[place as usize].held else { return Known::Nothing };
        held.calls_under_way += 1;
        held.heard_of = held.heard_of.max(now);
        if held.under == under { Known::SessionAndVisitor } else { Known::Session }
    }

    fn put(&mut self, key: u64, held: Held) -> u32 {
        let place = match self.free.pop() {
            Some(place) => {
                let session = &mut self.sessions[place as usize];
                session.key = key;
                session.generation = session.generation.wrapping_add(1);
                session.held = Some(held);
                place
            }
            None => {
                let (newer, older) = (NONE, NONE);
                self.sessions.push(Session { key, generation: 0, newer, older, held: Some(held) });
                (self.sessions.len() - 1) as u32
            }
        };
        self.link(place);
        self.places.insert(key, place);
        place
    }

    /// Ends the session at a place; returns how many costs were lost by it.
    fn end(&mut self, place: u32) -> u64 {
        self.unlink(place);
        let Some(session) = self.sessions.get_mut(place as usize) else { return 0 };
        let held = session.held.take();
        self.places.remove(&session.key);
        self.free.push(place);
        held.map_or(0, |held| self.note_ended(held))
    }

    /// Ends what has been silent for long enough, oldest first; returns how many costs were lost by it.
    fn end_idle(&mut self, now: Timestamp, idle: Duration) -> u64 {
        let mut lost = 0;
        let mut place = self.oldest;
        while let Some(session) = self.sessions.get(place as usize) {
            let newer = session.newer;
            let is_waited_for = session.held.as_ref().is_some_and(|held| held.calls_under_way > 0);
            if !is_waited_for && self.goes_on(place, now, idle) {
                break;
            }
            if !is_waited_for {
                lost += self.end(place);
            }
            place = newer;
        }
        lost
    }

    /// Keeps a session's cost for the next flush; returns 1 if it is lost, because there is no room for it or because calls
    /// are under way, without which it is not whole.
    fn note_ended(&mut self, held: Held) -> u64 {
        let Held { slot, began, under, calls_under_way, cost: Cost::NanoUsd(nano_usd), .. } = held else {
            return 0;
        };
        if calls_under_way > 0 || self.ended.len() >= ENDED_MAX {
            return 1;
        }
        self.ended.push(Ended { slot, began, trial_since: under.trial_since, nano_usd });
        0
    }

    fn move_to_front(&mut self, place: u32) {
        if self.newest != place {
            self.unlink(place);
            self.link(place);
        }
    }

    fn link(&mut self, place: u32) {
        let older = std::mem::replace(&mut self.newest, place);
        match self.sessions.get_mut(older as usize) {
            Some(session) => session.newer = place,
            None => self.oldest = place,
        }
        let session = &mut self.sessions[place as usize];
        (session.newer, session.older) = (NONE, older);
    }

    fn unlink(&mut self, place: u32) {
        let Some(session) = self.sessions.get(place as usize) else { return };
        let (newer, older) = (session.newer, session.older);
        match self.sessions.get_mut(newer as usize) {
            Some(session) => session.older = older,
            None => self.newest = older,
        }
        match self.sessions.get_mut(older as usize) {
            Some(session) => session.newer = newer,
            None => self.oldest = newer,
        }
    }
}

#[cfg(test)]
mod tests;
