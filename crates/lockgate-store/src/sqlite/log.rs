//! The log: appended to at its head, read forwards.
//!
//! An entry is hashed as the text it is stored as and never written out again to be checked, so that no later
//! version of this program, and no other program, needs to produce the same text to verify it. `chain` checks
//! the whole.

use lockgate_core::event::Entry;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::column::limit;
use crate::error::Fault;
use crate::row::{Hash, Head, Logged};

/// The text that an entry is stored as. An entry that could not be read back (a number that JSON has no form
/// for) is refused: once in the log it could never be taken out again.
pub fn text_of(entry: &Entry) -> Result<String, String> {
    let text = serde_json::to_string(entry).map_err(|error| error.to_string())?;
    match serde_json::from_str::<Entry>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("the entry could not be read back ({error}): {text}")),
    }
}

/// The hash of an entry: over the hash before it, its number and its text.
pub fn link(previous: Hash, seq: u64, entry: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous.0);
    hash.update(seq.to_be_bytes());
    hash.update(entry);
    Hash(hash.finalize().into())
}

/// Appends all texts if the log ends at `expected`; else says where it ends.
pub fn append(conn: &Connection, expected: Head, texts: &[String]) -> Result<Result<Head, Head>, Fault> {
    let actual = head(conn)?;
    if actual != expected {
        return Ok(Err(actual));
    }
    let mut insert = conn.prepare_cached("INSERT INTO log (seq, entry, hash) VALUES (?1, ?2, ?3)")?;
    let mut head = actual;
    for text in texts {
        let seq = head.seq + 1;
        head = Head { seq, hash: link(head.hash, seq, text.as_bytes()) };
        insert.execute(params![number(seq)?, text, head.hash.0])?;
    }
    conn.prepare_cached("UPDATE head SET seq = ?1, hash = ?2")?
        .execute(params![number(head.seq)?, head.hash.0])?;
    Ok(Ok(head))
}

/// Entries after a number, in order.
pub fn after(conn: &Connection, seq: u64, most: usize) -> Result<Vec<Logged>, Fault> {
    let Ok(seq) = number(seq) else { return Ok(Vec::new()) };
    let mut select =
        conn.prepare_cached("SELECT seq, entry, hash FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let mut rows = select.query(params![seq, limit(most)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let broken = |why: String| Fault::row("log", format_args!("entry {seq}"), why);
        let text = row.get_ref(1)?.as_str().map_err(|error| broken(error.to_string()))?;
        let entry = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        let hash = row.get(2).map(Hash).map_err(|error| broken(error.to_string()))?;
        entries.push(Logged { seq: seq.cast_unsigned(), hash, entry });
    }
    Ok(entries)
}

/// Where the log ends. A head that does not match the last entry takes no more entries: they would hide what
/// was cut off.
fn head(conn: &Connection) -> Result<Head, Fault> {
    let broken =
        |why: &str| Fault::row("head", "its only row", format_args!("{why}; run `lockgate audit verify`"));
    let (seq, hash): (i64, [u8; 32]) = conn
        .prepare_cached("SELECT seq, hash FROM head")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| broken("it is missing"))?;
    let last: Option<(i64, [u8; 32])> = conn
        .prepare_cached("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if last.unwrap_or((0, Head::EMPTY.hash.0)) != (seq, hash) {
        return Err(broken("it does not match the log's last entry"));
    }
    Ok(Head { seq: seq.cast_unsigned(), hash: Hash(hash) })
}

fn number(seq: u64) -> Result<i64, Fault> {
    i64::try_from(seq).map_err(|_| Fault::Unfit(format!("{seq} is not the number of an entry")))
}
