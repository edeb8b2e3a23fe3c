//! A circuit breaker: stops asking a target that fails, and finds out carefully when it is well again.
//!
//! Closed, every call passes. When calls fail in a row, or too large a part of those in a rolling window, it opens and refuses
//! every call at once, so that a caller is answered by the next tier instead of waiting. After a while it is half open: a bounded
//! number of calls pass as probes. When they succeed it recovers: a share of the calls that grows to all of them, so that a target
//! which has just come back is not met by everybody at the same moment. A failure on the way opens it again, for longer.
//!
//! Every opening, half-opening and recovery begins an *epoch*, and a call counts only in the epoch that it began in: failures
//! that were under way when it opened neither keep it open nor open it again, and successes of that time do not close it. A
//! recovery and the closed state that follows are one epoch, because nothing was interrupted between them and the slowest
//! failures of a recovery come in only after it.
//!
//! No state lasts longer because the clock was set back, but for an opening, which then lasts [`Settings::open_max`] at the
//! most.

mod phase;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use self::phase::{Phase, Probes, Record, later, share};

/// The part of the calls that passes when a recovery begins: some for every replica, and few enough for a target that has only
/// just come back.
pub const SHARE_MIN: f64 = 0.1;

/// The part of an opening that is drawn, so that replicas which opened together do not probe together.
pub const JITTER: f64 = 0.25;

/// When it opens, for how long, and how it closes.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Failures in a row that open it.
    pub consecutive: u32,
    /// The part of the calls in the window whose failure opens it, in (0, 1].
    pub rate: f64,
    /// Calls in the window below which a rate says nothing.
    pub calls_min: u32,
    /// The rolling window.
    pub window: Duration,
    /// How long it stays open the first time, less up to a quarter of it that is drawn; each time that it opens again before it
    /// has closed, twice as long.
    pub open: Duration,
    /// The longest that it stays open. A probe that has not ended within this time does not keep its place either: then it
    /// tells no more than an opening of that length would.
    pub open_max: Duration,
    /// Calls that pass while it is half open, at once and in all, and that must succeed.
    pub probes: u32,
    /// How long the share of calls grows after that, from [`SHARE_MIN`] to all.
    pub recovery: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            consecutive: 5,
            rate: 0.5,
            calls_min: 20,
            window: Duration::from_secs(30),
            open: Duration::from_secs(10),
            open_max: Duration::from_secs(300),
            probes: 3,
            recovery: Duration::from_secs(30),
        }
    }
}

/// What it does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All pass.
    Closed,
    /// None passes.
    Open,
    /// A few pass, to see how they do.
    HalfOpen,
    /// A growing share passes.
    Recovering,
}

/// How a call went, as far as the target's health is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The target answered in time, if only with the caller's own mistake.
    Good,
    /// The target failed, or was slower than it may be.
    Failed,
    /// Nothing is known of the target by it: the caller left, or the fault is ours.
    Unknown,
}

/// A call that was let pass, to be ended once.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
    /// Its place among the probes, if it is one.
    probe: Option<u64>,
    /// Drawn for this call: millionths, evenly in [0, 1,000,000). It decides how long an opening lasts that this call brings
    /// about.
    luck: u32,
    change: Option<Change>,
}

impl Ticket {
    /// The change that letting this call pass has made: half open, or closed at the end of a recovery. Such a change is told by
    /// its one ticket and nowhere else.
    pub fn change(&self) -> Option<Change> {
        self.change
    }

    /// Whether it is a probe of a half-open breaker.
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

/// A call that was not let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// In which state.
    pub state: State,
    /// When the next calls may pass, where that is known.
    pub until: Option<Timestamp>,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
}

/// Why it opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// So many calls in a row failed.
    InARow(u32),
    /// Too large a part of the calls in the window failed.
    Rate {
        /// How many failed.
        failed: u64,
        /// Of how many.
        calls: u64,
    },
    /// A probe failed.
    Probe,
}

/// How it stands, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What it does with calls.
    pub state: State,
    /// Since when; `None` for one that has never changed.
    pub since: Option<Timestamp>,
    /// Why it opened, until it is closed again.
    pub cause: Option<Cause>,
    /// Until when it is open.
    pub open_until: Option<Timestamp>,
    /// The part of the calls that passes while it recovers.
    pub share: Option<f64>,
    /// Calls in the window that ended and said something of the target.
    pub calls: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Probes under way.
    pub probes_in_flight: usize,
}

/// The breaker of one target.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    phase: Phase,
    epoch: u64,
    since: Option<Timestamp>,
    /// Openings since it was last closed, and why it opened last.
    openings: u32,
    cause: Option<Cause>,
    /// The target asked not to be called before.
    rest_until: Option<Timestamp>,
}

impl Breaker {
    /// Whether a call may pass now. `draw` in [0, 1) decides which calls are in a share, and how long an opening lasts.
    pub fn admit(&mut self, settings: &Settings, now: Timestamp, draw: f64) -> Result<Ticket, Refused> {
        let change = self.pass_time(settings, now);
        let draw = if draw.is_finite() { draw.clamp(0.0, 0.999_999) } else { 0.0 };
        let refused = |state, until| Err(Refused { state, until });
        let (probe, luck) = match &mut self.phase {
            Phase::Closed(_) => (None, draw),
            Phase::Open { until } => return refused(State::Open, Some(*until)),
            Phase::HalfOpen(probes) => match probes.admit(settings, now) {
                Some(probe) => (Some(probe), draw),
                None => return refused(State::HalfOpen, None),
            },
            Phase::Recovering { since, .. } => {
                let share = share(settings, *since, now);
                if draw >= share {
                    return refused(State::Recovering, None);
                }
                // The draws that pass lie evenly below the share.
                (None, draw / share)
            }
        };
        Ok(Ticket { epoch: self.epoch, probe, luck: (luck * 1e6) as u32, change })
    }

    /// A call has ended. The change, if this made one.
    ///
    /// Closed, a success ends the failures in a row; [`Settings::consecutive`] of them open it, and so does a rate of failures
    /// over at least [`Settings::calls_min`] calls. Half open, the first failed probe opens it. Recovering, it opens as when it
    /// is closed, but by its own calls alone, and by as many fewer of them as fewer pass: the rate counts from
    /// `calls_min` times the share on, though not before [`Settings::probes`] calls.
    pub fn end(
        &mut self,
        settings: &Settings,
        ticket: Ticket,
        now: Timestamp,
        outcome: Outcome,
    ) -> Option<Change> {
        if ticket.epoch != self.epoch {
            return None;
        }
        let cause = match &mut self.phase {
            Phase::Open { .. } => None,
            Phase::Closed(record) => record.cause(settings, settings.calls_min, now, outcome),
            Phase::Recovering { since, record } => {
                let calls_min = f64::from(settings.calls_min) * share(settings, *since, now);
                let calls_min = (calls_min.ceil() as u32).max(settings.probes);
                record.cause(settings, calls_min, now, outcome)
            }
            Phase::HalfOpen(probes) => {
                // One that has lost its place to another counts for nothing.
                if !ticket.probe.is_some_and(|probe| probes.end(probe)) {
                    return None;
                }
                probes.good += u32::from(outcome == Outcome::Good);
                if outcome != Outcome::Failed && probes.good >= settings.probes.max(1) {
                    return Some(self.recover(now));
                }
                (outcome == Outcome::Failed).then_some(Cause::Probe)
            }
        }?;
        Some(self.open(settings, cause, ticket.luck, now))
    }

    /// The target asked to be left alone for so long; where it fails so often that it opens, it stays open at least that long,
    /// though not longer than [`Settings::open_max`]. To ask does not open it: one limit may have been met by one large call.
    pub fn rest(&mut self, settings: &Settings, now: Timestamp, asked: Duration) {
        let asked_until = later(now, asked.min(settings.open_max));
        let rest_until = self.rest_until.map_or(asked_until, |until| until.max(asked_until));
        self.rest_until = Some(rest_until);
        if let Phase::Open { until } = &mut self.phase {
            *until = (*until).max(asked_until);
        }
    }

    /// What it does with calls now.
    pub fn state(&self, settings: &Settings, now: Timestamp) -> State {
        match &self.phase {
            Phase::Closed(_) => State::Closed,
            Phase::Open { until } if now < *until => State::Open,
            Phase::Open { .. } | Phase::HalfOpen(_) => State::HalfOpen,
            Phase::Recovering { since, .. } if now < later(*since, settings.recovery) => State::Recovering,
            Phase::Recovering { .. } => State::Closed,
        }
    }

    /// How it stands.
    pub fn reading(&self, settings: &Settings, now: Timestamp) -> Reading {
        let state = self.state(settings, now);
        let mut reading = Reading {
            state,
            since: self.since,
            cause: self.cause.filter(|_| state != State::Closed),
            open_until: None,
            share: None,
            calls: 0,
            failures: 0,
            consecutive_failures: 0,
            probes_in_flight: 0,
        };
        match &self.phase {
            Phase::Open { until } if state == State::Open => {
                reading.open_until = Some((*until).min(later(now, settings.open_max)));
            }
            Phase::Open { until } => reading.since = Some(*until),
            Phase::HalfOpen(probes) => reading.probes_in_flight = probes.under_way.len(),
            Phase::Recovering { since, .. } if state == State::Recovering => {
                reading.share = Some(share(settings, *since, now));
            }
            Phase::Recovering { since, .. } => reading.since = Some(later(*since, settings.recovery)),
            Phase::Closed(_) => {}
        }
        if let Phase::Closed(record) | Phase::Recovering { record, .. } = &self.phase {
            (reading.calls, reading.failures) = record.calls(settings, now);
            reading.consecutive_failures = record.in_row;
        }
        reading
    }

    /// What follows from the time alone, before a call is looked at. Whatever changes here lets that call pass, so that its
    /// ticket can tell.
    fn pass_time(&mut self, settings: &Settings, now: Timestamp) -> Option<Change> {
        match &mut self.phase {
            Phase::Closed(_) => None,
            Phase::Open { until } => {
                // Only a clock that was set back can make it later than this.
                *until = (*until).min(later(now, settings.open_max));
                (now >= *until).then(|| self.half_open(now))
            }
            Phase::HalfOpen(probes) => {
                probes.expire(settings, now);
                None
            }
            Phase::Recovering { since, .. } => {
                *since = (*since).min(now);
                (now >= later(*since, settings.recovery)).then(|| self.close(now))
            }
        }
    }

    fn open(&mut self, settings: &Settings, cause: Cause, luck: u32, now: Timestamp) -> Change {
        let times = 1_u32.checked_shl(self.openings).unwrap_or(u32::MAX);
        let whole = settings.open.saturating_mul(times).min(settings.open_max);
        let drawn = whole.mul_f64(JITTER * f64::from(luck) / 1e6);
        let rest_until = self.rest_until.take().unwrap_or(now).min(later(now, settings.open_max));
        let until = later(now, whole.saturating_sub(drawn)).max(rest_until);
        self.openings = self.openings.saturating_add(1);
        self.cause = Some(cause);
        self.enter(State::Open, Phase::Open { until }, now)
    }

    fn half_open(&mut self, now: Timestamp) -> Change {
        self.rest_until = None;
        self.enter(State::HalfOpen, Phase::HalfOpen(Probes::default()), now)
    }

    fn recover(&mut self, now: Timestamp) -> Change {
        let record = Record::default();
        self.enter(State::Recovering, Phase::Recovering { since: now, record }, now)
    }

    fn close(&mut self, now: Timestamp) -> Change {
        self.openings = 0;
        self.cause = None;
        self.enter(State::Closed, Phase::default(), now)
    }

    fn enter(&mut self, to: State, phase: Phase, now: Timestamp) -> Change {
        let from = self.phase.state();
        self.epoch += u64::from(to != State::Closed);
        self.phase = phase;
        self.since = Some(now);
        Change { from, to }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half open",
            Self::Recovering => "recovering",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InARow(1) => f.write_str("a call failed"),
            Self::InARow(calls) => write!(f, "{calls} calls in a row failed"),
            Self::Rate { failed, calls } => write!(f, "{failed} of {calls} calls failed"),
            Self::Probe => f.write_str("a probe failed"),
        }
    }
}

#[cfg(test)]
mod tests;
