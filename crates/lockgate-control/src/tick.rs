//! One look at the rollouts: gather, decide, commit, carry out.
//!
//! Deciding is a pure function in `lockgate-core`. Its events are appended only if the log has not moved on since it was
//! read; if it has, everything is read and decided again. Only then is a new table put in force, which is safe to repeat.
//! The one exception is the way back: it is put in force first, and recorded as soon as the store can.

use std::collections::HashMap;

use jiff::Timestamp;
use lockgate_config::value::Feature;
use lockgate_core::decide::{CandidateReach, Decision, decide};
use lockgate_core::event::Entry;
use lockgate_core::evidence::Evidence;
use lockgate_core::name::FeatureName;
use lockgate_core::state::{FeatureState, Stage};
use lockgate_store::AppendError;
use lockgate_store::row::Head;

use crate::commit::{CommitError, TRIES};
use crate::controller::{AUTHOR, Controller, TickError};
use crate::drill;
use crate::gather::Account;
use crate::world::{Seen, Standing, is_backward};

/// The world as it was when a decision was taken.
struct Gathered {
    head: Head,
    state: FeatureState,
    evidence: Evidence,
    reach: Option<CandidateReach>,
    now: Timestamp,
}

/// What became of a decision.
enum Committed {
    Done,
    /// Somebody else was first: look again.
    HeadMoved,
}

impl Controller {
    /// Looks once at every rollout that is under way, or watched after its end. All are looked at, also when one cannot be; the first error is told.
    pub async fn tick(&self) -> Result<(), TickError> {
        let mut accounts = self.accounts.lock().await;
        // What a gateway went back from alone is in force here before anything is asked of the store.
        self.follow_retreats();
        let flushed = self.flush_pending().await.map_err(TickError::from);
        self.publish();
        flushed?;

        let watched = self.watched();
        accounts.retain(|feature, _| watched.contains(feature));
        let mut outcome = Ok(());
        for feature in watched {
            let looked = self.look(&mut accounts, &feature).await;
            outcome = outcome.and(looked);
        }
        outcome
    }

    fn watched(&self) -> Vec<FeatureName> {
        let (config, states, now) = (self.config(), self.world().states(), self.clock.now());
        let is_watched = |(name, state): &(FeatureName, FeatureState)| {
            config.features.get(name).is_some_and(|feature| is_watched(state, feature, now))
        };
        let mut features: Vec<FeatureName> =
            states.into_iter().filter(is_watched).map(|(feature, _)| feature).collect();
        features.sort();
        features
    }

    async fn look(
        &self,
        accounts: &mut HashMap<FeatureName, Account>,
        feature: &FeatureName,
    ) -> Result<(), TickError> {
        for _ in 0..TRIES {
            let Some(gathered) = self.gathered(accounts, feature).await? else { return Ok(()) };
            let Gathered { state, evidence, reach, now, .. } = &gathered;
            let decision = drill::ended(state, decide(state, evidence, *reach, *now), *now);
            let committed = self.commit(feature, &gathered, decision).await?;
            self.publish();
            match committed {
                Committed::Done => return Ok(()),
                Committed::HeadMoved => self.catch_up().await?,
            }
        }
        Err(TickError::Overtaken)
    }

    /// `None` when there is nothing to watch any more.
    async fn gathered(
        &self,
        accounts: &mut HashMap<FeatureName, Account>,
        feature: &FeatureName,
    ) -> Result<Option<Gathered>, TickError> {
        let now = self.clock.now();
        let (head, state) = {
            let world = self.world();
            (world.head(), world.state(feature))
        };
        let config = self.config();
        let (Some(state), Some(configured)) = (state, config.features.get(feature)) else { return Ok(None) };
        let Some(rollout) = state.rollout.as_ref().filter(|_| is_watched(&state, configured, now)) else {
            return Ok(None);
        };
        let mut account = accounts.remove(feature);
        let evidence = self.gather(&mut account, feature, rollout, now).await;
        if let Some(account) = account {
            accounts.insert(feature.clone(), account);
        }
        let reach = self.reach_of(rollout).await?;
        Ok(Some(Gathered { head, evidence: evidence?, reach, now, state }))
    }

    async fn commit(
        &self,
        feature: &FeatureName,
        gathered: &Gathered,
        decision: Decision,
    ) -> Result<Committed, TickError> {
        let standing =
            Standing { verdicts: decision.standing, waiting_for: decision.waiting_for, at: gathered.now };
        self.world().set_standing(feature, standing);
        if let Some(rollout) = &gathered.state.rollout {
            self.world().set_seen(feature, Seen::of(&gathered.evidence, rollout));
        }
        if decision.events.is_empty() {
            return Ok(Committed::Done);
        }
        let is_way_back = decision.events.iter().any(is_backward);
        let entry =
            |event| Entry { ts: gathered.now, feature: feature.clone(), author: AUTHOR.to_owned(), event };
        let entries: Vec<Entry> = decision.events.into_iter().map(entry).collect();
        if is_way_back {
            self.put_in_force(entries);
            return match self.flush_pending().await {
                Ok(()) => Ok(Committed::Done),
                Err(CommitError::Store(error)) => Err(error.into()),
                Err(CommitError::Overtaken | CommitError::Slow) => Err(TickError::Overtaken),
            };
        }
        match self.append(gathered.head, entries).await {
            Ok(()) => Ok(Committed::Done),
            Err(AppendError::HeadMoved { .. }) => Ok(Committed::HeadMoved),
            Err(AppendError::Store(error)) => Err(error.into()),
        }
    }
}

/// Whether a feature's rollout is looked at: while it is under way, and while it could still be taken back after its end.
/// Users who have gone on to another version since, or whose old version is not configured any more, cannot be.
fn is_watched(state: &FeatureState, feature: &Feature, now: Timestamp) -> bool {
    let Some(rollout) = state.rollout.as_ref().filter(|rollout| rollout.is_watched(now)) else {
        return false;
    };
    let has_a_way_back = state.stable.revision == rollout.candidate.revision
        && feature.versions.contains_key(&rollout.stable.name);
    has_a_way_back || !matches!(rollout.stage, Stage::Completed { .. })
}
