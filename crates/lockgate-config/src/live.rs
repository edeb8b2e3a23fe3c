//! What is in force now: one value, swapped whole.
//!
//! A call reads the table once and keeps it until its upstream call is on its way. So whoever swaps the table can wait until
//! nobody holds the old one ([`Retired::is_gone`]): from then on no call can start under the old table.
//!
//! Forwards the table comes from the controller alone. Backwards, whoever carries the calls may take a trial out by itself
//! ([`Live::retreat`]); it stays out, whatever is published afterwards, and the controller finds it in [`Live::retreats`].

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use lockgate_core::event::Verdict;
use lockgate_core::name::{FeatureName, RolloutId};
use lockgate_core::route::{Route, Trial};
use lockgate_core::state::{FeatureState, Rollout};

use crate::health::Health;
use crate::value::{Config, Feature, Version};

/// Configuration and routes that belong together.
#[derive(Debug)]
pub struct Table {
    /// The configuration.
    pub config: Arc<Config>,
    /// Where each feature's calls go. Every version named here exists in `config` or in `rehearsed`.
    pub routes: HashMap<FeatureName, Route>,
    /// The rollouts behind the trials, with all that they are judged by.
    pub rollouts: HashMap<FeatureName, Arc<Rollout>>,
    /// The candidates of rehearsals: stable's own chain under the name of the rehearsal.
    pub rehearsed: HashMap<FeatureName, Arc<Version>>,
}

/// The table in force, and what was taken out of it here.
#[derive(Debug)]
pub struct Live {
    table: ArcSwap<Table>,
    retreats: Mutex<Retreats>,
    unwritten_since: AtomicI64,
    health: Health,
}

/// Stands for no moment: everything is written.
const WRITTEN: i64 = i64::MIN;

/// What was taken out of the table here. At most one for each feature, and so no more than there are features.
#[derive(Debug, Default)]
struct Retreats {
    of: BTreeMap<FeatureName, Retreat>,
    /// Tables that gave way to a retreat and that nobody else watches yet.
    retired: Vec<Weak<Table>>,
}

/// A trial that was taken out of the table by whoever carries the calls, because of what it saw in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Retreat {
    /// When.
    pub at: Timestamp,
    /// Of which feature.
    pub feature: FeatureName,
    /// Of which rollout.
    pub rollout: RolloutId,
    /// Why, in a sentence.
    pub why: String,
    /// What was broken, with its evidence.
    pub standing: Vec<Verdict>,
}

/// Old tables, watched until the last call lets go of them.
#[derive(Debug)]
pub struct Retired(Vec<Weak<Table>>);

impl Table {
    /// Routes from the features' states. A candidate whose digest the configuration does not have gets no traffic; a stable
    /// version whose digest changed is served by name; a feature without a state goes to its declared stable version. The
    /// candidate of a rehearsal is stable's own chain, and rehearsed only while stable is what it was when it began.
    pub fn new(config: Arc<Config>, states: &HashMap<FeatureName, FeatureState>) -> Self {
        let mut table = Self {
            config: Arc::clone(&config),
            routes: HashMap::new(),
            rollouts: HashMap::new(),
            rehearsed: HashMap::new(),
        };
        for (name, feature) in &config.features {
            let Some(declared) = feature.versions.get(&feature.stable) else { continue };
            let mut route = match states.get(name) {
                Some(state) => state.route(),
                None => FeatureState::new(declared.id.clone()).route(),
            };
            let stable = feature.versions.get(&route.stable.name).unwrap_or(declared);
            let rollout = states.get(name).and_then(|state| state.rollout.as_ref());
            route.trial = route.trial.filter(|trial| match trial.drill {
                None => feature.version_of(trial.candidate.revision).is_some(),
                Some(_) => rollout.is_some_and(|rollout| rollout.stable == stable.id),
            });
            route.stable = stable.id.clone();
            if let Some(trial) = &route.trial {
                table.rollouts.extend(rollout.map(|rollout| (name.clone(), Arc::new(rollout.clone()))));
                table.rehearsed.extend(trial.drill.map(|_| (name.clone(), rehearsed(stable, trial))));
            }
            table.routes.insert(name.clone(), route);
        }
        table
    }

    /// The version that a feature's candidate is answered by.
    pub fn candidate<'t>(&'t self, feature: &'t Feature, trial: &Trial) -> Option<&'t Arc<Version>> {
        match trial.drill {
            Some(_) => self.rehearsed.get(&feature.name),
            None => feature.version_of(trial.candidate.revision),
        }
    }

    /// Whether a rollout's candidate is on trial here.
    fn tries(&self, feature: &FeatureName, rollout: RolloutId) -> bool {
        let trial = self.routes.get(feature).and_then(|route| route.trial.as_ref());
        trial.is_some_and(|trial| trial.rollout == rollout)
    }

    /// The same without a feature's trial.
    fn without_trial(&self, feature: &FeatureName) -> Self {
        let mut table = Self {
            config: Arc::clone(&self.config),
            routes: self.routes.clone(),
            rollouts: self.rollouts.clone(),
            rehearsed: self.rehearsed.clone(),
        };
        if let Some(route) = table.routes.get_mut(feature) {
            route.trial = None;
        }
        table.rollouts.remove(feature);
        table.rehearsed.remove(feature);
        table
    }
}

/// Stable's chain, to be counted as the candidate of a rehearsal.
fn rehearsed(stable: &Version, trial: &Trial) -> Arc<Version> {
    Arc::new(Version { id: trial.candidate.clone(), ..stable.clone() })
}

impl Live {
    /// Begins with a table.
    pub fn new(table: Table) -> Self {
        let health = Health::default();
        health.follow(&table.config);
        Self {
            table: ArcSwap::from_pointee(table),
            retreats: Mutex::default(),
            unwritten_since: AtomicI64::new(WRITTEN),
            health,
        }
    }

    /// How the targets do.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Tells whether what the gateway counts reaches the store: since when it does not.
    pub fn tell_unwritten(&self, since: Option<Timestamp>) {
        let since = since.map_or(WRITTEN, Timestamp::as_millisecond);
        self.unwritten_since.store(since, Ordering::Relaxed);
    }

    /// Since when what the gateway here counts does not reach the store. What is decided from the store then is decided
    /// without it.
    pub fn unwritten_since(&self) -> Option<Timestamp> {
        let since = self.unwritten_since.load(Ordering::Relaxed);
        Timestamp::from_millisecond(since).ok().filter(|_| since != WRITTEN)
    }

    /// The table in force. Hold it until the upstream call has been sent, and no longer.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Puts another table in force at once; calls that begin from now on see it. Trials that were retreated from stay out.
    pub fn publish(&self, table: Table) -> Retired {
        let mut retreats = self.lock();
        retreats.of.retain(|feature, _| table.config.features.contains_key(feature));
        let table = retreats.of.values().fold(table, |table, retreat| {
            if table.tries(&retreat.feature, retreat.rollout) {
                table.without_trial(&retreat.feature)
            } else {
                table
            }
        });
        self.health.follow(&table.config);
        let old = self.table.swap(Arc::new(table));
        let mut retired = std::mem::take(&mut retreats.retired);
        retired.push(Arc::downgrade(&old));
        Retired(retired)
    }

    /// Takes a trial out of the table at once and for good, and keeps why. Whether there was anything to take out.
    pub fn retreat(&self, retreat: Retreat) -> bool {
        let mut retreats = self.lock();
        let present = self.table();
        if !present.tries(&retreat.feature, retreat.rollout) {
            return false;
        }
        let without = present.without_trial(&retreat.feature);
        drop(present);
        let old = self.table.swap(Arc::new(without));
        retreats.retired.retain(|table| table.strong_count() > 0);
        retreats.retired.push(Arc::downgrade(&old));
        retreats.of.insert(retreat.feature.clone(), retreat);
        true
    }

    /// What was retreated from here and is not over for everybody yet: at most one of each feature.
    pub fn retreats(&self) -> Vec<Retreat> {
        self.lock().of.values().cloned().collect()
    }

    /// Forgets a retreat, once its rollout is over for everybody and cannot be on trial again.
    pub fn forget_retreat(&self, feature: &FeatureName, rollout: RolloutId) {
        self.lock().of.retain(|name, retreat| name != feature || retreat.rollout != rollout);
    }

    fn lock(&self) -> MutexGuard<'_, Retreats> {
        self.retreats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Retired {
    /// Whether no call holds an old table any more.
    pub fn is_gone(&self) -> bool {
        self.0.iter().all(|table| table.strong_count() == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lockgate_core::assign::Salt;
    use lockgate_core::event::{Entry, Event};
    use lockgate_core::name::{Revision, VersionName, VersionRef};
    use lockgate_core::plan::Plan;
    use lockgate_core::segment::Confine;

    use super::*;

    const FILE: &str = "
targets: { desk: { kind: rules, otherwise: later }, other: { kind: rules, otherwise: now } }
features:
  reply:
    stable: v1
    versions:
      v1: { kind: model, chain: [ { target: desk } ] }
      v2: { kind: model, chain: [ { target: other } ] }
";

    fn config() -> Arc<Config> {
        Arc::new(crate::parse(FILE, Path::new(""), &|_| None).unwrap().config)
    }

    fn reply() -> FeatureName {
        FeatureName::new("reply").unwrap()
    }

    fn declared(config: &Config, version: &str) -> VersionRef {
        config.version(&reply(), &VersionName::new(version).unwrap()).unwrap().id.clone()
    }

    /// A version that the configuration does not have any more.
    fn gone(name: &str) -> VersionRef {
        VersionRef { name: VersionName::new(name).unwrap(), revision: Revision::of(b"another prompt") }
    }

    /// A feature whose rollout has just begun.
    fn state(stable: VersionRef, candidate: VersionRef) -> FeatureState {
        let mut state = FeatureState::new(stable.clone());
        let event = Event::RolloutStarted {
            rollout: "018f0000-0000-7000-8000-000000000000".parse().unwrap(),
            stable,
            candidate,
            plan: Box::new(Plan::standard()),
            owner: "support".into(),
            salt: Salt::from_random(1),
            confine: Confine::everyone(),
            undecidable: Vec::new(),
            drill: None,
        };
        state.apply(&Entry {
            ts: jiff::Timestamp::UNIX_EPOCH,
            feature: reply(),
            author: "ann".into(),
            event,
        });
        state
    }

    fn route(config: &Arc<Config>, state: FeatureState) -> Route {
        let table = Table::new(Arc::clone(config), &HashMap::from([(reply(), state)]));
        table.routes[&reply()].clone()
    }

    #[test]
    fn a_feature_without_a_state_goes_to_its_declared_stable_version() {
        let config = config();
        let table = Table::new(Arc::clone(&config), &HashMap::new());
        assert_eq!(table.routes[&reply()].stable, declared(&config, "v1"));
        assert_eq!(table.routes[&reply()].trial, None);
    }

    #[test]
    fn a_candidate_in_the_configuration_gets_its_trial() {
        let config = config();
        let (v1, v2) = (declared(&config, "v1"), declared(&config, "v2"));
        let route = route(&config, state(v1.clone(), v2.clone()));
        assert_eq!((route.stable, route.trial.map(|trial| trial.candidate)), (v1, Some(v2)));
    }

    #[test]
    fn a_candidate_whose_digest_is_gone_gets_no_traffic() {
        let config = config();
        assert_eq!(route(&config, state(declared(&config, "v1"), gone("v2"))).trial, None);
    }

    #[test]
    fn a_stable_version_whose_digest_changed_is_served_by_name() {
        let config = config();
        let v2 = declared(&config, "v2");
        assert_eq!(route(&config, state(gone("v2"), v2.clone())).stable, v2);
        assert_eq!(route(&config, state(gone("v0"), v2)).stable, declared(&config, "v1"));
    }

    #[test]
    fn a_feature_that_left_the_configuration_has_no_route() {
        let config = config();
        let states =
            HashMap::from([(FeatureName::new("old").unwrap(), FeatureState::new(declared(&config, "v1")))]);
        assert_eq!(Table::new(config, &states).routes.len(), 1);
    }

    /// A table in which `v2` is on trial, and of which rollout.
    fn on_trial(config: &Arc<Config>) -> (Table, RolloutId) {
        let state = state(declared(config, "v1"), declared(config, "v2"));
        let rollout = state.rollout.as_ref().unwrap().id;
        (Table::new(Arc::clone(config), &HashMap::from([(reply(), state)])), rollout)
    }

    fn retreat(rollout: RolloutId) -> Retreat {
        let (at, why) = (jiff::Timestamp::UNIX_EPOCH, "errors".to_owned());
        Retreat { at, feature: reply(), rollout, why, standing: Vec::new() }
    }

    fn is_on_trial(live: &Live) -> bool {
        live.table().routes[&reply()].trial.is_some()
    }

    #[test]
    fn what_was_retreated_from_stays_out_until_it_is_over_for_everybody() {
        let config = config();
        let (table, rollout) = on_trial(&config);
        assert!(table.rollouts.contains_key(&reply()), "whoever carries calls can judge them");
        let live = Live::new(table);
        assert!(live.retreat(retreat(rollout)) && !is_on_trial(&live));
        assert!(!live.retreat(retreat(rollout)), "it is out already");
        live.publish(on_trial(&config).0);
        assert!(!is_on_trial(&live) && live.table().rollouts.is_empty());
        assert_eq!(live.retreats().len(), 1);

        let other: RolloutId = "018f0000-0000-7000-8000-000000000001".parse().unwrap();
        live.forget_retreat(&reply(), other);
        assert_eq!(live.retreats().len(), 1, "only what is named is forgotten");
        live.forget_retreat(&reply(), rollout);
        live.publish(on_trial(&config).0);
        assert!(is_on_trial(&live) && live.retreats().is_empty());
    }

    #[test]
    fn nothing_is_retreated_from_that_is_not_on_trial() {
        let config = config();
        let live = Live::new(on_trial(&config).0);
        assert!(!live.retreat(retreat("018f0000-0000-7000-8000-000000000001".parse().unwrap())));
        assert!(is_on_trial(&live) && live.retreats().is_empty());
    }

    #[test]
    fn a_table_that_gave_way_to_a_retreat_is_watched_by_whoever_publishes_next() {
        let config = config();
        let (table, rollout) = on_trial(&config);
        let live = Live::new(table);
        let held = live.table();
        live.retreat(retreat(rollout));
        let retired = live.publish(Table::new(Arc::clone(&config), &HashMap::new()));
        assert!(!retired.is_gone());
        drop(held);
        assert!(retired.is_gone());
    }

    #[test]
    fn a_rehearsal_is_answered_by_stables_chain_and_only_while_stable_is_what_it_was() {
        let config = config();
        let drilled = |stable: VersionRef| {
            let mut state = state(stable, gone("drill"));
            state.rollout.as_mut().unwrap().drill = Some(lockgate_core::drill::Fault::Errors(0.5));
            Table::new(Arc::clone(&config), &HashMap::from([(reply(), state)]))
        };
        let table = drilled(declared(&config, "v1"));
        let trial = table.routes[&reply()].trial.as_ref().unwrap();
        let feature = &config.features[&reply()];
        let version = table.candidate(feature, trial).unwrap();
        assert_eq!(version.id, gone("drill"));
        let v1 = config.version(&reply(), &VersionName::new("v1").unwrap()).unwrap();
        assert!(Arc::ptr_eq(&version.chain[0].target, &v1.chain[0].target));
        assert_eq!(drilled(gone("v1")).routes[&reply()].trial, None);
    }

    #[test]
    fn an_old_table_is_gone_when_the_last_call_lets_go_of_it() {
        let table = || Table::new(config(), &HashMap::new());
        let live = Live::new(table());
        let held = live.table();
        let retired = live.publish(table());
        assert!(!retired.is_gone());
        assert!(!Arc::ptr_eq(&held, &live.table()));
        drop(held);
        assert!(retired.is_gone());
    }
}
