//! Brings events to the log.
//!
//! An append goes through only if the log still ends where it was last read; otherwise it is read again and the caller
//! decides again. Nothing here decides what happens.

use std::time::Duration;

use lockgate_core::event::{Entry, Event};
use lockgate_core::name::FeatureName;
use lockgate_store::row::Head;
use lockgate_store::{AppendError, StoreError};

use crate::controller::Controller;

/// Entries that are read from the log at once: a few hundred kilobytes, whatever the log's length.
pub(crate) const LOG_CHUNK: usize = 500;

/// How often somebody else may be first before this one gives up until the next look. Two controllers that look at once
/// disagree once; more than a few times in a row means that something else is wrong.
pub(crate) const TRIES: usize = 5;

/// How long a command waits for the store, and for calls to let go of an old table. With both, a person who throws the kill
/// switch hears within a second what became of it.
pub(crate) const WAIT: Duration = Duration::from_millis(900);

/// How often it is looked whether an old table is gone.
const GONE_POLL: Duration = Duration::from_millis(1);

/// Why events were not recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    #[error("somebody else appended to the log each time; try again")]
    Overtaken,
    #[error("the store did not answer within {WAIT:?}")]
    Slow,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Controller {
    /// Reads what was appended to the log since it was last read, and puts it in force: whoever learns that somebody else was
    /// first may have nothing left to do, and must not leave the table behind. Half of a reading is never put in force.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            let after = self.world().head().seq;
            let logged = self.store.log_after(after, LOG_CHUNK).await?;
            let is_last = logged.len() < LOG_CHUNK;
            let mut world = self.world();
            world.take_in(&logged);
            if is_last {
                world.publish(&self.live);
                return Ok(());
            }
        }
    }

    /// Appends events if the log still ends at `expected`.
    pub(crate) async fn append(&self, expected: Head, entries: Vec<Entry>) -> Result<(), AppendError> {
        let head = self.store.append(expected, entries.clone()).await?;
        self.world().take_in_own(expected, &entries, head);
        // Said by whoever recorded it, and so by one process only and once.
        for entry in &entries {
            if let Event::Alerted { why, .. } = &entry.event {
                tracing::warn!(feature = %entry.feature, "a person ought to look: {why}");
            }
        }
        Ok(())
    }

    /// Reads the log, and records what is in force but not recorded yet.
    pub(crate) async fn flush_pending(&self) -> Result<(), CommitError> {
        for _ in 0..TRIES {
            self.catch_up().await?;
            let (head, pending) = {
                let world = self.world();
                (world.head(), world.pending().to_vec())
            };
            if pending.is_empty() {
                return Ok(());
            }
            match self.append(head, pending).await {
                Ok(()) => return Ok(()),
                Err(AppendError::HeadMoved { .. }) => {}
                Err(AppendError::Store(error)) => return Err(error.into()),
            }
        }
        Err(CommitError::Overtaken)
    }

    /// Puts events in force at once, recorded or not.
    pub(crate) fn put_in_force(&self, entries: Vec<Entry>) {
        let mut world = self.world();
        world.put_in_force(entries);
        world.publish(&self.live);
    }

    /// Brings the table in force up to what is known. Safe to repeat.
    pub(crate) fn publish(&self) {
        self.world().publish(&self.live);
    }

    /// Waits until no call holds an old table, however long that takes.
    pub(crate) async fn old_tables_gone(&self) {
        while !self.world().old_tables_are_gone() {
            tokio::time::sleep(GONE_POLL).await;
        }
    }

    /// Events as entries of the log.
    pub(crate) fn entries(&self, feature: &FeatureName, author: &str, events: Vec<Event>) -> Vec<Entry> {
        let ts = self.clock.now();
        let entry = |event| Entry { ts, feature: feature.clone(), author: author.to_owned(), event };
        events.into_iter().map(entry).collect()
    }
}
