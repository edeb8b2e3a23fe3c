//! Spending in a trailing window: a hard rule on sums, without statistics.
//!
//! For runaway spending: an agent that loops is to be stopped within minutes, and by a sum that anybody can add up again. What
//! the candidate may spend grows with its share, so it is compared per session that began in the window; where nobody counts
//! sessions, per call.

use std::time::Duration;

use super::tally::Spent;
use super::window::Trailing;
use crate::sums::BucketStart;

/// Fewer sessions than this, in either arm, say nothing about a mean.
const SESSIONS_MIN: u128 = 10;
/// The same for calls, which differ more.
const CALLS_MIN: u128 = 30;
/// And the candidate must have spent so many of stable's sessions more than it was allowed: one long session, as dear as the
/// dearest in a thousand, must not freeze a rollout.
const SESSIONS_OF_GRACE: f64 = 20.0;

/// By what spending is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Session,
    Call,
}

/// Where in a window's sums an arm's lie: what was spent, by how many calls; sessions that began, calls that were assigned.
const CANDIDATE: usize = 0;
const STABLE: usize = 4;

/// The window of both arms.
#[derive(Debug, Clone)]
pub(super) struct Spend {
    times: f64,
    window: Trailing<8>,
    /// Sessions and calls of this bucket, per arm.
    traffic: [u128; 4],
    all: [u128; 8],
    /// In place of stable at the same time: all that was counted of it before.
    past: Option<[u128; 4]>,
}

/// What was spent in the window, and what might have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spending {
    pub(super) per: Per,
    pub(super) candidate: Arm,
    pub(super) stable: Arm,
    /// Per session or call.
    pub(super) allowed: f64,
    pub(super) is_exceeded: bool,
}

/// One arm's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Arm {
    pub(super) total: f64,
    pub(super) units: u64,
}

impl Arm {
    pub(super) fn mean(self) -> Option<f64> {
        (self.units > 0).then(|| self.total / self.units as f64)
    }
}

impl Spend {
    pub(super) fn new(times: f64, over: Duration, bucket: Duration) -> Self {
        Self { times, window: Trailing::new(over, bucket), traffic: [0; 4], all: [0; 8], past: None }
    }

    /// The same against what stable spent before.
    pub(super) fn against_past(times: f64, over: Duration, bucket: Duration, past: &Self) -> Self {
        let [_, _, _, _, spent, calls, sessions, assigned] = past.all;
        Self { past: Some([spent, calls, sessions, assigned]), ..Self::new(times, over, bucket) }
    }

    /// Counts traffic of this bucket: sessions that began, or calls that were assigned.
    pub(super) fn count(&mut self, is_candidate: bool, per: Per, n: u64) {
        let at = if is_candidate { 0 } else { 2 } + usize::from(per == Per::Call);
        self.traffic[at] = self.traffic[at].wrapping_add(u128::from(n));
    }

    /// Takes in one bucket.
    pub(super) fn step(&mut self, start: BucketStart, candidate: Spent, stable: Spent) {
        let [sessions, assigned, stable_sessions, stable_assigned] = std::mem::take(&mut self.traffic);
        let sums = [
            candidate.total.into(),
            candidate.calls.into(),
            sessions,
            assigned,
            stable.total.into(),
            stable.calls.into(),
            stable_sessions,
            stable_assigned,
        ];
        self.window.move_on(start);
        self.window.add(start, sums);
        for (all, sum) in self.all.iter_mut().zip(sums) {
            *all = all.wrapping_add(sum);
        }
    }

    /// Whether it must be stepped although nothing came.
    pub(super) fn is_moving(&self) -> bool {
        !self.window.is_empty()
    }

    /// What is in the window; `None` while there is too little of either arm to say.
    pub(super) fn spending(&self) -> Option<Spending> {
        let sums = self.window.total();
        let [candidate, calls, sessions, assigned] = [0, 1, 2, 3].map(|at| sums[CANDIDATE + at]);
        let [stable, stable_calls, stable_sessions, stable_assigned] =
            self.past.unwrap_or([0, 1, 2, 3].map(|at| sums[STABLE + at]));
        let ways = [
            (Per::Session, SESSIONS_MIN, sessions, stable_sessions),
            (Per::Call, CALLS_MIN, assigned, stable_assigned),
            (Per::Call, CALLS_MIN, calls, stable_calls),
        ];
        // What is counted in both arms; where nobody counts sessions, or calls assigned, the next stands in.
        let (per, least, units, stable_units) =
            ways.into_iter().find(|(_, _, units, stable_units)| *units > 0 && *stable_units > 0)?;
        let candidate = Arm { total: candidate as f64, units: units.min(u64::MAX.into()) as u64 };
        let stable = Arm { total: stable as f64, units: stable_units.min(u64::MAX.into()) as u64 };
        let mean = stable.mean()?;
        let allowed = self.times * mean;
        let enough = units >= least && stable_units >= least;
        let is_exceeded =
            enough && candidate.total > allowed * candidate.units as f64 + SESSIONS_OF_GRACE * mean;
        Some(Spending { per, candidate, stable, allowed, is_exceeded })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: Duration = Duration::from_secs(10);

    fn hour() -> Spend {
        Spend::new(3.0, Duration::from_secs(3600), BUCKET)
    }

    fn spend(calls: u64, total: u64) -> Spent {
        Spent { calls, total }
    }

    #[test]
    fn more_share_is_no_more_spending() {
        let mut window = hour();
        window.count(true, Per::Session, 500);
        window.count(false, Per::Session, 50);
        window.step(BucketStart(0), spend(5_000, 5_000_000), spend(500, 500_000));
        let told = window.spending().unwrap();
        assert_eq!((told.per, told.is_exceeded, told.allowed), (Per::Session, false, 30_000.0));
    }

    #[test]
    fn many_calls_per_session_are_seen_where_sessions_are_counted() {
        let mut window = hour();
        for (is_candidate, sessions, calls) in [(true, 40, 4_000), (false, 400, 4_000)] {
            window.count(is_candidate, Per::Session, sessions);
            window.count(is_candidate, Per::Call, calls);
        }
        window.step(BucketStart(0), spend(4_000, 4_000_000), spend(4_000, 4_000_000));
        assert!(window.spending().unwrap().is_exceeded, "ten times the calls per session");
    }

    #[test]
    fn a_handful_of_sessions_or_one_dear_one_freezes_nothing() {
        let mut window = hour();
        window.count(true, Per::Session, 9);
        window.count(false, Per::Session, 1_000);
        window.step(BucketStart(0), spend(900, 90_000_000), spend(1_000, 1_000_000));
        assert!(!window.spending().unwrap().is_exceeded, "nine sessions");
        let mut window = hour();
        window.count(true, Per::Session, 12);
        window.count(false, Per::Session, 1_000);
        window.step(BucketStart(0), spend(12, 11 * 1_000 + 40_000), spend(1_000, 1_000_000));
        assert!(!window.spending().unwrap().is_exceeded, "one session at 40 times the mean");
    }

    #[test]
    fn a_window_forgets() {
        let mut window = hour();
        window.step(BucketStart(0), spend(100, 1_000_000), spend(100, 1_000));
        assert!(window.spending().unwrap().is_exceeded);
        window.step(BucketStart(3_600_000), spend(0, 0), spend(0, 0));
        assert_eq!((window.spending(), window.is_moving()), (None, false));
    }
}
