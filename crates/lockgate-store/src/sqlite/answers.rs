//! Which call was answered by what, and whom each rollout's candidate reached.

use lockgate_core::name::{FeatureName, RolloutId, VersionName, VersionRef};
use lockgate_core::signal::Arm;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{arm, moment, named, nanos, parsed, segment, whole, whole_or_none};
use crate::error::Fault;
use crate::row::{About, Answer, Reach};

const TABLE: &str = "answer";

/// Writes answers. A later state replaces an earlier one; a call that has ended is not under way again, so a
/// state that was overtaken on its way here changes nothing.
pub fn put(conn: &Connection, answers: &[Answer]) -> Result<(), Fault> {
    let mut find = conn.prepare_cached("SELECT arm, rollout FROM answer WHERE request_id = ?1")?;
    let mut upsert = conn.prepare_cached(
        "INSERT INTO answer (request_id, answer_id, session, ts, feature, version, revision, arm, rollout, segment,
                             point, target, tier, status)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (request_id) DO UPDATE SET
             answer_id = excluded.answer_id, session = excluded.session, ts = excluded.ts,
             feature = excluded.feature, version = excluded.version, revision = excluded.revision,
             arm = excluded.arm, rollout = excluded.rollout, segment = excluded.segment, point = excluded.point,
             target = excluded.target, tier = excluded.tier, status = excluded.status
         WHERE answer.status = 0 OR excluded.status <> 0",
    )?;
    for answer in answers {
        let request_id = answer.request_id.to_string();
        let rollout = answer.rollout.map(|rollout| rollout.to_string());
        let before: Option<(String, Option<String>)> =
            find.query_row([&request_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let changed = upsert.execute(params![
            request_id,
            answer.answer_id,
            answer.session,
            nanos(answer.ts),
            answer.feature.as_str(),
            answer.version.name.as_str(),
            answer.version.revision.to_string(),
            answer.arm.as_str(),
            rollout,
            answer.segment.as_str(),
            answer.point,
            answer.target,
            answer.tier,
            answer.status,
        ])?;
        let Some(rollout) = rollout.filter(|_| changed == 1 && answer.arm == Arm::Candidate) else {
            continue;
        };
        let counted = before.is_some_and(|(arm, of)| {
            arm == Arm::Candidate.as_str() && of.as_deref() == Some(rollout.as_str())
        });
        if !counted {
            count(conn, &rollout, answer)?;
        }
    }
    Ok(())
}

/// Counts a call that was given to a rollout's candidate.
fn count(conn: &Connection, rollout: &str, answer: &Answer) -> Result<(), Fault> {
    let id: i64 = conn
        .prepare_cached(
            "INSERT INTO reach (rollout, calls, users, last) VALUES (?1, 1, 0, ?2)
             ON CONFLICT (rollout) DO UPDATE SET calls = calls + 1, last = max(last, excluded.last)
             RETURNING id",
        )?
        .query_row(params![rollout, nanos(answer.ts)], |row| row.get(0))?;
    let Some(point) = answer.point else { return Ok(()) };
    let is_new = conn
        .prepare_cached("INSERT INTO reach_point (reach, point) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![id, point])?;
    if is_new == 1 {
        conn.prepare_cached("UPDATE reach SET users = users + 1 WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

/// Whom a rollout's candidate reached.
pub fn reach(conn: &Connection, rollout: RolloutId) -> Result<Reach, Fault> {
    let mut select = conn.prepare_cached("SELECT calls, users, last FROM reach WHERE rollout = ?1")?;
    let mut rows = select.query([rollout.to_string()])?;
    let Some(row) = rows.next()? else { return Ok(Reach::default()) };
    Ok(Reach {
        calls: whole("reach", row, "calls")?,
        users: whole("reach", row, "users")?,
        last: Some(moment(row.get("last")?)),
    })
}

/// The answer that something is about: the latest, where several have the same name.
pub fn find(conn: &Connection, about: &About) -> Result<Option<Answer>, Fault> {
    match about {
        About::Request(id) => first(conn, "SELECT * FROM answer WHERE request_id = ?1", &[&id.to_string()]),
        About::Answer(id) => first(
            conn,
            "SELECT * FROM answer WHERE answer_id = ?1 ORDER BY ts DESC, rowid DESC LIMIT 1",
            &[id],
        ),
        About::Session { session, feature: None } => first(
            conn,
            "SELECT * FROM answer WHERE session = ?1 ORDER BY ts DESC, rowid DESC LIMIT 1",
            &[session],
        ),
        About::Session { session, feature: Some(feature) } => first(
            conn,
            "SELECT * FROM answer WHERE session = ?1 AND feature = ?2 ORDER BY ts DESC, rowid DESC LIMIT 1",
            &[session, feature.as_str()],
        ),
    }
}

fn first(conn: &Connection, sql: &str, values: &[&str]) -> Result<Option<Answer>, Fault> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query(rusqlite::params_from_iter(values))?;
    rows.next()?.map(answer).transpose()
}

fn answer(row: &Row<'_>) -> Result<Answer, Fault> {
    let rollout = match row.get::<_, Option<String>>("rollout")? {
        None => None,
        Some(_) => Some(parsed(TABLE, row, "rollout")?),
    };
    Ok(Answer {
        request_id: parsed(TABLE, row, "request_id")?,
        answer_id: row.get("answer_id")?,
        session: row.get("session")?,
        ts: moment(row.get("ts")?),
        feature: named(TABLE, row, "feature", FeatureName::new)?,
        version: VersionRef {
            name: named(TABLE, row, "version", VersionName::new)?,
            revision: parsed(TABLE, row, "revision")?,
        },
        arm: named(TABLE, row, "arm", arm)?,
        rollout,
        segment: named(TABLE, row, "segment", segment)?,
        point: whole_or_none(TABLE, row, "point")?,
        target: row.get("target")?,
        tier: whole_or_none(TABLE, row, "tier")?,
        status: whole(TABLE, row, "status")?,
    })
}
