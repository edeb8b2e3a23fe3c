//! Pairs of answers kept for a person to read: the most different ones of each candidate.

use std::collections::HashSet;

use lockgate_core::name::{FeatureName, VersionName, VersionRef};
use rusqlite::{Connection, Row, params};

use super::column::{limit, moment, named, nanos, parsed};
use crate::error::Fault;
use crate::row::ShadowSample;

const TABLE: &str = "sample";

/// Pairs kept per feature and candidate: more than a person reads, and at some kilobytes each no burden on
/// the file.
const KEPT_MAX: usize = 200;

/// Keeps pairs; where there are too many, the most alike go, and among equals the oldest.
pub fn put(conn: &Connection, samples: &[ShadowSample]) -> Result<(), Fault> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO sample (request_id, ts, feature, candidate, revision, agreement, why, stable_text, candidate_text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (feature, revision, request_id) DO UPDATE SET
             ts = excluded.ts, candidate = excluded.candidate, agreement = excluded.agreement, why = excluded.why,
             stable_text = excluded.stable_text, candidate_text = excluded.candidate_text",
    )?;
    let mut touched = HashSet::new();
    for sample in samples {
        // SQLite has no NaN; what could not be compared is read first.
        let agreement = if sample.agreement.is_nan() { 0.0 } else { sample.agreement };
        insert.execute(params![
            sample.request_id.to_string(),
            nanos(sample.ts),
            sample.feature.as_str(),
            sample.candidate.name.as_str(),
            sample.candidate.revision.to_string(),
            agreement,
            sample.why,
            sample.stable_text,
            sample.candidate_text,
        ])?;
        touched.insert((&sample.feature, sample.candidate.revision));
    }
    for (feature, revision) in touched {
        conn.prepare_cached(
            "DELETE FROM sample WHERE id IN (
                 SELECT id FROM sample WHERE feature = ?1 AND revision = ?2
                 ORDER BY agreement, ts DESC LIMIT -1 OFFSET ?3)",
        )?
        .execute(params![feature.as_str(), revision.to_string(), limit(KEPT_MAX)])?;
    }
    Ok(())
}

/// The kept pairs of a feature, most different first.
pub fn of(conn: &Connection, feature: &FeatureName, most: usize) -> Result<Vec<ShadowSample>, Fault> {
    let mut select = conn.prepare_cached(
        "SELECT * FROM sample WHERE feature = ?1 ORDER BY agreement, ts DESC, id DESC LIMIT ?2",
    )?;
    let mut rows = select.query(params![feature.as_str(), limit(most)])?;
    let mut samples = Vec::new();
    while let Some(row) = rows.next()? {
        samples.push(sample(row)?);
    }
    Ok(samples)
}

fn sample(row: &Row<'_>) -> Result<ShadowSample, Fault> {
    Ok(ShadowSample {
        request_id: parsed(TABLE, row, "request_id")?,
        ts: moment(row.get("ts")?),
        feature: named(TABLE, row, "feature", FeatureName::new)?,
        candidate: VersionRef {
            name: named(TABLE, row, "candidate", VersionName::new)?,
            revision: parsed(TABLE, row, "revision")?,
        },
        agreement: row.get("agreement")?,
        why: row.get("why")?,
        stable_text: row.get("stable_text")?,
        candidate_text: row.get("candidate_text")?,
    })
}
