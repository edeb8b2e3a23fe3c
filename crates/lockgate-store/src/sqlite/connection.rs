//! Opens connections, and makes the tables of a new file.
//!
//! A file is touched only after it is known to be ours: another program's database, or one of a later form,
//! stays as it is.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::Place;
use crate::error::{Fault, StoreError};

/// Marks a file as ours, in its header: `LKGT`.
const APPLICATION_ID: i64 = 0x4c4b_4754;
/// The newest form of the tables that this program knows.
const FORM: i64 = 1;
/// The tables of form 1.
const SCHEMA: &str = include_str!("schema.sql");
/// How many prepared statements a connection keeps: more than this crate has.
const STATEMENTS_KEPT: usize = 64;
/// How large the `-wal` file may stay once it has been folded back.
const WAL_BYTES_KEPT: i64 = 64 << 20;

const DOING: &str = "open the store";

/// What a database turned out to be.
enum Found {
    Empty,
    Ours,
}

/// Opens the writing connection and makes what is missing.
pub fn open_writer(place: &Place, busy: Duration) -> Result<Connection, StoreError> {
    let path = place.path();
    let fail = |error: rusqlite::Error| Fault::Sqlite(error).into_error(path, DOING);
    let mut conn = match place {
        Place::File(path) => connect(path).map_err(|_| cannot_open(path))?,
        Place::Memory => Connection::open_in_memory().map_err(fail)?,
    };
    configure(&conn, busy).map_err(fail)?;
    let found = look(&conn, path)?;
    check_writable(&conn, path)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
    if matches!(place, Place::File(_)) {
        use_write_ahead_log(&conn).map_err(fail)?;
    }
    if matches!(found, Found::Empty) {
        // Asked again under the lock: another process may have made the tables since.
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        if matches!(look(&transaction, path)?, Found::Empty) {
            make_tables(&transaction).map_err(fail)?;
        }
        transaction.commit().map_err(fail)?;
    }
    Ok(conn)
}

/// Opens a connection that only reads.
pub fn open_reader(path: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    let conn = connect(path)?;
    configure(&conn, busy)?;
    // Not opened read-only: a reader of a write-ahead log writes its marks into the `-shm` file.
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // No URI: a file's name may hold `?` and `%`. No mutex: each connection is used by one thread at a time.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

fn configure(conn: &Connection, busy: Duration) -> rusqlite::Result<()> {
    conn.busy_timeout(busy)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)
}

fn use_write_ahead_log(conn: &Connection) -> rusqlite::Result<()> {
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        tracing::warn!(mode, "the store's disk takes no write-ahead log: reading waits for writing");
    }
    Ok(())
}

/// Says whose database this is.
fn look(conn: &Connection, path: &Path) -> Result<Found, StoreError> {
    let fail = |error: rusqlite::Error| Fault::Sqlite(error).into_error(path, DOING);
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fail);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let owner = number("PRAGMA application_id")?;
    let form = number("PRAGMA user_version")?;
    match owner {
        APPLICATION_ID if form > FORM => {
            Err(StoreError::Newer { path: path.to_owned(), found: form, known: FORM })
        }
        APPLICATION_ID => Ok(Found::Ours),
        0 if tables == 0 && form == 0 => Ok(Found::Empty),
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

fn make_tables(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORM)
}

/// SQLite opens a file that it may not write for reading, and says so at the first write only.
fn check_writable(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    match conn.is_readonly(rusqlite::MAIN_DB) {
        Ok(false) => Ok(()),
        _ => Err(StoreError::ReadOnly { path: path.to_owned(), doing: DOING }),
    }
}

fn cannot_open(path: &Path) -> StoreError {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let hint = if !directory.is_dir() {
        format!("the directory `{}` does not exist; make it first", directory.display())
    } else if path.is_dir() {
        "it is a directory; name a file in it".to_owned()
    } else {
        "check the rights of the file and of its directory".to_owned()
    };
    StoreError::CannotOpen { path: path.to_owned(), hint }
}
