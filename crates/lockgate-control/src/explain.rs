//! Says in words what happened and why: the sentence first, then every number it rests on, and whether those numbers come out
//! the same when they are taken again from the log and the sums.

mod words;

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::event::{Cause, Entry, Event, Verdict};
use lockgate_core::name::FeatureName;
use lockgate_core::state::{Rollout, Stage};
use lockgate_store::Store;
use lockgate_store::row::Logged;
use serde::Serialize;
use tokio::sync::Semaphore;

pub(crate) use self::words::receipt;
use self::words::{numbers, sentence};
use crate::again::{Again, again};
use crate::audit::{AuditError, scan};
use crate::controller::{AUTHOR, Controller};

/// How long a server takes evidence again before it says to do it elsewhere: less than a client waits for an answer.
const AGAIN_WITHIN: Duration = Duration::from_secs(20);

/// Explanations whose evidence a server takes again at once; more wait. One that takes long must not slow down decisions.
static AGAIN_AT_ONCE: Semaphore = Semaphore::const_new(1);

/// A decision, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The feature.
    pub feature: FeatureName,
    /// The entry of the log; `None` for the last look, which decided to wait.
    pub seq: Option<u64>,
    /// When it was decided.
    pub ts: Timestamp,
    /// By whom.
    pub author: String,
    /// The kind of event; `None` when it was to wait.
    pub event: Option<&'static str>,
    /// What was decided and why.
    pub sentence: String,
    /// The evidence, one sentence per gate and trigger, every number in it.
    pub numbers: Vec<String>,
    /// The same for programs.
    pub standing: Vec<Verdict>,
    /// Whether the numbers come out the same from the log and the sums alone; `None` when that cannot be told.
    pub reproduced: Option<bool>,
    /// Why it cannot be told.
    pub reproduced_why: Option<String>,
    /// Which numbers come out otherwise.
    pub differences: Vec<String>,
}

impl Controller {
    /// Explains one entry of a feature's log, or else the latest decision: what a rollout under way waits for, or how the
    /// last one ended.
    pub async fn explain(
        &self,
        feature: &FeatureName,
        event: Option<u64>,
    ) -> Result<Explanation, AuditError> {
        let found = match event {
            Some(seq) => Found::entry(&self.store, Some(feature), seq).await?,
            None => match self.last_look(feature) {
                Some(look) => return Ok(look),
                None => Found::latest(&self.store, feature).await?,
            },
        };
        self.explained(found).await
    }

    /// Explains an entry of the log by its number alone.
    pub async fn explain_event(&self, seq: u64) -> Result<Explanation, AuditError> {
        let found = Found::entry(&self.store, None, seq).await?;
        self.explained(found).await
    }

    async fn explained(&self, found: Found) -> Result<Explanation, AuditError> {
        let taking = async {
            let _turn = AGAIN_AT_ONCE.acquire().await;
            again(&self.store, &found.before, &found.logged.entry).await
        };
        let taken = match tokio::time::timeout(AGAIN_WITHIN, taking).await {
            Ok(taken) => taken?,
            Err(_) => Again::Cannot("it takes too long for a server; ask for it with --store".into()),
        };
        Ok(of_entry(found.logged, taken))
    }

    /// What a rollout under way waits for.
    fn last_look(&self, feature: &FeatureName) -> Option<Explanation> {
        let (state, standing, seen) = {
            let world = self.world();
            (world.state(feature)?, world.standing(feature)?.clone(), world.seen(feature))
        };
        // Standing still, or on its way back, what matters is what brought it there.
        let is_moving = |rollout: &&Rollout| matches!(rollout.stage, Stage::Running(_));
        let rollout = state.rollout.as_ref().filter(is_moving)?;
        let reasons = match standing.waiting_for.is_empty() {
            true => "nothing more".to_owned(),
            false => standing.waiting_for.join("; "),
        };
        let place =
            rollout.phase().map_or_else(|| rollout.state_word().to_owned(), |phase| phase.name.clone());
        let mut verdicts = standing.verdicts;
        let is_shown = |slice: &Verdict| verdicts.iter().any(|verdict| verdict.key() == slice.key());
        let slices: Vec<Verdict> = seen.slices.into_iter().filter(|slice| !is_shown(slice)).collect();
        verdicts.extend(slices);
        Some(Explanation {
            feature: feature.clone(),
            seq: None,
            ts: standing.at,
            author: AUTHOR.to_owned(),
            event: None,
            sentence: format!(
                "{} is at `{place}` ({}); it waits for: {reasons}",
                rollout.candidate,
                rollout.state_word()
            ),
            numbers: verdicts.iter().map(numbers).collect(),
            standing: verdicts,
            reproduced: None,
            reproduced_why: Some("nothing was decided; the log holds only what was".into()),
            differences: Vec::new(),
        })
    }
}

/// Explains an entry of a store's log without a server: the one of this number, or else the latest about a rollout of the
/// feature. One of the two must be named.
pub async fn explain_stored(
    store: &Store,
    feature: Option<&FeatureName>,
    event: Option<u64>,
) -> Result<Explanation, AuditError> {
    let found = match (feature, event) {
        (feature, Some(seq)) => Found::entry(store, feature, seq).await?,
        (Some(feature), None) => Found::latest(store, feature).await?,
        (None, None) => return Err(AuditError::NoEntry { seq: 0 }),
    };
    let taken = again(store, &found.before, &found.logged.entry).await?;
    Ok(of_entry(found.logged, taken))
}

/// An entry, and what the log says of its feature before it.
struct Found {
    logged: Logged,
    before: Vec<Entry>,
}

impl Found {
    async fn entry(store: &Store, feature: Option<&FeatureName>, seq: u64) -> Result<Self, AuditError> {
        let found = match seq.checked_sub(1) {
            Some(before) => store.log_after(before, 1).await?.into_iter().next(),
            None => None,
        };
        let is_meant = |logged: &Logged| {
            logged.seq == seq && feature.is_none_or(|feature| logged.entry.feature == *feature)
        };
        match (found.filter(is_meant), feature) {
            (Some(logged), _) => {
                let mut before = Vec::new();
                scan(store, 0, |earlier| {
                    let is_earlier = earlier.seq < seq;
                    if is_earlier && earlier.entry.feature == logged.entry.feature {
                        before.push(earlier.entry);
                    }
                    is_earlier
                })
                .await?;
                Ok(Self { logged, before })
            }
            (None, Some(feature)) => Err(AuditError::NoSuchEntry { feature: feature.clone(), seq }),
            (None, None) => Err(AuditError::NoEntry { seq }),
        }
    }

    /// The latest about a rollout.
    async fn latest(store: &Store, feature: &FeatureName) -> Result<Self, AuditError> {
        let mut of_feature: Vec<Logged> = Vec::new();
        scan(store, 0, |logged| {
            if logged.entry.feature == *feature {
                of_feature.push(logged);
            }
            true
        })
        .await?;
        let of_rollout = |logged: &Logged| logged.entry.event.rollout().is_some();
        let last = of_feature.iter().rposition(of_rollout);
        // What completes a decision rests on nothing of its own: the decision is what is asked for.
        let rollout = last.and_then(|at| of_feature[at].entry.event.rollout());
        let decided = of_feature.iter().rposition(|logged| {
            logged.entry.event.rollout() == rollout
                && !logged.entry.event.standing().is_empty()
                && !matches!(logged.entry.event, Event::Alerted { .. })
        });
        let latest = decided.filter(|_| rollout.is_some()).or(last);
        let logged = latest.map(|at| of_feature.split_off(at)).and_then(|rest| rest.into_iter().next());
        let logged = logged.ok_or_else(|| AuditError::NothingDecided { feature: feature.clone() })?;
        Ok(Self { logged, before: of_feature.into_iter().map(|logged| logged.entry).collect() })
    }
}

fn of_entry(logged: Logged, taken: Again) -> Explanation {
    let Entry { ts, feature, author, event } = logged.entry;
    let standing = event.standing().to_vec();
    let is_retreat = matches!(event, Event::RollbackStarted { cause: Cause::Retreat, .. });
    let (reproduced, reproduced_why, differences) = match taken {
        // A gateway that goes back alone decides by what it holds in its hands, and does so above all while the store takes
        // nothing: what it had counted then reached the store later, in later buckets.
        Again::Differs(_) if is_retreat => {
            let why =
                "a gateway decided it by its own counts, which reached the store later and in other buckets";
            (None, Some(why.into()), Vec::new())
        }
        Again::Same => (Some(true), None, Vec::new()),
        Again::Differs(differences) => (Some(false), None, differences),
        Again::Cannot(why) => (None, Some(why), Vec::new()),
    };
    Explanation {
        feature,
        seq: Some(logged.seq),
        ts,
        author,
        event: Some(event.kind()),
        sentence: sentence(&event),
        numbers: standing.iter().map(numbers).collect(),
        standing,
        reproduced,
        reproduced_why,
        differences,
    }
}
