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

/// A flush at a moment, under a watermark of a minute.
fn flush_at(second: i64) -> FlushTime {
    FlushTime::new(at(second), WIDTH, Duration::from_secs(60))
}

const ANSWERED: Observed =
    Observed::Finished { error: false, timeout: false, fallback: false, degraded: false };
const TIMED_OUT: Observed =
    Observed::Finished { error: true, timeout: true, fallback: false, degraded: true };

fn used(read: u64) -> Observed {
    Observed::Used { read, written: 0, hit_cache: false }
}

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
    let slot = recorder.slot(&subject("eu"));
    for (second, observed) in [(1, [ANSWERED, used(3)]), (9, [TIMED_OUT, used(5)]), (10, [ANSWERED, used(7)])]
    {
        slot.observe(at(second), WIDTH, observed);
        for _ in 0..2 {
            recorder.flush(&store, &writer(), flush_at(second)).await.unwrap();
        }
    }
    recorder.flush(&store, &writer(), flush_at(30)).await.unwrap();
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
    let slot = recorder.slot(&subject("eu"));
    slot.observe(at(1), WIDTH, [Observed::Cancelled]);
    slot.observe(at(1), WIDTH, [ANSWERED]);
    recorder.flush(&store, &writer(), flush_at(1)).await.unwrap();
    assert_eq!(stored(&store, Signal::Cancelled).await, [(0, Sum::Rate { n: 2, hits: 1 })]);
    assert_eq!(stored(&store, Signal::Error).await, [(0, Sum::Rate { n: 1, hits: 0 })]);
}

#[test]
fn every_observation_of_an_end_is_left_out_of_those_rates_alone_that_are_closed_to_it() {
    use lockgate_core::mishap::Mishap::{self, Cancelled, LetDown, Refused, Rejected};
    for (had, closed, left_out) in [
        (LetDown, vec![Signal::Error, Signal::Timeout, Signal::Fallback, Signal::Degraded], 1),
        (Refused, vec![Signal::Refusal], 1),
        (Rejected, vec![Signal::Rejected], 1),
        (Cancelled, vec![Signal::Cancelled], 1),
    ] {
        let recorder = Recorder::default();
        let slot = recorder.slot(&subject("eu"));
        let before: Mishaps = [had].into_iter().collect();
        let observed = [TIMED_OUT, Observed::Answered { refused: false }, Observed::Latency(7), used(3)];
        slot.observe_after(before, at(1), WIDTH, observed);
        assert_eq!(observed.map(|one| one.repeats(before)).iter().sum::<u64>(), left_out);
        let rows = recorder.closed_rows(BucketStart(20_000));
        let counted = |signal: &Signal| rows.iter().any(|(_, key, _)| key.signal == *signal);
        let mut rates = Signal::built_in().iter().filter(|signal| Mishap::of(signal).is_some());
        assert!(rates.all(|signal| counted(signal) != closed.contains(signal)), "{had:?}");
        assert!(counted(&Signal::Latency) && counted(&Signal::Tokens) && counted(&Signal::CacheHit));
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_open_an_old_bucket_again() {
    let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
    let slot = recorder.slot(&subject("eu"));
    slot.observe(at(25), WIDTH, [ANSWERED]);
    slot.observe(at(5), WIDTH, [ANSWERED]);
    recorder.flush(&store, &writer(), flush_at(25)).await.unwrap();
    assert_eq!(stored(&store, Signal::Error).await, [(20_000, Sum::Rate { n: 2, hits: 0 })]);
}

#[test]
fn callers_beyond_the_bound_share_a_slot_that_says_other() {
    let recorder = Recorder::default();
    let held: Vec<_> = (0..SLOTS_MAX).map(|i| recorder.slot(&subject(&format!("v{i}")))).collect();
    assert!(Arc::ptr_eq(&held[7], &recorder.slot(&subject("v7"))));
    let beyond = recorder.slot(&subject("one-more"));
    assert_eq!(beyond.subject.segment.as_str(), "geo=other");
    assert!(Arc::ptr_eq(&beyond, &recorder.slot(&subject("and-another"))));
    assert_eq!(recorder.segments_folded.value(), 2);
}

#[test]
fn callers_beyond_the_bound_wait_for_nobody_once_they_have_a_slot() {
    let recorder = Arc::new(Recorder::default());
    let _held: Vec<_> = (0..=SLOTS_MAX).map(|i| recorder.slot(&subject(&format!("v{i}")))).collect();
    let reading = recorder.slots.read().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let asked = Arc::clone(&recorder);
    std::thread::spawn(move || tell.send(asked.slot(&subject("one-more")).subject.segment.clone()));
    let segment =
        told.recv_timeout(Duration::from_secs(10)).expect("whoever reads keeps nobody from reading");
    drop(reading);
    assert_eq!((segment.as_str(), recorder.segments_folded.value()), ("geo=other", 2));
}

#[test]
fn a_subject_without_calls_is_forgotten() {
    let recorder = Recorder::default();
    drop(recorder.slot(&subject("eu")));
    let _held = recorder.slot(&subject("us"));
    recorder.gather(flush_at(0));
    let slots = recorder.slots.read().unwrap();
    assert!(slots.len() == 1 && slots.contains_key(&subject("us")));
}

#[tokio::test]
async fn a_bucket_that_ends_during_a_flush_that_fails_is_written_by_the_next() {
    let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
    let slot = recorder.slot(&subject("eu"));
    slot.observe(at(1), WIDTH, [ANSWERED]);
    // What a flush does when the store is away, with a call that ends meanwhile.
    recorder.gather(flush_at(1));
    slot.observe(at(11), WIDTH, [TIMED_OUT]);
    recorder.flush(&store, &writer(), flush_at(11)).await.unwrap();
    let rate = |hits| Sum::Rate { n: 1, hits };
    assert_eq!(stored(&store, Signal::Error).await, [(0, rate(0)), (10_000, rate(1))]);
}

#[tokio::test]
async fn a_bucket_that_was_given_away_whole_is_not_opened_again() {
    for is_held in [true, false] {
        let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
        let slot = recorder.slot(&subject("eu"));
        slot.observe(at(1), WIDTH, [ANSWERED, ANSWERED]);
        let held = is_held.then_some(slot);
        recorder.flush(&store, &writer(), flush_at(25)).await.unwrap();
        assert_eq!(recorder.slots.read().unwrap().len(), usize::from(is_held));
        // The clock has been set back, or a call looked at it just before the flush.
        let slot = recorder.slot(&subject("eu"));
        slot.observe(at(5), WIDTH, [TIMED_OUT]);
        recorder.flush(&store, &writer(), flush_at(5)).await.unwrap();
        slot.observe(at(25), WIDTH, [ANSWERED]);
        drop((slot, held));
        recorder.flush(&store, &writer(), flush_at(35)).await.unwrap();
        let rate = |hits| Sum::Rate { n: 2, hits };
        assert_eq!(stored(&store, Signal::Error).await, [(0, rate(0)), (20_000, rate(1))]);
    }
}

fn rate(hits: u64, n: u64) -> Sum {
    Sum::Rate { n, hits }
}

/// What the outbox holds of a signal, by the second in which its bucket begins.
fn unwritten(recorder: &Recorder, signal: Signal) -> Vec<(i64, Sum)> {
    let rows = recorder.outbox().unwritten();
    let of_signal = rows.into_iter().filter(|(_, key, _)| key.signal == signal);
    of_signal.map(|(start, _, sum)| (start.0 / 1000, sum)).collect()
}

/// A flush of which the store takes nothing, and whether it surely took nothing.
fn flush_in_vain(recorder: &Recorder, second: i64, fate: Fate) {
    let rows = recorder.gather(flush_at(second));
    recorder.outbox().note(&rows, fate);
    recorder.outbox().forget_written(flush_at(second).present);
}

#[tokio::test]
async fn what_was_not_sent_before_its_bucket_is_read_is_counted_in_the_present_one() {
    let (recorder, store) = (Recorder::default(), Store::in_memory().await.unwrap());
    let slot = recorder.slot(&subject("eu"));
    slot.observe(at(1), WIDTH, [ANSWERED, TIMED_OUT]);
    recorder.flush(&store, &writer(), flush_at(1)).await.unwrap();
    slot.observe(at(2), WIDTH, [ANSWERED]);
    slot.observe(at(12), WIDTH, [TIMED_OUT]);
    for second in [12, 30, 69] {
        flush_in_vain(&recorder, second, Fate::NotWritten);
        assert_eq!(unwritten(&recorder, Signal::Error), [(0, rate(1, 3)), (10, rate(1, 1))], "{second}");
    }
    // The first bucket ended at 10 and is read at 70; the second is read at 80.
    slot.observe(at(71), WIDTH, [ANSWERED]);
    recorder.flush(&store, &writer(), flush_at(71)).await.unwrap();
    let expected = [(0, rate(1, 2)), (10_000, rate(1, 1)), (70_000, rate(0, 2))];
    assert_eq!(stored(&store, Signal::Error).await, expected);
    assert!(recorder.sums_moved.value() > 0);
    recorder.flush(&store, &writer(), flush_at(999)).await.unwrap();
    assert_eq!(stored(&store, Signal::Error).await, expected, "moved once");
}

#[test]
fn what_may_have_arrived_stays_in_its_bucket_and_is_sent_again() {
    let recorder = Recorder::default();
    let slot = recorder.slot(&subject("eu"));
    slot.observe(at(1), WIDTH, [TIMED_OUT]);
    flush_in_vain(&recorder, 5, Fate::Unknown);
    slot.observe(at(6), WIDTH, [ANSWERED]);
    flush_in_vain(&recorder, 30, Fate::NotWritten);
    for _ in 0..2 {
        recorder.gather(flush_at(75));
        assert_eq!(unwritten(&recorder, Signal::Error), [(0, rate(1, 1)), (70, rate(0, 1))]);
    }
    let rows = recorder.gather(flush_at(75));
    recorder.outbox().note(&rows, Fate::Written);
    recorder.outbox().forget_written(flush_at(85).present);
    assert_eq!(unwritten(&recorder, Signal::Error), []);
    assert_eq!(recorder.outbox().unwritten(), []);
}

#[test]
fn every_kind_of_sum_is_moved_without_loss() {
    let recorder = Recorder::default();
    let slot = recorder.slot(&subject("eu"));
    slot.observe(at(1), WIDTH, [used(3), Observed::Latency(7), Observed::Latency(9)]);
    flush_in_vain(&recorder, 2, Fate::Written);
    slot.observe(at(3), WIDTH, [used(4), Observed::Latency(9)]);
    flush_in_vain(&recorder, 200, Fate::NotWritten);
    let amount = Sum::Amount { n: 1, total: 4, squares: 16 };
    assert_eq!(unwritten(&recorder, Signal::TokensIn), [(200, amount)]);
    assert_eq!(unwritten(&recorder, Signal::Latency), [(200, Sum::Levels([(9, 1)].into()))]);
}

#[test]
fn callers_who_were_new_are_not_called_new_in_a_later_bucket() {
    let recorder = Recorder::default();
    let slot = recorder.slot(&subject("eu"));
    slot.observe(at(1), WIDTH, [Observed::Visited, ANSWERED]);
    flush_in_vain(&recorder, 5, Fate::NotWritten);
    assert_eq!(unwritten(&recorder, Signal::Visitors).len(), 1);
    let dropped = recorder.sums_dropped.value();
    flush_in_vain(&recorder, 200, Fate::NotWritten);
    assert_eq!(unwritten(&recorder, Signal::Visitors), []);
    assert_eq!(unwritten(&recorder, Signal::Error), [(200, rate(0, 1))]);
    assert_eq!(recorder.sums_dropped.value() - dropped, 1);
}

#[test]
fn the_oldest_rows_are_lost_when_the_store_is_away_for_too_long() {
    let mut outbox = Outbox::default();
    for bucket in 0..100_003 {
        outbox.add((BucketStart(bucket), subject("eu").key(Signal::Error), rate(0, 1)));
    }
    assert_eq!(outbox.shrink(), 3);
    let left = outbox.unwritten();
    assert_eq!((left.len(), left[0].0), (100_000, BucketStart(3)));
}

#[test]
fn own_sums_are_given_out_once_and_only_of_buckets_that_have_ended() {
    let recorder = Recorder::default();
    let slot = recorder.slot(&subject("eu"));
    let errors = |until| -> Vec<(i64, Sum)> {
        let rows = recorder.closed_rows(bucket_at(at(until), WIDTH)).into_iter();
        let errors = rows.filter(|(_, key, _)| key.signal == Signal::Error);
        errors.map(|(start, _, sum)| (start.0 / 1000, sum)).collect()
    };
    slot.observe(at(1), WIDTH, [ANSWERED]);
    assert_eq!(errors(5), []);
    // Whatever the store takes meanwhile.
    flush_in_vain(&recorder, 6, Fate::Written);
    slot.observe(at(7), WIDTH, [TIMED_OUT]);
    slot.observe(at(11), WIDTH, [TIMED_OUT]);
    assert_eq!(errors(12), [(0, rate(1, 2))]);
    assert_eq!(errors(25), [(10, rate(1, 1))]);
    assert_eq!(errors(99), []);
}
