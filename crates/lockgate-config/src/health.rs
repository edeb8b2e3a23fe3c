//! How the targets do: a breaker, a budget for retries and a few counts for each, kept as long as the process lives.
//!
//! They belong to no configuration: a reload must not close a breaker. A target that points elsewhere after a reload begins anew.
//! There are as many records as the configuration in force has targets that are reached over the network, and each is of a
//! fixed size.

mod told;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::breaker::{self, Breaker, Change, Outcome, Refused, State, Ticket};
use lockgate_core::name::TargetName;
use lockgate_core::retry::{self, Budget};

use self::told::OTHER;
pub use self::told::{LastChange, LastFailure, TargetHealth, Totals};
use crate::value::{Config, Endpoint};

/// All targets that were asked since the start, or that are configured.
#[derive(Debug, Default)]
pub struct Health {
    of: Mutex<HashMap<TargetName, Arc<Patient>>>,
}

/// One target.
#[derive(Debug)]
pub struct Patient {
    name: TargetName,
    base_url: http::Uri,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    budget: Budget,
    /// As the latest call found them.
    settings: (breaker::Settings, retry::Settings),
    totals: Totals,
    last_failure: Option<LastFailure>,
    last_change: Option<LastChange>,
}

/// A call that was let pass to a target. Dropped without being ended, it says nothing about the target, and frees its place if it
/// was a probe.
#[derive(Debug)]
pub struct Pass {
    patient: Arc<Patient>,
    ticket: Option<Ticket>,
    settings: breaker::Settings,
    begun: Timestamp,
}

impl Health {
    /// Keeps a record of every target of a configuration that is reached over the network: the one that there is, unless the
    /// target points elsewhere now. Those of all others are forgotten.
    pub fn follow(&self, config: &Config) {
        let endpoint_of =
            |name: &TargetName| config.targets.get(name).and_then(|target| target.kind.endpoint());
        let mut of = self.lock();
        of.retain(|name, patient| endpoint_of(name).is_some_and(|endpoint| patient.is_at(endpoint)));
        for name in config.targets.keys() {
            if let Some(endpoint) = endpoint_of(name) {
                of.entry(name.clone()).or_insert_with(|| Arc::new(Patient::new(name, endpoint)));
            }
        }
    }

    /// The target's own record.
    pub fn of(&self, name: &TargetName, endpoint: &Endpoint) -> Arc<Patient> {
        let new = || Arc::new(Patient::new(name, endpoint));
        let mut of = self.lock();
        match of.get(name) {
            Some(patient) if patient.is_at(endpoint) => Arc::clone(patient),
            // A call that goes by an older configuration: the name stands for another target by now, which has nothing to do
            // with how this one does.
            Some(_) => new(),
            None => Arc::clone(of.entry(name.clone()).or_insert_with(new)),
        }
    }

    /// How all targets do, by name.
    pub fn list(&self, now: Timestamp) -> Vec<TargetHealth> {
        let mut patients: Vec<_> = self.lock().values().cloned().collect();
        patients.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        patients.iter().map(|patient| patient.health(now)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TargetName, Arc<Patient>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Patient {
    fn new(name: &TargetName, endpoint: &Endpoint) -> Self {
        let inner = Inner {
            breaker: Breaker::default(),
            budget: Budget::default(),
            settings: (endpoint.breaker.clone(), endpoint.retries.clone()),
            totals: Totals::default(),
            last_failure: None,
            last_change: None,
        };
        Self { name: name.clone(), base_url: endpoint.base_url.clone(), inner: Mutex::new(inner) }
    }

    fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.base_url == endpoint.base_url
    }

    /// Whether a call may be made now. `draw` in [0, 1) decides which calls are in a share; `is_retry` says that the call was made
    /// before and does not fill the budget.
    pub fn admit(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        now: Timestamp,
        draw: f64,
        is_retry: bool,
    ) -> Result<Pass, Refused> {
        let mut inner = self.lock();
        inner.settings = (endpoint.breaker.clone(), endpoint.retries.clone());
        let ticket = match inner.breaker.admit(&endpoint.breaker, now, draw) {
            Ok(ticket) => ticket,
            Err(refused) => {
                inner.totals.refused += 1;
                return Err(refused);
            }
        };
        inner.totals.calls += 1;
        if !is_retry {
            inner.budget.earn(&endpoint.retries, now);
        }
        let noted = inner.note(ticket.change(), now);
        drop(inner);
        self.tell(noted);
        let settings = endpoint.breaker.clone();
        Ok(Pass { patient: Arc::clone(self), ticket: Some(ticket), settings, begun: now })
    }

    /// Takes a retry from the budget, if it holds one.
    pub fn may_retry(&self, endpoint: &Endpoint, now: Timestamp) -> bool {
        let mut inner = self.lock();
        let may = inner.budget.spend(&endpoint.retries, now);
        let counted = if may { &mut inner.totals.retries } else { &mut inner.totals.retries_refused };
        *counted += 1;
        may
    }

    /// The target asked to be left alone for so long.
    pub fn rest(&self, endpoint: &Endpoint, now: Timestamp, asked: Duration) {
        self.lock().breaker.rest(&endpoint.breaker, now, asked);
    }

    /// What the breaker does with calls now.
    pub fn state(&self, endpoint: &Endpoint, now: Timestamp) -> State {
        self.lock().breaker.state(&endpoint.breaker, now)
    }

    /// Its name.
    pub fn name(&self) -> &TargetName {
        &self.name
    }

    /// How it does.
    pub fn health(&self, now: Timestamp) -> TargetHealth {
        let inner = self.lock();
        let (breaker, retries) = &inner.settings;
        let reading = inner.breaker.reading(breaker, now);
        TargetHealth {
            target: self.name.clone(),
            state: reading.state,
            since: reading.since,
            why: reading.cause.map(|cause| cause.to_string()),
            open_until: reading.open_until,
            share: reading.share,
            probes_in_flight: reading.probes_in_flight,
            calls: reading.calls,
            failures: reading.failures,
            failure_rate: (reading.calls > 0).then(|| reading.failures as f64 / reading.calls as f64),
            consecutive_failures: reading.consecutive_failures,
            retries_left: inner.budget.left(retries, now),
            totals: inner.totals.clone(),
            last_failure: inner.last_failure.clone(),
            last_change: inner.last_change.clone(),
        }
    }

    fn end(
        &self,
        settings: &breaker::Settings,
        ticket: Ticket,
        now: Timestamp,
        outcome: Outcome,
        why: &str,
    ) -> Option<Change> {
        let mut inner = self.lock();
        match outcome {
            Outcome::Good => {}
            Outcome::Unknown => inner.totals.unknown += 1,
            Outcome::Failed => {
                let word = inner.totals.fail(why);
                inner.last_failure = Some(LastFailure { at: now, why: word });
            }
        }
        let change = inner.breaker.end(settings, ticket, now, outcome);
        let noted = inner.note(change, now);
        drop(inner);
        self.tell(noted);
        change
    }

    /// Writes a change to the log, after the record has been let go of.
    fn tell(&self, noted: Option<Noted>) {
        let Some(Noted { change, why, until, last }) = noted else { return };
        let Self { name, .. } = self;
        match change.to {
            State::Open => tracing::warn!(
                from = %change.from,
                until,
                last,
                "target `{name}` is not asked any more: {why}"
            ),
            State::HalfOpen => tracing::info!("target `{name}` is tried again with a few calls"),
            State::Recovering => {
                tracing::info!("target `{name}` answers again and gets a growing share of its calls");
            }
            State::Closed => tracing::info!("target `{name}` has recovered and gets all of its calls"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change, and what is to be said of it.
struct Noted {
    change: Change,
    why: String,
    until: Option<String>,
    last: Option<String>,
}

impl Inner {
    fn note(&mut self, change: Option<Change>, now: Timestamp) -> Option<Noted> {
        let change = change?;
        self.last_change = Some(LastChange { at: now, from: change.from, to: change.to });
        let reading = self.breaker.reading(&self.settings.0, now);
        Some(Noted {
            change,
            why: reading.cause.map(|cause| cause.to_string()).unwrap_or_default(),
            until: reading.open_until.map(|until| until.to_string()),
            last: self.last_failure.as_ref().map(|failure| failure.why.clone()),
        })
    }
}

impl Pass {
    /// Whether the call is one of a few by which it is found out whether the target is well again. What it has begun to answer
    /// tells enough; it need not keep others waiting until it has ended.
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_probe)
    }

    /// The call has ended; `why` says how in a word, for the record of a failure. The change that it made, if it made one.
    pub fn end(mut self, now: Timestamp, outcome: Outcome, why: &str) -> Option<Change> {
        let ticket = self.ticket.take()?;
        self.patient.end(&self.settings, ticket, now, outcome, why)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // Nothing follows from the time of an end that says nothing.
            self.patient.end(&self.settings, ticket, self.begun, Outcome::Unknown, OTHER);
        }
    }
}

#[cfg(test)]
mod tests;
