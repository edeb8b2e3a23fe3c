//! What is reported of an answer that was given elsewhere, as part of its session.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::signal::Signal;
use lockgate_store::row::{Answer, Observed};

use crate::answers::is_evaluation;
use crate::gateway::Gateway;
use crate::record::{Slot, Subject};
use crate::sessions::{Caller, Cost, Reported, Sessions};
use crate::tally::evaluated_caller;

/// The session that a report is about.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    sessions: &'a Sessions,
    slot: Arc<Slot>,
    caller: Caller<'a>,
    now: Timestamp,
    idle: Duration,
}

impl<'a> Outcome<'a> {
    /// `None` for an answer that was given here, and for somebody of whom nothing is kept that would tell his session.
    pub(crate) fn of(
        gateway: &'a Gateway,
        answer: &'a Answer,
        subject: &Subject,
        now: Timestamp,
        idle: Duration,
    ) -> Option<Self> {
        let session = answer.session.as_deref().filter(|_| is_evaluation(answer));
        let point = answer.point.filter(|_| is_evaluation(answer));
        let caller = evaluated_caller(session, point)?;
        let slot = gateway.recorder.slot(subject);
        Some(Self { sessions: &gateway.sessions, slot, caller, now, idle })
    }

    /// Whether the session has had its hit of this rate.
    pub(crate) fn is_closed(&self, signal: &Signal) -> bool {
        self.sessions.is_closed(self.caller, &self.slot, signal, self.now, self.idle)
    }

    /// Keeps what was counted.
    pub(crate) fn note(&self, signal: &Signal, observed: &Observed) {
        let cost = match observed {
            Observed::Amount(nano_usd) if *signal == Signal::Cost => Some(Cost::NanoUsd(*nano_usd)),
            _ => None,
        };
        let reported = Reported { signal, is_hit: *observed == Observed::Was(true), cost };
        self.sessions.report(self.caller, &self.slot, reported, self.now, self.idle);
    }
}
