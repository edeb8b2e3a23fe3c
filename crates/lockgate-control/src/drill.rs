//! Rehearsals of a rollback: starts one, ends it, and says afterwards how it went.
//!
//! A drill is a rollout whose candidate is stable behind a fault, confined to callers who carry the drill's label. Everything
//! after its start is what a real rollout goes through: gateways count, the same rules judge, the table changes, the log
//! records. What is different is that it can only end in one way. It has one phase that is never left forwards; when nothing
//! was found in its time, when it is stopped, or when a configuration no longer fits it, it is rolled back all the same.
//!
//! A restart in the middle changes nothing: the log has the rehearsal and its end. How it went is read from the log alone.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::duration;
use lockgate_config::value::{Feature, Surface};
use lockgate_core::command::{Command, command};
use lockgate_core::decide::Decision;
use lockgate_core::drill::{Fault, LABEL, ON};
use lockgate_core::event::{Cause, Event, Outcome, Verdict};
use lockgate_core::name::{FeatureName, LabelName, PlanName, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::plan::{Action, Gate, Phase, PhaseKind, Plan, Trigger, standard_name};
use lockgate_core::segment::{Confine, Matcher};
use lockgate_core::share::Share;
use lockgate_core::state::{FeatureState, Rollout, Stage};
use lockgate_store::row::Logged;
use lockgate_store::{AppendError, StoreError};
use serde::Serialize;
use tokio::time::timeout;

use crate::commit::{TRIES, WAIT};
use crate::controller::Controller;
use crate::order::CommandError;
use crate::{drawn, only};

/// The name under which a rehearsal's candidate is told and recorded.
const NAME: &str = "drill";

/// How long a start waits for the store: longer than the store itself waits for a busy file.
const START_WAIT: Duration = Duration::from_secs(15);

/// What is to be rehearsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// What is made worse.
    pub fault: Fault,
    /// The candidate's part of the callers who take part.
    pub share: Share,
    /// It is over after so long, found or not.
    pub within: Duration,
    /// By whose gates and triggers; `None` is `standard`.
    pub plan: Option<PlanName>,
    /// For the audit.
    pub why: String,
}

/// A rehearsal that has begun.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrillStarted {
    /// Its rollout.
    pub rollout: RolloutId,
    /// The feature.
    pub feature: FeatureName,
    /// What is made worse.
    pub fault: String,
    /// When it began.
    pub started: Timestamp,
    /// The plan whose rules are rehearsed.
    pub plan: PlanName,
    /// How the feature is called: `chat` or `agent`.
    pub surface: &'static str,
    /// Where clients call it.
    pub path: String,
    /// Longest time until what happened is known: a bucket, and what gateways may take to write it.
    pub lag_seconds: f64,
}

/// How a rehearsal went, or is going.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drill {
    /// Its rollout.
    pub rollout: RolloutId,
    /// The feature.
    pub feature: FeatureName,
    /// What was made worse.
    pub fault: String,
    /// The plan whose rules were rehearsed.
    pub plan: PlanName,
    /// `running`, `rolling_back` or `over`.
    pub state: &'static str,
    /// When it began.
    pub started: Timestamp,
    /// Who started it.
    pub author: String,
    /// Whether a rule found the fault; absent until it is on its way back.
    pub found: Option<bool>,
    /// The gates and triggers that did.
    pub found_by: Vec<String>,
    /// By what it was sent back.
    pub cause: Option<Cause>,
    /// Why it was sent back.
    pub why: Option<String>,
    /// When it was sent back.
    pub back: Option<Timestamp>,
    /// When the candidate's share was measured to be 0.
    pub zero: Option<Timestamp>,
    /// When the candidate was last given a call.
    pub last_candidate_call: Option<Timestamp>,
    /// From its beginning to the way back.
    pub seconds_to_back: Option<f64>,
    /// From the way back to a measured share of 0.
    pub seconds_to_zero: Option<f64>,
    /// Calls that the candidate was given.
    pub candidate_calls: Option<u64>,
    /// Different callers among them.
    pub candidate_users: Option<u64>,
    /// The log's numbers of what happened.
    pub log: Vec<u64>,
    /// How its gates and triggers stood when it was sent back.
    pub standing: Vec<Verdict>,
}

/// The latest rehearsal of each feature, as far as the log was read.
#[derive(Debug, Default)]
pub(crate) struct Drills {
    read_to: u64,
    latest: HashMap<FeatureName, Drill>,
}

impl Controller {
    /// Begins a rehearsal, or says why not.
    pub async fn start_drill(
        &self,
        author: &str,
        name: &FeatureName,
        rehearsal: Rehearsal,
    ) -> Result<DrillStarted, CommandError> {
        let begun = self.begin_drill(author, name, rehearsal);
        timeout(START_WAIT, begun).await.map_err(|_| CommandError::Slow)?
    }

    async fn begin_drill(
        &self,
        author: &str,
        name: &FeatureName,
        rehearsal: Rehearsal,
    ) -> Result<DrillStarted, CommandError> {
        for _ in 0..TRIES {
            self.flush_pending().await?;
            let config = self.config();
            let feature = config.features.get(name).ok_or_else(|| self.unknown_feature(name.as_str()))?;
            let plan = rehearsal.plan.clone().unwrap_or_else(standard_name);
            let known = config.plans.get(&plan).ok_or_else(|| CommandError::UnknownPlan {
                plan: plan.clone(),
                known: only::listed(config.plans.keys().map(PlanName::as_str)),
            })?;
            let (head, state) = {
                let world = self.world();
                (world.head(), world.state(name).ok_or(CommandError::Overtaken)?)
            };
            let now = self.clock.now();
            let order = order(feature, &state, known, &rehearsal, author, now);
            let mut events = command(&state, &[], &order, now)?;
            for event in &mut events {
                if let Event::PhaseEntered { why, .. } = event {
                    *why = format!("{} is rehearsed: {}", rehearsal.fault, rehearsal.why);
                }
            }
            let Some(rollout) = events.iter().find_map(Event::rollout) else { continue };
            let appended = self.append(head, self.entries(name, author, events)).await;
            self.publish();
            match appended {
                Ok(()) => {
                    return Ok(DrillStarted {
                        rollout,
                        feature: name.clone(),
                        fault: rehearsal.fault.to_string(),
                        started: now,
                        plan,
                        surface: surface(feature).0,
                        path: surface(feature).1,
                        lag_seconds: (config.signals.bucket + config.signals.watermark).as_secs_f64(),
                    });
                }
                Err(AppendError::HeadMoved { .. }) => {}
                Err(AppendError::Store(error)) => return Err(CommandError::Store(error)),
            }
        }
        Err(CommandError::Overtaken)
    }

    /// Ends a rehearsal that goes on, and nothing else: not one that is over, nor a rollout that came after it. In force when
    /// this returns; whether it ended anything.
    pub async fn end_drill(
        &self,
        author: &str,
        name: &FeatureName,
        rollout: RolloutId,
        why: &str,
    ) -> Result<bool, CommandError> {
        let entries = {
            let mut world = self.world();
            let state = world.state(name).ok_or(CommandError::Overtaken)?;
            if running(&state).is_none_or(|running| running.id != rollout) {
                return Ok(false);
            }
            let standing = world.standing(name).map(|standing| standing.verdicts.clone()).unwrap_or_default();
            let order = Command::RollBack { why: why.to_owned() };
            let events = command(&state, &standing, &order, self.clock.now())?;
            let entries = self.entries(name, author, events);
            world.put_in_force(entries.clone());
            world.publish(&self.live);
            entries
        };
        if let Err(error) = timeout(WAIT, self.flush_pending()).await.unwrap_or(Ok(())) {
            tracing::warn!(feature = %name, %error, "the drill has ended, but that is not recorded yet");
        }
        Ok(!entries.is_empty())
    }

    /// The latest rehearsal of a feature, if there was one. When it began is the date that readiness asks for, and
    /// `seconds_to_back` what it took.
    pub async fn last_drill(&self, name: &FeatureName) -> Result<Option<Drill>, StoreError> {
        let mut drills = self.drills.lock().await;
        let mut after = Some(drills.read_to);
        while let Some(from) = after {
            after = self
                .scan(from, |logged| {
                    drills.take(&logged);
                    true
                })
                .await?;
        }
        Ok(drills.latest.get(name).cloned())
    }
}

/// A rehearsal that still goes on.
fn running(state: &FeatureState) -> Option<&Rollout> {
    let rollout = state.rollout.as_ref().filter(|rollout| rollout.drill.is_some());
    rollout.filter(|rollout| rollout.stage.in_phase().is_some())
}

/// A decision about a rehearsal with its end in it, when that has come: no time is left, or somebody has stopped it. Of a real
/// rollout it says nothing.
pub(crate) fn ended(state: &FeatureState, decision: Decision, now: Timestamp) -> Decision {
    let Some(rollout) = running(state) else { return decision };
    if decision.events.iter().any(|event| matches!(event, Event::RollbackStarted { .. })) {
        return decision;
    }
    let within = rollout.phase().map_or(Duration::ZERO, |phase| phase.deadline);
    let is_late = now.duration_since(rollout.started).unsigned_abs() >= within;
    let (cause, why) = match &rollout.stage {
        Stage::Frozen { why, .. } if state.killed.is_none() => {
            (Cause::Configuration, format!("the drill was stopped: {why}"))
        }
        Stage::Paused { why, .. } | Stage::Frozen { why, .. } => {
            (Cause::Person, format!("the drill was stopped: {why}"))
        }
        _ if is_late => (Cause::Deadline, format!("nothing was found within {}", duration::write(within))),
        _ => return decision,
    };
    let standing = decision.standing.clone();
    let back = Event::RollbackStarted { rollout: rollout.id, cause, why, standing };
    Decision { events: vec![back], ..decision }
}

fn order(
    feature: &Feature,
    state: &FeatureState,
    plan: &Plan,
    rehearsal: &Rehearsal,
    author: &str,
    now: Timestamp,
) -> Command {
    let rollout = drawn::rollout_id(now);
    Command::Start {
        candidate: candidate(&state.stable, rollout),
        plan: Box::new(rehearsed(plan, rehearsal)),
        owner: feature.owner.clone().or_else(|| Some(author.to_owned())),
        confine: marked(),
        again: false,
        undecidable: Vec::new(),
        drill: Some(rehearsal.fault),
        rollout,
        salt: drawn::salt(),
    }
}

/// Another digest for every rehearsal, so that no two are counted as one.
fn candidate(stable: &VersionRef, rollout: RolloutId) -> VersionRef {
    let name = VersionName::new(NAME).unwrap_or_else(|_| stable.name.clone());
    VersionRef { name, revision: Revision::of(format!("{}/{rollout}", stable.revision).as_bytes()) }
}

/// Callers who carry the label of a rehearsal, and nobody else.
fn marked() -> Confine {
    let label = LabelName::new(LABEL).map(|label| (label, [ON.to_owned()].into()));
    Confine(vec![Matcher(label.into_iter().collect())])
}

/// The rules of a plan's canary phases in one phase that is never left forwards. What would freeze a rollout takes a rehearsal
/// back: there is nothing for a person to decide. Windows are no longer than the rehearsal.
fn rehearsed(plan: &Plan, rehearsal: &Rehearsal) -> Plan {
    let mut gates: Vec<Gate> = Vec::new();
    let canaries = plan.phases.iter().filter(|phase| matches!(phase.kind, PhaseKind::Canary { .. }));
    for gate in canaries.flat_map(|phase| &phase.gates) {
        if !gates.iter().any(|known| known.signal == gate.signal && known.rule == gate.rule) {
            gates.push(gate.clone());
        }
    }
    let trigger = |trigger: &Trigger| Trigger {
        over: trigger.over.min(rehearsal.within),
        action: if trigger.action == Action::Freeze { Action::RollBack } else { trigger.action },
        ..trigger.clone()
    };
    let mut rehearsed = plan.clone();
    rehearsed.triggers = plan.triggers.iter().map(trigger).collect();
    rehearsed.slices.part = 0.0;
    rehearsed.phases = vec![Phase {
        name: NAME.to_owned(),
        kind: PhaseKind::Canary { share: rehearsal.share },
        // Longer than it can last.
        dwell: rehearsal.within * 2,
        deadline: rehearsal.within,
        confine: Confine::everyone(),
        gates,
    }];
    rehearsed
}

fn surface(feature: &Feature) -> (&'static str, String) {
    match feature.surface {
        Surface::Model => ("chat", "/v1/chat/completions".to_owned()),
        Surface::Agent => ("agent", format!("/agents/{}", feature.name)),
    }
}

impl Drills {
    fn take(&mut self, logged: &Logged) {
        self.read_to = logged.seq;
        let entry = &logged.entry;
        if let Event::RolloutStarted { rollout, drill: Some(fault), plan, .. } = &entry.event {
            let drill = Drill::begun(*rollout, *fault, plan, logged);
            self.latest.insert(entry.feature.clone(), drill);
        } else if let Some(drill) = self.latest.get_mut(&entry.feature)
            && entry.event.rollout() == Some(drill.rollout)
        {
            drill.log.push(logged.seq);
            drill.go_on(&entry.event, entry.ts);
        }
    }
}

impl Drill {
    fn begun(rollout: RolloutId, fault: Fault, plan: &Plan, logged: &Logged) -> Self {
        Self {
            rollout,
            feature: logged.entry.feature.clone(),
            fault: fault.to_string(),
            plan: plan.name.clone(),
            state: "running",
            started: logged.entry.ts,
            author: logged.entry.author.clone(),
            found: None,
            found_by: Vec::new(),
            cause: None,
            why: None,
            back: None,
            zero: None,
            last_candidate_call: None,
            seconds_to_back: None,
            seconds_to_zero: None,
            candidate_calls: None,
            candidate_users: None,
            log: vec![logged.seq],
            standing: Vec::new(),
        }
    }

    fn go_on(&mut self, event: &Event, ts: Timestamp) {
        let since = |earlier: Timestamp| ts.duration_since(earlier).as_secs_f64();
        match event {
            Event::RollbackStarted { cause, why, standing, .. } if self.back.is_none() => {
                let found = matches!(cause, Cause::Trigger | Cause::Gate | Cause::Retreat);
                let broken = standing.iter().filter(|verdict| found && verdict.outcome == Outcome::Fail);
                self.found_by = broken.map(|verdict| verdict.name.clone()).collect();
                self.state = "rolling_back";
                self.found = Some(found);
                self.cause = Some(*cause);
                self.why = Some(why.clone());
                self.back = Some(ts);
                self.seconds_to_back = Some(since(self.started));
                self.standing = standing.clone();
            }
            Event::RolledBack { last_candidate_call, candidate_calls, candidate_users, .. } => {
                self.state = "over";
                self.zero = Some(ts);
                self.seconds_to_zero = self.back.map(since);
                self.last_candidate_call = *last_candidate_call;
                self.candidate_calls = Some(*candidate_calls);
                self.candidate_users = Some(*candidate_users);
            }
            _ => {}
        }
    }
}
