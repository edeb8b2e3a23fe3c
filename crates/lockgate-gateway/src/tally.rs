//! Counts one call from its assignment to its end: in its slot, for its session, for its caller.
//!
//! Assignments, times, tokens and money count for every call. Errors, time-outs, fallbacks and degraded answers count up to and
//! with the first that lets its session down, and refusals, rejections and departures up to and with the first of their kind;
//! the rest of the session is left out of these rates, and how much that was is counted. A call of somebody who names
//! neither a session nor himself is a session of its own.
//!
//! Everything here is on the way of every call, so nothing here allocates for a caller who is known, waits, or reads a clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::mishap::Mishaps;

use crate::assign::Assigned;
use crate::caller;
use crate::record::{Observed, Recorder, Slot, Subject};
use crate::sessions::{Brought, Caller, Cost, Known, Seat, Sessions, Under};
use crate::visitors::{TrialState, Visitors};

/// Where calls are counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Books<'b> {
    pub(crate) recorder: &'b Recorder,
    pub(crate) sessions: &'b Sessions,
    pub(crate) visitors: &'b Visitors,
}

/// What is known of a call when it has been assigned.
#[derive(Debug)]
pub(crate) struct Begun<'c> {
    pub(crate) subject: &'c Subject,
    pub(crate) sticky_key: Option<&'c str>,
    pub(crate) session: Option<&'c str>,
    /// The canary trial that touches the caller.
    pub(crate) trial: Option<TrialState>,
    /// Whether what comes of the call says something about the version.
    pub(crate) is_telling: bool,
    pub(crate) bucket: Duration,
    pub(crate) session_idle: Duration,
}

impl<'c> Begun<'c> {
    /// A call, or an evaluation, of somebody who has been assigned.
    pub(crate) fn of(
        subject: &'c Subject,
        assigned: &Assigned,
        caller: &'c caller::Caller,
        is_telling: bool,
    ) -> Self {
        let trial = assigned.rollout.zip(assigned.trial_since);
        Self {
            subject,
            sticky_key: caller.sticky_key.as_deref(),
            session: caller.session.as_deref(),
            trial: trial.map(|(rollout, since)| TrialState { rollout, since }),
            is_telling,
            bucket: assigned.bucket,
            session_idle: assigned.session_idle,
        }
    }
}

/// One call under way.
#[derive(Debug)]
pub(crate) struct Tally {
    slot: Arc<Slot>,
    bucket: Duration,
    /// `None` for a call that tells nothing, and once it has ended.
    seat: Option<Seat>,
}

impl Tally {
    /// Counts what is counted at once: the share is measured by what was given, not by what came of it.
    pub(crate) fn begin(books: Books<'_>, begun: Begun<'_>, now: Timestamp) -> Self {
        let slot = books.recorder.slot(begun.subject);
        let bucket = begun.bucket;
        let (seat, known) = if begun.is_telling {
            let caller = Caller::named(begun.session, begun.sticky_key);
            let (seat, known, visited) = enter(books, &begun, caller, &slot, now);
            (Some(seat), Some((known, visited)))
        } else {
            (None, None)
        };
        let observed = [
            Some(Observed::Assigned),
            known.filter(|(_, visited)| *visited).map(|_| Observed::Visited),
            known.filter(|(known, _)| *known == Known::Nothing).map(|_| Observed::SessionBegan),
        ];
        slot.observe(now, bucket, observed.into_iter().flatten());
        Self { slot, bucket, seat }
    }

    /// Its part in its session; `None` for a call that tells nothing.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.seat
    }

    /// Counts what shows before the call ends, if it tells anything.
    pub(crate) fn count(&self, now: Timestamp, observed: Observed) {
        if self.seat.is_some() {
            self.slot.observe(now, self.bucket, [observed]);
        }
    }

    /// The call has ended: counts what there is of it that is news of its session.
    pub(crate) fn end<const N: usize>(
        &mut self,
        sessions: &Sessions,
        cost: Cost,
        now: Timestamp,
        observed: [Option<Observed>; N],
    ) {
        let Some(seat) = self.seat.take() else { return };
        let brought = Brought { cost, mishaps: mishaps(&observed) };
        let before = sessions.end(seat, &self.slot, brought, now);
        count_after(before, sessions, &self.slot, (now, self.bucket), observed);
    }
}

/// Counts that somebody was told his version and is served elsewhere. Whoever asks may ask as often as he likes: he counts as one
/// assignment in a session, and as one more when a trial changes under it. What comes of it counts when it is reported.
pub(crate) fn evaluated(books: Books<'_>, begun: &Begun<'_>, point: Option<u32>, now: Timestamp) {
    if !begun.is_telling {
        return;
    }
    let slot = books.recorder.slot(begun.subject);
    let caller = evaluated_caller(begun.session, point)
        .unwrap_or(begun.sticky_key.map_or(Caller::Nameless, Caller::StickyKey));
    let (seat, known, visited) = enter(books, begun, caller, &slot, now);
    let brought = Brought { cost: Cost::Unreported, mishaps: Mishaps::default() };
    books.sessions.end(seat, &slot, brought, now);
    let began = known == Known::Nothing;
    let observed = [
        (began || visited).then_some(Observed::Assigned),
        visited.then_some(Observed::Visited),
        began.then_some(Observed::SessionBegan),
    ];
    slot.observe(now, begun.bucket, observed.into_iter().flatten());
}

/// Whose session an evaluation is part of, as far as what is kept of it can tell later.
pub(crate) fn evaluated_caller(session: Option<&str>, point: Option<u32>) -> Option<Caller<'_>> {
    session.map(Caller::Session).or(point.map(Caller::Point))
}

/// Takes a seat in the caller's session, and says what was known of him and whether he is a visitor who is new.
fn enter(
    books: Books<'_>,
    begun: &Begun<'_>,
    caller: Caller<'_>,
    slot: &Arc<Slot>,
    now: Timestamp,
) -> (Seat, Known, bool) {
    let visitor = begun.trial.and(begun.sticky_key).map(|key| books.visitors.hash(key));
    let under = Under { trial_since: begun.trial.map(|trial| trial.since), visitor };
    let (seat, known) = books.sessions.begin(caller, under, slot, now, begun.session_idle);
    let feature = &begun.subject.feature;
    let visited = known != Known::SessionAndVisitor
        && begun.trial.is_some_and(|trial| books.visitors.is_first(feature, trial, visitor));
    (seat, known, visited)
}

/// Counts what there is of a copy, once for all copies of the session of the call that it is a copy of.
pub(crate) fn end_copy<const N: usize>(
    sessions: &Sessions,
    of: Option<Seat>,
    slot: &Arc<Slot>,
    when: (Timestamp, Duration),
    observed: [Option<Observed>; N],
) {
    let before = of.map(|of| sessions.end_copy(of, slot, mishaps(&observed))).unwrap_or_default();
    count_after(before, sessions, slot, when, observed);
}

fn mishaps(observed: &[Option<Observed>]) -> Mishaps {
    observed.iter().flatten().filter_map(|one| one.mishap()).collect()
}

fn count_after<const N: usize>(
    before: Mishaps,
    sessions: &Sessions,
    slot: &Slot,
    (now, bucket): (Timestamp, Duration),
    observed: [Option<Observed>; N],
) {
    slot.observe_after(before, now, bucket, observed.into_iter().flatten());
    if before != Mishaps::default() {
        sessions.repeats.add(observed.iter().flatten().map(|one| one.repeats(before)).sum());
    }
}
