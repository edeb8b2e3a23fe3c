//! Takes a decision's evidence again, from the log and the stored sums alone, and says whether it comes out the same.
//!
//! A verdict in the log says up to which bucket its data reach. So the rollout is begun again as its first entry says, its
//! buckets are taken in up to there, each under what the log says was in force then, and every number is compared. Nothing
//! that a process remembers takes part, so any process with the store's file can do it.

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::event::{AsOf, Cause, Entry, Event, Verdict};
use lockgate_core::name::{FeatureName, RolloutId};
use lockgate_core::state::{FeatureState, Rollout};
use lockgate_core::sums::BucketStart;
use lockgate_store::{Store, StoreError};
use serde_json::Value;

use crate::gather::Account;

/// Most differences that are named: the first ones show what is wrong.
const DIFFERENCES_MAX: usize = 20;

/// Most buckets that are taken in: a year and a half of ten-second ones. Only a log that was tampered with asks for more.
const BUCKETS_MAX: i64 = 5_000_000;

/// Most gateways of which one may be the one that went back alone, the latest: more than a deployment has at once.
const WRITERS_MAX: usize = 64;

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Again {
    /// Every number is the same, to the last bit.
    Same,
    /// These are not.
    Differs(Vec<String>),
    /// It cannot be done, and why.
    Cannot(String),
}

/// Takes the evidence of one entry again. `before` is what the log says of its feature before it.
pub(crate) async fn again(store: &Store, before: &[Entry], entry: &Entry) -> Result<Again, StoreError> {
    let stored = entry.event.standing();
    if stored.is_empty() {
        return Ok(Again::Cannot("it rests on no evidence of its own".into()));
    }
    let Some(as_of) = stored.iter().filter_map(|verdict| verdict.as_of).max_by_key(|as_of| as_of.bucket)
    else {
        let why = "it was written down without saying up to when its data reach, as earlier versions did";
        return Ok(Again::Cannot(why.into()));
    };
    let Some(course) = entry.event.rollout().and_then(|id| Course::of(before, id)) else {
        return Ok(Again::Cannot("the log does not hold the beginning of its rollout".into()));
    };
    let (start, width_ms) = (course.start, i64::try_from(as_of.width_ms).unwrap_or(i64::MAX).max(1));
    if as_of.bucket.0.saturating_sub(start.as_millisecond()) / width_ms > BUCKETS_MAX {
        return Ok(Again::Cannot(format!("its data would be more than {BUCKETS_MAX} buckets")));
    }
    let differences = match &entry.event {
        Event::RollbackStarted { cause: Cause::Retreat, .. } => {
            of_some_gateway(store, &course, entry, as_of).await?
        }
        _ => differences(stored, &course.verdicts(store, &entry.feature, as_of, None).await?),
    };
    if differences.is_empty() {
        return Ok(Again::Same);
    }
    // What was forgotten cannot be counted again; that is no contradiction.
    let oldest = store.oldest(&entry.feature).await?;
    if oldest.is_none_or(|oldest| oldest.timestamp() > start) {
        let kept = oldest.map_or_else(
            || "none are kept".to_owned(),
            |oldest| format!("the oldest that are kept are of {}", oldest.timestamp()),
        );
        return Ok(Again::Cannot(format!("its sums are past their retention: {kept}")));
    }
    Ok(Again::Differs(differences))
}

/// A gateway that went back alone judged by its own calls. The log does not say by a number which it was, so whatever one of
/// them wrote may be what it judged by; the differences are those of the nearest.
async fn of_some_gateway(
    store: &Store,
    course: &Course,
    entry: &Entry,
    as_of: AsOf,
) -> Result<Vec<String>, StoreError> {
    let stored = entry.event.standing();
    let mut nearest = vec!["no gateway has written sums since its rollout began".to_owned()];
    let mut is_first = true;
    for writer in store.writers(BucketStart(course.start.as_millisecond()), WRITERS_MAX).await? {
        let fresh = course.verdicts(store, &entry.feature, as_of, Some(writer)).await?;
        let found = differences(stored, &fresh);
        if is_first || found.len() < nearest.len() {
            nearest = found;
        }
        is_first = false;
        if nearest.is_empty() {
            break;
        }
    }
    Ok(nearest)
}

/// A rollout, with what the log says was in force since when.
struct Course {
    start: Timestamp,
    rollout: Rollout,
}

impl Course {
    /// Of a rollout whose start is among these entries.
    fn of(before: &[Entry], id: RolloutId) -> Option<Self> {
        let is_start =
            |entry: &&Entry| matches!(&entry.event, Event::RolloutStarted { rollout, .. } if *rollout == id);
        let start = before.iter().find(is_start)?.ts;
        let FeatureState { rollout, aside, .. } = FeatureState::fold(before)?;
        // A rehearsal may have set it aside meanwhile.
        let mut both = rollout.into_iter().chain(aside.map(|aside| *aside));
        Some(Self { start, rollout: both.find(|rollout| rollout.id == id)? })
    }

    /// How every check stood once the last of these data was in: everybody's, or one writer's own.
    async fn verdicts(
        &self,
        store: &Store,
        feature: &FeatureName,
        as_of: AsOf,
        writer: Option<i64>,
    ) -> Result<Vec<Verdict>, StoreError> {
        let width = Duration::from_millis(as_of.width_ms);
        let mut account = match writer {
            Some(writer) => Account::of_replica(&self.rollout, width, writer),
            None => Account::open(&self.rollout, width),
        };
        let width_ms = i64::try_from(as_of.width_ms).unwrap_or(i64::MAX);
        let until = BucketStart(as_of.bucket.0.saturating_add(width_ms));
        // Each bucket is read under what was in force in it, whatever has come since.
        account.follow(&self.rollout);
        account.read(store, feature, until).await?;
        Ok(account.evidence().checks.into_iter().map(|check| check.verdict).collect())
    }
}

/// What a stored standing says otherwise than a fresh one, number by number.
fn differences(stored: &[Verdict], fresh: &[Verdict]) -> Vec<String> {
    let mut differences = Vec::new();
    for verdict in stored {
        // No two checks share a key; where logs of earlier versions have two, any of them will do.
        let same_name = fresh.iter().filter(|other| other.key() == verdict.key());
        let found = same_name.map(|other| differing(verdict, other)).min_by_key(Vec::len);
        match found {
            Some(numbers) => differences.extend(numbers),
            None => differences.push(format!("{}: the plan in the log has no such check", verdict.key())),
        }
    }
    differences.truncate(DIFFERENCES_MAX);
    differences
}

/// The numbers in which two verdicts on one check differ. The sentence is left out: it is made of the numbers.
fn differing(stored: &Verdict, fresh: &Verdict) -> Vec<String> {
    // The stored one has been written and read once; what a number loses by that is to be lost by both.
    let (Ok(stored_numbers), Some(fresh_numbers)) = (serde_json::to_value(stored), written_and_read(fresh))
    else {
        return vec![format!("{}: cannot be written down", stored.key())];
    };
    let (Value::Object(was), Value::Object(is)) = (stored_numbers, fresh_numbers) else { return Vec::new() };
    let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
    names
        .filter(|name| *name != "why" && was.get(*name) != is.get(*name))
        .map(|name| {
            let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".into(), Value::to_string);
            let (was, is) = (shown(was.get(name)), shown(is.get(name)));
            format!("{}: {name} was {was} and comes out as {is}", stored.key())
        })
        .collect()
}

fn written_and_read(verdict: &Verdict) -> Option<Value> {
    let text = serde_json::to_string(verdict).ok()?;
    serde_json::to_value(serde_json::from_str::<Verdict>(&text).ok()?).ok()
}
