//! Gathers what a decision rests on: the closed buckets of a rollout since it began, taken in oldest first.
//!
//! The account is kept between looks, so that each look reads only what has closed since. It is a pure fold of the buckets:
//! after a restart, or for another rollout, it is built again from the rollout's beginning and comes out the same. Whoever
//! wants to know what it came to at an earlier moment ([`crate::again`]) builds it again in the same way.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
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

    /// Tells what has been in force since when. Whether buckets that were taken in already would have been read otherwise: then
    /// it is to be opened anew.
    pub(crate) fn follow(&mut self, rollout: &Rollout) -> bool {
        self.ledger.follow(rollout)
    }

    /// Takes in every bucket before `until` that was not taken in yet.
    pub(crate) async fn read(
        &mut self,
        store: &Store,
        feature: &FeatureName,
        until: BucketStart,
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
                    self.take(self.bucket_of(&buckets).as_deref());
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// What lies in the next bucket. Rows that were written when buckets were narrower are added up into it.
    fn bucket_of<'w>(&self, buckets: &'w BTreeMap<BucketStart, Written>) -> Option<Cow<'w, Written>> {
        let mut inside =
            buckets.range(self.next..BucketStart(self.next.0 + self.width_ms)).map(|(_, written)| written);
        let first = inside.next()?;
        let Some(second) = inside.next() else { return Some(Cow::Borrowed(first)) };
        let mut all = first.clone();
        for more in std::iter::once(second).chain(inside) {
            all.writers.extend(&more.writers);
            for (key, sum) in &more.sums {
                match all.sums.get_mut(key) {
                    Some(mine) => mine.add(sum),
                    None => {
                        all.sums.insert(key.clone(), sum.clone());
                    }
                }
            }
        }
        Some(Cow::Owned(all))
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
        if account.follow(rollout) {
            // Something was noted in the log after buckets that it changes were taken in.
            *account = Account::open(rollout, signals.bucket);
            account.follow(rollout);
        }
        account.read(&self.store, feature, closed_until(now, &signals)).await?;
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

#[cfg(test)]
mod tests {
    use lockgate_core::name::{Revision, VersionName, VersionRef};
    use lockgate_core::plan::Plan;
    use lockgate_core::segment::Segment;
    use lockgate_core::signal::{Arm, Signal};
    use lockgate_core::sums::{Sum, SumKey};
    use lockgate_store::row::Writer;

    use super::*;

    #[tokio::test]
    async fn what_was_written_in_narrower_buckets_is_not_lost() {
        let version = |name: &str| VersionRef {
            name: VersionName::new(name).unwrap(),
            revision: Revision::of(name.as_bytes()),
        };
        let feature = FeatureName::new("reply").unwrap();
        let rollout = Rollout::begin(
            RolloutId(Default::default()),
            version("v1"),
            version("v2"),
            Plan::standard(),
            Timestamp::UNIX_EPOCH,
        );
        let key = SumKey {
            feature: feature.clone(),
            revision: rollout.candidate.revision,
            arm: Arm::Candidate,
            segment: Segment::none(),
            signal: Signal::Assigned,
        };
        let calls = |n: u64| Sum::Amount { n, total: n, squares: n.into() };
        let store = Store::in_memory().await.unwrap();
        let writer = Writer { replica: "a".into(), incarnation: 1 };
        let rows = vec![
            (BucketStart(0), key.clone(), calls(1)),
            (BucketStart(10_000), key.clone(), calls(2)),
            (BucketStart(50_000), key, calls(4)),
        ];
        store.put_sums(&writer, rows).await.unwrap();
        let mut account = Account::open(&rollout, Duration::from_secs(60));
        account.read(&store, &feature, BucketStart(120_000)).await.unwrap();
        assert_eq!(account.evidence().candidate_calls, 7);
    }
}
