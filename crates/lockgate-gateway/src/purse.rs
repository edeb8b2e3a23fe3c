//! What copies may cost in a UTC day, and what they have cost so far.
//!
//! Kept in memory, so that nobody is asked on the way, and read back from the sums when the process starts: a process that is
//! restarted again and again does not spend the day's money each time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lockgate_config::value::{Config, Feature, Price};
use lockgate_core::name::{FeatureName, Revision};
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum};
use lockgate_store::{Store, StoreError};

const MILLISECONDS_PER_DAY: i64 = 86_400_000;
/// How much of the day is read back at once: a bounded amount of memory, however narrow the buckets are.
const MILLISECONDS_READ: i64 = 3_600_000;

/// One purse per feature.
#[derive(Debug, Default)]
pub(crate) struct Purses(Mutex<HashMap<FeatureName, Spent>>);

/// Money spent in one UTC day.
#[derive(Debug, Default)]
struct Spent {
    day: i64,
    nano_usd: u64,
}

impl Purses {
    /// Sets money aside for a copy; `false` when the day's is spent.
    pub(crate) fn reserve(&self, feature: &Feature, now: Timestamp, nano_usd: u64) -> bool {
        let daily_nano_usd = (feature.shadow.daily_usd * 1e9) as u64;
        let day = day_of(now);
        let mut purses = self.lock();
        let spent = purses.entry(feature.name.clone()).or_default();
        if spent.day != day {
            *spent = Spent { day, nano_usd: 0 };
        }
        let after = spent.nano_usd.saturating_add(nano_usd);
        if after > daily_nano_usd {
            return false;
        }
        spent.nano_usd = after;
        true
    }

    /// Replaces what was set aside at a moment by what it came to. If a new day's spending has begun since, there is nothing
    /// to replace: the day in which it was set aside has paid for it.
    pub(crate) fn settle(
        &self,
        feature: &FeatureName,
        reserved_at: Timestamp,
        reserved_nano_usd: u64,
        nano_usd: u64,
    ) {
        if let Some(Spent { day, nano_usd: spent }) = self.lock().get_mut(feature)
            && *day == day_of(reserved_at)
        {
            *spent = spent.saturating_sub(reserved_nano_usd).saturating_add(nano_usd);
        }
    }

    /// Reads back what today's copies cost before this process began.
    pub(crate) async fn recall(
        &self,
        config: &Config,
        store: &Store,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let day = day_of(now);
        for feature in config.features.values() {
            let mut nano_usd: u64 = 0;
            let mut from = day * MILLISECONDS_PER_DAY;
            while from <= now.as_millisecond() {
                let to = from + MILLISECONDS_READ;
                let tokens = tokens_of_copies(store, &feature.name, from, to).await?;
                let costs = tokens.into_iter().map(|(revision, tokens)| {
                    price_of(feature, revision).nano_usd(tokens.read, tokens.written)
                });
                nano_usd = costs.fold(nano_usd, u64::saturating_add);
                from = to;
            }
            if nano_usd > 0 {
                self.lock().insert(feature.name.clone(), Spent { day, nano_usd });
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FeatureName, Spent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Tokens {
    read: u64,
    written: u64,
}

/// What copies read and wrote between two moments, per version.
async fn tokens_of_copies(
    store: &Store,
    feature: &FeatureName,
    from_ms: i64,
    to_ms: i64,
) -> Result<HashMap<Revision, Tokens>, StoreError> {
    let mut copies: HashMap<Revision, Tokens> = HashMap::new();
    let buckets = store.sums(feature, BucketStart(from_ms), BucketStart(to_ms)).await?;
    for (key, sum) in buckets.into_values().flatten().filter(|(key, _)| key.arm == Arm::Shadow) {
        let Sum::Amount { total, .. } = sum else { continue };
        let tokens = copies.entry(key.revision).or_default();
        match key.signal {
            Signal::TokensIn => tokens.read = tokens.read.saturating_add(total),
            Signal::TokensOut => tokens.written = tokens.written.saturating_add(total),
            _ => {}
        }
    }
    Ok(copies)
}

/// What a version's copies cost; dear when nobody has said.
pub(crate) fn price_of(feature: &Feature, revision: Revision) -> Price {
    let first = feature.version_of(revision).and_then(|version| version.chain.first());
    first.and_then(|tier| tier.price).unwrap_or(Price::DEAR)
}

fn day_of(now: Timestamp) -> i64 {
    now.as_millisecond().div_euclid(MILLISECONDS_PER_DAY)
}
