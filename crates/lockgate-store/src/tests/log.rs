//! The log: compare-and-swap, all or none, read back as written.

use lockgate_core::event::{Cause, Event, Outcome, Role, Verdict};
use lockgate_core::plan::{Mode, Slices};
use lockgate_core::signal::{Arm, Signal};

use super::invent::{Folder, entries, entry, rollout};
use crate::row::{Hash, Head};
use crate::sqlite::log;
use crate::{AppendError, Retry, Store, StoreError};

#[tokio::test]
async fn what_was_appended_is_read_back_in_order_after_reopening() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    let head = store.append(Head::EMPTY, entries(3)).await.unwrap();
    let head = store.append(head, entries(2)).await.unwrap();
    drop(store);

    let store = Store::open(&folder.file()).await.unwrap();
    let all = store.log_after(0, 100).await.unwrap();
    assert_eq!(all.iter().map(|logged| logged.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(all[3].entry, entry(0));
    assert_eq!(all[4].hash, head.hash);
    assert_eq!(store.log_after(2, 2).await.unwrap(), all[2..4]);
    assert_eq!(store.log_after(5, 100).await.unwrap(), []);
    assert_eq!(store.log_after(u64::MAX, 100).await.unwrap(), []);
    let verification = store.verify().await.unwrap();
    assert_eq!((verification.entries, verification.head_seq, verification.broken), (5, 5, None));
    assert_eq!(verification.head_hash, head.hash);
}

/// The chain is a stored form: other programs compute it too. This hash was computed by another one
/// (Python's hashlib) over the text that is written here.
#[tokio::test]
async fn the_first_hash_is_the_published_one() {
    let store = Store::in_memory().await.unwrap();
    let head = store.append(Head::EMPTY, entries(1)).await.unwrap();
    let text: String = store
        .sqlite()
        .read("look", |conn| Ok(conn.query_row("SELECT entry FROM log", [], |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(text, PUBLISHED_TEXT);
    assert_eq!(head.hash.to_string(), PUBLISHED_HASH);
}

const PUBLISHED_TEXT: &str = concat!(
    r#"{"ts":"2027-01-15T08:00:00Z","feature":"support-reply","author":"ada","event":"stable_declared","#,
    r#""declared":{"name":"v1","revision":"3bfc269594ef649228e9a74bab00f042"},"#,
    r#""stable":{"name":"v1","revision":"3bfc269594ef649228e9a74bab00f042"}}"#,
);
const PUBLISHED_HASH: &str = "56f3a7182ffb488889ffe07de274c705d02aaef400b1ae4d76fce4e9ca257774";

#[tokio::test]
async fn an_append_from_an_old_head_is_told_the_new_one_and_changes_nothing() {
    let store = Store::in_memory().await.unwrap();
    let head = store.append(Head::EMPTY, entries(2)).await.unwrap();
    let wrong_hash = Head { seq: 2, hash: Hash([1; 32]) };
    for stale in [Head::EMPTY, wrong_hash, Head { seq: 9, hash: head.hash }] {
        let error = store.append(stale, entries(1)).await.unwrap_err();
        assert!(matches!(error, AppendError::HeadMoved { actual } if actual == head), "{error}");
    }
    assert_eq!(store.log_after(0, 100).await.unwrap().len(), 2);
    assert_eq!(store.append(head, Vec::new()).await.unwrap(), head);
}

/// Two handles with connections of their own are to each other what two processes are.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_appends_at_one_head_exactly_one_goes_through() {
    const ROUNDS: usize = 20;
    let folder = Folder::new();
    let stores = [Store::open(&folder.file()).await.unwrap(), Store::open(&folder.file()).await.unwrap()];
    let mut head = Head::EMPTY;
    for _ in 0..ROUNDS {
        let racers: Vec<_> = (0..6)
            .map(|i| {
                let store = stores[i % 2].clone();
                tokio::spawn(async move { store.append(head, entries(2)).await })
            })
            .collect();
        let mut winners = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(head) => winners.push(head),
                Err(AppendError::HeadMoved { actual }) => assert_eq!(actual.seq, head.seq + 2),
                Err(AppendError::Store(error)) => panic!("{error}"),
            }
        }
        assert_eq!(winners.len(), 1);
        head = winners[0];
    }
    let verification = stores[0].verify().await.unwrap();
    assert_eq!((verification.entries, verification.broken), (2 * ROUNDS as u64, None));
    assert_eq!(verification.head_hash, head.hash);
}

#[tokio::test]
async fn an_entry_that_could_not_be_read_back_is_refused_whole() {
    let verdict = Verdict {
        name: "error < 1 %".into(),
        signal: Signal::Error,
        arm: Arm::Candidate,
        role: Role::Gate,
        outcome: Outcome::Pass,
        why: String::new(),
        n: 1,
        estimate: None,
        interval: None,
        stable_n: 0,
        stable_estimate: None,
        limit: Some(0.01),
        log_e_pass: f64::INFINITY,
        log_e_pass_needed: Some(3.0),
        log_e_fail: 0.0,
        log_e_fail_needed: Some(3.0),
        alpha: 0.001,
        as_of: None,
        crossed: None,
        missing: None,
        slice: None,
        total: 0.0,
        stable_total: 0.0,
    };
    let mut unfit = entry(0);
    unfit.event =
        Event::Paused { rollout: rollout(1), cause: Cause::Gate, why: "?".into(), standing: vec![verdict] };
    let store = Store::in_memory().await.unwrap();
    let error = store.append(Head::EMPTY, vec![entry(0), unfit]).await.unwrap_err();
    let AppendError::Store(error @ StoreError::Unfit { .. }) = error else { panic!("{error}") };
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(store.verify().await.unwrap().entries, 0);
}

#[tokio::test]
async fn the_file_itself_refuses_to_change_an_entry_by_mistake() {
    let store = Store::in_memory().await.unwrap();
    store.append(Head::EMPTY, entries(3)).await.unwrap();
    for sql in [
        "UPDATE log SET entry = '{}' WHERE seq = 2",
        "DELETE FROM log WHERE seq = 3",
        "INSERT OR REPLACE INTO log SELECT seq, '{}', hash FROM log WHERE seq = 1",
        "INSERT INTO log SELECT 9, entry, hash FROM log WHERE seq = 1",
        "DELETE FROM head",
    ] {
        let changed = store.sqlite().write("tamper", 1, move |conn| Ok(conn.execute(sql, [])?)).await;
        assert!(changed.is_err(), "{sql}");
    }
    assert_eq!(store.verify().await.unwrap().broken, None);
}

/// What the log says stays said: these are entries as they were written before verdicts told totals, slices and budgets.
#[tokio::test]
async fn entries_of_an_earlier_form_are_still_read_and_verified() {
    let store = Store::in_memory().await.unwrap();
    let written = store.sqlite().write("write as it was written then", 2, |conn| {
        Ok(log::append(conn, Head::EMPTY, &EARLIER.map(str::to_owned))?.is_ok())
    });
    assert!(written.await.unwrap());
    let read = store.log_after(0, 10).await.unwrap();
    let Event::RolloutStarted { plan, undecidable, drill, .. } = &read[0].entry.event else { panic!() };
    assert_eq!((plan.slices, plan.triggers[0].mode), (Slices::default(), Mode::Evidence));
    assert_eq!((undecidable.len(), *drill), (0, None));
    let standing = read[1].entry.event.standing();
    assert_eq!((standing[0].n, standing[0].alpha, standing[0].as_of), (1200, 0.0, None));
    assert_eq!((standing[0].limit, standing[0].slice.is_some()), (Some(0.02), false));
    assert_eq!(store.verify().await.unwrap().broken, None);
}

const EARLIER: [&str; 2] = [
    concat!(
        r#"{"ts":"2027-01-15T08:00:00Z","feature":"support-reply","author":"ada","event":"rollout_started","#,
        r#""rollout":"00000000-0000-0000-0000-000000000001","#,
        r#""stable":{"name":"v1","revision":"3bfc269594ef649228e9a74bab00f042"},"#,
        r#""candidate":{"name":"v2","revision":"3bfc269594ef649228e9a74bab00f043"},"#,
        r#""plan":{"name":"quick","phases":[{"name":"1 %","kind":{"canary":{"share":0.01}},"#,
        r#""dwell":{"secs":60,"nanos":0},"deadline":{"secs":600,"nanos":0},"confine":[],"gates":[{"signal":"error","#,
        r#""rule":{"rate_under":{"limit":0.05,"blame":"always"}},"need":"always","weight":1.0}]}],"#,
        r#""triggers":[{"signal":"error","rule":{"rate_under":{"limit":0.2,"blame":"always"}},"#,
        r#""over":{"secs":300,"nanos":0},"action":"roll_back","weight":1.0}],"alpha":0.01,"beta":0.05,"#,
        r#""warm_for":{"secs":1209600,"nanos":0}},"owner":"ada","salt":"00000000000000000000000000000007","confine":[]}"#,
    ),
    concat!(
        r#"{"ts":"2027-01-15T08:10:00Z","feature":"support-reply","author":"controller","event":"rollback_started","#,
        r#""rollout":"00000000-0000-0000-0000-000000000001","cause":"trigger","why":"error < 2 %: shown to be over","#,
        r#""standing":[{"name":"error < 2 %","signal":"error","arm":"candidate","role":"trigger","outcome":"fail","#,
        r#""why":"shown to be over 2 %","n":1200,"estimate":0.04,"interval":[0.03,0.05],"stable_n":118000,"#,
        r#""stable_estimate":0.001,"limit":0.02,"log_e_pass":0.0,"log_e_fail":11.2,"log_e_fail_needed":9.1}]}"#,
    ),
];
