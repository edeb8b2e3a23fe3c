//! SQLite: one file, one thread that writes, a few connections that read.
//!
//! SQLite lets one connection write at a time, so one thread owns the only writing connection and everybody
//! else queues for it. What waits is written together ([`writer`]): a commit costs a flush of the disk,
//! whatever is in it. Readers see the last commit and disturb nobody (write-ahead log). Another process may
//! use the same file; the file's own locks order the two.
//!
//! In memory there is nothing to share between connections without SQLite's shared cache, whose locks fail
//! instead of wait; so there the writing connection serves reads too.

pub(crate) mod answers;
pub(crate) mod chain;
mod column;
mod connection;
pub(crate) mod feedback;
pub(crate) mod forget;
pub(crate) mod log;
mod readers;
pub(crate) mod samples;
pub(crate) mod sums;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Fault, StoreError};
use readers::Readers;
use writer::Writer;

/// How long a lock of another process is waited for: longer than any transaction of ours takes on a slow
/// disk, shorter than a person waits for a command.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often an open is tried again when another process is making the same file: changing a file to
/// write-ahead logging asks for it alone and does not wait.
const OPEN_TRIES: u32 = 50;
/// The pause between two tries.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In a file.
    File(PathBuf),
    /// In memory, for one connection.
    Memory,
}

impl Place {
    /// What errors call it.
    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory => Path::new(":memory:"),
        }
    }
}

/// An open database.
pub(crate) struct Sqlite {
    place: Place,
    // Declared before the writer so that idle readers close first and the writer's close folds the `-wal`
    // file away.
    readers: Option<Arc<Readers>>,
    writer: Writer,
}

impl Sqlite {
    /// Opens it, makes what is missing, and starts the writing thread.
    pub async fn open(place: Place, busy: Duration) -> Result<Self, StoreError> {
        const DOING: &str = "open the store";
        let mut tries = 1;
        let conn = loop {
            let there = place.clone();
            let opened = tokio::task::spawn_blocking(move || connection::open_writer(&there, busy)).await;
            match opened {
                Ok(Err(StoreError::Busy { .. })) if tries < OPEN_TRIES => tries += 1,
                Ok(result) => break result?,
                Err(_) => return Err(StoreError::Stopped { path: place.path().to_owned(), doing: DOING }),
            }
            tokio::time::sleep(OPEN_PAUSE).await;
        };
        let readers = match &place {
            Place::File(path) => Some(Arc::new(Readers::new(path.clone(), busy))),
            Place::Memory => None,
        };
        let writer = Writer::start(place.path().to_owned(), conn)?;
        Ok(Self { place, readers, writer })
    }

    /// Runs work on the writing connection, inside a transaction, and returns once that is committed. Work
    /// that fails is undone alone. `rows` says about how much it is.
    pub async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        rows: usize,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(doing, rows, work).await
    }

    /// Runs work that only reads, on one state of the database.
    pub async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.readers {
            Some(readers) => readers.run(doing, work).await,
            None => self.writer.run(doing, 1, work).await,
        }
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.place.path().display())
    }
}
