//! The words: an event, a verdict and a receipt, each in one sentence.

use lockgate_core::command::Command;
use lockgate_core::event::{Cause, Entry, Event, Missing, Outcome, Role, Verdict};
use lockgate_core::route::KillTo;
use lockgate_core::share::percent;
use lockgate_core::signal::Measure;
use lockgate_core::state::FeatureState;

/// An event in one sentence.
pub(crate) fn sentence(event: &Event) -> String {
    match event {
        Event::StableDeclared { declared, stable } if declared == stable => {
            format!("the configuration says that users have {stable}")
        }
        Event::StableDeclared { declared, stable } => {
            format!("the configuration declares {declared}; users have {stable}")
        }
        Event::RolloutStarted { stable, plan, owner, drill: Some(fault), .. } => format!(
            "a rehearsal began: {stable} with {fault} in front of its answers, for marked calls, by the plan `{}`; {owner} \
             answers for it",
            plan.name
        ),
        Event::RolloutStarted { stable, candidate, plan, owner, confine, undecidable, .. } => {
            let knowingly = match undecidable.is_empty() {
                true => String::new(),
                false => {
                    format!("; it was known that these cannot decide in time: {}", undecidable.join(", "))
                }
            };
            format!(
                "the rollout of {candidate} over {stable} began by the plan `{}`, for {confine}; {owner} answers for \
                 it{knowingly}",
                plan.name
            )
        }
        Event::PhaseEntered { name, why, .. } => format!("phase `{name}` was entered: {why}"),
        Event::Paused { why, .. } => format!("the rollout was paused: {why}"),
        Event::Frozen { why, .. } => format!("the rollout was frozen, the candidate gets no calls: {why}"),
        Event::Alerted { why, .. } => format!("a person ought to look: {why}"),
        Event::SliceWithdrawn { slice, why, .. } => {
            format!("{slice} was sent back to stable, the rollout goes on without it: {why}")
        }
        Event::Resumed { why, .. } => format!("the rollout goes on: {why}"),
        Event::RollbackStarted { cause: Cause::Retreat, why, .. } => {
            format!("all traffic was sent back to stable, after one gateway went back alone: {why}")
        }
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
pub(crate) fn numbers(verdict: &Verdict) -> String {
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
    let slice = verdict.slice.as_ref().map(|slice| format!("{slice}: ")).unwrap_or_default();
    let interval = verdict.interval.map_or_else(String::new, |(low, high)| {
        format!(" in [{}, {}]", figure(verdict, low), figure(verdict, high))
    });
    let mut said = format!(
        "{role} {slice}{}: {outcome}, {}; {} {} of {} observed (total {}){interval}, stable {} of {} (total {}), limit {}; \
         evidence to pass {}, to fail {}; {} of the error budget",
        verdict.name,
        verdict.why,
        verdict.arm,
        shown(verdict.estimate),
        verdict.n,
        whole_or_not(verdict.total),
        shown(verdict.stable_estimate),
        verdict.stable_n,
        whole_or_not(verdict.stable_total),
        verdict.limit.map_or_else(|| "unknown".into(), |limit| figure(verdict, limit)),
        evidence(verdict.log_e_pass, verdict.log_e_pass_needed),
        evidence(verdict.log_e_fail, verdict.log_e_fail_needed),
        percent(rounded(verdict.alpha)),
    );
    if let Some(missing) = verdict.missing {
        said.push_str(&format!("; missing {}", lacking(missing)));
    }
    if let Some(crossed) = verdict.crossed {
        said.push_str(&format!("; its window is over the limit since {}", crossed.timestamp()));
    }
    if let Some(as_of) = verdict.as_of {
        said.push_str(&format!("; data up to {}", as_of.bucket.timestamp()));
    }
    said
}

/// `1200 more observations, about 3 h at the present rate`.
fn lacking(missing: Missing) -> String {
    let time = match missing.seconds {
        Some(seconds) => format!("about {} at the present rate", span(seconds)),
        None => "and none come in".to_owned(),
    };
    format!("{} more observations, {time}", missing.observations)
}

/// A length of time in its largest unit, which is all that an extrapolation is worth.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Evidence as a logarithm, with what it must reach; nothing of that for what is not judged by evidence.
fn evidence(log_e: f64, needed: Option<f64>) -> String {
    match needed {
        Some(needed) => format!("{log_e:.2} of {needed:.2}"),
        None => format!("{log_e:.2}"),
    }
}

/// Counts are whole; sums of scores are not.
fn whole_or_not(total: f64) -> String {
    if total.fract() == 0.0 { format!("{total:.0}") } else { format!("{total:.2}") }
}

/// To three digits that matter.
fn rounded(part: f64) -> f64 {
    if part <= 0.0 || !part.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(2 - part.log10().floor() as i32);
    (part * scale).round() / scale
}

/// Rates, scores and parts of slow calls lie between 0 and 1 and are shown in percent; amounts as they are.
fn figure(verdict: &Verdict, value: f64) -> String {
    match verdict.signal.measure() {
        _ if verdict.signal.is_money() => format!("${value:.4}"),
        Measure::Amount | Measure::Sizes => format!("{value:.2}"),
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
