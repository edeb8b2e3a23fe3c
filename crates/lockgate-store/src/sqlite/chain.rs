//! Checks the whole log against its chain, and says what was done to it.
//!
//! Reads what is stored and trusts none of it: types, numbers and texts may be anything. One row is held at a
//! time. The chain finds every change inside the log, the head finds what was cut off or put behind it. A
//! forger who rewrites the log and the head together is found only by comparing the head with one that was
//! noted elsewhere.

use lockgate_core::event::Entry;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row};

use super::log::link;
use crate::error::Fault;
use crate::row::{Hash, Head, Verification};

/// Reads everything.
pub fn verify(conn: &Connection) -> Result<Verification, Fault> {
    let mut at = Head::EMPTY;
    let mut broken = None;
    let head = head(conn)?;
    let mut select = conn.prepare("SELECT seq, entry, hash FROM log ORDER BY seq")?;
    let mut rows = select.query([])?;
    while broken.is_none() {
        match rows.next() {
            Ok(Some(row)) => match check(at, row)? {
                Ok(next) => at = next,
                Err(Wrong::Sentence(what)) => broken = Some(what),
                Err(Wrong::Hash(stored)) => {
                    // The log is damaged already; what else of it cannot be read only makes the sentence less
                    // exact.
                    broken = Some(explain(conn, at, head, &stored).unwrap_or_else(|_| unclear(stored.seq)));
                }
            },
            Ok(None) => break,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                broken = Some(format!("what follows entry {} cannot be read: {error}", at.seq));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let broken = broken.or_else(|| check_head(head, at));
    let end = head.unwrap_or(at);
    Ok(Verification { entries: at.seq, head_seq: end.seq, head_hash: end.hash, broken })
}

/// An entry as it is stored.
struct Stored {
    seq: u64,
    entry: Vec<u8>,
    hash: Option<Hash>,
}

enum Wrong {
    Sentence(String),
    /// Number and types are right, the hash is not: why, takes another look at the log.
    Hash(Stored),
}

/// Whether a row is the one that comes after `at`; the outer error is the driver's.
fn check(at: Head, row: &Row<'_>) -> Result<Result<Head, Wrong>, Fault> {
    let expected = at.seq + 1;
    let wrong = |what: String| Ok(Err(Wrong::Sentence(what)));
    let found: i64 = row.get(0)?;
    if found < expected.cast_signed() {
        return wrong(format!("entry {found} stands where entry {expected} should"));
    }
    if found > expected.cast_signed() {
        return wrong(format!("entry {expected} is missing: the next one is entry {found}"));
    }
    let ValueRef::Text(entry) = row.get_ref(1)? else {
        return wrong(format!("entry {expected} is not text"));
    };
    let hash = hash_of(row.get_ref(2)?);
    let computed = link(at.hash, expected, entry);
    if hash != Some(computed) {
        return Ok(Err(Wrong::Hash(Stored { seq: expected, entry: entry.to_vec(), hash })));
    }
    match serde_json::from_slice::<Entry>(entry) {
        Ok(_) => Ok(Ok(Head { seq: expected, hash: computed })),
        Err(error) => {
            wrong(format!("entry {expected} fits the chain but is no event this version knows: {error}"))
        }
    }
}

/// What became of an entry whose hash does not follow from the one before, the number and the text.
fn explain(conn: &Connection, at: Head, head: Option<Head>, stored: &Stored) -> Result<String, Fault> {
    let seq = stored.seq;
    let Some(hash) = stored.hash else { return Ok(format!("the hash of entry {seq} is not a SHA-256")) };
    if let Some(head) = head.filter(|head| head.seq < seq) {
        return Ok(format!("entry {seq} was added without the chain: the log ends at entry {}", head.seq));
    }
    let mut changed = head.is_some_and(|head| head.seq == seq && head.hash == hash).then_some("text");
    let mut select = conn.prepare("SELECT seq, entry, hash FROM log ORDER BY seq")?;
    let mut rows = select.query([])?;
    let mut before = Head::EMPTY.hash;
    while let Some(row) = rows.next()? {
        let number = row.get::<_, i64>(0)?.cast_unsigned();
        let (ValueRef::Text(entry), Some(other)) = (row.get_ref(1)?, hash_of(row.get_ref(2)?)) else {
            continue;
        };
        if number == seq + 1 {
            // What comes next was chained to the true hash: to the one stored here, or to the one that
            // follows from the text.
            if link(hash, number, entry) == other {
                changed = Some("text");
            } else if link(link(at.hash, seq, &stored.entry), number, entry) == other {
                changed = Some("hash");
            }
        }
        if number != seq {
            // The text at its true place gives the hash it brought along, or the one that was left there; the
            // hash before that place may itself have been exchanged.
            let there = link(before, number, &stored.entry);
            if there == hash || there == other || link(other, number, &stored.entry) == hash {
                return Ok(format!("entry {seq} holds what was written as entry {number}: reordered"));
            }
        }
        before = other;
    }
    Ok(match changed {
        Some(changed) => format!("the {changed} of entry {seq} was changed"),
        None => unclear(seq),
    })
}

fn unclear(seq: u64) -> String {
    format!("entry {seq} does not follow from what is before it: its text or its hash was changed")
}

/// Whether the log ends where its head says.
fn check_head(head: Option<Head>, end: Head) -> Option<String> {
    let Some(head) = head else { return Some("the head is missing or is no head".to_owned()) };
    if head.seq > end.seq {
        return Some(format!(
            "entry {} is missing: the log was cut off, its head is at entry {}",
            end.seq + 1,
            head.seq
        ));
    }
    if head.seq < end.seq {
        return Some(format!("entry {} was added without moving the head from {}", head.seq + 1, head.seq));
    }
    let differs = head.hash != end.hash;
    differs.then(|| format!("the head does not match: its hash is not that of entry {}", end.seq))
}

fn head(conn: &Connection) -> Result<Option<Head>, Fault> {
    let mut select = conn.prepare("SELECT seq, hash FROM head")?;
    let mut rows = select.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (ValueRef::Integer(seq), Some(hash)) = (row.get_ref(0)?, hash_of(row.get_ref(1)?)) else {
        return Ok(None);
    };
    let Ok(seq) = u64::try_from(seq) else { return Ok(None) };
    Ok(Some(Head { seq, hash }))
}

fn hash_of(value: ValueRef<'_>) -> Option<Hash> {
    match value {
        ValueRef::Blob(bytes) => bytes.try_into().ok().map(Hash),
        _ => None,
    }
}
