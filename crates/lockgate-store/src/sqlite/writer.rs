//! The thread that owns the writing connection.
//!
//! A commit flushes the disk, which takes a thousand times as long as the statements in it. So everything
//! that waits is written in one transaction (up to a bound), each piece of work in a savepoint of its own,
//! and nobody hears of success before the commit. A piece that fails is undone alone; a commit that fails is
//! told to all who were in it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Fault, StoreError};

/// Pieces of work that wait at once; whoever comes next waits for room.
const WAITING_MAX: usize = 1024;
/// After about so many rows a transaction is committed even if more is waiting: some tens of milliseconds of
/// work.
const GROUP_ROWS_MAX: usize = 4096;

/// A piece of work: runs on the connection, or hears why it cannot, and hands back how its caller is told.
struct Job {
    rows: usize,
    work: Work,
}

type Work = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Done + Send>;

/// A piece of work that ran but is not committed.
struct Done {
    failure: Option<StoreError>,
    tell: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// A handle on the thread. Dropping it lets the thread finish what is queued, and waits for that.
pub struct Writer {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(path: PathBuf, conn: Connection) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread_path = path.clone();
        let thread = std::thread::Builder::new()
            .name("lockgate-store".to_owned())
            .spawn(move || serve(&conn, waiting, &thread_path))
            .map_err(|error| StoreError::CannotOpen {
                path: path.clone(),
                hint: format!("its writing thread could not be started ({error})"),
            })?;
        Ok(Self { path, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues work and waits until it is committed.
    pub async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        rows: usize,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Stopped { path: self.path.clone(), doing };
        let (reply, answer) = oneshot::channel();
        let path = self.path.clone();
        let work = Box::new(move |conn: Result<&Connection, StoreError>| {
            let conn = conn.map_err(|error| error.while_doing(doing));
            let result = conn.and_then(|conn| work(conn).map_err(|fault| fault.into_error(&path, doing)));
            let failure = result.as_ref().err().cloned();
            let tell = Box::new(move |committed: Result<(), StoreError>| {
                let committed = committed.map_err(|error| error.while_doing(doing));
                // Nobody listens any more when the caller has given up waiting; the work is done all the
                // same.
                let _ = reply.send(result.and_then(|value| committed.map(|()| value)));
            });
            Done { failure, tell }
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(Job { rows: rows.max(1), work }).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(store = %self.path.display(), "the store's writing thread ended in a panic");
        }
    }
}

/// The thread: until no handle is left.
fn serve(conn: &Connection, mut waiting: mpsc::Receiver<Job>, path: &Path) {
    let opened = identity(path);
    while let Some(first) = waiting.blocking_recv() {
        let mut rows = first.rows;
        let mut next = Some(first);
        let group = std::iter::from_fn(|| {
            let job = next.take()?;
            if rows < GROUP_ROWS_MAX {
                next = waiting.try_recv().ok();
                rows += next.as_ref().map_or(0, |job| job.rows);
            }
            Some(job)
        });
        commit_together(conn, group, path, opened);
    }
}

/// Which file a path leads to; `None` where there is none, as for a store in memory.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Runs a group in one transaction and tells everybody how it ended.
///
/// A file that was deleted or replaced goes on taking writes for as long as it is open, and nobody will ever read them: that
/// is a failure, found by looking where the path leads now.
fn commit_together(
    conn: &Connection,
    group: impl Iterator<Item = Job>,
    path: &Path,
    opened: Option<(u64, u64)>,
) {
    let fail = |error: rusqlite::Error| Fault::Sqlite(error).into_error(path, "commit");
    let begin = || {
        if opened.is_some() && identity(path) != opened {
            return Err(StoreError::Replaced { path: path.to_owned(), doing: "commit" });
        }
        run(conn, "BEGIN IMMEDIATE").map_err(fail)
    };
    let mut begun = begin();
    let mut done: Vec<Done> = Vec::new();
    for job in group {
        if let Err(error) = &begun {
            ((job.work)(Err(error.clone())).tell)(Ok(()));
            continue;
        }
        let ran = run_alone(conn, job, fail);
        let undone = ran.failure.clone().filter(|_| conn.is_autocommit());
        done.push(ran);
        // A full or failing disk makes SQLite undo the whole transaction: what ran in it so far has failed
        // with it.
        if let Some(error) = undone {
            tell_all(&mut done, &Err(error));
            begun = begin();
        }
    }
    let committed = begun.and_then(|()| run(conn, "COMMIT").map_err(fail));
    if committed.is_err() && !conn.is_autocommit() {
        let _ = run(conn, "ROLLBACK");
    }
    tell_all(&mut done, &committed);
}

/// Runs a piece of work so that its failure undoes nothing but itself.
fn run_alone(conn: &Connection, job: Job, fail: impl Fn(rusqlite::Error) -> StoreError) -> Done {
    if let Err(error) = run(conn, "SAVEPOINT job") {
        return (job.work)(Err(fail(error)));
    }
    let done = (job.work)(Ok(conn));
    if conn.is_autocommit() {
        return done;
    }
    let kept = match done.failure {
        Some(_) => run(conn, "ROLLBACK TO job").and_then(|()| run(conn, "RELEASE job")),
        None => run(conn, "RELEASE job"),
    };
    if kept.is_err() {
        // Half a piece of work must never be committed: better the whole group is undone and told so.
        let _ = run(conn, "ROLLBACK");
    }
    done
}

fn run(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn tell_all(done: &mut Vec<Done>, committed: &Result<(), StoreError>) {
    done.drain(..).for_each(|done| (done.tell)(committed.clone()));
}
