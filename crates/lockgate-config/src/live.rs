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
