//! Where a feature stands: the fold of its events, and the route that follows from it.
//!
//! [`FeatureState::apply`] never fails and never panics: a log is a fact. Whether an event is allowed is asked before it is
//! appended, by whoever appends it (`command` for people, `decide` for the controller). An event about a rollout that is not
//! the present one changes nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::assign::Salt;
use crate::drill::Fault;
use crate::event::{Entry, Event, Verdict};
use crate::name::{Revision, RolloutId, VersionRef};
use crate::plan::{Phase, PhaseKind, Plan};
use crate::route::{KillTo, Mode, Route, Trial};
use crate::segment::{Confine, Slice};
use crate::share::Share;
use crate::sums::BucketStart;

/// Where one feature stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureState {
    /// What the configuration last named as stable. The log's own stable follows it when it changes.
    pub declared: VersionRef,
    /// The version that users have.
    pub stable: VersionRef,
    /// The kill switch.
    pub killed: Option<KillTo>,
    /// The present or last rollout.
    pub rollout: Option<Rollout>,
    /// The rollout before, while a rehearsal stands in front of it; what is watched of it goes on when that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aside: Option<Box<Rollout>>,
    /// The version that users had before, as long as it is kept ready.
    pub warm: Option<Warm>,
    /// Digests that were taken back; they do not start again without saying so.
    pub rejected: BTreeSet<Revision>,
}

/// A version kept ready for the way back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Warm {
    /// The version.
    pub version: VersionRef,
    /// Until when.
    pub until: Timestamp,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rollout {
    /// Its id.
    pub id: RolloutId,
    /// The version that users had when it began.
    pub stable: VersionRef,
    /// The version being rolled out.
    pub candidate: VersionRef,
    /// What it is judged by.
    pub plan: Plan,
    /// Who answers for it.
    pub owner: String,
    /// Who started it.
    pub author: String,
    /// What its assignment is salted with.
    pub salt: Salt,
    /// Whom it may touch at all.
    pub confine: Confine,
    /// Set for a rehearsal: the candidate is stable with this fault in front of its answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Fault>,
    /// When it began; evidence counts from here.
    pub started: Timestamp,
    /// What was in force since when, oldest first; evidence is read by it. Never empty.
    pub moves: Vec<Move>,
    /// Slices that were sent back to stable.
    pub withdrawn: Vec<Withdrawn>,
    /// Names of checks that called for a person in the present phase.
    pub alerted: BTreeSet<String>,
    /// Where it is.
    pub stage: Stage,
}

/// What was in force from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Move {
    /// From when.
    pub at: Timestamp,
    /// The phase; `None` once the rollout is over or on its way back.
    pub phase: Option<usize>,
    /// The candidate's part of the users whom it may touch.
    pub share: Share,
    /// Whether a person let it go on here.
    pub resumed: bool,
    /// Where it was frozen: the last bucket of what it was frozen for. Whoever lets it go on from there has seen that much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<BucketStart>,
}

/// A slice that was sent back to stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Withdrawn {
    /// Who.
    pub slice: Slice,
    /// Since when.
    pub since: Timestamp,
}

/// Where a rollout is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Stage {
    /// On its way, in a phase.
    Running(InPhase),
    /// Standing still in a phase: shares stay.
    Paused {
        /// Where.
        #[serde(flatten)]
        at: InPhase,
        /// Why.
        why: String,
    },
    /// Standing still in a phase: the candidate gets no new calls.
    Frozen {
        /// Where.
        #[serde(flatten)]
        at: InPhase,
        /// Why.
        why: String,
    },
    /// All traffic is sent to stable; waiting until that is measured.
    RollingBack {
        /// Since when.
        since: Timestamp,
        /// Why.
        why: String,
    },
    /// Over: users have stable.
    RolledBack {
        /// Since when.
        since: Timestamp,
        /// Why.
        why: String,
    },
    /// Over: users have the candidate.
    Completed {
        /// Since when.
        since: Timestamp,
        /// Until when the old version stays ready.
        warm_until: Timestamp,
    },
}

/// A phase and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InPhase {
    /// Index into the plan's phases.
    pub phase: usize,
    /// When it was entered, or when it was last let go on after a freeze.
    pub since: Timestamp,
    /// When a person last let it go on; its deadline runs anew from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Timestamp>,
    /// Up to which bucket what freezes was told when it was frozen; going on from there forgives so much and nothing later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<BucketStart>,
}

impl Stage {
    /// The phase it is in, unless the rollout is over or on its way back.
    pub fn in_phase(&self) -> Option<InPhase> {
        match self {
            Self::Running(at) | Self::Paused { at, .. } | Self::Frozen { at, .. } => Some(*at),
            _ => None,
        }
    }
}

impl Rollout {
    /// One that begins now, of nobody in particular and for everyone.
    pub fn begin(
        id: RolloutId,
        stable: VersionRef,
        candidate: VersionRef,
        plan: Plan,
        at: Timestamp,
    ) -> Self {
        let mut begun = Self {
            id,
            stable,
            candidate,
            plan,
            owner: String::new(),
            author: String::new(),
            salt: Salt::from_random(0),
            confine: Confine::everyone(),
            drill: None,
            started: at,
            moves: Vec::new(),
            withdrawn: Vec::new(),
            alerted: BTreeSet::new(),
            stage: Stage::Running(InPhase { phase: 0, since: at, resumed: None, seen: None }),
        };
        begun.note_move(at, false, None);
        begun
    }

    /// The phase it is in, unless it is over or on its way back.
    pub fn phase(&self) -> Option<&Phase> {
        self.stage.in_phase().and_then(|at| self.plan.phases.get(at.phase))
    }

    /// Whether it still holds, or may still hold, some of the traffic.
    pub fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::RolledBack { .. } | Stage::Completed { .. })
    }

    /// Whether evidence of it is still looked at: while it is under way, and while the old version is warm after it.
    pub fn is_watched(&self, now: Timestamp) -> bool {
        match &self.stage {
            Stage::Completed { warm_until, .. } => now < *warm_until,
            _ => self.is_under_way(),
        }
    }

    /// The candidate's present part of the users it may touch.
    pub fn share(&self) -> Share {
        match &self.stage {
            Stage::Running(_) | Stage::Paused { .. } => {
                self.phase().map_or(Share::NONE, |phase| phase.kind.share())
            }
            Stage::Frozen { .. } | Stage::RollingBack { .. } | Stage::RolledBack { .. } => Share::NONE,
            Stage::Completed { .. } => Share::FULL,
        }
    }

    /// The word for where it is, as told to programs: `shadow`, `canary`, `paused`, `frozen`, `rolling_back`, `rolled_back`,
    /// `completed`.
    pub fn state_word(&self) -> &'static str {
        match &self.stage {
            Stage::Running(_) => match self.phase().map(|phase| phase.kind) {
                Some(PhaseKind::Shadow { .. }) => "shadow",
                _ => "canary",
            },
            Stage::Paused { .. } => "paused",
            Stage::Frozen { .. } => "frozen",
            Stage::RollingBack { .. } => "rolling_back",
            Stage::RolledBack { .. } => "rolled_back",
            Stage::Completed { .. } => "completed",
        }
    }

    /// Whom a phase may touch: callers that both the rollout and the phase admit.
    pub(crate) fn confine_of(&self, phase: &Phase) -> Confine {
        match (self.confine.0.is_empty(), phase.confine.0.is_empty()) {
            (true, _) => phase.confine.clone(),
            (_, true) => self.confine.clone(),
            _ => self.confine.intersect(&phase.confine),
        }
    }

    /// Whom the present phase may touch.
    pub fn present_confine(&self) -> Confine {
        self.phase().map_or_else(|| self.confine.clone(), |phase| self.confine_of(phase))
    }

    /// Notes what is in force now, if that is something else than before.
    fn note_move(&mut self, at: Timestamp, resumed: bool, seen: Option<BucketStart>) {
        let phase = self.stage.in_phase().map(|at| at.phase);
        let now = Move { at, phase, share: self.share(), resumed, seen };
        let is_same = |last: &Move| last.phase == now.phase && last.share == now.share;
        if resumed || seen.is_some() || !self.moves.last().is_some_and(is_same) {
            self.moves.push(now);
        }
    }

    fn trial(&self) -> Option<Trial> {
        let phase = self.phase()?;
        let mode = match (&self.stage, phase.kind) {
            (Stage::Frozen { .. }, _) => return None,
            (_, PhaseKind::Shadow { sample }) => Mode::Shadow { sample, salt: self.salt.clone() },
            (_, PhaseKind::Canary { share }) => Mode::Canary { share, salt: self.salt.clone() },
        };
        Some(Trial {
            rollout: self.id,
            candidate: self.candidate.clone(),
            since: self.moves.last().map_or(self.started, |moved| moved.at),
            confine: self.confine_of(phase),
            withdrawn: self.withdrawn.iter().map(|withdrawn| withdrawn.slice.clone()).collect(),
            drill: self.drill,
            mode,
        })
    }
}

/// The last bucket of what a rollout was frozen for; `None` where that was no evidence.
fn seen_in(event: &Event) -> Option<BucketStart> {
    let Event::Frozen { standing, .. } = event else { return None };
    standing.iter().filter_map(|verdict| verdict.as_of).map(|as_of| as_of.bucket).max()
}

impl FeatureState {
    /// A feature of which the log says nothing yet.
    pub fn new(declared: VersionRef) -> Self {
        Self {
            stable: declared.clone(),
            declared,
            killed: None,
            rollout: None,
            aside: None,
            warm: None,
            rejected: BTreeSet::new(),
        }
    }

    /// The feature's state after all its entries, in the log's order; `None` when there are none.
    pub fn fold<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Option<Self> {
        entries.into_iter().fold(None, |state, entry| match (state, &entry.event) {
            (Some(mut state), _) => {
                Self::apply(&mut state, entry);
                Some(state)
            }
            (None, Event::StableDeclared { declared, stable }) => {
                Some(Self { declared: declared.clone(), ..Self::new(stable.clone()) })
            }
            (None, _) => None,
        })
    }

    /// Whether a way back of this rollout would still take something back: it is not on its way already, and users have not
    /// been given a third version since it was completed.
    pub fn can_go_back(&self, rollout: RolloutId) -> bool {
        let of_this = self.rollout.as_ref().filter(|present| present.id == rollout);
        of_this.is_some_and(|present| match present.stage {
            Stage::RollingBack { .. } | Stage::RolledBack { .. } => false,
            Stage::Completed { .. } => self.stable.revision == present.candidate.revision,
            _ => true,
        })
    }

    /// Takes in one more entry.
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::StableDeclared { declared, stable } => {
                self.declared = declared.clone();
                self.stable = stable.clone();
            }
            Event::RolloutStarted {
                rollout, stable, candidate, plan, owner, salt, confine, drill, ..
            } => {
                self.rejected.remove(&candidate.revision);
                // A rehearsal steps in front of a real rollout, and of no rehearsal before it.
                let real = self
                    .aside
                    .take()
                    .or_else(|| self.rollout.take().filter(|rollout| rollout.drill.is_none()).map(Box::new));
                self.aside = real.filter(|_| drill.is_some());
                let begun =
                    Rollout::begin(*rollout, stable.clone(), candidate.clone(), (**plan).clone(), entry.ts);
                self.rollout = Some(Rollout {
                    owner: owner.clone(),
                    author: entry.author.clone(),
                    salt: salt.clone(),
                    confine: confine.clone(),
                    drill: *drill,
                    ..begun
                });
            }
            Event::Flipped { from, to, warm_until, .. } => {
                self.stable = to.clone();
                self.warm = Some(Warm { version: from.clone(), until: *warm_until });
            }
            Event::Killed { to, why } => {
                self.killed = Some(*to);
                // Frozen, not paused: a paused rollout would have its share again as soon as the switch is released.
                if let Some(rollout) = self.rollout.as_mut()
                    && let Stage::Running(at) | Stage::Paused { at, .. } = rollout.stage
                {
                    rollout.stage = Stage::Frozen { at, why: format!("kill switch: {why}") };
                }
            }
            Event::Revived { .. } => self.killed = None,
            event => self.apply_to_rollout(event, entry.ts),
        }
        if let Some(rollout) = &mut self.rollout {
            let is_mine = entry.event.rollout() == Some(rollout.id) && rollout.stage.in_phase().is_some();
            let seen = if is_mine { seen_in(&entry.event) } else { None };
            rollout.note_move(entry.ts, is_mine && matches!(entry.event, Event::Resumed { .. }), seen);
        }
    }

    fn apply_to_rollout(&mut self, event: &Event, ts: Timestamp) {
        let Some(rollout) = self.rollout.as_mut().filter(|rollout| event.rollout() == Some(rollout.id))
        else {
            return;
        };
        let at = rollout.stage.in_phase();
        match (event, at) {
            (Event::PhaseEntered { phase, .. }, Some(at)) => {
                // Entered from where it was frozen, nobody has said that what froze it was seen.
                let seen = at.seen.filter(|_| !matches!(rollout.stage, Stage::Frozen { .. }));
                rollout.stage = Stage::Running(InPhase { phase: *phase, since: ts, resumed: None, seen });
                rollout.alerted.clear();
            }
            (Event::Alerted { standing, .. }, _) => {
                rollout.alerted.extend(standing.iter().map(Verdict::key));
            }
            (Event::SliceWithdrawn { slice, .. }, Some(_)) => {
                rollout.withdrawn.push(Withdrawn { slice: slice.clone(), since: ts });
            }
            (Event::Paused { why, .. }, Some(at)) => rollout.stage = Stage::Paused { at, why: why.clone() },
            (Event::Frozen { why, .. }, Some(at)) => {
                let at = InPhase { seen: at.seen.max(seen_in(event)), ..at };
                rollout.stage = Stage::Frozen { at, why: why.clone() };
            }
            (Event::Resumed { .. }, Some(at)) => {
                // Frozen, it had no calls; its time in the phase begins when it has them again.
                let since = if matches!(rollout.stage, Stage::Frozen { .. }) { ts } else { at.since };
                rollout.stage = Stage::Running(InPhase { since, resumed: Some(ts), ..at });
            }
            (Event::RollbackStarted { why, .. }, _) => {
                // Once users have a third version there is nothing to take back from them, whoever raced whom to the log.
                let is_third = matches!(rollout.stage, Stage::Completed { .. })
                    && self.stable.revision != rollout.candidate.revision;
                if rollout.drill.is_none() {
                    self.rejected.insert(rollout.candidate.revision);
                }
                if rollout.drill.is_none() && !is_third {
                    self.stable = rollout.stable.clone();
                    self.warm = None;
                }
                rollout.stage = Stage::RollingBack { since: ts, why: why.clone() };
            }
            (Event::RolledBack { .. }, _) => {
                if let Stage::RollingBack { why, .. } = &rollout.stage {
                    rollout.stage = Stage::RolledBack { since: ts, why: why.clone() };
                    if let Some(aside) = self.aside.take() {
                        *rollout = *aside;
                    }
                }
            }
            (Event::Completed { warm_until, .. }, Some(_)) => {
                self.stable = rollout.candidate.clone();
                self.warm = Some(Warm { version: rollout.stable.clone(), until: *warm_until });
                rollout.stage = Stage::Completed { since: ts, warm_until: *warm_until };
            }
            _ => {}
        }
    }

    /// Where the feature's calls go.
    pub fn route(&self) -> Route {
        let trial = match self.killed {
            Some(_) => None,
            None => self.rollout.as_ref().and_then(Rollout::trial),
        };
        Route { stable: self.stable.clone(), trial, killed: self.killed }
    }
}
