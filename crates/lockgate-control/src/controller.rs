//! The controller: what it owns, how it starts, and how it goes round.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::clock::Clock;
use lockgate_config::live::{Live, Table};
use lockgate_config::value::Config;
use lockgate_core::name::{FeatureName, VersionRef};
use lockgate_store::{AppendError, Store, StoreError};
use tokio::sync::watch;

use crate::commit::{CommitError, TRIES};
use crate::drill::Drills;
use crate::gather::Account;
use crate::reload::{declarations, freezes};
use crate::world::World;

/// The author of what a controller decides by itself.
pub(crate) const AUTHOR: &str = "controller";

/// How often old sums and answers are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Moves the rollouts of one process's configuration, and owns the table that its gateway reads.
///
/// Any number of controllers may share a store; whoever appends first has decided, and the others follow.
pub struct Controller {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) live: Arc<Live>,
    world: Mutex<World>,
    /// One look at a time; also what each rollout's evidence has come to so far.
    pub(crate) accounts: tokio::sync::Mutex<HashMap<FeatureName, Account>>,
    /// The rehearsals, as far as the log was read for them.
    pub(crate) drills: tokio::sync::Mutex<Drills>,
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("head", &self.world().head()).finish_non_exhaustive()
    }
}

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be read or written.
    #[error("the log cannot be read or written: {0}")]
    Store(StoreError),
    /// Somebody else went on appending to the log.
    #[error("others went on writing to the log while it was read; try again")]
    Overtaken,
    /// What users have while a rollout is under way is gone.
    #[error(
        "{feature}: the rollout of {candidate} is under way, and {stable}, which users have, is not in `versions` any more"
    )]
    StableGone {
        /// The feature.
        feature: FeatureName,
        /// What is rolled out.
        candidate: VersionRef,
        /// What users have.
        stable: VersionRef,
    },
}

/// Why a look at the rollouts was not finished. The next one begins afresh, so none of these needs more than to be said.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// The store is away: nothing moves forwards until it is back.
    #[error("rollouts stand still, because the store is away: {0}")]
    Store(#[from] StoreError),
    /// Others were first each time.
    #[error("others went on writing to the log while rollouts were looked at")]
    Overtaken,
}

impl From<CommitError> for TickError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Self::Store(error),
            CommitError::Overtaken | CommitError::Slow => Self::Overtaken,
        }
    }
}

impl Controller {
    /// Reads the whole log, records what the configuration says anew of stable versions, and puts a table in force.
    pub async fn start(config: Config, store: Store, clock: Clock) -> Result<Arc<Self>, StartError> {
        let config = Arc::new(config);
        let controller = Self {
            store,
            clock,
            live: Arc::new(Live::new(Table::new(Arc::clone(&config), &HashMap::new()))),
            world: Mutex::new(World::new(config)),
            accounts: tokio::sync::Mutex::new(HashMap::new()),
            drills: tokio::sync::Mutex::default(),
        };
        controller.declare().await?;
        controller.publish();
        Ok(Arc::new(controller))
    }

    async fn declare(&self) -> Result<(), StartError> {
        for _ in 0..TRIES {
            self.catch_up().await.map_err(StartError::Store)?;
            let (head, events) = {
                let world = self.world();
                let config = Arc::clone(world.config());
                let state_of = |feature: &FeatureName| world.state(feature);
                let mut events = declarations(&config, state_of);
                events.extend(freezes(&config, state_of)?);
                (world.head(), events)
            };
            let entries = events
                .into_iter()
                .flat_map(|(feature, event)| self.entries(&feature, "configuration", vec![event]))
                .collect::<Vec<_>>();
            if entries.is_empty() {
                return Ok(());
            }
            match self.append(head, entries).await {
                Ok(()) => return Ok(()),
                Err(AppendError::HeadMoved { .. }) => {}
                Err(AppendError::Store(error)) => return Err(StartError::Store(error)),
            }
        }
        Err(StartError::Overtaken)
    }

    /// The table in force, for whoever carries calls.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// The store that the log is kept in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(self.world().config())
    }

    /// What is known, for a moment: the guard is never held while waiting for anything.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at all rollouts once per bucket until it is told to stop. A look that fails is said once and tried again; none
    /// ends the loop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut said = None;
        let mut forgotten: Option<Timestamp> = None;
        while !*stop.borrow_and_update() {
            self.say_once(&mut said, self.tick().await);
            let now = self.clock.now();
            if forgotten.is_none_or(|last| now.duration_since(last).unsigned_abs() >= FORGET_EVERY) {
                forgotten = Some(now);
                if let Err(error) = self.forget().await {
                    tracing::warn!(%error, "old sums and answers could not be forgotten");
                }
            }
            let bucket = self.config().signals.bucket;
            tokio::select! {
                () = tokio::time::sleep(bucket) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    fn say_once(&self, said: &mut Option<String>, outcome: Result<(), TickError>) {
        let failed = outcome.err().map(|error| error.to_string());
        if *said != failed {
            match &failed {
                Some(error) => tracing::warn!("{error}"),
                None => tracing::info!("rollouts are looked at again"),
            }
            *said = failed;
        }
    }

    /// Forgets sums and answers past their retention, but none that a rollout is still judged by.
    async fn forget(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let moment = {
            let world = self.world();
            let kept = now.checked_sub(world.config().signals.retention).unwrap_or(Timestamp::MIN);
            let states = world.states();
            let rollouts =
                states.values().flat_map(|state| state.rollout.iter().chain(state.aside.as_deref()));
            let started = rollouts.filter(|rollout| rollout.is_watched(now)).map(|rollout| rollout.started);
            started.fold(kept, Timestamp::min)
        };
        // The bucket in which a rollout began starts before it did.
        let bucket = self.config().signals.bucket;
        self.store.forget_before(moment.checked_sub(bucket).unwrap_or(Timestamp::MIN)).await
    }
}
