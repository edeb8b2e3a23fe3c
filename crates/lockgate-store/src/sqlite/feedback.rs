//! Feedback: each piece counted once.
//!
//! The row that remembers a piece and the sum that counts it are written in the same transaction. So whatever
//! happens in between, a piece that is sent again finds itself either uncounted or counted, never half.

use std::collections::BTreeMap;

use lockgate_core::signal::Measure;
use lockgate_core::sums::{BucketStart, SCORE_STEPS, Sum, SumKey};
use lockgate_core::{duration_levels, size_levels};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::nanos;
use super::sums;
use crate::error::Fault;
use crate::row::{FeedbackOutcome, FeedbackRow, Observed};

/// Counts a piece, unless it was counted before.
pub fn put(
    conn: &Connection,
    row: &FeedbackRow,
    bucket: BucketStart,
    key: &SumKey,
) -> Result<FeedbackOutcome, Fault> {
    let one = one(row, key)?;
    let before: Option<String> = conn
        .prepare_cached("SELECT value FROM feedback WHERE idempotency_key = ?1")?
        .query_row([&row.idempotency_key], |row| row.get(0))
        .optional()?;
    if let Some(value) = before {
        return Ok(FeedbackOutcome::Duplicate { value });
    }
    let observed = match row.observed {
        Observed::Was(so) => i64::from(so),
        Observed::Step(step) | Observed::Level(step) => i64::from(step),
        Observed::Amount(number) => i64::try_from(number)
            .map_err(|_| Fault::Unfit(format!("{number} is more than one observation can be")))?,
    };
    conn.prepare_cached(
        "INSERT INTO feedback (idempotency_key, ts, request_id, bucket, signal, observed, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.idempotency_key,
        nanos(row.ts),
        row.request_id.to_string(),
        bucket.0,
        row.signal.to_string(),
        observed,
        row.value,
    ])?;
    sums::bump(conn, bucket, key, &one)?;
    Ok(FeedbackOutcome::Counted)
}

/// One observation as a sum.
fn one(row: &FeedbackRow, key: &SumKey) -> Result<Sum, Fault> {
    if row.signal != key.signal {
        return Err(Fault::Unfit(format!("feedback on {} cannot be counted as {}", row.signal, key.signal)));
    }
    match (row.signal.measure(), &row.observed) {
        (Measure::Rate, Observed::Was(so)) => Ok(Sum::Rate { n: 1, hits: u64::from(*so) }),
        (Measure::Score, Observed::Step(step)) if *step <= SCORE_STEPS => {
            Ok(Sum::Levels(BTreeMap::from([(*step, 1)])))
        }
        (Measure::Durations, Observed::Level(level)) if usize::from(*level) < duration_levels::count() => {
            Ok(Sum::Levels(BTreeMap::from([(*level, 1)])))
        }
        (Measure::Sizes, Observed::Level(level)) if usize::from(*level) < size_levels::count() => {
            Ok(Sum::Levels(BTreeMap::from([(*level, 1)])))
        }
        (Measure::Amount, Observed::Amount(number)) => {
            let squares = u128::from(*number) * u128::from(*number);
            Ok(Sum::Amount { n: 1, total: *number, squares })
        }
        (_, observed) => Err(Fault::Unfit(format!("{observed:?} is no observation of {}", row.signal))),
    }
}
