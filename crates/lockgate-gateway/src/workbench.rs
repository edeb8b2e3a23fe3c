//! Counts calls that nobody makes, so that what counting costs can be measured: for `examples/record_speed.rs` alone.

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::duration_levels::level;
use lockgate_core::name::{FeatureName, NameError, Revision, RolloutId};
use lockgate_core::segment::Segment;
use lockgate_core::signal::Arm;
use uuid::Uuid;

use crate::record::{Observed, Recorder, Subject};
use crate::sessions::{Cost, Sessions};
use crate::tally::{Begun, Books, Tally};
use crate::visitors::{TrialState, Visitors};

const BUCKET: Duration = Duration::from_secs(10);
const SESSION_IDLE: Duration = Duration::from_secs(600);

/// The books of a gateway, without the gateway.
#[derive(Debug)]
pub struct Workbench {
    recorder: Recorder,
    sessions: Sessions,
    visitors: Visitors,
    subject: Subject,
    trial: TrialState,
}

impl Workbench {
    /// Books in which nothing stands.
    pub fn new() -> Result<Self, NameError> {
        let subject = Subject {
            feature: FeatureName::new("support-reply")?,
            revision: Revision::of(b"v2"),
            arm: Arm::Candidate,
            segment: Segment::none(),
        };
        let trial = TrialState { rollout: RolloutId(Uuid::nil()), since: Timestamp::UNIX_EPOCH };
        Ok(Self {
            recorder: Recorder::default(),
            sessions: Sessions::default(),
            visitors: Visitors::default(),
            subject,
            trial,
        })
    }

    /// Counts all that a whole call of somebody in a canary counts.
    pub fn call(&self, user: &str, session: &str, now: Timestamp) {
        let books = Books { recorder: &self.recorder, sessions: &self.sessions, visitors: &self.visitors };
        let begun = Begun {
            subject: &self.subject,
            sticky_key: Some(user),
            session: Some(session),
            trial: Some(self.trial),
            is_telling: true,
            bucket: BUCKET,
            session_idle: SESSION_IDLE,
        };
        let mut tally = Tally::begin(books, begun, now);
        tally.end(
            &self.sessions,
            Cost::NanoUsd(3_100_000),
            now,
            [
                Some(Observed::Finished { error: false, timeout: false, fallback: false, degraded: false }),
                Some(Observed::Latency(level(Duration::from_millis(812)))),
                Some(Observed::Answered { refused: false }),
                Some(Observed::Used { read: 640, written: 72, hit_cache: true }),
                Some(Observed::CostNanoUsd(3_100_000)),
            ],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_known_caller_is_counted_without_an_allocation() {
        let workbench = Workbench::new().unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let calls = |n: usize| (0..n).for_each(|_| workbench.call("user-1", "session-1", now));
        calls(1);
        let counted = allocation_counter::measure(|| calls(1_000));
        assert_eq!(counted.count_total, 0);
    }
}
