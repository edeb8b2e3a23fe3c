//! Follows what a person asks.
//!
//! The way back comes first: a kill, a rollback or a flip is put in force from what is known in memory, then recorded, and
//! the command returns once no call can start on the old version any more. Recording may fail; it is then tried again at
//! every look. The way forwards asks the log first, and needs it.

mod error;

use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::check_plan_for;
use lockgate_config::value::Feature;
use lockgate_core::command::{Command, Refusal, command};
use lockgate_core::event::{Entry, Event, Verdict};
use lockgate_core::name::{FeatureName, PlanName, VersionName, VersionRef};
use lockgate_core::plan::Plan;
use lockgate_core::route::KillTo;
use lockgate_core::segment::Confine;
use lockgate_core::state::FeatureState;
use lockgate_store::AppendError;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

pub use self::error::CommandError;
use crate::commit::{CommitError, TRIES, WAIT};
use crate::controller::Controller;
use crate::only;
use crate::reload::changed_under_rollout;
use crate::world::World;
use crate::{drawn, explain};

/// How long a command that goes forwards waits for the store: longer than the store itself waits for a busy file.
const FORWARDS_WAIT: Duration = Duration::from_secs(15);

/// What a person asks of a feature, in the words of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Roll out a version.
    Start {
        /// Its name.
        candidate: VersionName,
        /// By which plan; `None` is `standard`.
        plan: Option<PlanName>,
        /// Who answers for it; `None` is the feature's owner.
        owner: Option<String>,
        /// Whom it may touch: any of these, each `label=value|value,label=value`; none is everyone.
        only: Vec<String>,
        /// It is known that this digest was taken back before.
        again: bool,
        /// Start although gates of the plan cannot decide in time at the present traffic.
        undecidable: bool,
    },
    /// Enter the next phase without waiting for the gates.
    Promote {
        /// Must be said.
        why: String,
    },
    /// Stand still; shares stay.
    Pause {
        /// For the audit.
        why: String,
    },
    /// Go on.
    Resume {
        /// For the audit.
        why: String,
    },
    /// All traffic back to the version that users had.
    RollBack {
        /// For the audit.
        why: String,
    },
    /// The whole feature to another version at once.
    Flip {
        /// Where to; `None` is the version that users had before.
        to: Option<VersionName>,
        /// For the audit.
        why: String,
    },
    /// Throw the kill switch.
    Kill {
        /// Where the traffic goes.
        to: KillTo,
        /// For the audit.
        why: String,
    },
    /// Release it.
    Revive {
        /// For the audit.
        why: String,
    },
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Receipt {
    /// The feature.
    pub feature: FeatureName,
    /// For people.
    pub sentence: String,
    /// What happened, in order; empty when things were as asked already.
    pub events: Vec<RecordedEvent>,
    /// Whether the log has it. What only takes traffic away is in force all the same, and is recorded as soon as it can be.
    pub recorded: bool,
    /// Whether no call can start under the table before any more.
    pub settled: bool,
    /// From the asking until then.
    pub seconds: f64,
}

/// One event of a receipt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecordedEvent {
    /// When.
    pub ts: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What became of an order.
struct Followed {
    entries: Vec<Entry>,
    /// What else the person ought to know.
    note: Option<String>,
    recorded: bool,
    settled: bool,
}

impl Controller {
    /// Follows what `author` asks of a feature, or says why not. Returns within about a second when it goes backwards,
    /// whatever the state of the store.
    pub async fn command(
        &self,
        author: &str,
        feature: &FeatureName,
        request: Request,
    ) -> Result<Receipt, CommandError> {
        let asked = Instant::now();
        let config = self.config();
        let configured =
            config.features.get(feature).ok_or_else(|| self.unknown_feature(feature.as_str()))?;
        let order = self.order(configured, request.clone())?;
        let is_backward = self.world().state(feature).is_some_and(|state| order.is_backward(&state));
        let followed = match is_backward {
            true => self.go_back(author, configured, &order).await,
            false => tokio::time::timeout(FORWARDS_WAIT, self.go_forwards(author, feature, request))
                .await
                .unwrap_or(Err(CommandError::Slow)),
        };
        let Followed { entries, note, recorded, settled } =
            followed.map_err(|error| for_what_was_asked(error, &order))?;
        let state = self.world().state(feature);
        let mut sentence = explain::receipt(&order, &entries, state.as_ref(), recorded);
        if let Some(note) = note {
            sentence.push_str("; ");
            sentence.push_str(&note);
        }
        Ok(Receipt {
            feature: feature.clone(),
            sentence,
            events: entries.into_iter().map(|Entry { ts, event, .. }| RecordedEvent { ts, event }).collect(),
            recorded,
            settled,
            seconds: asked.elapsed().as_secs_f64(),
        })
    }

    pub(crate) fn unknown_feature(&self, feature: &str) -> CommandError {
        let config = self.config();
        CommandError::UnknownFeature {
            feature: feature.chars().take(80).collect(),
            known: only::listed(config.features.keys().map(FeatureName::as_str)),
        }
    }

    /// A request with its names looked up.
    fn order(&self, feature: &Feature, request: Request) -> Result<Command, CommandError> {
        Ok(match request {
            Request::Start { candidate, plan, owner, only, again, .. } => {
                let config = self.config();
                let plan = plan.unwrap_or_else(lockgate_core::plan::standard_name);
                let known = config.plans.get(&plan).ok_or_else(|| CommandError::UnknownPlan {
                    plan,
                    known: only::listed(config.plans.keys().map(PlanName::as_str)),
                })?;
                fits(feature, known)?;
                let mut plan = (**known).clone();
                if feature.labels.is_empty() {
                    // Nobody is labelled: there are no slices to keep a part of the error budget for.
                    plan.slices.part = 0.0;
                }
                Command::Start {
                    candidate: version(feature, &candidate)?,
                    plan: Box::new(plan),
                    owner: owner.or_else(|| feature.owner.clone()),
                    confine: match only.is_empty() {
                        true => Confine::everyone(),
                        false => only::read(&only, feature)?,
                    },
                    again,
                    undecidable: Vec::new(),
                    drill: None,
                    rollout: drawn::rollout_id(self.clock.now()),
                    salt: drawn::salt(),
                }
            }
            Request::Promote { why } => Command::Promote { why },
            Request::Pause { why } => Command::Pause { why },
            Request::Resume { why } => Command::Resume { why },
            Request::RollBack { why } => Command::RollBack { why },
            Request::Flip { to, why } => {
                Command::Flip { to: to.map(|to| version(feature, &to)).transpose()?, why }
            }
            Request::Kill { to, why } => Command::Kill { to, why },
            Request::Revive { why } => Command::Revive { why },
        })
    }

    /// In force first, recorded after. What is known in memory may be behind the log, so a refusal counts only when the log
    /// has been read.
    async fn go_back(
        &self,
        author: &str,
        feature: &Feature,
        order: &Command,
    ) -> Result<Followed, CommandError> {
        let deadline = Instant::now() + WAIT;
        let mut followed = self.follow_at_once(author, feature, order);
        if !matches!(&followed, Ok(entries) if !entries.is_empty()) {
            // A store that is away or slow must not keep the answer back.
            let _ = timeout_at(Instant::now() + WAIT / 3, self.catch_up()).await;
            followed = self.follow_at_once(author, feature, order);
        }
        let entries = followed?;
        let (flushed, gone) = tokio::join!(
            timeout_at(deadline, self.flush_pending()),
            timeout_at(deadline, self.old_tables_gone())
        );
        let failed = match flushed {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(CommitError::Slow),
        };
        if let Some(error) = &failed {
            tracing::warn!(feature = %feature.name, %error, "in force, but not recorded yet");
        }
        self.publish();
        Ok(Followed { entries, note: None, recorded: failed.is_none(), settled: gone.is_ok() })
    }

    /// Decides and puts in force under one lock, so that no look at the rollout comes in between.
    fn follow_at_once(
        &self,
        author: &str,
        feature: &Feature,
        order: &Command,
    ) -> Result<Vec<Entry>, CommandError> {
        let mut world = self.world();
        let (state, verdicts) = known(&world, feature)?;
        let events = command(&state, &verdicts, order, self.clock.now())?;
        events.iter().try_for_each(|event| has_a_way_back(&state, event, feature))?;
        let entries = self.entries(&feature.name, author, events);
        world.put_in_force(entries.clone());
        world.publish(&self.live);
        Ok(entries)
    }

    async fn go_forwards(
        &self,
        author: &str,
        name: &FeatureName,
        request: Request,
    ) -> Result<Followed, CommandError> {
        for _ in 0..TRIES {
            self.flush_pending().await?;
            let config = self.config();
            let feature = config.features.get(name).ok_or_else(|| self.unknown_feature(name.as_str()))?;
            // Names are looked up anew each time: the configuration may be another one by now.
            let mut order = self.order(feature, request.clone())?;
            let note = self.foresee(feature, &request, &mut order).await?;
            let (head, (state, verdicts)) = {
                let world = self.world();
                (world.head(), known(&world, feature)?)
            };
            let goes_on = matches!(order, Command::Promote { .. } | Command::Resume { .. });
            if let Some(changed) = changed_under_rollout(name, &state, &config).filter(|_| goes_on) {
                return Err(CommandError::Changed(changed));
            }
            let entries = self.entries(name, author, command(&state, &verdicts, &order, self.clock.now())?);
            if entries.is_empty() {
                return Ok(Followed { entries, note, recorded: true, settled: true });
            }
            let appended = self.append(head, entries.clone()).await;
            self.publish();
            match appended {
                Ok(()) => {
                    let gone = timeout_at(Instant::now() + WAIT, self.old_tables_gone()).await;
                    return Ok(Followed { entries, note, recorded: true, settled: gone.is_ok() });
                }
                Err(AppendError::HeadMoved { .. }) => {}
                Err(AppendError::Store(error)) => return Err(CommandError::Store(error)),
            }
        }
        Err(CommandError::Overtaken)
    }
}

/// The same refusal means something else to whoever asked for something else.
fn for_what_was_asked(error: CommandError, order: &Command) -> CommandError {
    match (error, order) {
        (CommandError::Refused(Refusal::Rejected { version }), Command::Flip { .. }) => {
            CommandError::FlipToRejected { version }
        }
        (error, _) => error,
    }
}

/// What is in force for a feature, and how its gates stood at the last look.
fn known(world: &World, feature: &Feature) -> Result<(FeatureState, Vec<Verdict>), CommandError> {
    // Every configured feature has a state: starting and reloading declare it.
    let state = world.state(&feature.name).ok_or(CommandError::Overtaken)?;
    let standing = world.standing(&feature.name).map(|standing| standing.verdicts.clone());
    Ok((state, standing.unwrap_or_default()))
}

fn version(feature: &Feature, name: &VersionName) -> Result<VersionRef, CommandError> {
    feature.versions.get(name).map(|version| version.id.clone()).ok_or_else(|| CommandError::UnknownVersion {
        feature: feature.name.clone(),
        version: name.clone(),
        known: only::listed(feature.versions.keys().map(VersionName::as_str)),
    })
}

fn fits(feature: &Feature, plan: &Plan) -> Result<(), CommandError> {
    let problems = check_plan_for(feature, plan);
    if problems.is_empty() {
        return Ok(());
    }
    let said: Vec<String> =
        problems.iter().map(|problem| format!("{} ({})", problem.message, problem.path)).collect();
    Err(CommandError::PlanDoesNotFit {
        plan: plan.name.clone(),
        feature: feature.name.clone(),
        problems: said.join("; "),
    })
}

/// Users cannot be sent to a version that the configuration does not have: they would get what it declares, which may be the
/// very version that is being taken back.
fn has_a_way_back(state: &FeatureState, event: &Event, feature: &Feature) -> Result<(), CommandError> {
    let to = match (event, &state.rollout) {
        (Event::RollbackStarted { .. }, Some(rollout)) => &rollout.stable,
        (Event::Flipped { to, .. }, _) => to,
        _ => return Ok(()),
    };
    let is_declared_elsewhere = || {
        matches!(event, Event::RollbackStarted { .. })
            && state.rollout.as_ref().is_some_and(|rollout| rollout.candidate.name != feature.stable)
    };
    match feature.versions.contains_key(&to.name) || is_declared_elsewhere() {
        true => Ok(()),
        false => Err(CommandError::NoWayBack { version: to.clone() }),
    }
}
