//! Forgets what is older than a moment, a slice at a time, so that a rollback never waits behind the
//! housekeeping.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::column::{limit, nanos};
use crate::error::Fault;

/// Rows that one slice takes away at most: a few milliseconds.
pub const SLICE_ROWS: usize = 1000;

/// What is forgotten.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Sums of buckets that began before the moment, then the keys and writers that no sum is left of.
    Sums,
    /// Answers to calls that arrived before the moment.
    Answers,
    /// The points of rollouts whose candidate was last given a call before the moment; how many there were
    /// stays.
    Points,
    /// Feedback that was received before the moment.
    Feedback,
    /// Samples from before the moment.
    Samples,
}

/// Everything that is forgotten.
pub const ALL: [Kind; 5] = [Kind::Sums, Kind::Answers, Kind::Points, Kind::Feedback, Kind::Samples];

/// Takes away at most [`SLICE_ROWS`] rows, and says how many it was.
pub fn slice(conn: &Connection, kind: Kind, moment: Timestamp) -> Result<usize, Fault> {
    let run = |sql: &str| -> Result<usize, Fault> {
        Ok(conn.prepare_cached(sql)?.execute(params![nanos(moment), limit(SLICE_ROWS)])?)
    };
    match kind {
        Kind::Sums => sums(conn, moment.as_millisecond()),
        Kind::Answers => {
            run("DELETE FROM answer WHERE rowid IN (SELECT rowid FROM answer WHERE ts < ?1 LIMIT ?2)")
        }
        Kind::Points => run("DELETE FROM reach_point WHERE (reach, point) IN (
                 SELECT reach, point FROM reach_point JOIN reach ON reach.id = reach_point.reach
                 WHERE reach.last < ?1 LIMIT ?2)"),
        Kind::Feedback => {
            run("DELETE FROM feedback WHERE rowid IN (SELECT rowid FROM feedback WHERE ts < ?1 LIMIT ?2)")
        }
        Kind::Samples => run("DELETE FROM sample WHERE id IN (SELECT id FROM sample WHERE ts < ?1 LIMIT ?2)"),
    }
}

/// Sums lie by feature and then by bucket, so each feature's oldest are taken in turn.
fn sums(conn: &Connection, before_ms: i64) -> Result<usize, Fault> {
    let mut features = conn.prepare_cached("SELECT DISTINCT feature FROM sum_key ORDER BY feature")?;
    let features: Vec<String> = features.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut delete = conn.prepare_cached(
        "DELETE FROM sums WHERE (feature, bucket, key, writer) IN (
             SELECT feature, bucket, key, writer FROM sums WHERE feature = ?1 AND bucket < ?2
             ORDER BY bucket LIMIT ?3)",
    )?;
    let mut deleted = 0;
    for feature in features {
        deleted += delete.execute(params![feature, before_ms, limit(SLICE_ROWS - deleted)])?;
    }
    if deleted < SLICE_ROWS {
        // In the transaction that has seen that no older sum is left: a late writer may bring one back at any
        // time.
        conn.prepare_cached("DELETE FROM sum_key WHERE latest < ?1")?.execute([before_ms])?;
        conn.prepare_cached("DELETE FROM writer WHERE latest < ?1")?.execute([before_ms])?;
    }
    Ok(deleted)
}
