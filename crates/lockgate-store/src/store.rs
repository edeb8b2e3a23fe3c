//! The promises.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockgate_core::event::Entry;
use lockgate_core::name::{FeatureName, RequestId, RolloutId};
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};

use crate::row::{
    About, Answer, FeedbackOutcome, FeedbackRow, Head, Logged, Reach, ShadowSample, Verification, Writer,
};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Placeholder while the store is being written.
    #[error("not written yet")]
    NotWritten,
}

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended first: read again, decide again.
    #[error("the log has moved on to entry {}", actual.seq)]
    HeadMoved {
        /// Where the log ends now.
        actual: Head,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A handle on the store; cloning gives another handle on the same one.
#[derive(Debug, Clone)]
pub struct Store;

#[expect(clippy::unused_async, unused_variables, reason = "signatures first")]
impl Store {
    /// Opens a file, making it and its tables when missing.
    pub async fn open(path: &std::path::Path) -> Result<Self, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// A store that is gone with the process.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Appends all entries or none, and only if the log ends at `expected`. On disk when this returns.
    pub async fn append(&self, expected: Head, entries: Vec<Entry>) -> Result<Head, AppendError> {
        Err(StoreError::NotWritten.into())
    }

    /// Entries after a number, in order, at most `limit` of them.
    pub async fn log_after(&self, seq: u64, limit: usize) -> Result<Vec<Logged>, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Reads the whole log and checks every byte of it against the chain.
    pub async fn verify(&self) -> Result<Verification, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Writes a writer's own counters as they stand; what is older than what is stored changes nothing.
    pub async fn put_sums(
        &self,
        writer: &Writer,
        sums: Vec<(BucketStart, SumKey, Sum)>,
    ) -> Result<(), StoreError> {
        Err(StoreError::NotWritten)
    }

    /// A feature's sums per bucket, writers added, for buckets in `from..to`, oldest first.
    pub async fn sums(
        &self,
        feature: &FeatureName,
        from: BucketStart,
        to: BucketStart,
    ) -> Result<BTreeMap<BucketStart, BucketSums>, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Writes answers; one that is there already is replaced by its later state.
    pub async fn put_answers(&self, answers: Vec<Answer>) -> Result<(), StoreError> {
        Err(StoreError::NotWritten)
    }

    /// The answer that something is about; for a session, the latest.
    pub async fn answer(&self, about: &About) -> Result<Option<Answer>, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Counts a piece of feedback once: the row and its sum are written in one transaction, and on disk when this returns.
    pub async fn put_feedback(
        &self,
        row: FeedbackRow,
        bucket: BucketStart,
        key: SumKey,
    ) -> Result<FeedbackOutcome, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Whom a rollout's candidate reached so far.
    pub async fn reach(&self, rollout: RolloutId) -> Result<Reach, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Keeps a pair of answers for a person, the most different ones, at most a bounded number per rollout.
    pub async fn put_samples(&self, samples: Vec<ShadowSample>) -> Result<(), StoreError> {
        Err(StoreError::NotWritten)
    }

    /// The kept pairs of a feature, most different first.
    pub async fn samples(
        &self,
        feature: &FeatureName,
        limit: usize,
    ) -> Result<Vec<ShadowSample>, StoreError> {
        Err(StoreError::NotWritten)
    }

    /// Forgets sums, answers, feedback and samples from before a moment; the log is kept whole.
    pub async fn forget_before(&self, moment: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::NotWritten)
    }

    /// The answer to one call, for the audit.
    pub async fn served(&self, request: RequestId) -> Result<Option<Answer>, StoreError> {
        self.answer(&About::Request(request)).await
    }
}
