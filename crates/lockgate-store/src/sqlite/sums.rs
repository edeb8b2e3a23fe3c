//! Signal sums: each writer's own counters, joined as they arrive and added over writers as they are read.

use std::collections::{BTreeMap, HashMap};

use lockgate_core::name::FeatureName;
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{arm, limit, named, parsed, segment};
use crate::error::Fault;
use crate::row::{Totals, Writer, Written};

/// Joins a writer's counters with what is stored of it.
pub fn put(conn: &Connection, writer: &Writer, sums: &[(BucketStart, SumKey, Sum)]) -> Result<(), Fault> {
    let Some(latest) = sums.iter().map(|(bucket, ..)| *bucket).max() else { return Ok(()) };
    let writer = writer_id(conn, writer, latest)?;
    let mut keys: HashMap<&SumKey, (i64, BucketStart)> = HashMap::new();
    for (bucket, key, sum) in sums {
        let id = match keys.get(key) {
            Some((id, latest)) if latest >= bucket => *id,
            _ => {
                let id = key_id(conn, key, *bucket)?;
                keys.insert(key, (id, *bucket));
                id
            }
        };
        let place = Place { feature: &key.feature, bucket: *bucket, key: id, writer };
        merge(conn, &place, |stored| stored.join(sum), sum)?;
    }
    Ok(())
}

/// Adds one observation to the sum of the one writer that is this file itself. Only ever inside the
/// transaction that also says that the observation was made, so that the counter grows once for each.
pub fn bump(conn: &Connection, bucket: BucketStart, key: &SumKey, one: &Sum) -> Result<(), Fault> {
    let replica = conn.prepare_cached("SELECT name FROM instance")?.query_row([], |row| row.get(0))?;
    let writer = writer_id(conn, &Writer { replica, incarnation: 0 }, bucket)?;
    let place = Place { feature: &key.feature, bucket, key: key_id(conn, key, bucket)?, writer };
    merge(conn, &place, |stored| stored.add(one), one)
}

/// What was written of a feature per bucket in `from..to`, and by whom; of everybody, or of one writer.
pub fn between(
    conn: &Connection,
    feature: &FeatureName,
    from: BucketStart,
    to: BucketStart,
    by: Option<i64>,
) -> Result<BTreeMap<BucketStart, Written>, Fault> {
    let keys = keys_of(conn, feature)?;
    let own = own_writer(conn)?;
    let mut select = conn.prepare_cached(
        "SELECT bucket, key, sum, writer FROM sums
         WHERE feature = ?1 AND bucket >= ?2 AND bucket < ?3 AND (?4 IS NULL OR writer = ?4) ORDER BY bucket, key",
    )?;
    let mut rows = select.query(params![feature.as_str(), from.0, to.0, by])?;
    let mut buckets: BTreeMap<BucketStart, Written> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (bucket, id, writer): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
        let sum = read_sum(row, 2)?;
        let written = buckets.entry(BucketStart(bucket)).or_default();
        add(&mut written.sums, key_of(&keys, bucket, id)?, sum);
        if own != Some(writer) {
            written.writers.insert(writer);
        }
    }
    Ok(buckets)
}

/// A feature's sums over some buckets, all added; only those of wanted keys.
pub fn totals(
    conn: &Connection,
    feature: &FeatureName,
    buckets: &[BucketStart],
    wanted: impl Fn(&SumKey) -> bool,
) -> Result<Totals, Fault> {
    let keys = keys_of(conn, feature)?;
    let mut select = conn.prepare_cached("SELECT key, sum FROM sums WHERE feature = ?1 AND bucket = ?2")?;
    let mut totals = Totals::default();
    for bucket in buckets {
        let mut rows = select.query(params![feature.as_str(), bucket.0])?;
        while let Some(row) = rows.next()? {
            let key = key_of(&keys, bucket.0, row.get(0)?)?;
            if !wanted(key) {
                continue;
            }
            add(&mut totals.sums, key, read_sum(row, 1)?);
            totals.first = Some(totals.first.map_or(*bucket, |first| first.min(*bucket)));
            totals.last = Some(totals.last.map_or(*bucket, |last| last.max(*bucket)));
        }
    }
    Ok(totals)
}

/// The oldest bucket that a feature has sums of.
pub fn oldest(conn: &Connection, feature: &FeatureName) -> Result<Option<BucketStart>, Fault> {
    let oldest: Option<i64> = conn
        .prepare_cached("SELECT min(bucket) FROM sums WHERE feature = ?1")?
        .query_row([feature.as_str()], |row| row.get(0))?;
    Ok(oldest.map(BucketStart))
}

/// Gateways that have written since a bucket, the latest first.
pub fn writers(conn: &Connection, since: BucketStart, most: usize) -> Result<Vec<i64>, Fault> {
    let own = own_writer(conn)?.unwrap_or(0);
    let mut select = conn.prepare_cached(
        "SELECT id FROM writer WHERE latest >= ?1 AND id <> ?2 ORDER BY latest DESC, id LIMIT ?3",
    )?;
    let rows = select.query_map(params![since.0, own, limit(most)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn add(sums: &mut BucketSums, key: &SumKey, sum: Sum) {
    match sums.get_mut(key) {
        Some(stored) => stored.add(&sum),
        None => {
            sums.insert(key.clone(), sum);
        }
    }
}

fn key_of(keys: &HashMap<i64, SumKey>, bucket: i64, id: i64) -> Result<&SumKey, Fault> {
    keys.get(&id).ok_or_else(|| Fault::row("sums", format_args!("bucket {bucket}"), "its key is missing"))
}

/// The number of the writer that is this file itself, once it has counted feedback.
fn own_writer(conn: &Connection) -> Result<Option<i64>, Fault> {
    Ok(conn
        .prepare_cached("SELECT id FROM writer WHERE replica = (SELECT name FROM instance)")?
        .query_row([], |row| row.get(0))
        .optional()?)
}

/// Where a sum stands.
struct Place<'a> {
    feature: &'a FeatureName,
    bucket: BucketStart,
    key: i64,
    writer: i64,
}

/// Changes a stored sum, or writes the first one.
fn merge(
    conn: &Connection,
    place: &Place<'_>,
    change: impl FnOnce(&mut Sum),
    first: &Sum,
) -> Result<(), Fault> {
    let Place { feature, bucket, key, writer } = place;
    let stored = conn
        .prepare_cached(
            "SELECT sum FROM sums WHERE feature = ?1 AND bucket = ?2 AND key = ?3 AND writer = ?4",
        )?
        .query_row(params![feature.as_str(), bucket.0, key, writer], |row| Ok(read_sum(row, 0)))
        .optional()?
        .transpose()?;
    let merged = match &stored {
        None => first.clone(),
        Some(stored) => {
            let mut merged = stored.clone();
            change(&mut merged);
            merged
        }
    };
    if stored.as_ref() == Some(&merged) {
        return Ok(());
    }
    let text = serde_json::to_string(&merged).map_err(|error| Fault::Unfit(error.to_string()))?;
    conn.prepare_cached(
        "INSERT INTO sums (feature, bucket, key, writer, sum) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET sum = excluded.sum",
    )?
    .execute(params![feature.as_str(), bucket.0, key, writer, text])?;
    Ok(())
}

fn read_sum(row: &Row<'_>, column: usize) -> Result<Sum, Fault> {
    let broken = |why: String| Fault::row("sums", "column sum", why);
    let text = row.get_ref(column)?.as_str().map_err(|error| broken(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| broken(format!("{error}: {text}")))
}

fn writer_id(conn: &Connection, writer: &Writer, bucket: BucketStart) -> Result<i64, Fault> {
    // The same 64 bits, whatever SQLite takes the first of them for.
    let incarnation = writer.incarnation.cast_signed();
    let found: Option<(i64, i64)> = conn
        .prepare_cached("SELECT id, latest FROM writer WHERE replica = ?1 AND incarnation = ?2")?
        .query_row(params![writer.replica, incarnation], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((id, latest)) => {
            if latest < bucket.0 {
                conn.prepare_cached("UPDATE writer SET latest = ?2 WHERE id = ?1")?
                    .execute(params![id, bucket.0])?;
            }
            Ok(id)
        }
        None => {
            conn.prepare_cached("INSERT INTO writer (replica, incarnation, latest) VALUES (?1, ?2, ?3)")?
                .execute(params![writer.replica, incarnation, bucket.0])?;
            Ok(conn.last_insert_rowid())
        }
    }
}

fn key_id(conn: &Connection, key: &SumKey, bucket: BucketStart) -> Result<i64, Fault> {
    let (revision, signal) = (key.revision.to_string(), key.signal.to_string());
    let (feature, arm, segment) = (key.feature.as_str(), key.arm.as_str(), key.segment.as_str());
    let found: Option<(i64, i64)> = conn
        .prepare_cached(
            "SELECT id, latest FROM sum_key
             WHERE feature = ?1 AND revision = ?2 AND arm = ?3 AND segment = ?4 AND signal = ?5",
        )?
        .query_row(params![feature, revision, arm, segment, signal], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((id, latest)) => {
            if latest < bucket.0 {
                conn.prepare_cached("UPDATE sum_key SET latest = ?2 WHERE id = ?1")?
                    .execute(params![id, bucket.0])?;
            }
            Ok(id)
        }
        None => {
            conn.prepare_cached(
                "INSERT INTO sum_key (feature, revision, arm, segment, signal, latest)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![feature, revision, arm, segment, signal, bucket.0])?;
            Ok(conn.last_insert_rowid())
        }
    }
}

/// Every key of a feature by its number: far fewer than sums, so each is parsed once.
fn keys_of(conn: &Connection, feature: &FeatureName) -> Result<HashMap<i64, SumKey>, Fault> {
    const TABLE: &str = "sum_key";
    let mut select =
        conn.prepare_cached("SELECT id, revision, arm, segment, signal FROM sum_key WHERE feature = ?1")?;
    let mut rows = select.query([feature.as_str()])?;
    let mut keys = HashMap::new();
    while let Some(row) = rows.next()? {
        let key = SumKey {
            feature: feature.clone(),
            revision: parsed(TABLE, row, "revision")?,
            arm: named(TABLE, row, "arm", arm)?,
            segment: named(TABLE, row, "segment", segment)?,
            signal: parsed(TABLE, row, "signal")?,
        };
        keys.insert(row.get("id")?, key);
    }
    Ok(keys)
}
