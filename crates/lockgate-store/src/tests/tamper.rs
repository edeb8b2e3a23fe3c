//! Whatever is done to the log behind its back is found and named.

use proptest::prelude::*;
use rusqlite::Connection;

use super::invent::{Folder, entries};
use crate::Store;
use crate::row::{Head, Verification};
use crate::sqlite::{chain, log};

const ENTRIES: usize = 8;

/// A log on which nothing keeps watch any more.
async fn unguarded() -> Store {
    let store = Store::in_memory().await.unwrap();
    store.append(Head::EMPTY, entries(ENTRIES)).await.unwrap();
    tamper(&store, UNGUARD.to_owned()).await;
    store
}

const UNGUARD: &str = "DROP TRIGGER log_is_not_changed; DROP TRIGGER log_is_not_deleted;
    DROP TRIGGER log_grows_at_its_end; DROP TRIGGER head_is_not_deleted; PRAGMA ignore_check_constraints = ON;";

async fn tamper(store: &Store, sql: String) {
    store.sqlite().write("tamper", 1, move |conn| Ok(conn.execute_batch(&sql)?)).await.unwrap();
}

async fn check(sql: &str, expected: &str) {
    let store = unguarded().await;
    tamper(&store, sql.to_owned()).await;
    let found = store.verify().await.unwrap().broken.unwrap_or_default();
    assert_eq!(found, expected, "after {sql}");
}

#[tokio::test]
async fn a_changed_text_is_named() {
    check(
        "UPDATE log SET entry = replace(entry, 'ada', 'eve') WHERE seq = 3",
        "the text of entry 3 was changed",
    )
    .await;
    check("UPDATE log SET entry = entry || ' ' WHERE seq = 8", "the text of entry 8 was changed").await;
    check(
        "UPDATE log SET entry = replace(entry, 'ada', 'eve')",
        "entry 1 does not follow from what is before it: its text or its hash was changed",
    )
    .await;
}

#[tokio::test]
async fn a_changed_hash_is_named() {
    check("UPDATE log SET hash = zeroblob(32) WHERE seq = 3", "the hash of entry 3 was changed").await;
    check("UPDATE log SET hash = x'00' WHERE seq = 3", "the hash of entry 3 is not a SHA-256").await;
    check(
        "UPDATE log SET hash = zeroblob(32) WHERE seq = 8",
        "entry 8 does not follow from what is before it: its text or its hash was changed",
    )
    .await;
}

#[tokio::test]
async fn a_missing_entry_is_named() {
    check("DELETE FROM log WHERE seq = 5", "entry 5 is missing: the next one is entry 6").await;
    check("DELETE FROM log WHERE seq = 1", "entry 1 is missing: the next one is entry 2").await;
    check("DELETE FROM log WHERE seq > 6", "entry 7 is missing: the log was cut off, its head is at entry 8")
        .await;
    check("DELETE FROM log", "entry 1 is missing: the log was cut off, its head is at entry 8").await;
}

#[tokio::test]
async fn exchanged_entries_are_named() {
    let exchange = |columns: &str, a: u64, b: u64| {
        format!(
            "CREATE TEMP TABLE kept AS SELECT * FROM log;
             UPDATE log SET ({columns}) = (SELECT {columns} FROM kept WHERE kept.seq = {a} + {b} - log.seq)
             WHERE seq IN ({a}, {b})"
        )
    };
    for (a, b) in [(2, 3), (2, 6), (1, 8)] {
        for columns in ["entry, hash", "entry"] {
            let expected = format!("entry {a} holds what was written as entry {b}: reordered");
            check(&exchange(columns, a, b), &expected).await;
        }
    }
}

#[tokio::test]
async fn an_entry_put_in_without_the_chain_is_named() {
    check(
        "INSERT INTO log SELECT 9, entry, hash FROM log WHERE seq = 8",
        "entry 9 was added without the chain: the log ends at entry 8",
    )
    .await;
    check(
        "INSERT INTO log SELECT -1, entry, hash FROM log WHERE seq = 8",
        "entry -1 stands where entry 1 should",
    )
    .await;
}

#[tokio::test]
async fn a_head_that_does_not_match_is_named() {
    check("UPDATE head SET hash = zeroblob(32)", "the head does not match: its hash is not that of entry 8")
        .await;
    check("UPDATE head SET seq = 7", "entry 8 was added without moving the head from 7").await;
    check("UPDATE head SET seq = 9", "entry 9 is missing: the log was cut off, its head is at entry 9").await;
    check("UPDATE head SET seq = -1", "the head is missing or is no head").await;
    check("DELETE FROM head", "the head is missing or is no head").await;
}

#[tokio::test]
async fn a_chained_text_that_is_no_event_is_named() {
    let store = unguarded().await;
    store.sqlite().write("tamper", 1, |conn| Ok(log::append(conn, Head::EMPTY, &[]).is_ok())).await.unwrap();
    let end = store.verify().await.unwrap();
    let head = Head { seq: end.head_seq, hash: end.head_hash };
    let texts = ["{}".to_owned()];
    store.sqlite().write("tamper", 1, move |conn| log::append(conn, head, &texts)).await.unwrap().unwrap();
    let broken = store.verify().await.unwrap().broken.unwrap();
    assert!(broken.starts_with("entry 9 fits the chain but is no event this version knows: "), "{broken}");
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_takes_no_more_entries() {
    let store = unguarded().await;
    let end = store.verify().await.unwrap();
    tamper(&store, "DELETE FROM log WHERE seq = 8".into()).await;
    let head = Head { seq: end.head_seq, hash: end.head_hash };
    let error = store.append(head, entries(1)).await.unwrap_err();
    assert!(error.to_string().contains("does not match the log's last entry"), "{error}");
}

/// Not through SQL at all: one bit in the file, as a failing disk would have it.
#[tokio::test]
async fn a_bit_flipped_in_the_file_is_found() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    store.append(Head::EMPTY, entries(200)).await.unwrap();
    drop(store);
    let mut bytes = std::fs::read(folder.file()).unwrap();
    let needle = b"over 101";
    let place = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[place] ^= 1;
    std::fs::write(folder.file(), bytes).unwrap();
    let store = Store::open(&folder.file()).await.unwrap();
    let broken = store.verify().await.unwrap().broken;
    assert_eq!(broken.as_deref(), Some("the text of entry 102 was changed"));
}

/// One act of a forger.
#[derive(Debug, Clone)]
enum Act {
    FlipText { seq: usize, place: usize, bit: u8 },
    FlipHash { seq: usize, place: usize, bit: u8 },
    FlipHeadHash { place: usize, bit: u8 },
    Renumber { seq: usize, to: i64 },
    MoveHead { to: i64 },
    Delete { seq: usize },
    Truncate { kept: usize },
    Exchange { a: usize, b: usize, texts_only: bool },
    Repeat { seq: usize },
}

fn any_act() -> impl Strategy<Value = Act> {
    let seq = || 1..=ENTRIES;
    prop_oneof![
        (seq(), 0usize..500, 0u8..8).prop_map(|(seq, place, bit)| Act::FlipText { seq, place, bit }),
        (seq(), 0usize..32, 0u8..8).prop_map(|(seq, place, bit)| Act::FlipHash { seq, place, bit }),
        (0usize..32, 0u8..8).prop_map(|(place, bit)| Act::FlipHeadHash { place, bit }),
        (seq(), -3i64..40).prop_map(|(seq, to)| Act::Renumber { seq, to }),
        (-3i64..40).prop_map(|to| Act::MoveHead { to }),
        seq().prop_map(|seq| Act::Delete { seq }),
        (0..ENTRIES).prop_map(|kept| Act::Truncate { kept }),
        (seq(), seq(), any::<bool>()).prop_map(|(a, b, texts_only)| Act::Exchange { a, b, texts_only }),
        seq().prop_map(|seq| Act::Repeat { seq }),
    ]
}

/// Does it; whether it changed anything.
fn act(conn: &Connection, act: &Act) -> rusqlite::Result<bool> {
    let text = |seq: usize| -> rusqlite::Result<Vec<u8>> {
        conn.query_row("SELECT CAST(entry AS BLOB) FROM log WHERE seq = ?1", [seq as i64], |row| row.get(0))
    };
    let hash = |sql: &str| -> rusqlite::Result<Vec<u8>> { conn.query_row(sql, [], |row| row.get(0)) };
    match *act {
        Act::FlipText { seq, place, bit } => {
            let mut bytes = text(seq)?;
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            conn.execute("UPDATE log SET entry = CAST(?2 AS TEXT) WHERE seq = ?1", (seq as i64, bytes))?;
        }
        Act::FlipHash { seq, place, bit } => {
            let mut bytes = hash(&format!("SELECT hash FROM log WHERE seq = {seq}"))?;
            bytes[place] ^= 1 << bit;
            conn.execute("UPDATE log SET hash = ?2 WHERE seq = ?1", (seq as i64, bytes))?;
        }
        Act::FlipHeadHash { place, bit } => {
            let mut bytes = hash("SELECT hash FROM head")?;
            bytes[place] ^= 1 << bit;
            conn.execute("UPDATE head SET hash = ?1", [bytes])?;
        }
        Act::Renumber { seq, to } => {
            if (1..=ENTRIES as i64).contains(&to) {
                return Ok(false);
            }
            conn.execute("UPDATE log SET seq = ?2 WHERE seq = ?1", (seq as i64, to))?;
        }
        Act::MoveHead { to } => {
            conn.execute("UPDATE head SET seq = ?1", [to])?;
            return Ok(to != ENTRIES as i64);
        }
        Act::Delete { seq } => {
            conn.execute("DELETE FROM log WHERE seq = ?1", [seq as i64])?;
        }
        Act::Truncate { kept } => {
            conn.execute("DELETE FROM log WHERE seq > ?1", [kept as i64])?;
        }
        Act::Exchange { a, b, texts_only } => {
            let columns = if texts_only { "entry" } else { "entry, hash" };
            conn.execute_batch(&format!(
                "CREATE TEMP TABLE kept AS SELECT * FROM log;
                 UPDATE log SET ({columns}) = (SELECT {columns} FROM kept WHERE kept.seq = {a} + {b} - log.seq)
                 WHERE seq IN ({a}, {b})"
            ))?;
            return Ok(a != b);
        }
        Act::Repeat { seq } => {
            conn.execute(
                "INSERT INTO log SELECT ?2, entry, hash FROM log WHERE seq = ?1",
                (seq as i64, ENTRIES as i64 + 1),
            )?;
        }
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_single_act_goes_unnoticed(forged in any_act()) {
        let (found, changed) = after(&forged);
        prop_assert_eq!(found.broken.is_some(), changed, "{:?}: {:?}", forged, found);
    }
}

thread_local! {
    /// One unguarded log for all cases of a thread: each is undone after it was looked at.
    static UNGUARDED: Connection = {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(include_str!("../sqlite/schema.sql")).unwrap();
        let texts: Vec<String> = entries(ENTRIES).iter().map(|entry| log::text_of(entry).unwrap()).collect();
        log::append(&conn, Head::EMPTY, &texts).unwrap().unwrap();
        conn.execute_batch(UNGUARD).unwrap();
        conn
    };
}

fn after(forged: &Act) -> (Verification, bool) {
    UNGUARDED.with(|conn| {
        let transaction = conn.unchecked_transaction().unwrap();
        let changed = act(&transaction, forged).unwrap();
        let found = chain::verify(&transaction).unwrap();
        transaction.rollback().unwrap();
        (found, changed)
    })
}
