//! A few connections that read, each lent to one piece of work at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection;
use crate::error::{Fault, StoreError};

/// Pieces of work that read at once: enough that a page of the dashboard does not wait behind a decision, few
/// enough that their page caches stay small. More wait.
const READERS_MAX: usize = 4;

/// The connections that are not lent out, and leave to take one.
pub struct Readers {
    path: PathBuf,
    busy: Duration,
    idle: Mutex<Vec<Connection>>,
    leave: Arc<Semaphore>,
}

impl Readers {
    /// None open yet.
    pub fn new(path: PathBuf, busy: Duration) -> Self {
        let leave = Arc::new(Semaphore::new(READERS_MAX));
        Self { path, busy, idle: Mutex::new(Vec::new()), leave }
    }

    /// Runs work on one state of the database, away from the runtime's own threads.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Stopped { path: self.path.clone(), doing };
        let leave = Arc::clone(&self.leave).acquire_owned().await.map_err(|_| stopped())?;
        let readers = Arc::clone(self);
        let blocking = tokio::task::spawn_blocking(move || {
            let result = readers.with_connection(work);
            drop(leave);
            result.map_err(|fault| fault.into_error(&readers.path, doing))
        });
        blocking.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => connection::open_reader(&self.path, self.busy)?,
        };
        let result = in_one_state(&conn, work);
        // One that is still inside a transaction would show others an old state.
        if conn.is_autocommit() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
        result
    }
}

/// A transaction, so that several statements see the same commit.
fn in_one_state<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = conn.unchecked_transaction()?;
    let result = work(&transaction);
    transaction.finish()?;
    result
}
