//! Gathers what a decision rests on: the closed buckets of a rollout since it began, taken in oldest first.
//!
//! The account is kept between looks, so that each look reads only what has closed since. It is a pure fold of the buckets:
//! after a restart, or for another rollout, it is built again from the rollout's beginning and comes out the same.

use jiff::Timestamp;
use lockgate_config::value::SignalSettings;
use lockgate_core::decide::CandidateReach;
use lockgate_core::evidence::{Evidence, Ledger};
use lockgate_core::name::{FeatureName, RolloutId};
use lockgate_core::state::{Rollout, Stage};
use lockgate_core::sums::{BucketStart, BucketSums};
use lockgate_store::StoreError;

use crate::controller::Controller;

/// Buckets that are read from the store at once: an hour of ten-second buckets, some megabytes with many segments.
const BUCKETS_PER_READ: i64 = 360;

/// One rollout's evidence so far.
#[derive(Debug)]
pub(crate) struct Account {
    rollout: RolloutId,
    width_ms: i64,
    ledger: Ledger,
    next: BucketStart,
}

impl Account {
    fn open(rollout: &Rollout, signals: &SignalSettings) -> Self {
        let width_ms = width_ms(signals);
        Self {
            rollout: rollout.id,
            width_ms,
            ledger: Ledger::new(rollout, signals.bucket),
            next: BucketStart::containing(rollout.started, width_ms),
        }
    }
}

fn width_ms(signals: &SignalSettings) -> i64 {
    i64::try_from(signals.bucket.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// Where the closed buckets end: all that were over for as long as gateways may take to write them.
fn closed_until(now: Timestamp, signals: &SignalSettings) -> BucketStart {
    let settled = now.checked_sub(signals.watermark).unwrap_or(Timestamp::MIN);
    BucketStart::containing(settled, width_ms(signals))
}

impl Controller {
    /// Brings the account of a rollout up to the last closed bucket and says what the evidence is.
    pub(crate) async fn gather(
        &self,
        account: &mut Option<Account>,
        feature: &FeatureName,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Result<Evidence, StoreError> {
        let signals = self.config().signals.clone();
        let account = match account {
            Some(known) if known.rollout == rollout.id && known.width_ms == width_ms(&signals) => known,
            other => other.insert(Account::open(rollout, &signals)),
        };
        let until = closed_until(now, &signals);
        account.ledger.tell_resumed(rollout.stage.in_phase().and_then(|at| at.resumed));
        let nothing = BucketSums::new();
        while account.next < until {
            let to = BucketStart(until.0.min(account.next.0 + BUCKETS_PER_READ * account.width_ms));
            let buckets = self.store.sums(feature, account.next, to).await?;
            while account.next < to {
                account.ledger.take(account.next, buckets.get(&account.next).unwrap_or(&nothing));
                account.next.0 += account.width_ms;
            }
        }
        Ok(account.ledger.evidence())
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
