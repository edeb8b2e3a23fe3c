//! Opening: what is no store of ours is refused and left as it is.

use std::time::Duration;

use rusqlite::Connection;

use super::invent::{Folder, answer, entries, request};
use crate::row::Head;
use crate::{AppendError, Retry, Store, StoreError};

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let text = "listen: 127.0.0.1:7080\n".repeat(100);
    std::fs::write(folder.file(), &text).unwrap();
    let error = Store::open(&folder.file()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    assert!(error.to_string().contains("lockgate.db"), "{error}");
    assert_eq!(error.retry(), Retry::AfterHelp);
    assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    Connection::open(folder.file()).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(folder.file()).unwrap();
    let error = Store::open(&folder.file()).await.unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_later_form_is_refused_with_a_sentence() {
    let folder = Folder::new();
    drop(Store::open(&folder.file()).await.unwrap());
    Connection::open(folder.file()).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = Store::open(&folder.file()).await.unwrap_err();
    let StoreError::Newer { found: 7, known: 1, .. } = error else { panic!("{error}") };
    assert!(
        error.to_string().contains("was written by a later Lockgate (form 7, this one knows 1)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_path_that_cannot_be_opened_says_what_to_do() {
    let folder = Folder::new();
    for (path, hint) in [
        (folder.path().join("missing").join("lockgate.db"), "does not exist; make it first"),
        (folder.path().to_owned(), "it is a directory; name a file in it"),
    ] {
        let error = Store::open(&path).await.unwrap_err();
        assert!(
            matches!(error, StoreError::CannotOpen { .. }) && error.to_string().contains(hint),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_told_as_busy_and_passes() {
    let folder = Folder::new();
    let store = Store::open_impatient(&folder.file(), Duration::from_millis(20)).await.unwrap();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.append(Head::EMPTY, entries(1)).await.unwrap_err();
    let AppendError::Store(error @ StoreError::Busy { .. }) = error else { panic!("{error}") };
    assert_eq!(error.retry(), Retry::Soon);
    assert!(error.to_string().starts_with("could not append to the log: another process holds "), "{error}");
    assert_eq!(store.log_after(0, 10).await.unwrap(), [], "reading goes on meanwhile");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.append(Head::EMPTY, entries(1)).await.unwrap().seq, 1);
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_store_goes_on_when_there_is_room() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    let pages = |most: i64| {
        store.sqlite().write("limit", 1, move |conn| {
            Ok(conn.query_row(&format!("PRAGMA max_page_count = {most}"), [], |row| row.get::<_, i64>(0))?)
        })
    };
    pages(1).await.unwrap();
    let error = store.append(Head::EMPTY, entries(5000)).await.unwrap_err();
    let AppendError::Store(error @ StoreError::Full { .. }) = error else { panic!("{error}") };
    assert_eq!(error.retry(), Retry::AfterHelp);
    pages(1 << 20).await.unwrap();
    assert_eq!(store.append(Head::EMPTY, entries(5000)).await.unwrap().seq, 5000);
    assert_eq!(store.verify().await.unwrap().broken, None);
}

#[tokio::test]
async fn a_connection_that_may_not_write_is_told_as_read_only() {
    let store = Store::in_memory().await.unwrap();
    let only = |on: bool| {
        store.sqlite().write("limit", 1, move |conn| Ok(conn.pragma_update(None, "query_only", on)?))
    };
    only(true).await.unwrap();
    let error = store.append(Head::EMPTY, entries(1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Store(StoreError::ReadOnly { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_one_new_file_at_once() {
    let folder = Folder::new();
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let path = folder.file();
            tokio::spawn(async move { Store::open(&path).await })
        })
        .collect();
    for opener in openers {
        assert_eq!(opener.await.unwrap().unwrap().verify().await.unwrap().broken, None);
    }
}

/// What a caller stopped waiting for is still written before the last handle is gone, and the file is whole
/// without its log.
#[tokio::test]
async fn dropping_the_last_handle_writes_what_was_queued() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    let queued = store.clone();
    let mut append = Box::pin(async move { queued.append(Head::EMPTY, entries(3)).await });
    assert!(
        std::future::poll_fn(|context| std::task::Poll::Ready(append.as_mut().poll(context).is_pending()))
            .await
    );
    drop(append);
    drop(store);
    assert!(!folder.path().join("lockgate.db-wal").exists());
    let store = Store::open(&folder.file()).await.unwrap();
    assert_eq!(store.log_after(0, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_piece_of_work_that_fails_takes_nothing_of_its_group_with_it() {
    let store = Store::in_memory().await.unwrap();
    let bad = store.sqlite().write("fail", 1, |conn| {
        conn.execute("INSERT INTO writer (replica, incarnation, latest) VALUES ('half', 1, 1)", [])?;
        Ok(conn.execute("INSERT INTO nowhere VALUES (1)", [])?)
    });
    let (good, bad) = tokio::join!(store.append(Head::EMPTY, entries(2)), bad);
    assert_eq!(good.unwrap().seq, 2);
    assert!(bad.is_err());
    let halves = store
        .sqlite()
        .read("look", |conn| {
            Ok(conn.query_row("SELECT count(*) FROM writer", [], |row| row.get::<_, i64>(0))?)
        })
        .await;
    assert_eq!(halves.unwrap(), 0);
}

/// As a failing disk does it: SQLite itself undoes the whole transaction under a piece of work.
#[tokio::test]
async fn nobody_is_told_of_success_whose_transaction_was_undone_by_anothers_failure() {
    let store = Store::in_memory().await.unwrap();
    let undoing = store.sqlite().write("fail", 1, |conn| {
        conn.execute_batch("ROLLBACK")?;
        Ok(conn.execute("INSERT INTO nowhere VALUES (1)", [])?)
    });
    let ((before, undone), after) = tokio::join!(
        async { tokio::join!(store.append(Head::EMPTY, entries(2)), undoing) },
        store.put_answers(vec![answer(1)])
    );
    assert!(undone.is_err());
    after.unwrap();
    let kept = store.log_after(0, 10).await.unwrap().len();
    assert_eq!(kept, if before.is_ok() { 2 } else { 0 });
    assert!(store.served(request(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_that_was_deleted_or_replaced_acknowledges_nothing() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    let head = store.append(Head::EMPTY, entries(1)).await.unwrap();
    let aside = folder.path().join("aside.db");
    std::fs::rename(folder.file(), &aside).unwrap();
    let gone = store.append(head, entries(1)).await;
    assert!(matches!(gone, Err(AppendError::Store(StoreError::Replaced { .. }))), "{gone:?}");
    std::fs::copy(&aside, folder.file()).unwrap();
    let replaced = store.append(head, entries(1)).await;
    assert!(matches!(replaced, Err(AppendError::Store(StoreError::Replaced { .. }))), "{replaced:?}");
    std::fs::rename(&aside, folder.file()).unwrap();
    assert_eq!(store.append(head, entries(1)).await.unwrap().seq, 2);
}
