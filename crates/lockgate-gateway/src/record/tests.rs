//! Counting: which bucket, which slot, what is written and when.

use super::*;

const WIDTH: Duration = Duration::from_secs(10);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn subject(segment: &str) -> Subject {
    let label = LabelName::new("geo").unwrap();
    Subject {
        feature: FeatureName::new("f").unwrap(),
        revision: Revision::of(b"v1"),
        arm: Arm::Stable,
        segment: Segment::from_labels(&[(label, segment.to_owned())].into()),
    }
}

fn writer() -> Writer {
    Writer { replica: "r".into(), incarnation: 1 }
}

const ANSWERED: Observed = Observed::Finished { error: false, timeout: false, fallback: false };
const TIMED_OUT: Observed = Observed::Finished { error: true, timeout: true, fallback: false };

async fn stored(store: &Store, signal: Signal) -> Vec<(i64, Sum)> {
    let feature = FeatureName::new("f").unwrap();
    let all = store.sums(&feature, BucketStart(0), BucketStart(i64::MAX / 2)).await.unwrap();
    let of_signal = |sums: lockgate_core::sums::BucketSums| {
        sums.into_iter().find(|(key, _)| key.signal == signal).map(|(_, sum)| sum)
    };
    all.into_iter().filter_map(|(start, sums)| Some((start.0, of_signal(sums)?))).collect()
}

#[tokio::test]
async fn sums_are_right_however_often_they_are_flushed() {
    let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
    let slot = recorder.slot(subject("eu"));
    for (second, observed) in [
        (1, [ANSWERED, Observed::TokensIn(3)]),
        (9, [TIMED_OUT, Observed::TokensIn(5)]),
        (10, [ANSWERED, Observed::TokensIn(7)]),
    ] {
        slot.observe(at(second), WIDTH, &observed);
        for _ in 0..2 {
            recorder.flush(&store, &writer(), bucket_at(at(second), WIDTH)).await.unwrap();
        }
    }
    recorder.flush(&store, &writer(), bucket_at(at(30), WIDTH)).await.unwrap();
    let rate = |hits, n| Sum::Rate { n, hits };
    assert_eq!(stored(&store, Signal::Error).await, [(0, rate(1, 2)), (10_000, rate(0, 1))]);
    assert_eq!(stored(&store, Signal::Timeout).await, [(0, rate(1, 2)), (10_000, rate(0, 1))]);
    let amount = |n, total, squares| Sum::Amount { n, total, squares };
    assert_eq!(stored(&store, Signal::TokensIn).await, [(0, amount(2, 8, 34)), (10_000, amount(1, 7, 49))]);
    assert_eq!(stored(&store, Signal::Latency).await, []);
}

#[tokio::test]
async fn a_call_that_was_left_counts_among_all_calls_and_not_among_the_finished() {
    let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
    let slot = recorder.slot(subject("eu"));
    slot.observe(at(1), WIDTH, &[Observed::Cancelled]);
    slot.observe(at(1), WIDTH, &[ANSWERED]);
    recorder.flush(&store, &writer(), bucket_at(at(1), WIDTH)).await.unwrap();
    assert_eq!(stored(&store, Signal::Cancelled).await, [(0, Sum::Rate { n: 2, hits: 1 })]);
    assert_eq!(stored(&store, Signal::Error).await, [(0, Sum::Rate { n: 1, hits: 0 })]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_open_an_old_bucket_again() {
    let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
    let slot = recorder.slot(subject("eu"));
    slot.observe(at(25), WIDTH, &[ANSWERED]);
    slot.observe(at(5), WIDTH, &[ANSWERED]);
    recorder.flush(&store, &writer(), bucket_at(at(25), WIDTH)).await.unwrap();
    assert_eq!(stored(&store, Signal::Error).await, [(20_000, Sum::Rate { n: 2, hits: 0 })]);
}

#[test]
fn callers_beyond_the_bound_share_a_slot_that_says_other() {
    let recorder = Recorder::default();
    let held: Vec<_> = (0..SLOTS_MAX).map(|i| recorder.slot(subject(&format!("v{i}")))).collect();
    assert!(Arc::ptr_eq(&held[7], &recorder.slot(subject("v7"))));
    let beyond = recorder.slot(subject("one-more"));
    assert_eq!(beyond.subject.segment.as_str(), "geo=other");
    assert!(Arc::ptr_eq(&beyond, &recorder.slot(subject("and-another"))));
    assert_eq!(recorder.segments_folded.value(), 2);
}

#[test]
fn a_subject_without_calls_is_forgotten() {
    let recorder = Recorder::default();
    drop(recorder.slot(subject("eu")));
    let _held = recorder.slot(subject("us"));
    recorder.gather(BucketStart(0));
    let slots = recorder.slots.read().unwrap();
    assert!(slots.len() == 1 && slots.contains_key(&subject("us")));
}

#[tokio::test]
async fn a_bucket_that_ends_during_a_flush_that_fails_is_written_by_the_next() {
    let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
    let slot = recorder.slot(subject("eu"));
    slot.observe(at(1), WIDTH, &[ANSWERED]);
    // What a flush does when the store is away, with a call that ends meanwhile.
    recorder.gather(bucket_at(at(1), WIDTH));
    slot.observe(at(11), WIDTH, &[TIMED_OUT]);
    recorder.mark_as_dirty();
    recorder.flush(&store, &writer(), bucket_at(at(11), WIDTH)).await.unwrap();
    let rate = |hits| Sum::Rate { n: 1, hits };
    assert_eq!(stored(&store, Signal::Error).await, [(0, rate(0)), (10_000, rate(1))]);
}

#[tokio::test]
async fn a_bucket_that_was_given_away_whole_is_not_opened_again() {
    for is_held in [true, false] {
        let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
        let slot = recorder.slot(subject("eu"));
        slot.observe(at(1), WIDTH, &[ANSWERED, ANSWERED]);
        let held = is_held.then_some(slot);
        recorder.flush(&store, &writer(), bucket_at(at(25), WIDTH)).await.unwrap();
        assert_eq!(recorder.slots.read().unwrap().len(), usize::from(is_held));
        // The clock has been set back, or a call looked at it just before the flush.
        let slot = recorder.slot(subject("eu"));
        slot.observe(at(5), WIDTH, &[TIMED_OUT]);
        recorder.flush(&store, &writer(), bucket_at(at(5), WIDTH)).await.unwrap();
        slot.observe(at(25), WIDTH, &[ANSWERED]);
        drop((slot, held));
        recorder.flush(&store, &writer(), bucket_at(at(35), WIDTH)).await.unwrap();
        let rate = |hits| Sum::Rate { n: 2, hits };
        assert_eq!(stored(&store, Signal::Error).await, [(0, rate(0)), (20_000, rate(1))]);
    }
}
