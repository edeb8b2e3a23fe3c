//! What a person may do to a feature, and which events follow.
//!
//! A command is checked against the feature's state and answered with events, or with a refusal that says what to do
//! instead. No events and no refusal means that things are as asked already. The way back is always open: a rollback is
//! legal wherever there is a rollout, and the kill switch always. The way forwards asks for an owner, criteria, a reason.
//!
//! What the controller does by itself is decided elsewhere; what a changed configuration means is in [`reconcile()`]; what an
//! old log says of a past moment is in [`served_at`].

mod reconcile;
mod refusal;
mod served;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

pub use self::reconcile::reconcile;
pub use self::refusal::Refusal;
pub use self::served::{Served, ServedVersion, served_at, serving};
use crate::assign::Salt;
use crate::drill::Fault;
use crate::event::{Cause, Event, Verdict};
use crate::name::{RolloutId, VersionRef};
use crate::plan::Plan;
use crate::route::KillTo;
use crate::segment::Confine;
use crate::state::{FeatureState, InPhase, Rollout, Stage};

/// How long the old version stays ready after a flip: as long as after a rollout by the standard plan, so that there is one
/// number to remember.
pub const WARM_AFTER_FLIP: Duration = Duration::from_secs(14 * 24 * 3600);

/// What a person asks of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Begin to roll out a version.
    Start {
        /// The version.
        candidate: VersionRef,
        /// What it is to be judged by.
        plan: Box<Plan>,
        /// Who answers for it.
        owner: Option<String>,
        /// Whom it may touch at all.
        confine: Confine,
        /// The caller knows that this digest was taken back before.
        again: bool,
        /// Gates that were found not to decide in time, and which the caller starts with all the same.
        undecidable: Vec<String>,
        /// Set for a rehearsal.
        drill: Option<Fault>,
        /// The id drawn for it.
        rollout: RolloutId,
        /// The salt drawn for it.
        salt: Salt,
    },
    /// Enter the next phase without waiting for the gates.
    Promote {
        /// Must be said: it stands in the audit in place of evidence.
        why: String,
    },
    /// Stand still; shares stay.
    Pause {
        /// For the audit.
        why: String,
    },
    /// Go on after a pause or a freeze.
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
        to: Option<VersionRef>,
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
    /// Release the kill switch.
    Revive {
        /// For the audit.
        why: String,
    },
}

impl Command {
    /// Whether it only takes traffic back to what users had. Such a command is carried out even when nobody can record it.
    pub fn is_backward(&self, state: &FeatureState) -> bool {
        match self {
            Self::RollBack { .. } | Self::Kill { .. } => true,
            Self::Flip { to: None, .. } => true,
            Self::Flip { to: Some(to), .. } => state.warm.as_ref().is_some_and(|warm| warm.version == *to),
            _ => false,
        }
    }
}

/// Says which events a command leads to. `standing` is how gates and triggers stood at the last look; it goes into the events.
pub fn command(
    state: &FeatureState,
    standing: &[Verdict],
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Start { .. } => start(state, command),
        Command::Promote { why } => promote(state, standing, why, now),
        Command::Pause { why } => pause(state, standing, why),
        Command::Resume { why } => resume(state, why),
        Command::RollBack { why } => roll_back(state, standing, why),
        Command::Flip { to, why } => flip(state, to.as_ref(), why, now),
        Command::Kill { to, why } => Ok(kill(state, *to, why)),
        Command::Revive { .. } if state.killed.is_none() => Err(Refusal::NotKilled),
        Command::Revive { why } => Ok(vec![Event::Revived { why: why.clone() }]),
    }
}

fn start(state: &FeatureState, command: &Command) -> Result<Vec<Event>, Refusal> {
    let Command::Start { candidate, plan, owner, confine, again, undecidable, drill, rollout, salt } =
        command
    else {
        return Ok(Vec::new());
    };
    nothing_under_way(state)?;
    not_killed(state)?;
    let owner = owner.as_deref().map(str::trim).filter(|owner| !owner.is_empty()).ok_or(Refusal::NoOwner)?;
    if !plan.has_criteria() || plan.phases.iter().all(|phase| phase.gates.is_empty()) {
        return Err(Refusal::NoCriteria { plan: plan.name.clone() });
    }
    if candidate.revision == state.stable.revision {
        return Err(Refusal::AlreadyStable { version: candidate.clone() });
    }
    if state.rejected.contains(&candidate.revision) && !again {
        return Err(Refusal::Rejected { version: candidate.clone() });
    }
    let started = Event::RolloutStarted {
        rollout: *rollout,
        stable: state.stable.clone(),
        candidate: candidate.clone(),
        plan: plan.clone(),
        owner: owner.to_owned(),
        salt: salt.clone(),
        confine: confine.clone(),
        undecidable: undecidable.clone(),
        drill: *drill,
    };
    let why = format!("{candidate} begins to replace {} by the plan `{}`", state.stable, plan.name);
    let first = plan.phases.first().map(|phase| Event::PhaseEntered {
        rollout: *rollout,
        phase: 0,
        name: phase.name.clone(),
        cause: Cause::Start,
        why,
        standing: Vec::new(),
    });
    Ok(std::iter::once(started).chain(first).collect())
}

fn promote(
    state: &FeatureState,
    standing: &[Verdict],
    why: &str,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let (rollout, at) = in_phase(state)?;
    not_killed(state)?;
    // What is rehearsed must never become what users have.
    if let Some(fault) = rollout.drill {
        return Err(Refusal::Drilled { fault: fault.to_string() });
    }
    if let Stage::Frozen { why, .. } = &rollout.stage {
        return Err(Refusal::Frozen { why: why.clone() });
    }
    if why.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    let next = at.phase + 1;
    let entered = rollout.plan.phases.get(next).map(|phase| Event::PhaseEntered {
        rollout: rollout.id,
        phase: next,
        name: phase.name.clone(),
        cause: Cause::Person,
        why: why.to_owned(),
        standing: standing.to_vec(),
    });
    // The last phase is everybody, and there is nothing left to wait for.
    let completed = (next + 1 >= rollout.plan.phases.len())
        .then(|| Event::Completed { rollout: rollout.id, warm_until: later(now, rollout.plan.warm_for) });
    Ok(entered.into_iter().chain(completed).collect())
}

fn pause(state: &FeatureState, standing: &[Verdict], why: &str) -> Result<Vec<Event>, Refusal> {
    let (rollout, _) = in_phase(state)?;
    Ok(match &rollout.stage {
        Stage::Running(_) => vec![Event::Paused {
            rollout: rollout.id,
            cause: Cause::Person,
            why: why.to_owned(),
            standing: standing.to_vec(),
        }],
        // A frozen rollout stands still too; pausing it would hand the candidate its share again.
        _ => Vec::new(),
    })
}

fn resume(state: &FeatureState, why: &str) -> Result<Vec<Event>, Refusal> {
    let (rollout, _) = in_phase(state)?;
    not_killed(state)?;
    Ok(match &rollout.stage {
        Stage::Running(_) => Vec::new(),
        _ => vec![Event::Resumed { rollout: rollout.id, why: why.to_owned() }],
    })
}

fn roll_back(state: &FeatureState, standing: &[Verdict], why: &str) -> Result<Vec<Event>, Refusal> {
    let rollout = state.rollout.as_ref().ok_or(Refusal::NothingToRollBack)?;
    Ok(match &rollout.stage {
        Stage::RollingBack { .. } | Stage::RolledBack { .. } => Vec::new(),
        // Users have gone on to another version since; taking the candidate back would take that one from them.
        Stage::Completed { .. } if state.stable.revision != rollout.candidate.revision => {
            return Err(Refusal::NothingToRollBack);
        }
        _ => vec![Event::RollbackStarted {
            rollout: rollout.id,
            cause: Cause::Person,
            why: why.to_owned(),
            standing: standing.to_vec(),
        }],
    })
}

fn flip(
    state: &FeatureState,
    to: Option<&VersionRef>,
    why: &str,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    nothing_under_way(state)?;
    not_killed(state)?;
    let to = match (to, &state.warm) {
        (Some(to), _) => to,
        (None, Some(warm)) if now <= warm.until => &warm.version,
        (None, Some(warm)) => {
            return Err(Refusal::NoLongerWarm { version: warm.version.clone(), until: warm.until });
        }
        (None, None) => return Err(Refusal::NothingToFlipTo),
    };
    if to.revision == state.stable.revision {
        return Err(Refusal::AlreadyStable { version: to.clone() });
    }
    if state.rejected.contains(&to.revision) {
        return Err(Refusal::Rejected { version: to.clone() });
    }
    Ok(vec![Event::Flipped {
        from: state.stable.clone(),
        to: to.clone(),
        why: why.to_owned(),
        warm_until: later(now, WARM_AFTER_FLIP),
    }])
}

fn kill(state: &FeatureState, to: KillTo, why: &str) -> Vec<Event> {
    if state.killed == Some(to) { Vec::new() } else { vec![Event::Killed { to, why: why.to_owned() }] }
}

fn nothing_under_way(state: &FeatureState) -> Result<(), Refusal> {
    match state.rollout.as_ref().filter(|rollout| rollout.is_under_way()) {
        Some(Rollout { drill: Some(fault), .. }) => Err(Refusal::Drilled { fault: fault.to_string() }),
        Some(rollout) => {
            Err(Refusal::UnderWay { candidate: rollout.candidate.clone(), state: rollout.state_word() })
        }
        None => Ok(()),
    }
}

fn not_killed(state: &FeatureState) -> Result<(), Refusal> {
    state.killed.map_or(Ok(()), |_| Err(Refusal::Killed))
}

/// The rollout and its phase, if there is one that can still go forwards.
fn in_phase(state: &FeatureState) -> Result<(&Rollout, InPhase), Refusal> {
    let rollout = state.rollout.as_ref().ok_or(Refusal::NoRollout)?;
    let at = rollout
        .stage
        .in_phase()
        .ok_or_else(|| Refusal::Over { candidate: rollout.candidate.clone(), state: rollout.state_word() })?;
    Ok((rollout, at))
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}
