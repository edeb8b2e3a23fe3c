//! What the sums say of a rollout's gates and triggers.
//!
//! A [`Ledger`] is fed the merged sums of closed buckets, oldest first, and keeps for every distinct gate and trigger what is
//! needed to judge it: counts, and evidence that may be looked at after every bucket without raising the chance of a false
//! alarm. It is a pure fold: the same buckets give the same bits, so a controller that restarts reads the buckets again and
//! stands where it stood.
//!
//! What follows from the evidence is [`crate::decide`]'s; which buckets are closed is the controller's.

mod account;
pub(crate) mod course;
mod proof;
mod say;
mod tally;
mod window;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use self::account::Account;
use self::tally::Side;
use crate::event::Verdict;
use crate::name::Revision;
use crate::plan::{Action, Rule};
use crate::segment::Segment;
use crate::signal::{Arm, Signal};
use crate::state::Rollout;
use crate::sums::{BucketStart, BucketSums, Sum, SumKey};

/// Which of the candidate's calls a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Copies, in shadow phases.
    Shadow,
    /// Calls of users, in canary phases.
    Candidate,
}

impl Lane {
    /// As what the candidate's calls of this lane are counted.
    pub fn arm(self) -> Arm {
        match self {
            Self::Shadow => Arm::Shadow,
            Self::Candidate => Arm::Candidate,
        }
    }
}

/// Everything that a decision rests on, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// How wide the buckets are.
    pub bucket: Duration,
    /// The last bucket that was taken in.
    pub last_closed: Option<BucketStart>,
    /// The last bucket in which the candidate was given a user's call.
    pub last_assigned: Option<BucketStart>,
    /// Per lane, the last bucket in which calls of the candidate's were counted.
    pub last_seen: LastSeen,
    /// Calls of users that the candidate was given since the rollout began.
    pub candidate_calls: u64,
    /// One per distinct gate and trigger and lane: gates in the plan's order, then triggers.
    pub checks: Vec<Check>,
}

/// When calls of the candidate's were last counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LastSeen {
    /// Copies.
    pub shadow: Option<BucketStart>,
    /// Calls of users.
    pub candidate: Option<BucketStart>,
}

impl LastSeen {
    /// In one lane.
    pub fn of(&self, lane: Lane) -> Option<BucketStart> {
        match lane {
            Lane::Shadow => self.shadow,
            Lane::Candidate => self.candidate,
        }
    }
}

/// Where one gate or trigger stands in one lane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// On which of the candidate's calls.
    pub lane: Lane,
    /// What must hold.
    pub rule: Rule,
    /// For a trigger, what it does.
    pub action: Option<Action>,
    /// Whether the signal was seen once, in either arm, since the rollout began.
    pub reported: bool,
    /// The bucket in which the rule was shown to be broken.
    pub broken_since: Option<BucketStart>,
    /// Where it stands.
    pub verdict: Verdict,
}

/// The running account of one rollout.
#[derive(Debug, Clone)]
pub struct Ledger {
    bucket: Duration,
    started: jiff::Timestamp,
    alpha: f64,
    candidate: Revision,
    stable: Revision,
    accounts: Vec<Account>,
    /// Where the candidate has been seen, per lane. Stable's calls count only there: where the candidate is not let in yet,
    /// they are of other people.
    entered: [BTreeSet<Segment>; 2],
    resumed: Option<jiff::Timestamp>,
    last_closed: Option<BucketStart>,
    last_assigned: Option<BucketStart>,
    last_seen: LastSeen,
    candidate_calls: u64,
    changes: u64,
}

/// What a sum is to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The candidate's, in one lane.
    Candidate(Lane),
    /// Stable's, which every lane is compared with.
    Stable,
    /// The candidate's after it had become the stable version: nothing to compare, but to be measured on a way back.
    Former,
}

impl Ledger {
    /// An empty account for a rollout whose sums come in buckets of this width.
    pub fn new(rollout: &Rollout, bucket: Duration) -> Self {
        Self {
            bucket,
            started: rollout.started,
            alpha: rollout.plan.alpha,
            candidate: rollout.candidate.revision,
            stable: rollout.stable.revision,
            accounts: course::specs(rollout, bucket).into_iter().map(Account::new).collect(),
            entered: [BTreeSet::new(), BTreeSet::new()],
            resumed: None,
            last_closed: None,
            last_assigned: None,
            last_seen: LastSeen::default(),
            candidate_calls: 0,
            changes: 0,
        }
    }

    /// Tells when a person last let the rollout go on, before buckets from after that moment are taken in.
    pub fn tell_resumed(&mut self, at: Option<jiff::Timestamp>) {
        self.resumed = at;
    }

    /// Takes in one closed bucket, its writers merged. Buckets come oldest first; one at or before the last taken, or that
    /// began before the rollout did, changes nothing. A bucket in which nothing happened is handed over too, empty: that
    /// nothing was counted is itself evidence.
    pub fn take(&mut self, start: BucketStart, sums: &BucketSums) {
        if start.timestamp() < self.started || self.last_closed.is_some_and(|last| start <= last) {
            return;
        }
        let is_first_since = |at: &jiff::Timestamp| {
            start.timestamp() >= *at && self.last_closed.is_none_or(|last| last.timestamp() < *at)
        };
        if self.resumed.as_ref().is_some_and(is_first_since) {
            self.accounts.iter_mut().for_each(Account::forgive);
        }
        self.last_closed = Some(start);
        for (key, sum) in sums {
            match self.part(key) {
                Some(Part::Candidate(lane)) => self.note(lane, start, key, sum),
                Some(Part::Former) => self.note_call(start, key, sum),
                _ => {}
            }
        }
        for (key, sum) in sums {
            match self.part(key) {
                Some(Part::Candidate(lane)) => self.add(lane, Side::Candidate, key, sum),
                Some(Part::Stable) => {
                    self.add(Lane::Shadow, Side::Stable, key, sum);
                    self.add(Lane::Candidate, Side::Stable, key, sum);
                }
                Some(Part::Former) | None => {}
            }
        }
        for account in &mut self.accounts {
            self.changes += u64::from(account.close(start));
        }
    }

    /// Where everything stands.
    pub fn evidence(&self) -> Evidence {
        let check = |account: &Account| Check {
            lane: account.spec.lane,
            rule: account.spec.rule,
            action: account.spec.trigger.map(|(action, _)| action),
            reported: account.reported,
            broken_since: account.failed,
            verdict: account.verdict(self.alpha),
        };
        Evidence {
            bucket: self.bucket,
            last_closed: self.last_closed,
            last_assigned: self.last_assigned,
            last_seen: self.last_seen,
            candidate_calls: self.candidate_calls,
            checks: self.accounts.iter().map(check).collect(),
        }
    }

    /// How often a check has come to stand elsewhere. While this stays the same and the rollout is in a phase, only time
    /// changes a decision; whoever replays years of buckets need not decide after each.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The arm tells candidate and stable apart, also when both have the same content; the revision keeps out what belongs
    /// to another rollout.
    fn part(&self, key: &SumKey) -> Option<Part> {
        match key.arm {
            Arm::Shadow if key.revision == self.candidate => Some(Part::Candidate(Lane::Shadow)),
            Arm::Candidate if key.revision == self.candidate => Some(Part::Candidate(Lane::Candidate)),
            Arm::Stable if key.revision == self.stable => Some(Part::Stable),
            Arm::Stable if key.revision == self.candidate => Some(Part::Former),
            _ => None,
        }
    }

    /// Notes where and when the candidate was seen.
    fn note(&mut self, lane: Lane, start: BucketStart, key: &SumKey, sum: &Sum) {
        let is_call = matches!(key.signal, Signal::Assigned | Signal::Error | Signal::Latency);
        let n = if is_call { sum.n() } else { 0 };
        if n == 0 {
            return;
        }
        let entered = &mut self.entered[lane as usize];
        if !entered.contains(&key.segment) {
            entered.insert(key.segment.clone());
        }
        match lane {
            Lane::Shadow => self.last_seen.shadow = Some(start),
            Lane::Candidate => self.last_seen.candidate = Some(start),
        }
        if lane == Lane::Candidate {
            self.note_call(start, key, sum);
        }
    }

    /// Notes that the candidate was given calls of users.
    fn note_call(&mut self, start: BucketStart, key: &SumKey, sum: &Sum) {
        if key.signal == Signal::Assigned && sum.n() > 0 {
            self.last_assigned = Some(start);
            self.candidate_calls = self.candidate_calls.saturating_add(sum.n());
        }
    }

    fn add(&mut self, lane: Lane, side: Side, key: &SumKey, sum: &Sum) {
        let entered = side == Side::Candidate || self.entered[lane as usize].contains(&key.segment);
        for account in &mut self.accounts {
            let spec = &account.spec;
            if spec.lane != lane || spec.signal != key.signal || !spec.admits(&key.segment) {
                continue;
            }
            if !account.reported && sum.n() > 0 {
                account.reported = true;
                self.changes += 1;
            }
            if entered {
                account.add(side, sum);
            }
        }
    }
}
