//! Measures the store on a file: `cargo run --release -p lockgate-store --example store_speed [directory]`.
//!
//! Every number is of work that is on disk when it counts. What it comes to is mostly the disk's flush.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has nothing to say")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockgate_core::event::{Entry, Event};
use lockgate_core::name::{FeatureName, RequestId, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::Store;
use lockgate_store::row::{About, Answer, FeedbackRow, Head, Observed, Writer};
use uuid::Uuid;

const APPENDS: usize = 500;
const SENDERS: usize = 64;
const FEEDBACK_EACH: usize = 100;
const BATCHES: usize = 50;
const BATCH_ROWS: usize = 1000;
const ANSWERS: usize = 1_000_000;

#[tokio::main]
async fn main() {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let path = directory.join(format!("lockgate-speed-{}.db", Uuid::now_v7()));
    let store = Store::open(&path).await.unwrap();
    appends(&store).await;
    feedback(&store).await;
    sums(&store).await;
    answers(&store).await;
    drop(store);
    println!("{:<44} {:>10.1} MB", "the file", std::fs::metadata(&path).unwrap().len() as f64 / 1e6);
    std::fs::remove_file(&path).unwrap();
}

fn tell(what: &str, count: usize, took: Duration) {
    let per_second = count as f64 / took.as_secs_f64();
    println!("{what:<44} {per_second:>10.0} /s {:>12.1?} each", took.div_f64(count as f64));
}

async fn appends(store: &Store) {
    let begun = Instant::now();
    let mut head = Head::EMPTY;
    for i in 0..APPENDS {
        let event = Event::Revived { why: format!("measured {i}") };
        let entry = Entry { ts: ts(0), feature: feature(), author: "speed".into(), event };
        head = store.append(head, vec![entry]).await.unwrap();
    }
    tell("appends, one after the other", APPENDS, begun.elapsed());
    let begun = Instant::now();
    assert_eq!(store.verify().await.unwrap().broken, None);
    tell("entries verified", APPENDS, begun.elapsed());
}

async fn feedback(store: &Store) {
    let begun = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let store = store.clone();
            tokio::spawn(async move {
                for i in 0..FEEDBACK_EACH {
                    let row = FeedbackRow {
                        idempotency_key: format!("{sender} {i}"),
                        ts: ts(0),
                        request_id: RequestId(Uuid::from_u128(i as u128)),
                        signal: Signal::ThumbsDown,
                        observed: Observed::Was(i % 10 == 0),
                        value: "-1".into(),
                    };
                    store.put_feedback(row, BucketStart(0), key(Signal::ThumbsDown, 0)).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    tell(&format!("feedback, {SENDERS} senders at once"), SENDERS * FEEDBACK_EACH, begun.elapsed());
}

async fn sums(store: &Store) {
    let writer = Writer { replica: "speed".into(), incarnation: 1 };
    // 50 buckets of 20 keys a batch; every second batch brings newer counters for the buckets of the one
    // before.
    let batch = |number: usize| -> Vec<_> {
        let first = (number / 2 * BATCH_ROWS / 20) as i64;
        let n = 10 + number as u64;
        (0..BATCH_ROWS as i64)
            .map(|i| {
                let sum = Sum::Levels((0..8).map(|level| (level * 10, n)).collect());
                (BucketStart((first + i / 20) * 10_000), key(Signal::Latency, i % 20), sum)
            })
            .collect()
    };
    let begun = Instant::now();
    for number in 0..BATCHES {
        store.put_sums(&writer, batch(number)).await.unwrap();
    }
    tell(&format!("batches of {BATCH_ROWS} sums"), BATCHES, begun.elapsed());
    let begun = Instant::now();
    let read = store.sums(&feature(), BucketStart(0), BucketStart(i64::MAX)).await.unwrap();
    tell("sums read", read.values().map(std::collections::BTreeMap::len).sum(), begun.elapsed());
}

async fn answers(store: &Store) {
    let rollout = RolloutId(Uuid::from_u128(1));
    let begun = Instant::now();
    for first in (0..ANSWERS).step_by(BATCH_ROWS) {
        let batch = (first..first + BATCH_ROWS).map(|i| answer(i, rollout)).collect();
        store.put_answers(batch).await.unwrap();
    }
    tell("answers, in batches", ANSWERS, begun.elapsed());
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(store.reach(rollout).await.unwrap().calls, ANSWERS as u64 / 2);
    }
    tell(&format!("reach, among {ANSWERS} answers"), 100, begun.elapsed());
    let begun = Instant::now();
    for i in 0..100 {
        let about = About::Session { session: format!("session {}", i * 37), feature: Some(feature()) };
        assert!(store.answer(&about).await.unwrap().is_some());
    }
    tell("look-ups by session", 100, begun.elapsed());
    let begun = Instant::now();
    store.forget_before(ts(ANSWERS / 10)).await.unwrap();
    tell("answers forgotten", ANSWERS / 10, begun.elapsed());
}

fn answer(number: usize, rollout: RolloutId) -> Answer {
    Answer {
        request_id: RequestId(Uuid::from_u64_pair(number as u64 / 7, number as u64)),
        answer_id: Some(format!("chatcmpl-{number}")),
        session: Some(format!("session {}", number / 10)),
        ts: ts(number),
        feature: feature(),
        version: version(),
        arm: if number.is_multiple_of(2) { Arm::Candidate } else { Arm::Stable },
        rollout: Some(rollout),
        segment: Segment::none(),
        point: Some((number / 10) as u32),
        target: Some("big".into()),
        tier: Some(0),
        status: 200,
    }
}

fn feature() -> FeatureName {
    FeatureName::new("support-reply").unwrap()
}

fn version() -> VersionRef {
    VersionRef { name: VersionName::new("v2").unwrap(), revision: Revision::of(b"v2") }
}

fn key(signal: Signal, number: i64) -> SumKey {
    let revision = Revision::of(&number.to_be_bytes());
    SumKey { feature: feature(), revision, arm: Arm::Candidate, segment: Segment::none(), signal }
}

/// One call a millisecond from the first bucket on.
fn ts(number: usize) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + number as i64).unwrap()
}
