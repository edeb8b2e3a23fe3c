//! What this controller knows: the fold of the log as far as it was read, and what it has put in force by itself since.
//!
//! The store is the truth and its compare-and-swap the only arbiter between controllers; this is a copy in memory that may
//! be behind. It sits behind a plain mutex that is never held while waiting for anything, so that a kill switch works while
//! the store hangs.
//!
//! An event that takes traffic *away* from something new is put in force before it is recorded. Until the store has it, it
//! is *pending*: on top of the log's fold, and offered to the store again at every look.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use lockgate_config::live::{Live, Retired, Table};
use lockgate_config::value::Config;
use lockgate_core::event::{Entry, Event, Verdict};
use lockgate_core::name::FeatureName;
use lockgate_core::state::{FeatureState, Stage};
use lockgate_store::row::{Head, Logged};

/// Events of one feature that wait for the store. A person who goes on flipping while the store is away is the only way to
/// get there; what is dropped then is an earlier flip or kill that a later one has overtaken.
const PENDING_MAX: usize = 32;

/// Old tables that are watched. One is added per change and leaves when the last call has let go of it, at the latest after
/// a call's deadline.
const RETIRED_MAX: usize = 1024;

/// How the gates and triggers of a feature stood when they were last looked at.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) waiting_for: Vec<String>,
    pub(crate) at: Timestamp,
}

#[derive(Debug)]
pub(crate) struct World {
    config: Arc<Config>,
    head: Head,
    recorded: HashMap<FeatureName, FeatureState>,
    pending: Vec<Entry>,
    standing: HashMap<FeatureName, Standing>,
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
        if matches!(entry.event, Event::RolloutStarted { .. }) {
            self.standing.remove(&entry.feature);
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
        Event::RollbackStarted { .. } => rollout.is_some_and(|rollout| {
            !matches!(rollout.stage, Stage::RollingBack { .. } | Stage::RolledBack { .. })
        }),
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
mod tests {
    use std::path::Path;

    use lockgate_core::assign::Salt;
    use lockgate_core::command::{Command, command};
    use lockgate_core::plan::Plan;
    use lockgate_core::route::KillTo;
    use lockgate_core::segment::Confine;
    use lockgate_store::row::Hash;

    use super::*;
    use crate::drawn;

    const AT: Timestamp = Timestamp::constant(1_790_000_000, 0);

    const CONFIG: &str = r#"
        targets: { desk: { kind: rules, otherwise: "Please try again." } }
        features:
          reply:
            stable: v1
            versions:
              v1: { kind: prompt, chain: [ { target: desk } ] }
              v2: { kind: prompt, chain: [ { target: desk }, { target: desk } ] }
    "#;

    fn feature() -> FeatureName {
        FeatureName::new("reply").unwrap()
    }

    fn entry(event: Event) -> Entry {
        Entry { ts: AT, feature: feature(), author: "ada".into(), event }
    }

    /// Events as the log would hand them over after what is known.
    fn logged(world: &World, events: Vec<Event>) -> Vec<Logged> {
        let numbered = (world.head().seq + 1..).zip(events);
        numbered.map(|(seq, event)| Logged { seq, hash: Hash([1; 32]), entry: entry(event) }).collect()
    }

    /// A world whose log has a rollout of `v2` under way.
    fn world() -> World {
        let config = lockgate_config::parse(CONFIG, Path::new("."), &|_| None).unwrap().config;
        let id = |name: &str| {
            config
                .version(&feature(), &lockgate_core::name::VersionName::new(name).unwrap())
                .unwrap()
                .id
                .clone()
        };
        let (v1, v2) = (id("v1"), id("v2"));
        let mut world = World::new(Arc::new(config));
        let declared = Event::StableDeclared { declared: v1.clone(), stable: v1 };
        world.take_in(&logged(&world, vec![declared]));
        let start = Command::Start {
            candidate: v2,
            plan: Box::new(Plan::standard()),
            owner: Some("ada".into()),
            confine: Confine::everyone(),
            again: false,
            rollout: drawn::rollout_id(AT),
            salt: Salt::from_random(7),
        };
        world.take_in(&logged(&world, asked(&world, &start)));
        world
    }

    fn asked(world: &World, order: &Command) -> Vec<Event> {
        command(&world.state(&feature()).unwrap(), &[], order, AT).unwrap()
    }

    fn roll_back() -> Command {
        Command::RollBack { why: "test".into() }
    }

    fn kill(to: KillTo) -> Command {
        Command::Kill { to, why: "test".into() }
    }

    fn in_force(world: &mut World, order: &Command) {
        let events = asked(world, order);
        world.put_in_force(events.into_iter().map(entry).collect());
    }

    fn word(world: &World) -> &'static str {
        world.state(&feature()).unwrap().rollout.unwrap().state_word()
    }

    #[test]
    fn what_is_in_force_holds_before_the_log_has_it_and_counts_once_after() {
        let mut world = world();
        in_force(&mut world, &roll_back());
        assert_eq!((word(&world), world.pending().len()), ("rolling_back", 1));
        let own: Vec<Event> = world.pending().iter().map(|entry| entry.event.clone()).collect();
        world.take_in(&logged(&world, own));
        assert_eq!((word(&world), world.pending().len()), ("rolling_back", 0));
    }

    #[test]
    fn what_somebody_else_brought_about_meanwhile_is_not_recorded_again() {
        let mut world = world();
        in_force(&mut world, &roll_back());
        let others = command(&self::world().state(&feature()).unwrap(), &[], &roll_back(), AT).unwrap();
        let rollout = world.state(&feature()).unwrap().rollout.unwrap().id;
        let Event::RollbackStarted { cause, standing, .. } = others[0].clone() else { unreachable!() };
        let theirs = Event::RollbackStarted { rollout, cause, why: "another's".into(), standing };
        world.take_in(&logged(&world, vec![theirs]));
        assert!(world.pending().is_empty());
    }

    #[test]
    fn entries_that_are_known_or_leave_a_gap_are_passed_over() {
        let mut world = world();
        let head = world.head();
        let killed = || vec![Event::Killed { to: KillTo::Stable, why: "test".into() }];
        let mut late = logged(&world, killed());
        late[0].seq += 1;
        world.take_in(&late);
        assert_eq!(world.head(), head);
        let mut known = logged(&world, killed());
        known[0].seq -= 1;
        world.take_in(&known);
        assert_eq!((world.head(), world.state(&feature()).unwrap().killed), (head, None));
    }

    #[test]
    fn what_waits_for_the_store_is_bounded_and_never_loses_a_rollback() {
        let mut world = world();
        in_force(&mut world, &roll_back());
        for _ in 0..PENDING_MAX {
            in_force(&mut world, &kill(KillTo::Stable));
            in_force(&mut world, &kill(KillTo::Rules));
        }
        assert!(world.pending().len() <= PENDING_MAX, "{}", world.pending().len());
        assert_eq!(word(&world), "rolling_back");
        assert_eq!(world.state(&feature()).unwrap().killed, Some(KillTo::Rules));
    }
}
