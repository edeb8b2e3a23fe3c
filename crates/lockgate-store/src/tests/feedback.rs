//! Feedback: counted once, however often it comes.

use std::collections::BTreeMap;

use lockgate_core::signal::Signal;
use lockgate_core::sums::{BucketStart, Sum};

use super::invent::{Folder, at, feature, key, request};
use crate::row::{FeedbackOutcome, FeedbackRow, Observed};
use crate::{Retry, Store, StoreError};

const BUCKET: BucketStart = BucketStart(1_800_000_000_000);

fn thumb(id: &str, down: bool) -> FeedbackRow {
    FeedbackRow {
        idempotency_key: id.into(),
        ts: at(60),
        request_id: request(1),
        signal: Signal::ThumbsDown,
        observed: Observed::Was(down),
        value: if down { "-1" } else { "1" }.into(),
    }
}

fn csat(id: &str, step: u16) -> FeedbackRow {
    FeedbackRow {
        signal: Signal::Csat,
        observed: Observed::Step(step),
        value: step.to_string(),
        ..thumb(id, true)
    }
}

async fn sum_of(store: &Store, signal: Signal) -> Option<Sum> {
    let buckets = store.sums(&feature(), BUCKET, BucketStart(BUCKET.0 + 1)).await.unwrap();
    buckets.get(&BUCKET)?.get(&key(signal)).cloned()
}

async fn put(store: &Store, row: FeedbackRow) -> Result<FeedbackOutcome, StoreError> {
    let key = key(row.signal.clone());
    store.put_feedback(row, BUCKET, key).await
}

#[tokio::test]
async fn a_piece_counts_once_however_often_it_is_sent() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    assert_eq!(put(&store, thumb("a", true)).await.unwrap(), FeedbackOutcome::Counted);
    assert_eq!(put(&store, thumb("b", false)).await.unwrap(), FeedbackOutcome::Counted);
    drop(store);
    let store = Store::open(&folder.file()).await.unwrap();
    for _ in 0..3 {
        let again = put(&store, thumb("a", false)).await.unwrap();
        assert_eq!(again, FeedbackOutcome::Duplicate { value: "-1".into() });
    }
    assert_eq!(sum_of(&store, Signal::ThumbsDown).await, Some(Sum::Rate { n: 2, hits: 1 }));
}

#[tokio::test]
async fn a_score_is_counted_at_its_step() {
    let store = Store::in_memory().await.unwrap();
    for (id, step) in [("a", 100), ("b", 0), ("c", 100)] {
        put(&store, csat(id, step)).await.unwrap();
    }
    let expected = Sum::Levels(BTreeMap::from([(0, 1), (100, 2)]));
    assert_eq!(sum_of(&store, Signal::Csat).await, Some(expected));
}

#[tokio::test]
async fn times_sizes_and_amounts_are_counted_as_a_call_would_count_them() {
    let store = Store::in_memory().await.unwrap();
    for (id, signal, observed) in [
        ("a", Signal::Latency, Observed::Level(7)),
        ("b", Signal::OutputLength, Observed::Level(7)),
        ("c", Signal::Cost, Observed::Amount(3)),
        ("d", Signal::Cost, Observed::Amount(4)),
    ] {
        let row = FeedbackRow { signal, observed, ..thumb(id, true) };
        assert_eq!(put(&store, row).await.unwrap(), FeedbackOutcome::Counted);
    }
    let level = Some(Sum::Levels(BTreeMap::from([(7, 1)])));
    assert_eq!(sum_of(&store, Signal::Latency).await, level);
    assert_eq!(sum_of(&store, Signal::OutputLength).await, level);
    assert_eq!(sum_of(&store, Signal::Cost).await, Some(Sum::Amount { n: 2, total: 7, squares: 25 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_one_piece_sent_by_many_at_once_through_two_handles_one_counts() {
    let folder = Folder::new();
    let stores = [Store::open(&folder.file()).await.unwrap(), Store::open(&folder.file()).await.unwrap()];
    let senders: Vec<_> = (0..60)
        .map(|i| {
            let store = stores[i % 2].clone();
            tokio::spawn(async move { put(&store, thumb(&format!("id-{}", i % 10), true)).await.unwrap() })
        })
        .collect();
    let mut counted = 0;
    for sender in senders {
        counted += u64::from(sender.await.unwrap() == FeedbackOutcome::Counted);
    }
    assert_eq!(counted, 10);
    assert_eq!(sum_of(&stores[0], Signal::ThumbsDown).await, Some(Sum::Rate { n: 10, hits: 10 }));
}

#[tokio::test]
async fn what_does_not_fit_its_signal_is_refused_and_not_remembered() {
    let store = Store::in_memory().await.unwrap();
    let misfits = [
        (FeedbackRow { observed: Observed::Step(50), ..thumb("a", true) }, Signal::ThumbsDown),
        (FeedbackRow { observed: Observed::Was(true), ..csat("a", 1) }, Signal::Csat),
        (csat("a", 101), Signal::Csat),
        (
            FeedbackRow { observed: Observed::Level(u16::MAX), signal: Signal::Latency, ..csat("a", 1) },
            Signal::Latency,
        ),
        (FeedbackRow { observed: Observed::Level(1), ..csat("a", 1) }, Signal::Csat),
        (
            FeedbackRow { observed: Observed::Amount(u64::MAX), signal: Signal::Cost, ..csat("a", 1) },
            Signal::Cost,
        ),
        (thumb("a", true), Signal::Escalated),
    ];
    for (row, counted_as) in misfits {
        let error = store.put_feedback(row, BUCKET, key(counted_as)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unfit { .. }) && error.retry() == Retry::Never, "{error}");
    }
    assert_eq!(put(&store, thumb("a", true)).await.unwrap(), FeedbackOutcome::Counted);
}
