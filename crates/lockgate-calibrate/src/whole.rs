//! Whole rollouts by the standard plan: every gate, trigger and slice together, from the first copy to everybody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lockgate_core::name::LabelName;
use lockgate_core::plan::Plan;
use lockgate_core::segment::Segment;
use lockgate_core::signal::Signal;
use lockgate_sim::paper::{Behaviour, Ending, Paper, Part, Story, Traffic, run};

use crate::report::share;
use crate::{CalibrateError, Effort, Finding, upper_bound};

/// Calls of users.
const PER_SECOND: f64 = 100.0;
/// A look a minute: weeks at six looks a minute would take hours, and what looking costs is measured for single gates.
const LOOK: Duration = Duration::from_secs(60);
/// Slices of the traffic.
const SLICES: usize = 8;

/// Healthy candidates at full length, and some that are not.
pub fn findings(effort: Effort) -> Result<Vec<Finding>, CalibrateError> {
    let healthy = Traffic { parts: parts(None)?, ..Traffic::healthy(PER_SECOND) };
    let runs = effort.runs(200, 1);
    let stories = many(runs, &healthy);
    let count = |ending: Ending| stories.iter().filter(|story| story.ending == ending).count() as u64;
    let (back, completed) = (count(Ending::RolledBack), count(Ending::Completed));
    let days = stories.iter().map(|story| story.took().as_secs_f64() / 86_400.0).sum::<f64>() / runs as f64;
    let gates = Plan::standard().phases.iter().map(|phase| phase.gates.len()).max().unwrap_or_default();
    let mut findings = vec![
        Finding::held(
            "whole",
            format!(
                "standard plan, {gates} gates x {SLICES} slices, healthy candidate, 100 calls/s, full length, a look a minute: taken back"
            ),
            share(back, runs),
            "at most 1 %, upper bound 1.5 %",
            back as f64 <= 0.01 * runs as f64
                && (effort == Effort::Quick || upper_bound(back, runs) <= 0.015),
        ),
        Finding::told(
            "whole",
            "the same: went through without a person",
            format!("{}; {days:.1} days", share(completed, runs)),
        ),
    ];
    let worse = |behaviour: Behaviour| Traffic { candidate: behaviour, ..Traffic::healthy(PER_SECOND) };
    let plain = [
        ("errors 2 % instead of 0.4 % with users", worse(Behaviour::healthy().at(Signal::Error, 0.02))),
        (
            "thumbs-down 10 % instead of 2 % with users",
            worse(Behaviour::healthy().at(Signal::ThumbsDown, 0.10)),
        ),
        (
            "errors 2 % for an eighth of the users, who are one slice",
            Traffic {
                parts: parts(Some(Behaviour::healthy().at(Signal::Error, 0.02)))?,
                ..Traffic::healthy(PER_SECOND)
            },
        ),
    ];
    for (what, traffic) in plain {
        let runs = effort.runs(40, 1);
        let stories = many(runs, &traffic);
        let back: Vec<&Story> = stories.iter().filter(|story| story.ending == Ending::RolledBack).collect();
        let calls =
            back.iter().map(|story| story.candidate_calls as f64).sum::<f64>() / back.len().max(1) as f64;
        findings.push(Finding::held(
            "whole",
            format!("{what}: taken back"),
            format!("{} of {runs}, after {calls:.0} calls of users on average", back.len()),
            "always",
            back.len() as u64 == runs,
        ));
    }
    Ok(findings)
}

/// Plays the same with so many seeds, on every core.
fn many(runs: u64, traffic: &Traffic) -> Vec<Story> {
    let (next, stories) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= runs {
                        return;
                    }
                    let traffic = traffic.clone();
                    // Slices are judged where there are any, as a start arranges it.
                    let mut plan = Plan::standard();
                    plan.slices.part *= f64::from(u8::from(!traffic.parts.is_empty()));
                    let story = run(&Paper { seed, plan, bucket: LOOK, traffic });
                    stories.lock().unwrap_or_else(PoisonError::into_inner).push(story);
                }
            });
        }
    });
    stories.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Eight customers; the first may be treated in its own way.
fn parts(first: Option<Behaviour>) -> Result<Vec<Part>, CalibrateError> {
    (0..SLICES)
        .map(|i| {
            let labels = BTreeMap::from([(LabelName::new("customer")?, format!("c{i}"))]);
            let candidate = first.clone().filter(|_| i == 0);
            Ok(Part { segment: Segment::from_labels(&labels), part: 1.0 / SLICES as f64, candidate })
        })
        .collect()
}
