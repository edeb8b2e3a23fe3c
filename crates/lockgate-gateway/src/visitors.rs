//! Which callers of a trial were seen before.
//!
//! Whether callers are split as the plan says is judged by callers and not by calls, because one who calls often would count
//! often. A caller counts once per gateway for as long as the trial is as it is; what is remembered of it is a hash.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use lockgate_config::live::Table;
use lockgate_core::name::{FeatureName, RolloutId};
use lockgate_core::route::Mode;

use crate::counts::Counter;
use crate::hashed::{HashAsIs, HashFast};

/// Most callers remembered per feature, some 3 MiB. A split that is wrong by a tenth shows long before.
const VISITORS_MAX: usize = 200_000;

/// The callers of every trial that runs.
#[derive(Debug, Default)]
pub(crate) struct Visitors {
    hasher: RandomState,
    seen: Mutex<HashMap<FeatureName, Seen, HashFast>>,
    pub(crate) uncounted: Counter,
}

/// A trial as it was from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrialState {
    pub(crate) rollout: RolloutId,
    pub(crate) since: Timestamp,
}

#[derive(Debug)]
struct Seen {
    trial: TrialState,
    keys: HashSet<u64, HashAsIs>,
}

impl Visitors {
    /// What is remembered of a caller.
    pub(crate) fn hash(&self, sticky_key: &str) -> u64 {
        self.hasher.hash_one(sticky_key)
    }

    /// Whether a caller is seen for the first time. One who names nothing always is. Once too many were seen nobody is any
    /// more, on either arm, so that what was counted stays a fair sample.
    pub(crate) fn is_first(&self, feature: &FeatureName, trial: TrialState, visitor: Option<u64>) -> bool {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = match all.get_mut(feature) {
            Some(seen) => seen,
            None => all.entry(feature.clone()).or_insert_with(|| Seen::under(trial)),
        };
        if seen.trial != trial {
            // A call that was assigned before the change and comes after one that was assigned after it.
            if trial.since < seen.trial.since {
                return false;
            }
            *seen = Seen::under(trial);
        }
        if seen.keys.len() >= VISITORS_MAX {
            self.uncounted.add(1);
            return false;
        }
        visitor.is_none_or(|visitor| seen.keys.insert(visitor))
    }

    /// Forgets the callers of trials that do not run any more.
    pub(crate) fn tidy(&self, table: &Table) {
        let runs = |feature: &FeatureName, trial: TrialState| {
            let now = table.routes.get(feature).and_then(|route| route.trial.as_ref());
            now.is_some_and(|now| now.rollout == trial.rollout && matches!(now.mode, Mode::Canary { .. }))
        };
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|feature, seen| runs(feature, seen.trial));
    }
}

impl Seen {
    fn under(trial: TrialState) -> Self {
        Self { trial, keys: HashSet::default() }
    }
}

#[cfg(test)]
mod tests;
