//! Plays the standard plan through on paper, many times, and prints what the rules cost and find.
//!
//! `cargo run --release -p lockgate-sim --example paper -- 200` for 200 seeds per case; a second word picks the cases whose
//! name holds it, a third number widens the buckets (in seconds).

#![expect(clippy::print_stdout, reason = "printing a table is what this example is for")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lockgate_core::name::LabelName;
use lockgate_core::plan::Plan;
use lockgate_core::segment::Segment;
use lockgate_core::signal::Signal;
use lockgate_sim::paper::{Behaviour, Ending, Incident, Paper, Part, Story, Traffic, run};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seeds: u64 = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(200);
    let only = arguments.get(1).map_or("", String::as_str);
    let seconds = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(10);
    println!(
        "{:<48} {:>9} {:>11} {:>8} {:>14} {:>9} {:>7}",
        "case", "completed", "rolled back", "stopped", "calls to rbk", "days", "s/run"
    );
    for (name, traffic) in cases() {
        if !name.contains(only) {
            continue;
        }
        let began = Instant::now();
        let bucket = Duration::from_secs(seconds);
        let stories: Vec<Story> = (0..seeds)
            .map(|seed| run(&Paper { seed, plan: Plan::standard(), bucket, traffic: traffic.clone() }))
            .collect();
        let count = |ending| stories.iter().filter(|story| story.ending == ending).count();
        let back: Vec<&Story> = stories.iter().filter(|story| story.ending == Ending::RolledBack).collect();
        let mean = |of: &dyn Fn(&Story) -> f64, stories: &[&Story]| {
            stories.iter().fold(0.0, |sum, story| sum + of(story)) / stories.len().max(1) as f64
        };
        let all: Vec<&Story> = stories.iter().collect();
        println!(
            "{name:<48} {:>9} {:>11} {:>8} {:>14.0} {:>9.2} {:>7.2}",
            count(Ending::Completed),
            count(Ending::RolledBack),
            count(Ending::Stopped),
            mean(&|story| story.candidate_calls as f64, &back),
            mean(&|story| story.took().as_secs_f64() / 86_400.0, &all),
            began.elapsed().as_secs_f64() / stories.len().max(1) as f64,
        );
        let stopped = || stories.iter().find_map(|story| story.stop());
        if let Some(why) = back.first().and_then(|story| story.rollback()).or_else(stopped) {
            println!("    {why}");
        }
    }
}

/// Sudden in the canary, healthy on copies: so that users, not copies, have to find it.
fn cases() -> Vec<(&'static str, Traffic)> {
    let healthy = Behaviour::healthy;
    let with = |candidate: Behaviour| Traffic { candidate, ..Traffic::healthy(100.0) };
    let day = Duration::from_secs(86_400);
    let incident = |begins| Some(Incident { begins, lasts: Duration::from_secs(1200), error: 0.05 });
    let five = Duration::from_secs(5);
    vec![
        ("healthy", Traffic::healthy(100.0)),
        ("healthy in eight segments", Traffic { parts: parts(None), ..Traffic::healthy(100.0) }),
        ("errors 2 % instead of 0.4 %", with(healthy().at(Signal::Error, 0.02))),
        ("errors 0.8 % instead of 0.4 %", with(healthy().at(Signal::Error, 0.008))),
        (
            "errors 2 % in an eighth of the traffic only",
            Traffic { parts: parts(Some(healthy().at(Signal::Error, 0.02))), ..Traffic::healthy(100.0) },
        ),
        ("5 % of calls over 5 s", with(healthy().slower(Signal::Latency, &[(five, 0.05)]))),
        ("thumbs-down 10 %", with(healthy().at(Signal::ThumbsDown, 0.10))),
        ("sessions at twice the cost", with(healthy().at(Signal::SessionCost, 2e7))),
        (
            "errors 2 % on copies already",
            Traffic { shadow: healthy().at(Signal::Error, 0.02), ..Traffic::healthy(100.0) },
        ),
        (
            "shared incident in the 1 % phase",
            Traffic { incident: incident(7 * day + day / 2), ..Traffic::healthy(100.0) },
        ),
        ("shared incident on copies", Traffic { incident: incident(day), ..Traffic::healthy(100.0) }),
        (
            "shared incident in the 50 % phase",
            Traffic { incident: incident(14 * day), ..Traffic::healthy(100.0) },
        ),
    ]
}

/// Eight parts of the traffic, by two tiers and four regions; the first may behave in its own way.
fn parts(first: Option<Behaviour>) -> Vec<Part> {
    let label = |name: &str| LabelName::new(name).ok();
    let tiers = ["premium", "free"];
    let regions = ["eu", "us", "asia", "africa"];
    let all = tiers.iter().flat_map(|tier| regions.iter().map(move |region| (tier, region)));
    all.enumerate()
        .filter_map(|(i, (tier, region))| {
            let labels: BTreeMap<LabelName, String> =
                [(label("tier")?, (*tier).to_owned()), (label("geo")?, (*region).to_owned())].into();
            let candidate = first.clone().filter(|_| i == 0);
            Some(Part { segment: Segment::from_labels(&labels), part: 0.125, candidate })
        })
        .collect()
}
