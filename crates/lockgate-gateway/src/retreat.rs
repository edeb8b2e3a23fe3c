//! The gateway's own way back: it judges its own calls, and goes back alone when it must.
//!
//! What the controller decides from everybody's sums this gateway can see coming in its own, and it needs neither the store nor
//! a controller for that. Each finished bucket of its own sums goes through the very code that decides elsewhere, with an error
//! budget so small that all gateways together hardly add to the plan's. Once a trigger or a gate that takes back is broken here,
//! the trial leaves this gateway's table at once and for good; a controller that reads [`Live::retreats`] records it when it can.
//!
//! Only proof counts: windows taken at their word and sums of money mean one thing for all gateways together and another for
//! one of them. What is reported by feedback is counted by the store and not here, so it is not judged here either. A restart
//! begins with empty hands.
//!
//! [`Live::retreats`]: lockgate_config::live::Live::retreats

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::live::Retreat;
use lockgate_core::decide::decide;
use lockgate_core::event::{Cause, Event, Verdict};
use lockgate_core::evidence::Ledger;
use lockgate_core::name::{FeatureName, RolloutId};
use lockgate_core::plan::PhaseKind;
use lockgate_core::state::{FeatureState, Rollout};
use lockgate_core::sums::{BucketStart, BucketSums, Sum};
use tokio::sync::watch;

use crate::gateway::Gateway;
use crate::record::{Row, bucket_at};
use crate::serve::stopped;

/// Most buckets that are caught up with at one look: an hour of ten-second buckets. More pass only while the process sleeps,
/// and then nothing was counted in them.
const BUCKETS_MAX: i64 = 360;

/// One account per feature with a trial.
#[derive(Debug, Default)]
pub(crate) struct OwnAccounts(Mutex<HashMap<FeatureName, OwnAccount>>);

/// What this gateway's own calls say of one rollout.
#[derive(Debug)]
struct OwnAccount {
    rollout: RolloutId,
    width: Duration,
    ledger: Ledger,
    next: BucketStart,
}

/// Looks at the gateway's own sums as often as they are written, and never waits for the store.
pub(crate) async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = gateway.live.table().config.signals.flush;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(pause) => look(&gateway),
        }
    }
}

/// One look at what has finished since the last.
pub(crate) fn look(gateway: &Gateway) {
    let (width, rollouts) = {
        // Not held while judging: whoever swaps the table waits for those who hold it.
        let table = gateway.live.table();
        (table.config.signals.bucket, table.rollouts.clone())
    };
    let now = gateway.clock.now();
    let until = bucket_at(now, width);
    let mut accounts = gateway.own_accounts.0.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = gateway.recorder.closed_rows(until);
    accounts.retain(|feature, account| {
        let rollout = rollouts.get(feature);
        rollout.is_some_and(|rollout| rollout.id == account.rollout && width == account.width)
    });
    for (feature, rollout) in rollouts {
        let account =
            accounts.entry(feature.clone()).or_insert_with(|| OwnAccount::open(&rollout, width, until));
        account.take(&feature, &rollout, &rows, until);
        let Some((reasons, standing)) = account.broken(&rollout, now) else { continue };
        let why = format!("gateway {} saw in its own calls: {reasons}", gateway.replica());
        tracing::error!(%feature, rollout = %rollout.id, "went back to stable alone: {why}");
        if gateway.live.retreat(Retreat { at: now, feature, rollout: rollout.id, why, standing }) {
            gateway.retreats.add(1);
        }
    }
}

impl OwnAccount {
    fn open(rollout: &Rollout, width: Duration, until: BucketStart) -> Self {
        let began = bucket_at(rollout.started, width);
        let next = BucketStart(began.0.max(until.0 - BUCKETS_MAX * width_ms(width)));
        Self { rollout: rollout.id, width, ledger: Ledger::of_replica(rollout, width), next }
    }

    /// Takes in every bucket that has finished, also those in which nothing was counted.
    fn take(&mut self, feature: &FeatureName, rollout: &Rollout, rows: &VecDeque<Row>, until: BucketStart) {
        let mut buckets: HashMap<BucketStart, BucketSums> = HashMap::new();
        for (start, key, sum) in rows.iter().filter(|(_, key, _)| key.feature == *feature) {
            let sums = buckets.entry(*start).or_default();
            sums.entry(key.clone()).or_insert_with(|| Sum::zero(key.signal.measure())).add(sum);
        }
        // What comes into force is heard of late here, and counts from then on: there is nothing to read again.
        self.ledger.follow(rollout);
        let width_ms = width_ms(self.width);
        self.next.0 = self.next.0.max(until.0 - BUCKETS_MAX * width_ms);
        let nothing = BucketSums::new();
        while self.next < until {
            self.ledger.take(self.next, buckets.get(&self.next).unwrap_or(&nothing));
            self.next.0 += width_ms;
        }
    }

    /// Why the candidate's users must go back, if they must.
    fn broken(&self, rollout: &Rollout, now: Timestamp) -> Option<(String, Vec<Verdict>)> {
        rollout.phase().filter(|phase| matches!(phase.kind, PhaseKind::Canary { .. }))?;
        let state =
            FeatureState { rollout: Some(rollout.clone()), ..FeatureState::new(rollout.stable.clone()) };
        let decision = decide(&state, &self.ledger.evidence(), None, now);
        decision.events.into_iter().find_map(|event| match event {
            Event::RollbackStarted { cause: Cause::Trigger | Cause::Gate, why, standing, .. } => {
                Some((why, standing))
            }
            _ => None,
        })
    }
}

fn width_ms(width: Duration) -> i64 {
    i64::try_from(width.as_millis()).unwrap_or(i64::MAX / BUCKETS_MAX).max(1)
}
