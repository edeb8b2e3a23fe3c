//! Leaving a phase forwards: its time has passed, its evidence is in, and the candidate is still seen.

use std::time::Duration;

use jiff::Timestamp;

use super::{Decision, backwards, later};
use crate::event::{Cause, Event, Outcome, Verdict};
use crate::evidence::course::lane_of;
use crate::evidence::say::in_words;
use crate::evidence::{Check, Evidence};
use crate::plan::{Action, Gate, Need, OnDeadline, Phase, Rule};
use crate::share::{Share, percent};
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
    let mut missing = missing(rollout, at, phase, evidence, now);
    if is_last && phase.gates.is_empty() && phase.kind.share() == Share::FULL {
        // Everybody has it already; there is nothing left that could be shown before.
        missing.clear();
    }
    if is_last {
        missing.extend(still_withdrawn(rollout));
    }
    let dwell_ends = later(at.since, phase.dwell);
    if now < dwell_ends {
        missing.insert(0, format!("{} more in this phase", words(dwell_ends, now)));
    }
    if missing.is_empty() {
        return Decision { events: onwards(rollout, at, gates, now), ..decision };
    }
    let stands_in_the_way = broken_for_next(rollout, at, phase, evidence);
    if now >= dwell_ends && !stands_in_the_way.is_empty() && missing.len() == stands_in_the_way.len() {
        return Decision { events: vec![no_way_on(rollout, &missing, stands_in_the_way)], ..decision };
    }
    let deadline = later(at.resumed.unwrap_or(at.since), phase.deadline);
    if now >= deadline && now >= dwell_ends {
        let over = out_of_time(rollout, gates, missing.join("; "));
        return Decision { events: vec![over], waiting_for: missing, ..decision };
    }
    let next_look = [Some(dwell_ends), Some(deadline), decision.look_again_at];
    let look_again_at = next_look.into_iter().flatten().filter(|moment| *moment > now).min();
    Decision { waiting_for: missing, look_again_at, ..decision }
}

/// Gates of the next phase that are shown to be broken already.
fn broken_for_next(rollout: &Rollout, at: InPhase, phase: &Phase, evidence: &Evidence) -> Vec<Verdict> {
    let Some(next) = rollout.plan.phases.get(at.phase + 1) else { return Vec::new() };
    let is_in_the_way = |check: &&Check| {
        check.action.is_none()
            && check.verdict.outcome == Outcome::Fail
            && !holds(phase, check)
            && holds(next, check)
    };
    evidence.checks.iter().filter(is_in_the_way).map(|check| check.verdict.clone()).collect()
}

/// All that this phase asks for is there, and what the next one asks for is shown to be broken: it would go back as soon as
/// it was entered, and goes back without reaching more people.
fn no_way_on(rollout: &Rollout, missing: &[String], standing: Vec<Verdict>) -> Event {
    let why = format!("it cannot go on: {}", missing.join("; "));
    Event::RollbackStarted { rollout: rollout.id, cause: Cause::Gate, why, standing }
}

/// A phase that was not left in time. Going on is not among what may follow.
fn out_of_time(rollout: &Rollout, gates: Vec<Verdict>, missing: String) -> Event {
    let why = format!("the phase's deadline is over and it cannot be left: {missing}");
    let (rollout, cause) = (rollout.id, (Cause::Deadline, rollout.plan.on_deadline));
    match cause {
        (cause, OnDeadline::Pause) => Event::Paused { rollout, cause, why, standing: gates },
        (cause, OnDeadline::RollBack) => Event::RollbackStarted { rollout, cause, why, standing: gates },
    }
}

/// Slices that were sent back to stable. Once the candidate is the stable version they would get it with everybody else, so
/// a rollout is not over by itself while there are any.
fn still_withdrawn(rollout: &Rollout) -> Option<String> {
    let slices: Vec<String> = rollout.withdrawn.iter().map(|withdrawn| withdrawn.slice.to_string()).collect();
    (!slices.is_empty()).then(|| {
        let slices = slices.join(", ");
        format!(
            "a person: {slices} was sent back to stable and completing would take it along; a promotion by hand does that, a \
             rollback takes everybody back"
        )
    })
}

/// What must still be shown before the phase may be left, dwell time aside. Empty only when something was shown.
fn missing(
    rollout: &Rollout,
    at: InPhase,
    phase: &Phase,
    evidence: &Evidence,
    now: Timestamp,
) -> Vec<String> {
    let mut missing = Vec::new();
    let mut passed = 0;
    for gate in &phase.gates {
        match check_of(phase, gate, evidence) {
            // That something never happened shows nothing where nothing was looked at.
            Some(check) if check.verdict.outcome == Outcome::Pass => {
                passed += u32::from(check.rule != Rule::Never);
            }
            Some(check) if stands_aside(gate, check) => {}
            Some(check) => missing.push(format!("{}: {}", check.verdict.name, check.verdict.why)),
            None => missing.push(format!("{} {}: no evidence is kept of it", gate.signal, gate.rule)),
        }
    }
    missing.extend(broken(rollout, at, phase, evidence));
    if backwards::predates_withdrawal(rollout, evidence) {
        missing
            .push("a bucket from after a slice was sent back: what is counted so far holds its calls".into());
    }
    missing.extend(evidence.mismatch.map(|mismatch| mismatch_words(&mismatch)));
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

/// What is broken, of the whole or of a slice, and would not let the next phase be entered: also a limit that only that phase
/// sets. While the phase lasts such a limit is not in force yet; once nothing else is missing, there is no way on.
fn broken(rollout: &Rollout, at: InPhase, phase: &Phase, evidence: &Evidence) -> Vec<String> {
    let next = rollout.plan.phases.get(at.phase + 1);
    let waits = |check: &Check| {
        let verdict = &check.verdict;
        let name = match &verdict.slice {
            Some(slice) => format!("{slice}: {}", verdict.name),
            None => verdict.name.clone(),
        };
        let is_broken = verdict.outcome == Outcome::Fail;
        match check.action {
            Some(Action::RollBack | Action::Freeze) if is_broken => Some(format!("{name}: {}", verdict.why)),
            Some(Action::RollBack | Action::Freeze) if check.of_both => {
                Some(format!("{name}: an incident in both arms: {}", verdict.why))
            }
            // Of the whole, this phase's own gates are asked for one by one.
            None if is_broken && check.slice.is_some() && holds(phase, check) => {
                Some(format!("{name}: {}", verdict.why))
            }
            None if is_broken && !holds(phase, check) => {
                let next = next.filter(|next| holds(next, check))?;
                Some(format!("{name}, which the next phase (`{}`) asks for: {}", next.name, verdict.why))
            }
            _ => None,
        }
    };
    let of_lane = evidence.checks.iter().filter(|check| check.lane == lane_of(phase));
    of_lane.filter_map(waits).collect()
}

/// That callers are split otherwise than the phase says.
pub(super) fn mismatch_words(mismatch: &crate::evidence::Mismatch) -> String {
    let callers = mismatch.candidate.saturating_add(mismatch.stable).max(1);
    let share = mismatch.candidate as f64 / callers as f64;
    format!(
        "routing is broken: the candidate ought to have {} of the callers and has {} ({} of {callers}); nothing \
         compared can be trusted",
        mismatch.share,
        percent((share * 1e5).round() / 1e5),
        mismatch.candidate,
    )
}

fn check_of<'e>(phase: &Phase, gate: &Gate, evidence: &'e Evidence) -> Option<&'e Check> {
    (evidence.checks.iter()).find(|check| {
        check.action.is_none()
            && check.slice.is_none()
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
    if is_last && (rollout.withdrawn.is_empty() || next >= rollout.plan.phases.len()) {
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
    in_words(u64::try_from(until.duration_since(now).as_secs()).unwrap_or_default().max(1))
}
