//! Invented users: they call a gateway over sockets, read what comes back, and say what they think of it.
//!
//! Arrivals are open-loop: people do not wait for one another, so a slow answer does not thin the traffic out, which is what
//! makes a slow candidate look harmless in a closed loop. Calls under way, and calls in all, are bounded nevertheless; who
//! finds no place is counted.
//!
//! Users judge the words of an answer, never the version that gave it: that is not theirs to know. The tally counts by the
//! arm that the gateway names, for the people who watch.
//!
//! One call is in `visit`, the feedback's way back in `post`.

mod post;
mod visit;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::random::Random;

/// How often arrivals are let in: below what a person notices, above what a timer costs.
const TICK: Duration = Duration::from_millis(2);
/// Pieces of feedback on their way; more are dropped and counted.
const FEEDBACK_QUEUE: usize = 20_000;
/// Batches of feedback that are handed in at once. The gateway keeps every piece before it answers, one after another; with
/// several batches it keeps several at a time.
const POST_OFFICES: usize = 16;

/// What users are like.
#[derive(Debug, Clone)]
pub struct Habits {
    /// The feature they call.
    pub feature: String,
    /// How many different people there are.
    pub people: u64,
    /// The part of the calls that carry tools.
    pub tools_part: f64,
    /// The part of the calls that ask for a stream.
    pub stream_part: f64,
    /// The part of the answers that somebody rates.
    pub rated_part: f64,
    /// Calls under way at once; each has its own connection.
    pub in_flight_max: usize,
    /// Calls in all; after that nobody comes any more.
    pub calls_max: u64,
}

/// Users who are calling. Nobody comes until a rate is set.
#[derive(Debug)]
pub struct Users {
    crowd: Arc<Crowd>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What users met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Calls answered by the stable version, as the gateway says.
    pub stable: ArmTally,
    /// Calls answered by the candidate.
    pub candidate: ArmTally,
    /// Calls of which nobody can say which version they met: no answer came.
    pub unanswered: u64,
    /// People who found no place under the bound on calls under way.
    pub crowded_out: u64,
    /// Pieces of feedback that the gateway took.
    pub feedback_taken: u64,
    /// Pieces of feedback that it refused, or that found no place.
    pub feedback_lost: u64,
}

/// What users met at one arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArmTally {
    /// Calls that ended.
    pub calls: u64,
    /// Those that ended in an error or broke off.
    pub wrong: u64,
    /// Answers rated with a thumb down.
    pub thumbs_down: u64,
    /// Answers that took longer than a person waits gladly (five seconds).
    pub slow: u64,
}

impl Tally {
    /// Calls that ended, however they ended.
    pub fn calls(&self) -> u64 {
        self.stable.calls + self.candidate.calls + self.unanswered
    }
}

/// What everybody shares.
#[derive(Debug)]
struct Crowd {
    gateway: SocketAddr,
    habits: Habits,
    seed: u64,
    places: Semaphore,
    arrivals: AtomicU64,
    rate_bits: AtomicU64,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    stable: ArmCounters,
    candidate: ArmCounters,
    unanswered: AtomicU64,
    crowded_out: AtomicU64,
    feedback_taken: AtomicU64,
    feedback_lost: AtomicU64,
}

#[derive(Debug, Default)]
struct ArmCounters {
    calls: AtomicU64,
    wrong: AtomicU64,
    thumbs_down: AtomicU64,
    slow: AtomicU64,
}

impl Users {
    /// Gathers people in front of a gateway; they come once [`Users::set_rate`] says how many.
    pub fn start(gateway: SocketAddr, habits: Habits, seed: u64) -> Self {
        let crowd = Arc::new(Crowd {
            gateway,
            seed: Random::seed_of(seed, "users"),
            places: Semaphore::new(0),
            arrivals: AtomicU64::new(0),
            rate_bits: AtomicU64::new(0.0_f64.to_bits()),
            counters: Counters::default(),
            habits,
        });
        let (stop, stopped) = watch::channel(false);
        let (post_box, posted) = mpsc::channel(FEEDBACK_QUEUE);
        let mut tasks = JoinSet::new();
        for _ in 0..crowd.habits.in_flight_max {
            tasks.spawn(visit::visit_in_turn(Arc::clone(&crowd), post_box.clone()));
        }
        let posted = Arc::new(tokio::sync::Mutex::new(posted));
        for _ in 0..POST_OFFICES {
            tasks.spawn(post::deliver(Arc::clone(&crowd), Arc::clone(&posted)));
        }
        tasks.spawn(arrive(Arc::clone(&crowd), stopped));
        Self { crowd, stop, tasks }
    }

    /// How many people come per second from now on.
    pub fn set_rate(&self, per_second: f64) {
        self.crowd.rate_bits.store(per_second.max(0.0).to_bits(), Ordering::Relaxed);
    }

    /// What they met so far.
    pub fn tally(&self) -> Tally {
        self.crowd.counters.read()
    }

    /// Lets nobody in any more, waits for the calls and the feedback under way, and says what they met in all.
    pub async fn stop(mut self) -> Tally {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.tally()
    }
}

impl Counters {
    fn read(&self) -> Tally {
        Tally {
            stable: self.stable.read(),
            candidate: self.candidate.read(),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            crowded_out: self.crowded_out.load(Ordering::Relaxed),
            feedback_taken: self.feedback_taken.load(Ordering::Relaxed),
            feedback_lost: self.feedback_lost.load(Ordering::Relaxed),
        }
    }
}

impl ArmCounters {
    fn read(&self) -> ArmTally {
        ArmTally {
            calls: self.calls.load(Ordering::Relaxed),
            wrong: self.wrong.load(Ordering::Relaxed),
            thumbs_down: self.thumbs_down.load(Ordering::Relaxed),
            slow: self.slow.load(Ordering::Relaxed),
        }
    }
}

/// Lets people in at the set rate. The number per tick is random around it, as arrivals are.
async fn arrive(crowd: Arc<Crowd>, mut stopped: watch::Receiver<bool>) {
    let mut random = Random::for_item(crowd.seed, u64::MAX);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = tokio::time::Instant::now();
    let mut due = 0.0_f64;
    loop {
        let now = tokio::select! {
            now = ticks.tick() => now,
            _ = stopped.changed() => break,
        };
        let expected = f64::from_bits(crowd.rate_bits.load(Ordering::Relaxed)) * (now - last).as_secs_f64();
        last = now;
        // Near enough to Poisson at these rates, without its loop.
        due += expected + expected.sqrt() * random.normal();
        let coming = due.max(0.0).floor();
        due -= coming;
        let waiting = crowd.places.available_permits();
        let admitted = (coming as usize).min(crowd.habits.in_flight_max.saturating_sub(waiting));
        crowd.places.add_permits(admitted);
        let crowded_out = coming as u64 - admitted as u64;
        crowd.counters.crowded_out.fetch_add(crowded_out, Ordering::Relaxed);
    }
    crowd.places.close();
}

#[cfg(test)]
mod tests;
