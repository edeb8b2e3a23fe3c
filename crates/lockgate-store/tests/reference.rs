//! The reference page's own script verifies a real file: what the page says about the stored form is so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use lockgate_core::event::{Entry, Event};
use lockgate_core::name::FeatureName;
use lockgate_store::Store;
use lockgate_store::row::Head;

const PAGE: &str = include_str!("../../../docs/reference/log.md");

#[tokio::test]
async fn the_published_script_verifies_a_log_and_finds_a_forged_one() {
    let folder = std::env::temp_dir().join(format!("lockgate-reference-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("lockgate.db");
    let entries = (1..=3).map(|number| Entry {
        ts: Timestamp::UNIX_EPOCH,
        feature: FeatureName::new("support-reply").unwrap(),
        author: "ada".into(),
        event: Event::Revived { why: format!("Übung {number}") },
    });
    // Kept open: the page promises that a running store is not in the way.
    let store = Store::open(&file).await.unwrap();
    let head = store.append(Head::EMPTY, entries.collect()).await.unwrap();

    let Some(said) = verify(&file) else { return };
    assert_eq!(said, Ok(format!("3 entries, head {}", head.hash)));

    let forger = rusqlite::Connection::open(&file).unwrap();
    forger.execute_batch("DROP TRIGGER log_is_not_changed; DROP TRIGGER log_is_not_deleted").unwrap();
    let forge = |sql: &str| {
        forger.execute_batch(sql).unwrap();
        verify(&file).unwrap().unwrap_err()
    };
    let cut = forge("CREATE TABLE kept AS SELECT * FROM log; DELETE FROM log WHERE seq = 3");
    assert_eq!(cut, "the head does not match the last entry: the log was cut off or added to");
    let missing = forge("INSERT INTO log SELECT * FROM kept WHERE seq = 3; DELETE FROM log WHERE seq = 2");
    assert_eq!(missing, "entry 2 is missing: the next one is entry 3");
    let changed = forge("UPDATE log SET entry = replace(entry, 'ada', 'eve') WHERE seq = 1");
    assert_eq!(changed, "entry 1 does not follow from what is before it");
    drop((store, forger));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What the script says of a file, and whether it is content; `None` on a machine without Python.
fn verify(file: &Path) -> Option<Result<String, String>> {
    let script = PAGE.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let python = Command::new("python3").arg("-c").arg(script).arg(PathBuf::from(file)).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Some(if python.status.success() { Ok(text(&python.stdout)) } else { Err(text(&python.stderr)) })
}
