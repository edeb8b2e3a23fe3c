//! Leaving a phase forwards: its time has passed, its evidence is in, and the candidate is still seen.

use std::time::Duration;

use jiff::Timestamp;

use super::{Decision, later};
use crate::event::{Cause, Event, Outcome, Verdict};
use crate::evidence::course::lane_of;
use crate::evidence::{Check, Evidence};
use crate::plan::{Gate, Need, Phase};
use crate::share::Share;
use crate::state::{InPhase, Rollout};

/// Evidence older than this does not carry a rollout forwards: gates that passed on Monday say nothing when the candidate
/// has not been seen since. An hour, so that a quiet feature is not held for its quietness.
const STALE_AFTER: Duration = Duration::from_secs(3600);

/// How the gates of a phase stand; one that stands aside says so.
pub(super) fn standing_of(phase: &Phase, evidence: &Evidence) -> Vec<Verdict> {
    (phase.gates.iter())
        .filter_map(|gate| {
            let check = check_of(phase, gate, evidence)?;
            let mut verdict = check.verdict.clone();
            if stands_aside(gate, check) {
                verdict.why = "nobody has reported it; not waited for".into();
            }
            Some(verdict)
        })
        .collect()
}

/// Whether a check is one of a phase's gates.
pub(super) fn holds(phase: &Phase, check: &Check) -> bool {
    check.action.is_none()
        && check.lane == lane_of(phase)
        && phase.gates.iter().any(|gate| gate.signal == check.verdict.signal && gate.rule == check.rule)
}

/// Decides for a running phase in which nothing is broken.
pub(super) fn decide(
    rollout: &Rollout,
    at: InPhase,
    phase: &Phase,
    gates: Vec<Verdict>,
    evidence: &Evidence,
    now: Timestamp,
    decision: Decision,
) -> Decision {
    let is_last = at.phase + 1 >= rollout.plan.phases.len();
    let mut missing = missing(phase, evidence, now);
    if is_last && phase.gates.is_empty() && phase.kind.share() == Share::FULL {
        // Everybody has it already; there is nothing left that could be shown before.
        missing.clear();
    }
    let dwell_ends = later(at.since, phase.dwell);
    if now < dwell_ends {
        missing.insert(0, format!("{} more in this phase", words(dwell_ends, now)));
    }
    if missing.is_empty() {
        return Decision { events: onwards(rollout, at, gates, now), ..decision };
    }
    let deadline = later(at.resumed.unwrap_or(at.since), phase.deadline);
    if now >= deadline && now >= dwell_ends {
        let paused = Event::Paused {
            rollout: rollout.id,
            cause: Cause::Deadline,
            why: format!("the phase's deadline is over and it cannot be left: {}", missing.join("; ")),
            standing: gates,
        };
        return Decision { events: vec![paused], waiting_for: missing, ..decision };
    }
    let next_look = [Some(dwell_ends), Some(deadline), decision.look_again_at];
    let look_again_at = next_look.into_iter().flatten().filter(|moment| *moment > now).min();
    Decision { waiting_for: missing, look_again_at, ..decision }
}

/// What must still be shown before the phase may be left, dwell time aside. Empty only when something was shown.
fn missing(phase: &Phase, evidence: &Evidence, now: Timestamp) -> Vec<String> {
    let mut missing = Vec::new();
    let mut passed = 0;
    for gate in &phase.gates {
        match check_of(phase, gate, evidence) {
            Some(check) if check.verdict.outcome == Outcome::Pass => passed += 1,
            Some(check) if stands_aside(gate, check) => {}
            Some(check) => missing.push(format!("{}: {}", check.verdict.name, check.verdict.why)),
            None => missing.push(format!("{} {}: no evidence is kept of it", gate.signal, gate.rule)),
        }
    }
    let broken = |check: &&Check| {
        check.action.is_some() && check.lane == lane_of(phase) && check.verdict.outcome == Outcome::Fail
    };
    for trigger in evidence.checks.iter().filter(broken) {
        missing.push(format!("{}: {}", trigger.verdict.name, trigger.verdict.why));
    }
    if passed == 0 && missing.is_empty() {
        missing.push("a gate that passes: no gate of this phase has shown anything".into());
    }
    let seen = evidence.last_seen.of(lane_of(phase)).map(|bucket| bucket.timestamp());
    match seen {
        _ if passed == 0 => {}
        Some(seen) if later(seen, STALE_AFTER) >= now => {}
        Some(seen) => missing.push(format!("a call of the candidate's: the last was counted at {seen}")),
        None => missing.push("a call of the candidate's: none was counted yet".into()),
    }
    missing
}

fn check_of<'e>(phase: &Phase, gate: &Gate, evidence: &'e Evidence) -> Option<&'e Check> {
    (evidence.checks.iter()).find(|check| {
        check.action.is_none()
            && check.lane == lane_of(phase)
            && check.verdict.signal == gate.signal
            && check.rule == gate.rule
    })
}

/// A gate that nobody needs and nobody has reported.
fn stands_aside(gate: &Gate, check: &Check) -> bool {
    gate.need == Need::IfReported && !check.reported
}

/// Into the next phase; into the last and, because everybody then has the candidate, over.
fn onwards(rollout: &Rollout, at: InPhase, gates: Vec<Verdict>, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    let next = at.phase + 1;
    let why = gates_passed(&gates);
    if let Some(phase) = rollout.plan.phases.get(next) {
        events.push(Event::PhaseEntered {
            rollout: rollout.id,
            phase: next,
            name: phase.name.clone(),
            cause: Cause::Gate,
            why,
            standing: gates,
        });
    }
    let is_last = next + 1 >= rollout.plan.phases.len();
    if is_last {
        events.push(Event::Completed { rollout: rollout.id, warm_until: later(now, rollout.plan.warm_for) });
    }
    events
}

fn gates_passed(gates: &[Verdict]) -> String {
    let passed: Vec<String> = (gates.iter())
        .filter(|gate| gate.outcome == Outcome::Pass)
        .map(|gate| format!("{}: {}", gate.name, gate.why))
        .collect();
    passed.join("; ")
}

/// The time until a moment, in the two largest units.
fn words(until: Timestamp, now: Timestamp) -> String {
    let seconds = until.duration_since(now).as_secs().max(1);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
