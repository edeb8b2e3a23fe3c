//! Counts one call from its assignment to its end: in its slot, for its session, for its caller.
//!
//! Everything here is on the way of every call, so nothing here allocates for a caller who is known, waits, or reads a clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::record::{Observed, Recorder, Slot, Subject};
use crate::sessions::{Caller, Cost, Known, Seat, Sessions, Under};
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

/// One call under way.
#[derive(Debug)]
pub(crate) struct Tally {
    slot: Arc<Slot>,
    bucket: Duration,
    /// `None` for a call that tells nothing, and once it has been given back.
    seat: Option<Seat>,
    is_telling: bool,
}

impl Tally {
    /// Counts what is counted at once: the share is measured by what was given, not by what came of it.
    pub(crate) fn begin(books: Books<'_>, begun: Begun<'_>, now: Timestamp) -> Self {
        let Begun { subject, sticky_key, session, trial, is_telling, bucket, session_idle } = begun;
        let slot = books.recorder.slot(subject);
        let (seat, known) = if is_telling {
            let visitor = trial.and(sticky_key).map(|key| books.visitors.hash(key));
            let under = Under { trial_since: trial.map(|trial| trial.since), visitor };
            let caller = Caller::named(session, sticky_key);
            let (seat, known) = books.sessions.begin(caller, under, &slot, now, session_idle);
            let visited = known != Known::SessionAndVisitor
                && trial.is_some_and(|trial| books.visitors.is_first(&subject.feature, trial, visitor));
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
        Self { slot, bucket, seat, is_telling }
    }

    /// Counts what there is, if it tells anything.
    pub(crate) fn count<const N: usize>(&self, now: Timestamp, observed: [Option<Observed>; N]) {
        if self.is_telling {
            self.slot.observe(now, self.bucket, observed.into_iter().flatten());
        }
    }

    /// The call has ended.
    pub(crate) fn end(&mut self, sessions: &Sessions, cost: Cost, now: Timestamp) {
        if let Some(seat) = self.seat.take() {
            sessions.end(seat, &self.slot, cost, now);
        }
    }
}
