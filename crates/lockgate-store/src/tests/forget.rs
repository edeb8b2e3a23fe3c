//! Forgetting: what is old goes, the log stays.

use jiff::Timestamp;
use lockgate_core::signal::Signal;
use lockgate_core::sums::{BucketStart, Sum};

use super::invent::{answer, at, entries, feature, key, request, rollout, version};
use crate::Store;
use crate::row::{Answer, FeedbackOutcome, FeedbackRow, Head, Observed, ShadowSample, Writer};

fn bucket(moment: Timestamp) -> BucketStart {
    BucketStart(moment.as_millisecond())
}

async fn filled(count: i64) -> Store {
    let store = Store::in_memory().await.unwrap();
    store.append(Head::EMPTY, entries(5)).await.unwrap();
    let writer = Writer { replica: "a".into(), incarnation: 1 };
    let rate = Sum::Rate { n: 1, hits: 0 };
    let sums = (0..count).map(|i| (bucket(at(i)), key(Signal::Error), rate.clone())).collect();
    store.put_sums(&writer, sums).await.unwrap();
    store.put_answers((0..count).map(|i| answer(i as u128)).collect()).await.unwrap();
    store
}

async fn rows(store: &Store, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.sqlite().read("count", move |conn| Ok(conn.query_row(&sql, [], |row| row.get(0))?)).await.unwrap()
}

#[tokio::test]
async fn what_is_older_is_forgotten_in_however_many_slices_and_the_log_is_kept() {
    let store = filled(2500).await;
    store.forget_before(at(2400)).await.unwrap();
    let left = store.sums(&feature(), BucketStart(0), BucketStart(i64::MAX)).await.unwrap();
    assert_eq!((left.len(), left.into_keys().next()), (100, Some(bucket(at(2400)))));
    assert_eq!(rows(&store, "answer").await, 100);
    assert_eq!(store.served(request(2399)).await.unwrap(), None);
    assert!(store.served(request(2400)).await.unwrap().is_some());
    let verification = store.verify().await.unwrap();
    assert_eq!((verification.entries, verification.broken), (5, None));
}

#[tokio::test]
async fn whom_a_candidate_reached_stays_counted_after_its_calls_are_forgotten() {
    let store = filled(50).await;
    let before = store.reach(rollout(1)).await.unwrap();
    store.forget_before(at(49)).await.unwrap();
    assert_eq!(store.reach(rollout(1)).await.unwrap(), before);
    // A user of long ago is still known while the rollout is alive.
    store.put_answers(vec![Answer { point: Some(3), ..answer(60) }]).await.unwrap();
    let reach = store.reach(rollout(1)).await.unwrap();
    assert_eq!((reach.calls, reach.users), (51, 50));
    store.forget_before(at(100)).await.unwrap();
    assert_eq!(rows(&store, "reach_point").await, 0);
    assert_eq!(store.reach(rollout(1)).await.unwrap(), reach);
}

#[tokio::test]
async fn names_go_with_the_last_sum_that_has_them_and_come_back_with_the_next() {
    let store = filled(10).await;
    store.forget_before(at(100)).await.unwrap();
    assert_eq!((rows(&store, "sum_key").await, rows(&store, "writer").await), (0, 0));
    let writer = Writer { replica: "a".into(), incarnation: 1 };
    let late = (bucket(at(3)), key(Signal::Error), Sum::Rate { n: 7, hits: 7 });
    store.put_sums(&writer, vec![late.clone()]).await.unwrap();
    let read = store.sums(&feature(), BucketStart(0), BucketStart(i64::MAX)).await.unwrap();
    assert_eq!(read[&late.0][&late.1], late.2);
}

#[tokio::test]
async fn feedback_and_samples_are_forgotten_by_their_own_time() {
    let store = Store::in_memory().await.unwrap();
    let row = |second: i64| FeedbackRow {
        idempotency_key: format!("at {second}"),
        ts: at(second),
        request_id: request(1),
        signal: Signal::TaskSuccess,
        observed: Observed::Was(true),
        value: "true".into(),
    };
    let sample = |second: i64| ShadowSample {
        request_id: request(second as u128),
        ts: at(second),
        feature: feature(),
        candidate: version("v2"),
        agreement: 0.5,
        why: String::new(),
        stable_text: String::new(),
        candidate_text: String::new(),
    };
    let put = |second| store.put_feedback(row(second), bucket(at(0)), key(Signal::TaskSuccess));
    for second in [10, 20] {
        put(second).await.unwrap();
        store.put_samples(vec![sample(second)]).await.unwrap();
    }
    store.forget_before(at(20)).await.unwrap();
    assert_eq!(store.samples(&feature(), 10).await.unwrap(), [sample(20)]);
    assert_eq!(put(20).await.unwrap(), FeedbackOutcome::Duplicate { value: "true".into() });
    assert_eq!(put(10).await.unwrap(), FeedbackOutcome::Counted);
}
