//! What this controller knows: the fold of the log as far as it was read, and what it has put in force by itself since.
//!
//! The store is the truth and its compare-and-swap the only arbiter between controllers; this is a copy in memory that may
//! be behind. It sits behind a plain mutex that is never held while waiting for anything, so that a kill switch works while
//! the store hangs.
//!
//! An event that takes traffic *away* from something new is put in force before it is recorded. Until the store has it, it
//! is *pending*: on top of the log's fold, and offered to the store again at every look.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use lockgate_config::live::{Live, Retired, Table};
use lockgate_config::value::Config;
use lockgate_core::event::{Entry, Event, Outcome, Verdict};
use lockgate_core::evidence::{Evidence, Lane, Mismatch};
use lockgate_core::name::FeatureName;
use lockgate_core::plan::PhaseKind;
use lockgate_core::state::{FeatureState, Rollout, Stage};
use lockgate_store::row::{Head, Logged};

/// Events of one feature that wait for the store. A person who goes on flipping while the store is away is the only way to
/// get there; what is dropped then is an earlier flip or kill that a later one has overtaken.
const PENDING_MAX: usize = 32;

/// Old tables that are watched. One is added per change and leaves when the last call has let go of it, at the latest after
/// a call's deadline.
const RETIRED_MAX: usize = 1024;

/// Calls for a person that are shown of a rollout, the latest: more than one screen of them helps nobody.
const ALERTS_MAX: usize = 20;

/// Slices that are shown, the worst: more than this and it is not about slices.
const SLICES_MAX: usize = 20;

/// From this part of the evidence that it needs on, a check on a slice is worth a look.
const STIRS_AT: f64 = 0.5;

/// How the gates and triggers of a feature stood when they were last looked at.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) waiting_for: Vec<String>,
    pub(crate) at: Timestamp,
}

/// What a look saw beside the gates and triggers of the whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Callers are not split as the plan says.
    pub(crate) mismatch: Option<Mismatch>,
    /// Checks on single slices that are not quiet, the worst first.
    pub(crate) slices: Vec<Verdict>,
    /// How many slices were judged.
    pub(crate) slices_judged: usize,
    /// How many were not, because there are more than are judged at the most.
    pub(crate) slices_beyond: usize,
    /// Triggers whose windows are over their limits in both arms: what hits both is not the candidate's doing.
    pub(crate) both_arms: Vec<String>,
    /// Checks whose signal nobody has reported.
    pub(crate) unreported: BTreeSet<String>,
}

impl Seen {
    /// Of a rollout as it stands.
    pub(crate) fn of(evidence: &Evidence, rollout: &Rollout) -> Self {
        let lane = match rollout.phase().map(|phase| phase.kind) {
            Some(PhaseKind::Shadow { .. }) => Lane::Shadow,
            Some(PhaseKind::Canary { .. }) => Lane::Candidate,
            None => Lane::Warm,
        };
        let of_lane = || evidence.checks.iter().filter(move |check| check.lane == lane);
        let verdicts = || of_lane().map(|check| &check.verdict);
        let judged: BTreeSet<_> = verdicts().filter_map(|verdict| verdict.slice.as_ref()).collect();
        let mut slices: Vec<Verdict> =
            verdicts().filter(|verdict| verdict.slice.is_some() && stirs(verdict)).cloned().collect();
        slices.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
        slices.truncate(SLICES_MAX);
        let of_both = of_lane().filter(|check| check.of_both && check.slice.is_none());
        let unreported = of_lane().filter(|check| !check.reported).map(|check| check.verdict.key());
        Self {
            mismatch: evidence.mismatch,
            slices,
            slices_judged: judged.len(),
            slices_beyond: evidence.slices_beyond,
            both_arms: of_both.map(|check| check.verdict.name.clone()).collect(),
            unreported: unreported.collect(),
        }
    }
}

fn stirs(verdict: &Verdict) -> bool {
    verdict.crossed.is_some() || badness(verdict) >= STIRS_AT
}

/// How much of the evidence against it is in; broken is beyond everything.
fn badness(verdict: &Verdict) -> f64 {
    match (verdict.outcome, verdict.log_e_fail_needed) {
        (Outcome::Fail, _) => f64::INFINITY,
        (_, Some(needed)) if needed > 0.0 => verdict.log_e_fail / needed,
        _ => 0.0,
    }
}

/// A call for a person.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Alert {
    /// When.
    pub ts: Timestamp,
    /// Why.
    pub why: String,
}

#[derive(Debug)]
pub(crate) struct World {
    config: Arc<Config>,
    head: Head,
    recorded: HashMap<FeatureName, FeatureState>,
    pending: Vec<Entry>,
    standing: HashMap<FeatureName, Standing>,
    seen: HashMap<FeatureName, Seen>,
    alerts: HashMap<FeatureName, VecDeque<Alert>>,
    retired: Vec<Retired>,
}

impl World {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            head: Head::EMPTY,
            recorded: HashMap::new(),
            pending: Vec::new(),
            standing: HashMap::new(),
            seen: HashMap::new(),
            alerts: HashMap::new(),
            retired: Vec::new(),
        }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(crate) fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// Where the log ended when it was last read.
    pub(crate) fn head(&self) -> Head {
        self.head
    }

    pub(crate) fn standing(&self, feature: &FeatureName) -> Option<&Standing> {
        self.standing.get(feature)
    }

    pub(crate) fn set_standing(&mut self, feature: &FeatureName, standing: Standing) {
        self.standing.insert(feature.clone(), standing);
    }

    /// What the last look saw beside the gates and triggers of the whole.
    pub(crate) fn seen(&self, feature: &FeatureName) -> Seen {
        self.seen.get(feature).cloned().unwrap_or_default()
    }

    pub(crate) fn set_seen(&mut self, feature: &FeatureName, seen: Seen) {
        self.seen.insert(feature.clone(), seen);
    }

    /// The latest calls for a person that the present or last rollout made, oldest first.
    pub(crate) fn alerts(&self, feature: &FeatureName) -> Vec<Alert> {
        self.alerts.get(feature).into_iter().flatten().cloned().collect()
    }

    /// Takes in entries that were read from the log. What is known already is passed over.
    pub(crate) fn take_in(&mut self, logged: &[Logged]) {
        for Logged { seq, hash, entry } in logged {
            if *seq == self.head.seq + 1 {
                self.apply(entry);
                self.head = Head { seq: *seq, hash: *hash };
            }
        }
        self.drop_what_is_settled();
    }

    /// Takes in entries that this controller appended itself after `expected`. If the log was read again meanwhile they are
    /// known already, wholly or in part; the next reading brings the rest.
    pub(crate) fn take_in_own(&mut self, expected: Head, entries: &[Entry], head: Head) {
        if self.head.seq == expected.seq {
            entries.iter().for_each(|entry| self.apply(entry));
            self.head = head;
            self.drop_what_is_settled();
        }
    }

    fn apply(&mut self, entry: &Entry) {
        self.pending.retain(|pending| pending != entry);
        // What was looked at belongs to the phase before.
        if matches!(entry.event, Event::RolloutStarted { .. } | Event::PhaseEntered { .. }) {
            self.standing.remove(&entry.feature);
            self.seen.remove(&entry.feature);
        }
        match &entry.event {
            Event::RolloutStarted { .. } => {
                self.alerts.remove(&entry.feature);
            }
            Event::Alerted { why, .. } => {
                let alerts = self.alerts.entry(entry.feature.clone()).or_default();
                alerts.push_back(Alert { ts: entry.ts, why: why.clone() });
                if alerts.len() > ALERTS_MAX {
                    alerts.pop_front();
                }
            }
            _ => {}
        }
        match self.recorded.get_mut(&entry.feature) {
            Some(state) => state.apply(entry),
            None => {
                if let Some(state) = FeatureState::fold([entry]) {
                    self.recorded.insert(entry.feature.clone(), state);
                }
            }
        }
    }

    /// A feature's state with what is pending applied: what is in force here.
    pub(crate) fn state(&self, feature: &FeatureName) -> Option<FeatureState> {
        let mut state = self.recorded.get(feature)?.clone();
        self.pending.iter().filter(|entry| entry.feature == *feature).for_each(|entry| state.apply(entry));
        Some(state)
    }

    /// Every configured feature that has a state.
    pub(crate) fn states(&self) -> HashMap<FeatureName, FeatureState> {
        let names = self.config.features.keys();
        names.filter_map(|name| Some((name.clone(), self.state(name)?))).collect()
    }

    pub(crate) fn pending(&self) -> &[Entry] {
        &self.pending
    }

    /// Puts events in force that the store does not have yet.
    pub(crate) fn put_in_force(&mut self, entries: Vec<Entry>) {
        self.pending.extend(entries);
        self.drop_what_is_settled();
        while self.pending.len() > PENDING_MAX * self.config.features.len().max(1) {
            let overtaken = self
                .pending
                .iter()
                .position(|entry| matches!(entry.event, Event::Killed { .. } | Event::Flipped { .. }));
            let Some(overtaken) = overtaken else { break };
            let entry = self.pending.remove(overtaken);
            tracing::warn!(feature = %entry.feature, event = entry.event.kind(), "dropped an event that nobody could record");
        }
    }

    /// Forgets pending events that say nothing any more, because the log has come to the same by another way.
    fn drop_what_is_settled(&mut self) {
        let mut states: HashMap<FeatureName, FeatureState> = HashMap::new();
        let recorded = &self.recorded;
        self.pending.retain(|entry| {
            if !states.contains_key(&entry.feature)
                && let Some(state) = recorded.get(&entry.feature)
            {
                states.insert(entry.feature.clone(), state.clone());
            }
            let open = states.get_mut(&entry.feature).filter(|state| is_open(state, &entry.event));
            open.map(|state| state.apply(entry)).is_some()
        });
    }

    /// Brings the table in force up to what is known here, if it differs.
    pub(crate) fn publish(&mut self, live: &Live) {
        let table = Table::new(Arc::clone(&self.config), &self.states());
        let present = live.table();
        if Arc::ptr_eq(&present.config, &table.config) && present.routes == table.routes {
            return;
        }
        drop(present);
        self.retired.retain(|old| !old.is_gone());
        if self.retired.len() >= RETIRED_MAX {
            self.retired.remove(0);
        }
        self.retired.push(live.publish(table));
    }

    /// Whether no call holds an old table any more: whatever starts now starts under the table in force.
    pub(crate) fn old_tables_are_gone(&mut self) -> bool {
        self.retired.retain(|old| !old.is_gone());
        self.retired.is_empty()
    }
}

/// Whether an event that was put in force still has something to say to this state.
fn is_open(state: &FeatureState, event: &Event) -> bool {
    let rollout = state.rollout.as_ref().filter(|rollout| event.rollout() == Some(rollout.id));
    match event {
        Event::RollbackStarted { rollout, .. } => state.can_go_back(*rollout),
        Event::Frozen { .. } => rollout.is_some_and(|rollout| {
            rollout.stage.in_phase().is_some() && !matches!(rollout.stage, Stage::Frozen { .. })
        }),
        Event::Killed { to, .. } => state.killed != Some(*to),
        Event::Flipped { from, .. } => {
            state.stable == *from && state.rollout.as_ref().is_none_or(|rollout| !rollout.is_under_way())
        }
        _ => true,
    }
}

/// Whether a decision of the controller's only takes traffic away from what is new, and so is put in force before it is
/// recorded.
pub(crate) fn is_backward(event: &Event) -> bool {
    matches!(event, Event::RollbackStarted { .. } | Event::Frozen { .. })
}

#[cfg(test)]
mod tests;
