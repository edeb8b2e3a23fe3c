//! Reads the log for people: what happened, what served at a moment, and whether every byte of it is as it was written.

use jiff::Timestamp;
use lockgate_core::command::{Served, serving};
use lockgate_core::name::{FeatureName, RequestId};
use lockgate_core::state::FeatureState;
use lockgate_store::row::{Answer, Logged, ShadowSample, Verification};
use lockgate_store::{Store, StoreError};
use serde::Serialize;

use crate::commit::LOG_CHUNK;
use crate::controller::Controller;

/// Most entries of one page.
pub(crate) const PAGE_MAX: usize = 1000;
/// Entries that one question may read before it answers with what it has: some seconds of work.
const SCAN_MAX: usize = 200_000;

/// Why the audit gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// No such entry.
    #[error("the log has no entry {seq} of {feature}")]
    NoSuchEntry {
        /// The feature.
        feature: FeatureName,
        /// The number asked for.
        seq: u64,
    },
    /// No such entry of any feature.
    #[error("the log has no entry {seq}")]
    NoEntry {
        /// The number asked for.
        seq: u64,
    },
    /// No rollout yet.
    #[error("nothing was decided about {feature} yet")]
    NothingDecided {
        /// The feature.
        feature: FeatureName,
    },
    /// The store is away.
    #[error("the log cannot be read, because the store is away: {0}")]
    Store(#[from] StoreError),
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogPage {
    /// In the log's order.
    pub entries: Vec<Logged>,
    /// What to ask for next as `after`; `None` at the end.
    pub next_after: Option<u64>,
}

impl Controller {
    /// Entries after a number, of one feature or of all, at most `limit` and never more than a page.
    pub async fn log(
        &self,
        feature: Option<&FeatureName>,
        after: u64,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut page = LogPage { entries: Vec::new(), next_after: None };
        let ended_at = self
            .scan(after, |logged| {
                if feature.is_none_or(|feature| logged.entry.feature == *feature) {
                    page.entries.push(logged);
                }
                page.entries.len() < limit
            })
            .await?;
        page.next_after = ended_at;
        Ok(page)
    }

    /// Which versions served a feature at a moment; `None` before it was known.
    pub async fn at(&self, feature: &FeatureName, moment: Timestamp) -> Result<Option<Served>, StoreError> {
        let mut state: Option<FeatureState> = None;
        self.scan(0, |logged| {
            if logged.entry.feature == *feature && logged.entry.ts <= moment {
                match state.as_mut() {
                    Some(state) => state.apply(&logged.entry),
                    None => state = FeatureState::fold([&logged.entry]),
                }
            }
            true
        })
        .await?;
        Ok(state.as_ref().map(serving))
    }

    /// What answered one call.
    pub async fn served(&self, request: RequestId) -> Result<Option<Answer>, StoreError> {
        self.store.served(request).await
    }

    /// Checks every byte of the log against its chain.
    pub async fn verify(&self) -> Result<Verification, StoreError> {
        self.store.verify().await
    }

    /// The pairs of answers that differ most, for a person to read.
    pub async fn samples(
        &self,
        feature: &FeatureName,
        limit: usize,
    ) -> Result<Vec<ShadowSample>, StoreError> {
        self.store.samples(feature, limit.clamp(1, PAGE_MAX)).await
    }

    /// As [`scan`], over this controller's own log.
    pub(crate) async fn scan(
        &self,
        after: u64,
        take: impl FnMut(Logged) -> bool,
    ) -> Result<Option<u64>, StoreError> {
        scan(&self.store, after, take).await
    }
}

/// Reads the log in order until it ends, `take` says no, or too much was read; then tells where it stopped.
pub(crate) async fn scan(
    store: &Store,
    after: u64,
    mut take: impl FnMut(Logged) -> bool,
) -> Result<Option<u64>, StoreError> {
    let mut after = after;
    for _ in 0..SCAN_MAX / LOG_CHUNK {
        let chunk = store.log_after(after, LOG_CHUNK).await?;
        let is_last = chunk.len() < LOG_CHUNK;
        for logged in chunk {
            after = logged.seq;
            if !take(logged) {
                return Ok(Some(after));
            }
        }
        if is_last {
            return Ok(None);
        }
    }
    Ok(Some(after))
}
