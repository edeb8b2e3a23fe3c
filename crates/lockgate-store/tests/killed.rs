//! A process that is killed at any moment loses nothing that it was told is stored, and counts nothing twice.
//!
//! The test starts itself again as a child that writes to a store and says each thing it was told is stored.
//! The child is killed (SIGKILL) at a random moment, the store is opened again, and what was said is held
//! against what is there.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::event::{Entry, Event};
use lockgate_core::name::{FeatureName, RequestId, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::Store;
use lockgate_store::row::{Answer, FeedbackOutcome, FeedbackRow, Head, Observed, Writer};
use uuid::Uuid;

/// Tells the child where to write, and which life of the process this is.
const CHILD_FILE: &str = "LOCKGATE_STORE_CHILD_FILE";
const CHILD_LIFE: &str = "LOCKGATE_STORE_CHILD_LIFE";
/// How often the child is killed.
const KILLS: &str = "LOCKGATE_KILLS";

const ROLLOUT: RolloutId = RolloutId(Uuid::from_u128(1));
const BUCKET: BucketStart = BucketStart(1_800_000_000_000);
const SENDERS: u64 = 4;

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let kills = variable(KILLS).map_or(40, |text| text.parse().expect("LOCKGATE_KILLS is a number"));
    let folder = Folder::new();
    let file = folder.0.join("lockgate.db");
    let mut told = Told::default();
    let (mut entries, mut pieces) = (0, 0);
    for life in 0..kills {
        told = run_and_kill(&file, life).await;
        let store = Store::open(&file).await.expect("the store opens after a kill");
        entries = check_log(&store, &told).await;
        pieces = check_feedback(&store, &file, &told).await;
        check_sums(&store, &file, life, &told).await;
        check_answers(&store, &file, &told).await;
    }
    assert!(
        entries > kills && pieces > kills,
        "the child was killed before it did anything: {entries} {pieces}"
    );
    println!("{kills} kills: {entries} entries and {pieces} pieces of feedback, none lost");

    let store = Store::open(&file).await.unwrap();
    for (life, number) in told.feedback {
        let again = put_feedback(&store, life, number).await;
        assert!(matches!(again, FeedbackOutcome::Duplicate { .. }), "{life} {number} was counted twice");
    }
}

/// What one life of the child was told is stored.
#[derive(Debug, Default)]
struct Told {
    log: Vec<(u64, String)>,
    feedback: Vec<(u64, u64)>,
    sums: u64,
    answers: u64,
}

/// One life of the child: what it said before it was killed.
async fn run_and_kill(file: &Path, life: u64) -> Told {
    let mut child = Killed(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD_FILE, file)
            .env(CHILD_LIFE, life.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap(),
    );
    let said = BufReader::new(child.0.stdout.take().unwrap());
    let (first, begun) = tokio::sync::oneshot::channel();
    let reader = std::thread::spawn(move || listen(said, first));
    // Mostly in the midst of writing; now and then while it opens the file.
    if life % 5 != 4 {
        begun.await.expect("the child writes");
    }
    tokio::time::sleep(Duration::from_micros(random() % 100_000)).await;
    drop(child);
    reader.join().unwrap()
}

/// Reads until the pipe closes. A last line without an end was never said.
fn listen(mut said: BufReader<impl std::io::Read>, first: tokio::sync::oneshot::Sender<()>) -> Told {
    let mut told = Told::default();
    let mut first = Some(first);
    let mut line = String::new();
    while said.read_line(&mut line).unwrap_or(0) > 0 && line.ends_with('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        match words.first() {
            Some(&"stored:log") => told.log.push((number(1), words[2].to_owned())),
            Some(&"stored:feedback") => told.feedback.push((number(1), number(2))),
            Some(&"stored:sums") => told.sums = number(1),
            Some(&"stored:answers") => told.answers += 1,
            _ => {}
        }
        if let Some(first) = first.take_if(|_| line.starts_with("stored:")) {
            let _ = first.send(());
        }
        line.clear();
    }
    told
}

async fn check_log(store: &Store, told: &Told) -> u64 {
    let verification = store.verify().await.unwrap();
    assert_eq!(verification.broken, None);
    let Some((first, _)) = told.log.first() else { return verification.entries };
    let stored = store.log_after(first - 1, usize::MAX).await.unwrap();
    assert!(stored.len() >= told.log.len(), "an entry was lost");
    for (logged, (seq, hash)) in stored.iter().zip(&told.log) {
        assert_eq!((logged.seq, &logged.hash.to_string()), (*seq, hash));
    }
    verification.entries
}

async fn check_feedback(store: &Store, file: &Path, told: &Told) -> u64 {
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut select = connection.prepare("SELECT idempotency_key, observed FROM feedback").unwrap();
    let rows: Vec<(String, u64)> = select
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let keys: BTreeSet<&str> = rows.iter().map(|(key, _)| key.as_str()).collect();
    for (life, number) in &told.feedback {
        assert!(keys.contains(piece(*life, *number).as_str()), "feedback {life} {number} was lost");
    }
    let (n, hits) = (rows.len() as u64, rows.iter().map(|(_, down)| down).sum());
    let counted = stored_sum(store, Signal::ThumbsDown).await.unwrap_or(Sum::Rate { n: 0, hits: 0 });
    assert_eq!(counted, Sum::Rate { n, hits }, "the sums of feedback are not its rows");
    n
}

async fn check_sums(store: &Store, file: &Path, life: u64, told: &Told) {
    let connection = rusqlite::Connection::open(file).unwrap();
    let own: Option<String> = connection
        .query_row(
            "SELECT sum FROM sums_by_name WHERE replica = 'child' AND incarnation = ?1",
            [life.cast_signed()],
            |row| row.get(0),
        )
        .ok();
    let own = own.map_or(0, |text| serde_json::from_str::<Sum>(&text).unwrap().n());
    assert!((told.sums..=told.sums + 1).contains(&own), "told {} and stored {own}", told.sums);
    let all = stored_sum(store, Signal::Error).await.map_or(0, |sum| sum.n());
    assert!(all >= own);
}

async fn check_answers(store: &Store, file: &Path, told: &Told) {
    let connection = rusqlite::Connection::open(file).unwrap();
    let rows: i64 = connection.query_row("SELECT count(*) FROM answer", [], |row| row.get(0)).unwrap();
    let reach = store.reach(ROLLOUT).await.unwrap();
    assert_eq!((reach.calls, reach.users), (rows.cast_unsigned(), rows.cast_unsigned()));
    assert!(reach.calls >= told.answers);
}

async fn stored_sum(store: &Store, signal: Signal) -> Option<Sum> {
    let buckets = store.sums(&feature(), BUCKET, BucketStart(BUCKET.0 + 1)).await.unwrap();
    buckets.get(&BUCKET)?.get(&key(signal)).cloned()
}

/// The child. Run as a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_writes_until_it_is_killed() {
    let (Some(file), Some(life)) = (variable(CHILD_FILE), variable(CHILD_LIFE)) else { return };
    let life = life.parse().unwrap();
    let store = Store::open(Path::new(&file)).await.unwrap();
    let mut writers = vec![
        tokio::spawn(append_on_and_on(store.clone())),
        tokio::spawn(sum_on_and_on(store.clone(), life)),
        tokio::spawn(answer_on_and_on(store.clone(), life)),
    ];
    writers.extend((0..SENDERS).map(|first| tokio::spawn(feed_back_on_and_on(store.clone(), life, first))));
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn append_on_and_on(store: Store) {
    let end = store.verify().await.unwrap();
    let mut head = Head { seq: end.head_seq, hash: end.head_hash };
    loop {
        let event = Event::Revived { why: format!("entry {}", head.seq + 1) };
        let entry = Entry { ts: ts(), feature: feature(), author: "child".into(), event };
        head = store.append(head, vec![entry]).await.unwrap();
        say(&format!("log {} {}", head.seq, head.hash));
    }
}

async fn sum_on_and_on(store: Store, life: u64) {
    let writer = Writer { replica: "child".into(), incarnation: life };
    for n in 1.. {
        let sum = Sum::Rate { n, hits: n / 2 };
        store.put_sums(&writer, vec![(BUCKET, key(Signal::Error), sum)]).await.unwrap();
        say(&format!("sums {n}"));
    }
}

async fn answer_on_and_on(store: Store, life: u64) {
    for number in 0.. {
        let under_way = Answer {
            request_id: RequestId(Uuid::from_u64_pair(life, number)),
            answer_id: None,
            session: None,
            ts: ts(),
            feature: feature(),
            version: version(),
            arm: Arm::Candidate,
            rollout: Some(ROLLOUT),
            segment: Segment::none(),
            point: Some((life as u32) << 20 | number as u32),
            target: None,
            tier: None,
            status: 0,
        };
        store.put_answers(vec![under_way.clone()]).await.unwrap();
        say("answers");
        store.put_answers(vec![Answer { status: 200, ..under_way }]).await.unwrap();
    }
}

async fn feed_back_on_and_on(store: Store, life: u64, first: u64) {
    for number in (first..).step_by(SENDERS as usize) {
        assert_eq!(put_feedback(&store, life, number).await, FeedbackOutcome::Counted);
        say(&format!("feedback {life} {number}"));
        if number.is_multiple_of(3) {
            let again = put_feedback(&store, life, number).await;
            assert!(matches!(again, FeedbackOutcome::Duplicate { .. }));
        }
    }
}

async fn put_feedback(store: &Store, life: u64, number: u64) -> FeedbackOutcome {
    let row = FeedbackRow {
        idempotency_key: piece(life, number),
        ts: ts(),
        request_id: RequestId(Uuid::from_u64_pair(life, number)),
        signal: Signal::ThumbsDown,
        observed: Observed::Was(number.is_multiple_of(2)),
        value: "-1".into(),
    };
    store.put_feedback(row, BUCKET, key(Signal::ThumbsDown)).await.unwrap()
}

fn piece(life: u64, number: u64) -> String {
    format!("piece {number} of life {life}")
}

/// One whole line at once, past the buffers that a kill would take along.
fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("stored:{what}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn feature() -> FeatureName {
    FeatureName::new("support-reply").unwrap()
}

fn version() -> VersionRef {
    VersionRef { name: VersionName::new("v2").unwrap(), revision: Revision::of(b"v2") }
}

fn key(signal: Signal) -> SumKey {
    let segment = Segment::none();
    SumKey { feature: feature(), revision: version().revision, arm: Arm::Candidate, segment, signal }
}

fn ts() -> Timestamp {
    Timestamp::from_millisecond(BUCKET.0).unwrap()
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[expect(clippy::disallowed_methods, reason = "a child can be told only by its environment that it is one")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A child that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("lockgate-killed-{}", Uuid::now_v7()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
