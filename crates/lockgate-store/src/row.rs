//! What goes into the store and comes out of it.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use lockgate_core::event::Entry;
use lockgate_core::name::{FeatureName, RequestId, RolloutId, VersionRef};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, BucketSums};
use serde::{Deserialize, Serialize};

/// Where the log ends: the last entry's number (0 for an empty log) and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last entry.
    pub seq: u64,
    /// Its hash; all zeros for an empty log.
    pub hash: Hash,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { seq: 0, hash: Hash([0; 32]) };
}

/// A SHA-256, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An entry as the log holds it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Logged {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// The hash over the previous entry's hash and this entry's stored text.
    pub hash: Hash,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Entries that were read.
    pub entries: u64,
    /// Where the log ends.
    pub head_seq: u64,
    /// Its hash, to be noted elsewhere and compared later.
    pub head_hash: Hash,
    /// The first thing that is wrong, if anything: which entry, and what about it.
    pub broken: Option<String>,
}

/// Who writes sums: a replica, and which of its lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer {
    /// The replica's name.
    pub replica: String,
    /// Another number for each start of the process.
    pub incarnation: u64,
}

/// One bucket of one feature as it was written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Written {
    /// Its sums, writers added.
    pub sums: BucketSums,
    /// The gateways that wrote them, by numbers that mean nothing outside this store. Feedback is counted by the store and
    /// has no writer here.
    pub writers: BTreeSet<i64>,
}

/// Some buckets of one feature, all added.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Totals {
    /// What was wanted of them.
    pub sums: BucketSums,
    /// The first of the buckets that had any of it.
    pub first: Option<BucketStart>,
    /// The last of them.
    pub last: Option<BucketStart>,
}

/// Which call was answered by what: the audit of calls, and what feedback is attributed by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The call.
    pub request_id: RequestId,
    /// The provider's own id of the answer (`chatcmpl-...`), once known.
    pub answer_id: Option<String>,
    /// The caller's session, if it named one.
    pub session: Option<String>,
    /// When the call arrived.
    pub ts: Timestamp,
    /// The feature called.
    pub feature: FeatureName,
    /// The version assigned.
    pub version: VersionRef,
    /// As which arm.
    pub arm: Arm,
    /// The rollout under way, if it may touch this caller.
    pub rollout: Option<RolloutId>,
    /// The caller's labels.
    pub segment: Segment,
    /// Where the caller's sticky key lies on the rollout's line of points: tells users apart without naming them.
    pub point: Option<u32>,
    /// The target that answered; `None` when none did.
    pub target: Option<String>,
    /// The tier that answered, from 0.
    pub tier: Option<u32>,
    /// The HTTP status told to the client; 0 while it is under way, 499 when the client left.
    pub status: u16,
}

/// Whom a rollout's candidate reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reach {
    /// Calls of users it was given.
    pub calls: u64,
    /// Different users among them.
    pub users: u64,
    /// When it was last given one.
    pub last: Option<Timestamp>,
}

/// How a piece of feedback names what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum About {
    /// A call.
    Request(RequestId),
    /// A provider's answer id.
    Answer(String),
    /// A session: its latest call, of this feature if one is named.
    Session {
        /// The session.
        session: String,
        /// Needed only where a session spans several features.
        feature: Option<FeatureName>,
    },
}

/// One observation of a feedback signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// Of a rate: whether it was so.
    Was(bool),
    /// Of a score: its step in hundredths.
    Step(u16),
    /// Of a time or a size: its level on the ladder of that signal's measure.
    Level(u16),
    /// Of an amount: the number itself.
    Amount(u64),
}

/// A piece of feedback, attributed and ready to count.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackRow {
    /// What makes it one and the same when it is sent again: the sender's own key, or what it is about and its name.
    pub idempotency_key: String,
    /// When it was received.
    pub ts: Timestamp,
    /// The call it is about.
    pub request_id: RequestId,
    /// The signal.
    pub signal: Signal,
    /// What was observed.
    pub observed: Observed,
    /// The value as it was sent, for people.
    pub value: String,
}

/// What became of a piece of feedback.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedbackOutcome {
    /// Counted, in this transaction, exactly once.
    Counted,
    /// It had been counted before, with this value.
    Duplicate {
        /// As it was sent the first time.
        value: String,
    },
}

/// A pair of answers to one call, kept for a person to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowSample {
    /// The call.
    pub request_id: RequestId,
    /// When.
    pub ts: Timestamp,
    /// The feature.
    pub feature: FeatureName,
    /// The version that was mirrored to.
    pub candidate: VersionRef,
    /// Between 0 and 1.
    pub agreement: f64,
    /// Why they differ, in a sentence.
    pub why: String,
    /// The user's answer, cut to a bounded length.
    pub stable_text: String,
    /// The candidate's answer, cut to a bounded length.
    pub candidate_text: String,
}
