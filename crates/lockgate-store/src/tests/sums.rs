//! Sums: resent, reordered and split among writers, they come to the same.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_core::name::DeclaredSignal;
use lockgate_core::signal::Signal;
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};
use proptest::prelude::*;

use super::invent::{Folder, at as at_second, feature, key, request};
use crate::Store;
use crate::row::{FeedbackRow, Observed, Writer};

const ALL: (BucketStart, BucketStart) = (BucketStart(i64::MIN), BucketStart(i64::MAX));

fn writer(replica: &str, incarnation: u64) -> Writer {
    Writer { replica: replica.into(), incarnation }
}

fn rate(n: u64, hits: u64) -> Sum {
    Sum::Rate { n, hits }
}

async fn all(store: &Store) -> BTreeMap<BucketStart, BucketSums> {
    store.sums(&feature(), ALL.0, ALL.1).await.unwrap()
}

#[tokio::test]
async fn every_kind_of_sum_and_key_is_read_back_as_it_was_written() {
    let folder = Folder::new();
    let store = Store::open(&folder.file()).await.unwrap();
    let declared = DeclaredSignal::new("resolved").unwrap();
    let rows = vec![
        (BucketStart(-10_000), key(Signal::Error), rate(u64::MAX, 1)),
        (BucketStart(0), key(Signal::DeclaredRate(declared)), rate(3, 2)),
        (BucketStart(0), key(Signal::Cost), Sum::Amount { n: 2, total: u64::MAX, squares: u128::MAX }),
        (BucketStart(10_000), key(Signal::Latency), Sum::Levels(BTreeMap::from([(0, 1), (1751, u64::MAX)]))),
    ];
    store.put_sums(&writer("a", u64::MAX), rows.clone()).await.unwrap();
    drop(store);
    let read = all(&Store::open(&folder.file()).await.unwrap()).await;
    let flat: Vec<_> = read
        .into_iter()
        .flat_map(|(bucket, sums)| sums.into_iter().map(move |(key, sum)| (bucket, key, sum)))
        .collect();
    assert_eq!(flat.len(), rows.len());
    assert!(rows.iter().all(|row| flat.contains(row)), "{flat:?}");
}

#[tokio::test]
async fn a_range_takes_its_first_bucket_and_leaves_its_last() {
    let store = Store::in_memory().await.unwrap();
    let rows = (0..5).map(|i| (BucketStart(i * 10), key(Signal::Error), rate(1, 0))).collect();
    store.put_sums(&writer("a", 1), rows).await.unwrap();
    let some = store.sums(&feature(), BucketStart(10), BucketStart(30)).await.unwrap();
    assert_eq!(some.into_keys().collect::<Vec<_>>(), [BucketStart(10), BucketStart(20)]);
}

#[tokio::test]
async fn each_bucket_tells_which_gateways_wrote_it_and_feedback_is_nobodys() {
    let store = Store::in_memory().await.unwrap();
    let at = |bucket| vec![(BucketStart(bucket), key(Signal::Error), rate(1, 0))];
    for (replica, incarnation, bucket) in [("a", 1, 0), ("b", 1, 0), ("a", 2, 10), ("b", 1, 10), ("a", 1, 0)]
    {
        store.put_sums(&writer(replica, incarnation), at(bucket)).await.unwrap();
    }
    let row = FeedbackRow {
        idempotency_key: "k".into(),
        ts: at_second(0),
        request_id: request(1),
        signal: Signal::ThumbsDown,
        observed: Observed::Was(true),
        value: "-1".into(),
    };
    store.put_feedback(row, BucketStart(20), key(Signal::ThumbsDown)).await.unwrap();
    let written = store.written(&feature(), ALL.0, ALL.1).await.unwrap();
    let writers: Vec<usize> = written.values().map(|written| written.writers.len()).collect();
    assert_eq!(writers, [2, 2, 0]);
    let all: BTreeSet<i64> = written.values().flat_map(|written| written.writers.iter().copied()).collect();
    assert_eq!(all.len(), 3, "a restart is another writer");
    assert_eq!(written[&BucketStart(0)].sums[&key(Signal::Error)], rate(2, 0));

    let since = store.writers(BucketStart(5), 9).await.unwrap();
    assert_eq!(since.len(), 2, "one of them has ended before, and feedback is nobody's");
    assert_eq!(store.writers(BucketStart(5), 1).await.unwrap().len(), 1);
    for writer in all {
        let own = store.written_by(writer, &feature(), ALL.0, ALL.1).await.unwrap();
        assert!(own.values().all(|own| own.sums[&key(Signal::Error)] == rate(1, 0)), "{own:?}");
    }
}

#[tokio::test]
async fn totals_are_of_the_named_buckets_and_wanted_keys_only() {
    let store = Store::in_memory().await.unwrap();
    let rows: Vec<_> = (0..10)
        .flat_map(|i| {
            [Signal::Error, Signal::Refusal].map(|signal| (BucketStart(i), key(signal), rate(10, 1)))
        })
        .collect();
    store.put_sums(&writer("a", 1), rows.clone()).await.unwrap();
    store.put_sums(&writer("b", 1), rows).await.unwrap();
    let named = [-1, 3, 5, 99].map(BucketStart).to_vec();
    let totals = store.totals(&feature(), named, |key| key.signal == Signal::Error).await.unwrap();
    assert_eq!(totals.sums, BTreeMap::from([(key(Signal::Error), rate(40, 4))]));
    assert_eq!((totals.first, totals.last), (Some(BucketStart(3)), Some(BucketStart(5))));
    assert_eq!(store.oldest(&feature()).await.unwrap(), Some(BucketStart(0)));
    assert_eq!(Store::in_memory().await.unwrap().oldest(&feature()).await.unwrap(), None);
}

#[tokio::test]
async fn a_batch_larger_than_a_transaction_arrives_whole() {
    let store = Store::in_memory().await.unwrap();
    let rows: Vec<_> = (0..2500).map(|i| (BucketStart(i), key(Signal::Error), rate(1, 1))).collect();
    store.put_sums(&writer("a", 1), rows).await.unwrap();
    assert_eq!(all(&store).await.len(), 2500);
}

#[tokio::test]
async fn a_sum_that_somebody_overwrote_is_named_and_not_guessed() {
    let store = Store::in_memory().await.unwrap();
    store.put_sums(&writer("a", 1), vec![(BucketStart(0), key(Signal::Error), rate(1, 1))]).await.unwrap();
    store
        .sqlite()
        .write("tamper", 1, |conn| Ok(conn.execute("UPDATE sums SET sum = 'many'", [])?))
        .await
        .unwrap();
    let error = store.sums(&feature(), ALL.0, ALL.1).await.unwrap_err().to_string();
    assert!(error.contains("table sums, column sum: ") && error.contains("many"), "{error}");
}

/// What one writer sent: its counters as they stood, one state after the other, each at least the one before.
#[derive(Debug, Clone)]
struct Sent {
    writer: u64,
    bucket: i64,
    signal: Signal,
    states: Vec<Sum>,
}

fn any_sent() -> impl Strategy<Value = Vec<Sent>> {
    let steps = proptest::collection::vec((0u64..4, 0u64..4), 1..4);
    let place =
        (0u64..3, 0i64..3, prop_oneof![Just(Signal::Error), Just(Signal::Cost), Just(Signal::Latency)]);
    let sent = (place, steps).prop_map(|((writer, bucket, signal), steps)| {
        let mut sum = Sum::zero(signal.measure());
        let states = steps.iter().map(|(a, b)| {
            let more = match signal {
                Signal::Error => rate(a + b, *a),
                Signal::Cost => Sum::Amount { n: 1, total: *a, squares: u128::from(a * a) },
                _ => Sum::Levels(BTreeMap::from([(*a as u16, 1 + *b)])),
            };
            sum.add(&more);
            sum.clone()
        });
        Sent { writer, bucket, signal: signal.clone(), states: states.collect() }
    });
    // One history per place: a writer's counters under one key are one sequence.
    proptest::collection::vec(sent, 1..12).prop_map(|sent| {
        let by_place: BTreeMap<_, _> =
            sent.into_iter().map(|sent| ((sent.writer, sent.bucket, sent.signal.clone()), sent)).collect();
        by_place.into_values().collect()
    })
}

/// The last state of every writer, added.
fn expected(sent: &[Sent]) -> BTreeMap<BucketStart, BucketSums> {
    let mut buckets: BTreeMap<BucketStart, BucketSums> = BTreeMap::new();
    for one in sent {
        let last = one.states.last().unwrap();
        let sums = buckets.entry(BucketStart(one.bucket)).or_default();
        sums.entry(key(one.signal.clone())).or_insert_with(|| Sum::zero(one.signal.measure())).add(last);
    }
    buckets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Batches in any order, some of them twice, rows of a batch in any order: the same sums.
    #[test]
    fn resent_reordered_and_repeated_sums_count_once(
        (sent, order) in any_sent().prop_flat_map(|sent| {
            let deliveries: Vec<(usize, usize)> = sent
                .iter()
                .enumerate()
                .flat_map(|(i, one)| (0..one.states.len()).map(move |state| (i, state)))
                .collect();
            let twice: Vec<_> = deliveries.iter().chain(&deliveries).copied().collect();
            let repeated = (0..=deliveries.len(), Just(twice).prop_shuffle());
            (Just(sent), repeated.prop_map(move |(more, shuffled)| {
                let mut order = shuffled;
                order.truncate(deliveries.len() + more);
                // Whatever the shuffle dropped still arrives in the end.
                order.extend(deliveries.iter().copied());
                order
            }))
        }),
        batch in 1usize..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = runtime.block_on(async {
            let store = Store::in_memory().await.unwrap();
            for part in order.chunks(batch) {
                let mut by_writer: BTreeMap<u64, Vec<(BucketStart, SumKey, Sum)>> = BTreeMap::new();
                for (i, state) in part {
                    let one = &sent[*i];
                    let row = (BucketStart(one.bucket), key(one.signal.clone()), one.states[*state].clone());
                    by_writer.entry(one.writer).or_default().push(row);
                }
                for (incarnation, rows) in by_writer {
                    store.put_sums(&writer("replica", incarnation), rows).await.unwrap();
                }
            }
            all(&store).await
        });
        prop_assert_eq!(read, expected(&sent));
    }
}
