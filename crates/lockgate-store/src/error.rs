//! What can go wrong with the store, said so that a reader knows what to do about it.
//!
//! Three questions decide what a caller does: may the same call go through in a moment, must a person act
//! first, or is the call itself at fault. [`StoreError::retry`] answers them. What a person must do stands in
//! the message.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::row::Head;

/// The driver's own error, shared: one failed commit is told to everybody who waited for it.
type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why the store could not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file could not be opened or made.
    #[error("cannot open the store `{}`: {hint}", path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: String,
    },
    /// The file holds something else.
    #[error("`{}` is not a database: move it away, or name another file as `store`", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database, but not one of Lockgate's.
    #[error("`{}` is a database of another program: name another file as `store`", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's form is newer than this program.
    #[error(
        "`{}` was written by a later Lockgate (form {found}, this one knows {known}): run that one, or name \
         another file as `store`",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's form.
        found: i64,
        /// The newest form this program knows.
        known: i64,
    },
    /// Another process held the file for too long.
    #[error("could not {doing}: another process holds `{}`; try again in a moment", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
    },
    /// The disk is full.
    #[error(
        "could not {doing}: no room is left on the disk of `{}`; free some, nothing acknowledged is lost",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
    },
    /// The file must not be written.
    #[error(
        "could not {doing}: `{}` cannot be written; check the rights of the file and of its directory, where \
         SQLite keeps `-wal` and `-shm` beside it",
        path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
    },
    /// The file was deleted or replaced under this process.
    #[error(
        "could not {doing}: `{}` is not the file any more that this process has open; put it back, or start the \
         process again to use what is there now",
        path.display()
    )]
    Replaced {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
    },
    /// The file's pages contradict each other.
    #[error(
        "could not {doing}: `{}` is damaged; stop, keep a copy of it, and restore a backup or \
         `.recover` it with sqlite3",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: Source,
    },
    /// A stored row does not say what it must; somebody else wrote it.
    #[error("`{}`, table {table}, {row}: {why}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// Which row.
        row: String,
        /// What is wrong with it.
        why: String,
    },
    /// What was handed in cannot be stored so that it can be read again.
    #[error("could not {doing}: {why}")]
    Unfit {
        /// What was tried.
        doing: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The store's thread or the runtime has ended.
    #[error("could not {doing}: the store `{}` has stopped", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
    },
    /// Anything else that the disk or the driver refused.
    #[error("could not {doing} in `{}`", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: Source,
    },
}

/// Whether the same call may go through later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// In a moment, by itself.
    Soon,
    /// After somebody has acted: freed room, given rights, restored a file, started the program again.
    AfterHelp,
    /// Never: the call itself is at fault.
    Never,
}

impl StoreError {
    /// Whether the same call may go through later.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Busy { .. } => Retry::Soon,
            Self::Unfit { .. } => Retry::Never,
            Self::CannotOpen { .. }
            | Self::NotADatabase { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Replaced { .. }
            | Self::Damaged { .. }
            | Self::Row { .. }
            | Self::Stopped { .. }
            | Self::Failed { .. } => Retry::AfterHelp,
        }
    }
}

impl StoreError {
    /// A commit fails for everybody who is in it: each is told what it was that they wanted.
    pub(crate) fn while_doing(mut self, wanted: &'static str) -> Self {
        if let Self::Busy { doing, .. }
        | Self::Full { doing, .. }
        | Self::ReadOnly { doing, .. }
        | Self::Replaced { doing, .. }
        | Self::Damaged { doing, .. }
        | Self::Unfit { doing, .. }
        | Self::Stopped { doing, .. }
        | Self::Failed { doing, .. } = &mut self
        {
            *doing = wanted;
        }
        self
    }
}

/// Why entries were not appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended first: read again, decide again.
    #[error("the log has moved on to entry {}", actual.seq)]
    HeadMoved {
        /// Where the log ends now.
        actual: Head,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a piece of work over a connection can end in, before it is known on which file and for what.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The driver refused.
    Sqlite(rusqlite::Error),
    /// A stored row does not say what it must.
    Row { table: &'static str, row: String, why: String },
    /// What was handed in cannot be stored.
    Unfit(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// A row that cannot be understood.
    pub fn row(table: &'static str, row: impl ToString, why: impl ToString) -> Self {
        Self::Row { table, row: row.to_string(), why: why.to_string() }
    }

    /// The error as callers see it.
    pub fn into_error(self, path: &Path, doing: &'static str) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Row { table, row, why } => StoreError::Row { path, table, row, why },
            Self::Unfit(why) => StoreError::Unfit { doing, why },
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path, doing },
                Some(ErrorCode::DiskFull) => StoreError::Full { path, doing },
                Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                    StoreError::ReadOnly { path, doing }
                }
                Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
                Some(ErrorCode::DatabaseCorrupt) => {
                    StoreError::Damaged { path, doing, source: Arc::new(error) }
                }
                _ => StoreError::Failed { path, doing, source: Arc::new(error) },
            },
        }
    }
}
