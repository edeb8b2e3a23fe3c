//! What is told of a backtest: a line per decision, and one at the end.
//!
//! The shape is a contract with programs; each key is always there, and more may come.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockgate_core::event::{Cause, Event, Outcome, Verdict};
use lockgate_core::evidence::Mismatch;
use serde::Serialize;

use super::problem::Problem;

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// When it was taken: at the end of the last bucket that it rests on. Absent when no line of the file says a time.
    pub ts: Option<Timestamp>,
    /// What was decided.
    pub event: What,
    /// In which phase: of `promoted` the one that was left, of `phase_entered` the one that begins.
    pub phase: String,
    /// By which rules, as the plan's own words for them; or `start`, `dwell`, `deadline`, `visitors`, `input`.
    pub rule: Option<String>,
    /// What it rests on.
    pub evidence: Grounds,
}

/// The kind of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A phase began.
    PhaseEntered,
    /// A phase was left forwards.
    Promoted,
    /// All traffic would have gone to stable.
    RolledBack,
    /// The candidate would have got no more calls until a person decides.
    Frozen,
    /// It does not go on: what is missing is in the evidence.
    Held,
    /// Everybody would have the candidate.
    Completed,
    /// A person would have been called.
    Alerted,
    /// One slice would have gone back to stable.
    SliceWithdrawn,
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Grounds {
    /// In a sentence.
    pub why: String,
    /// The gates and triggers, with every number.
    pub checks: Vec<Verdict>,
    /// What is missing, where something is waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// That callers are split otherwise than the plan says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
    /// What is wrong with the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct End {
    /// Always `end`.
    pub event: &'static str,
    /// The end of the last bucket; absent when there was none.
    pub ts: Option<Timestamp>,
    /// `shadow`, `canary`, `paused`, `frozen`, `rolled_back` or `completed`.
    pub state: String,
    /// The phase it is in, or was in last.
    pub phase: String,
    /// Calls of users that the candidate had answered by then, or by the decision that took it back.
    pub candidate_requests: u64,
    /// Different users among them; exact up to a million.
    pub users_reached: u64,
    /// Copies that the candidate had answered in shadow phases by then.
    pub candidate_copies: u64,
    /// Calls that stable had answered by then.
    pub stable_requests: u64,
    /// Lines of the file that say something, right or wrong.
    pub lines: u64,
    /// Those that could be used.
    pub outcomes: u64,
    /// What is wrong with the file.
    pub problems: Vec<Problem>,
    /// Keys that nobody reads, and on how many lines.
    pub ignored: BTreeMap<String, u64>,
    /// What was not counted exactly, and why.
    pub notes: Vec<String>,
}

/// The rules that were decided by: `tier=premium: error < 0.5 %`, several with semicolons.
pub(super) fn rules(checks: &[Verdict]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for check in checks {
        let name = match &check.slice {
            Some(slice) => format!("{slice}: {}", check.name),
            None => check.name.clone(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| names.join("; "))
}

/// What an event of the rollout is told as, in the phase that it found; nothing for what a backtest does not tell.
pub(super) fn told(event: &Event, ts: Timestamp, phase: &str) -> Option<Told> {
    let (what, cause, why, checks) = match event {
        Event::PhaseEntered { why, standing, .. } => (What::Promoted, None, why, standing),
        Event::Paused { cause, why, standing, .. } => (What::Held, Some(cause), why, standing),
        Event::Frozen { cause, why, standing, .. } => (What::Frozen, Some(cause), why, standing),
        Event::RollbackStarted { cause, why, standing, .. } => (What::RolledBack, Some(cause), why, standing),
        Event::Alerted { why, standing, .. } => (What::Alerted, None, why, standing),
        Event::SliceWithdrawn { why, standing, .. } => (What::SliceWithdrawn, None, why, standing),
        _ => return None,
    };
    let rule = match cause {
        Some(Cause::Deadline) => Some("deadline".to_owned()),
        // Gates that nobody reported stood aside; nothing was decided by them.
        None if what == What::Promoted => {
            let passed = checks.iter().filter(|check| check.outcome == Outcome::Pass).cloned();
            rules(&passed.collect::<Vec<_>>())
        }
        _ => rules(checks),
    };
    let evidence = Grounds { why: why.clone(), checks: checks.clone(), ..Grounds::default() };
    Some(Told { ts: Some(ts), event: what, phase: phase.to_owned(), rule, evidence })
}
