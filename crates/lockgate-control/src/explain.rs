//! Says in words what happened and why: the sentence first, then every number it rests on.

use jiff::Timestamp;
use lockgate_core::command::Command;
use lockgate_core::event::{Entry, Event, Outcome, Role, Verdict};
use lockgate_core::name::FeatureName;
use lockgate_core::route::KillTo;
use lockgate_core::share::percent;
use lockgate_core::signal::Measure;
use lockgate_core::state::FeatureState;
use lockgate_store::row::Logged;
use serde::Serialize;

use crate::audit::AuditError;
use crate::controller::{AUTHOR, Controller};

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
}

impl Controller {
    /// Explains one entry of a feature's log, or else the latest decision: what a rollout under way waits for, or how the
    /// last one ended.
    pub async fn explain(
        &self,
        feature: &FeatureName,
        event: Option<u64>,
    ) -> Result<Explanation, AuditError> {
        match event {
            Some(seq) => self.explain_entry(feature, seq).await,
            None => self.explain_latest(feature).await,
        }
    }

    async fn explain_entry(&self, feature: &FeatureName, seq: u64) -> Result<Explanation, AuditError> {
        let found = match seq.checked_sub(1) {
            Some(before) => self.store.log_after(before, 1).await?.into_iter().next(),
            None => None,
        };
        let logged = found.filter(|logged| logged.seq == seq && logged.entry.feature == *feature);
        logged.map(of_entry).ok_or(AuditError::NoSuchEntry { feature: feature.clone(), seq })
    }

    async fn explain_latest(&self, feature: &FeatureName) -> Result<Explanation, AuditError> {
        let (state, standing) = {
            let world = self.world();
            (world.state(feature), world.standing(feature).cloned())
        };
        let rollout = state.as_ref().and_then(|state| state.rollout.as_ref());
        if let (Some(rollout), Some(standing)) = (rollout, standing)
            && rollout.is_under_way()
        {
            let reasons = match standing.waiting_for.is_empty() {
                true => "nothing more".to_owned(),
                false => standing.waiting_for.join("; "),
            };
            let place =
                rollout.phase().map_or_else(|| rollout.state_word().to_owned(), |phase| phase.name.clone());
            return Ok(Explanation {
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
                numbers: standing.verdicts.iter().map(numbers).collect(),
                standing: standing.verdicts,
            });
        }
        let mut latest = None;
        self.scan(0, |logged| {
            if logged.entry.feature == *feature && logged.entry.event.rollout().is_some() {
                latest = Some(logged);
            }
            true
        })
        .await?;
        latest.map(of_entry).ok_or(AuditError::NothingDecided { feature: feature.clone() })
    }
}

fn of_entry(logged: Logged) -> Explanation {
    let Entry { ts, feature, author, event } = logged.entry;
    let standing = match &event {
        Event::PhaseEntered { standing, .. }
        | Event::Paused { standing, .. }
        | Event::Frozen { standing, .. }
        | Event::RollbackStarted { standing, .. } => standing.clone(),
        _ => Vec::new(),
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
    }
}

/// An event in one sentence.
pub(crate) fn sentence(event: &Event) -> String {
    match event {
        Event::StableDeclared { declared, stable } if declared == stable => {
            format!("the configuration says that users have {stable}")
        }
        Event::StableDeclared { declared, stable } => {
            format!("the configuration declares {declared}; users have {stable}")
        }
        Event::RolloutStarted { stable, candidate, plan, owner, confine, .. } => format!(
            "the rollout of {candidate} over {stable} began by the plan `{}`, for {confine}; {owner} answers for it",
            plan.name
        ),
        Event::PhaseEntered { name, why, .. } => format!("phase `{name}` was entered: {why}"),
        Event::Paused { why, .. } => format!("the rollout was paused: {why}"),
        Event::Frozen { why, .. } => format!("the rollout was frozen, the candidate gets no calls: {why}"),
        Event::Resumed { why, .. } => format!("the rollout goes on: {why}"),
        Event::RollbackStarted { why, .. } => format!("all traffic was sent back to stable: {why}"),
        Event::RolledBack { candidate_calls, candidate_users, .. } => format!(
            "the rollback is complete: the candidate's measured share is 0; it had answered {candidate_calls} calls of \
             {candidate_users} users"
        ),
        Event::Completed { warm_until, .. } => {
            format!("the candidate is the stable version now; the old one stays warm until {warm_until}")
        }
        Event::Flipped { from, to, why, .. } => format!("all users went from {from} to {to} at once: {why}"),
        Event::Killed { to: KillTo::Stable, why } => {
            format!("the kill switch sent everybody to stable: {why}")
        }
        Event::Killed { to: KillTo::Rules, why } => {
            format!("the kill switch sent everybody to the deterministic tier: {why}")
        }
        Event::Revived { why } => {
            format!("the kill switch was released: {why}; a rollout under way waits to be resumed")
        }
    }
}

/// One gate or trigger in one sentence with every number.
fn numbers(verdict: &Verdict) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| figure(verdict, value));
    let role = match verdict.role {
        Role::Gate => "gate",
        Role::Trigger => "trigger",
    };
    let outcome = match verdict.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Inconclusive => "inconclusive",
    };
    let interval = verdict.interval.map_or_else(String::new, |(low, high)| {
        format!(" in [{}, {}]", figure(verdict, low), figure(verdict, high))
    });
    format!(
        "{role} {}: {outcome}, {}; {} {} of {} observed{interval}, stable {} of {}, limit {}; \
         evidence to pass {:.2} of {:.2}, to fail {:.2} of {:.2}",
        verdict.name,
        verdict.why,
        verdict.arm,
        shown(verdict.estimate),
        verdict.n,
        shown(verdict.stable_estimate),
        verdict.stable_n,
        figure(verdict, verdict.limit),
        verdict.log_e_pass,
        verdict.log_e_pass_needed,
        verdict.log_e_fail,
        verdict.log_e_fail_needed,
    )
}

/// Rates, scores and parts of slow calls lie between 0 and 1 and are shown in percent; amounts as they are.
fn figure(verdict: &Verdict, value: f64) -> String {
    match verdict.signal.measure() {
        Measure::Amount => format!("{value:.2}"),
        Measure::Rate | Measure::Score | Measure::Durations => percent(value),
    }
}

/// What a command came to, in one sentence.
pub(crate) fn receipt(
    order: &Command,
    entries: &[Entry],
    state: Option<&FeatureState>,
    recorded: bool,
) -> String {
    let mut said = match entries.last() {
        Some(_) => entries.iter().map(|entry| sentence(&entry.event)).collect::<Vec<_>>().join("; "),
        None => {
            let rollout = state.and_then(|state| state.rollout.as_ref());
            let place = rollout.map_or("as asked", |rollout| rollout.state_word());
            match order {
                Command::Kill { .. } => "nothing to do: the kill switch is on already".to_owned(),
                Command::RollBack { .. } => {
                    format!("nothing to do: the rollout is {} already", place.replace('_', " "))
                }
                _ => format!("nothing to do: the rollout is {place} already"),
            }
        }
    };
    if !recorded {
        said.push_str("; it is in force, and will be recorded once the store is back");
    }
    said
}
