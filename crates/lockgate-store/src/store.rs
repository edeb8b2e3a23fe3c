//! The promises.
//!
//! Every method returns after its work is on disk (or has failed), and a caller that stops waiting does not
//! undo what it asked for. What a batch method is handed may be written in several transactions; it may be
//! sent again as a whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use lockgate_core::event::Entry;
use lockgate_core::name::{FeatureName, RequestId, RolloutId};
use lockgate_core::sums::{BucketStart, BucketSums, Sum, SumKey};

use crate::error::{AppendError, StoreError};
use crate::row::{
    About, Answer, FeedbackOutcome, FeedbackRow, Head, Logged, Reach, ShadowSample, Totals, Verification,
    Writer, Written,
};
use crate::sqlite::{self, Sqlite, answers, chain, feedback, forget, log, samples, sums};

/// Most rows of a batch that share a transaction: a few milliseconds of work, so that nobody waits long
/// behind it.
const ROWS_PER_JOB: usize = 1000;

/// A handle on the store; cloning gives another handle on the same one. When the last one is dropped, what is
/// queued is still written, and the file is closed.
#[derive(Debug, Clone)]
pub struct Store(Arc<Sqlite>);

impl Store {
    /// Opens a file, making it and its tables when missing.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let place = sqlite::Place::File(path.to_owned());
        Ok(Self(Arc::new(Sqlite::open(place, sqlite::BUSY_TIMEOUT).await?)))
    }

    /// A store that is gone with the process.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Sqlite::open(sqlite::Place::Memory, sqlite::BUSY_TIMEOUT).await?)))
    }

    /// Appends all entries or none, and only if the log ends at `expected`. On disk when this returns.
    pub async fn append(&self, expected: Head, entries: Vec<Entry>) -> Result<Head, AppendError> {
        const DOING: &str = "append to the log";
        let texts: Result<Vec<String>, _> = entries.iter().map(log::text_of).collect();
        let texts = texts.map_err(|why| StoreError::Unfit { doing: DOING, why })?;
        let rows = texts.len();
        let appended = self.0.write(DOING, rows, move |conn| log::append(conn, expected, &texts)).await?;
        appended.map_err(|actual| AppendError::HeadMoved { actual })
    }

    /// Entries after a number, in order, at most `limit` of them.
    pub async fn log_after(&self, seq: u64, limit: usize) -> Result<Vec<Logged>, StoreError> {
        self.0.read("read the log", move |conn| log::after(conn, seq, limit)).await
    }

    /// Reads the whole log and checks every byte of it against the chain.
    pub async fn verify(&self) -> Result<Verification, StoreError> {
        self.0.read("verify the log", chain::verify).await
    }

    /// Writes a writer's own counters as they stand; what is older than what is stored changes nothing.
    pub async fn put_sums(
        &self,
        writer: &Writer,
        sums: Vec<(BucketStart, SumKey, Sum)>,
    ) -> Result<(), StoreError> {
        for part in parts(sums) {
            let writer = writer.clone();
            self.0.write("write sums", part.len(), move |conn| sums::put(conn, &writer, &part)).await?;
        }
        Ok(())
    }

    /// A feature's sums per bucket, writers added, for buckets in `from..to`, oldest first.
    pub async fn sums(
        &self,
        feature: &FeatureName,
        from: BucketStart,
        to: BucketStart,
    ) -> Result<BTreeMap<BucketStart, BucketSums>, StoreError> {
        let written = self.written(feature, from, to).await?;
        Ok(written.into_iter().map(|(bucket, written)| (bucket, written.sums)).collect())
    }

    /// As [`Self::sums`], with the writers of each bucket.
    pub async fn written(
        &self,
        feature: &FeatureName,
        from: BucketStart,
        to: BucketStart,
    ) -> Result<BTreeMap<BucketStart, Written>, StoreError> {
        let feature = feature.clone();
        self.0.read("read sums", move |conn| sums::between(conn, &feature, from, to, None)).await
    }

    /// As [`Self::written`], but only what one writer wrote.
    pub async fn written_by(
        &self,
        writer: i64,
        feature: &FeatureName,
        from: BucketStart,
        to: BucketStart,
    ) -> Result<BTreeMap<BucketStart, Written>, StoreError> {
        let feature = feature.clone();
        self.0
            .read("read a writer's sums", move |conn| sums::between(conn, &feature, from, to, Some(writer)))
            .await
    }

    /// The gateways that have written sums since a bucket, the latest first, at most so many: numbers for
    /// [`Self::written_by`].
    pub async fn writers(&self, since: BucketStart, most: usize) -> Result<Vec<i64>, StoreError> {
        self.0.read("look up writers", move |conn| sums::writers(conn, since, most)).await
    }

    /// A feature's sums over the named buckets, added up per key: what a longer time was like, without reading all of it.
    pub async fn totals(
        &self,
        feature: &FeatureName,
        buckets: Vec<BucketStart>,
        wanted: impl Fn(&SumKey) -> bool + Send + 'static,
    ) -> Result<Totals, StoreError> {
        let feature = feature.clone();
        self.0.read("add up sums", move |conn| sums::totals(conn, &feature, &buckets, wanted)).await
    }

    /// The oldest bucket that a feature has sums of; what came before is forgotten, or never was.
    pub async fn oldest(&self, feature: &FeatureName) -> Result<Option<BucketStart>, StoreError> {
        let feature = feature.clone();
        self.0.read("look for the oldest sums", move |conn| sums::oldest(conn, &feature)).await
    }

    /// Writes answers; one that is there already is replaced by its later state.
    pub async fn put_answers(&self, answers: Vec<Answer>) -> Result<(), StoreError> {
        for part in parts(answers) {
            self.0.write("write answers", part.len(), move |conn| answers::put(conn, &part)).await?;
        }
        Ok(())
    }

    /// The answer that something is about; for a session, the latest.
    pub async fn answer(&self, about: &About) -> Result<Option<Answer>, StoreError> {
        let about = about.clone();
        self.0.read("look up an answer", move |conn| answers::find(conn, &about)).await
    }

    /// Counts a piece of feedback once: the row and its sum are written in one transaction, and on disk when
    /// this returns.
    pub async fn put_feedback(
        &self,
        row: FeedbackRow,
        bucket: BucketStart,
        key: SumKey,
    ) -> Result<FeedbackOutcome, StoreError> {
        self.0.write("count feedback", 1, move |conn| feedback::put(conn, &row, bucket, &key)).await
    }

    /// Whom a rollout's candidate reached so far. What is forgotten stays counted.
    pub async fn reach(&self, rollout: RolloutId) -> Result<Reach, StoreError> {
        self.0.read("count whom a candidate reached", move |conn| answers::reach(conn, rollout)).await
    }

    /// Keeps a pair of answers for a person, the most different ones, at most a bounded number per feature
    /// and candidate.
    pub async fn put_samples(&self, samples: Vec<ShadowSample>) -> Result<(), StoreError> {
        for part in parts(samples) {
            self.0.write("keep samples", part.len(), move |conn| samples::put(conn, &part)).await?;
        }
        Ok(())
    }

    /// The kept pairs of a feature, most different first.
    pub async fn samples(
        &self,
        feature: &FeatureName,
        limit: usize,
    ) -> Result<Vec<ShadowSample>, StoreError> {
        let feature = feature.clone();
        self.0.read("read samples", move |conn| samples::of(conn, &feature, limit)).await
    }

    /// Forgets sums, answers, feedback and samples from before a moment; the log is kept whole. Others'
    /// writes get in between its slices.
    pub async fn forget_before(&self, moment: Timestamp) -> Result<(), StoreError> {
        for what in forget::ALL {
            let slice = move || {
                self.0.write("forget what is old", forget::SLICE_ROWS, move |conn| {
                    forget::slice(conn, what, moment)
                })
            };
            while slice().await? == forget::SLICE_ROWS {}
        }
        Ok(())
    }

    /// The answer to one call, for the audit.
    pub async fn served(&self, request: RequestId) -> Result<Option<Answer>, StoreError> {
        self.answer(&About::Request(request)).await
    }

    /// The machinery underneath, for tests that reach behind the promises.
    #[cfg(test)]
    pub(crate) fn sqlite(&self) -> &Sqlite {
        &self.0
    }

    /// As [`Self::open`], with another patience for locks.
    #[cfg(test)]
    pub(crate) async fn open_impatient(path: &Path, busy: std::time::Duration) -> Result<Self, StoreError> {
        let place = sqlite::Place::File(path.to_owned());
        Ok(Self(Arc::new(Sqlite::open(place, busy).await?)))
    }
}

/// A batch in parts of at most [`ROWS_PER_JOB`].
fn parts<T>(rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let part: Vec<T> = rows.by_ref().take(ROWS_PER_JOB).collect();
        (!part.is_empty()).then_some(part)
    })
}
