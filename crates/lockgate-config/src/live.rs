//! What is in force now: one value, swapped whole.
//!
//! A call reads the table once and keeps it until its upstream call is on its way. So whoever swaps the table can wait until
//! nobody holds the old one ([`Retired::is_gone`]): from then on no call can start under the old table.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use lockgate_core::name::FeatureName;
use lockgate_core::route::Route;
use lockgate_core::state::FeatureState;

use crate::value::Config;

/// Configuration and routes that belong together.
#[derive(Debug)]
pub struct Table {
    /// The configuration.
    pub config: Arc<Config>,
    /// Where each feature's calls go. Every version named here exists in `config`.
    pub routes: HashMap<FeatureName, Route>,
}

/// The table in force.
#[derive(Debug)]
pub struct Live(ArcSwap<Table>);

/// An old table, watched until the last call lets go of it.
#[derive(Debug)]
pub struct Retired(Weak<Table>);

impl Table {
    /// Routes from the features' states. A candidate whose digest the configuration does not have gets no traffic; a stable
    /// version whose digest changed is served by name; a feature without a state goes to its declared stable version.
    pub fn new(config: Arc<Config>, states: &HashMap<FeatureName, FeatureState>) -> Self {
        let routes = config.features.iter().filter_map(|(name, feature)| {
            let declared = feature.versions.get(&feature.stable)?;
            let mut route = match states.get(name) {
                Some(state) => state.route(),
                None => FeatureState::new(declared.id.clone()).route(),
            };
            route.stable = feature.versions.get(&route.stable.name).unwrap_or(declared).id.clone();
            route.trial = route.trial.filter(|trial| feature.version_of(trial.candidate.revision).is_some());
            Some((name.clone(), route))
        });
        Self { routes: routes.collect(), config: Arc::clone(&config) }
    }
}

impl Live {
    /// Begins with a table.
    pub fn new(table: Table) -> Self {
        Self(ArcSwap::from_pointee(table))
    }

    /// The table in force. Hold it until the upstream call has been sent, and no longer.
    pub fn table(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// Puts another table in force at once; calls that begin from now on see it.
    pub fn publish(&self, table: Table) -> Retired {
        Retired(Arc::downgrade(&self.0.swap(Arc::new(table))))
    }
}

impl Retired {
    /// Whether no call holds the old table any more.
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
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
