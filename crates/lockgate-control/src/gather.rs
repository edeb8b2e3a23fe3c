//! Gathers what a decision rests on: the closed buckets of a rollout since it began, taken in oldest first.
//!
//! The account is kept between looks, so that each look reads only what has closed since. It is a pure fold of the buckets:
//! after a restart, or for another rollout, it is built again from the rollout's beginning and comes out the same. Whoever
//! wants to know what it came to at an earlier moment ([`crate::again`]) builds it again in the same way.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::value::SignalSettings;
use lockgate_core::decide::CandidateReach;
use lockgate_core::evidence::{Evidence, Ledger};
use lockgate_core::name::{FeatureName, RolloutId};
use lockgate_core::state::{Rollout, Stage};
use lockgate_core::sums::{BucketStart, BucketSums};
use lockgate_store::row::Written;
use lockgate_store::{Store, StoreError};

use crate::controller::Controller;

/// Buckets that are read from the store at once: an hour of ten-second buckets, some megabytes with many segments.
const BUCKETS_PER_READ: i64 = 360;
/// Buckets that are taken in before others on the same thread get their turn: some milliseconds with many checks.
const BUCKETS_PER_TURN: i64 = 24;

/// One rollout's evidence so far.
#[derive(Debug)]
pub(crate) struct Account {
    rollout: RolloutId,
    width_ms: i64,
    ledger: Ledger,
    next: BucketStart,
    writers: BTreeSet<i64>,
    /// Set for the account of one gateway's own calls.
    of: Option<i64>,
}

impl Account {
    /// An empty one of a rollout whose sums come in buckets of this width.
    pub(crate) fn open(rollout: &Rollout, bucket: Duration) -> Self {
        let width_ms = width_ms(bucket);
        Self {
            rollout: rollout.id,
            width_ms,
            ledger: Ledger::new(rollout, bucket),
            next: BucketStart::containing(rollout.started, width_ms),
            writers: BTreeSet::new(),
            of: None,
        }
    }

    /// The account that one gateway keeps of its own calls, from what it wrote of them.
    pub(crate) fn of_replica(rollout: &Rollout, bucket: Duration, writer: i64) -> Self {
        let ledger = Ledger::of_replica(rollout, bucket);
        Self { ledger, of: Some(writer), ..Self::open(rollout, bucket) }
    }

    /// Takes in every bucket before `until` that was not taken in yet. Before each, `tell` may tell the ledger what was in
    /// force when that bucket ended.
    pub(crate) async fn read(
        &mut self,
        store: &Store,
        feature: &FeatureName,
        until: BucketStart,
        mut tell: impl FnMut(Timestamp, &mut Ledger) + Send,
    ) -> Result<(), StoreError> {
        while self.next < until {
            let to = BucketStart(until.0.min(self.next.0 + BUCKETS_PER_READ * self.width_ms));
            let buckets = match self.of {
                Some(writer) => store.written_by(writer, feature, self.next, to).await?,
                None => store.written(feature, self.next, to).await?,
            };
            while self.next < to {
                let turn = BucketStart(to.0.min(self.next.0 + BUCKETS_PER_TURN * self.width_ms));
                while self.next < turn {
                    tell(BucketStart(self.next.0 + self.width_ms).timestamp(), &mut self.ledger);
                    self.take(buckets.get(&self.next));
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn take(&mut self, written: Option<&Written>) {
        let nothing = BucketSums::new();
        if let Some(written) = written.filter(|_| self.of.is_none()) {
            self.writers.extend(&written.writers);
            self.ledger.written_by(self.writers.len() as u64);
        }
        self.ledger.take(self.next, written.map_or(&nothing, |written| &written.sums));
        self.next.0 += self.width_ms;
    }

    /// What it has come to.
    pub(crate) fn evidence(&self) -> Evidence {
        self.ledger.evidence()
    }
}

fn width_ms(bucket: Duration) -> i64 {
    i64::try_from(bucket.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// Where the closed buckets end: all that were over for as long as gateways may take to write them.
fn closed_until(now: Timestamp, signals: &SignalSettings) -> BucketStart {
    let settled = now.checked_sub(signals.watermark).unwrap_or(Timestamp::MIN);
    BucketStart::containing(settled, width_ms(signals.bucket))
}

impl Controller {
    /// Brings the account of a rollout up to the last closed bucket and says what the evidence is. Also of one that is
    /// completed and still watched: its account goes on.
    pub(crate) async fn gather(
        &self,
        account: &mut Option<Account>,
        feature: &FeatureName,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Result<Evidence, StoreError> {
        let signals = self.config().signals.clone();
        let is_its_own =
            |known: &Account| known.rollout == rollout.id && known.width_ms == width_ms(signals.bucket);
        let account = match account {
            Some(known) if is_its_own(known) => known,
            other => other.insert(Account::open(rollout, signals.bucket)),
        };
        account.ledger.follow(rollout);
        account.read(&self.store, feature, closed_until(now, &signals), |_, _| {}).await?;
        Ok(account.evidence())
    }

    /// Whom the candidate reached, asked only when a way back may be complete.
    pub(crate) async fn reach_of(&self, rollout: &Rollout) -> Result<Option<CandidateReach>, StoreError> {
        if !matches!(rollout.stage, Stage::RollingBack { .. }) {
            return Ok(None);
        }
        let reach = self.store.reach(rollout.id).await?;
        Ok(Some(CandidateReach { calls: reach.calls, users: reach.users, last: reach.last }))
    }
}
