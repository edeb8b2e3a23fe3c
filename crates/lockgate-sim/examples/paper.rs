//! Plays the standard plan through on paper, many times, and prints what the rules cost and find.
//!
//! `cargo run --release -p lockgate-sim --example paper -- 200` for 200 seeds per case.

#![expect(clippy::print_stdout, reason = "printing a table is what this example is for")]

use std::time::{Duration, Instant};

use lockgate_core::plan::Plan;
use lockgate_sim::paper::{Behaviour, Ending, Incident, Paper, Story, Traffic, run};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seeds: u64 = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(200);
    let only = arguments.get(1).map_or("", String::as_str);
    println!(
        "{:<44} {:>9} {:>11} {:>8} {:>14} {:>9} {:>7}",
        "case", "completed", "rolled back", "stopped", "calls to rbk", "days", "s/run"
    );
    for (name, traffic) in cases() {
        if !name.contains(only) {
            continue;
        }
        let began = Instant::now();
        let mut stories = Vec::new();
        for seed in 0..seeds {
            let plan = Plan::standard();
            let paper = Paper { seed, plan, bucket: Duration::from_secs(10), traffic: traffic.clone() };
            if let Ok(story) = run(&paper) {
                stories.push(story);
            }
        }
        let count = |ending| stories.iter().filter(|story| story.ending == ending).count();
        let back: Vec<&Story> = stories.iter().filter(|story| story.ending == Ending::RolledBack).collect();
        let mean = |of: &dyn Fn(&Story) -> f64, stories: &[&Story]| {
            stories.iter().map(|story| of(story)).sum::<f64>() / stories.len().max(1) as f64
        };
        let all: Vec<&Story> = stories.iter().collect();
        println!(
            "{name:<44} {:>9} {:>11} {:>8} {:>14.0} {:>9.2} {:>7.2}",
            count(Ending::Completed),
            count(Ending::RolledBack),
            count(Ending::Stopped),
            mean(&|story| story.candidate_calls as f64, &back),
            mean(&|story| story.took().as_secs_f64() / 86_400.0, &all),
            began.elapsed().as_secs_f64() / stories.len().max(1) as f64,
        );
        let told = back.first().and_then(|story| story.rollback());
        if let Some(why) = told {
            println!("    {why}");
        }
    }
}

/// Sudden in the canary, healthy on copies: so that users, not copies, have to find it.
fn cases() -> Vec<(&'static str, Traffic)> {
    let healthy = Behaviour::healthy();
    let with = |candidate: Behaviour| Traffic { candidate, ..Traffic::healthy(100.0) };
    let day = Duration::from_secs(86_400);
    let incident = |begins| Some(Incident { begins, lasts: Duration::from_secs(1200), error: 0.05 });
    vec![
        ("healthy", Traffic::healthy(100.0)),
        ("errors 2 % instead of 0.4 %", with(Behaviour { error: 0.02, ..healthy })),
        ("errors 0.8 % instead of 0.4 %", with(Behaviour { error: 0.008, ..healthy })),
        ("5 % of calls over 5 s", with(Behaviour { slow: 0.049, ..healthy })),
        ("thumbs-down 10 %", with(Behaviour { thumbs_down: 0.10, ..healthy })),
        (
            "errors 2 % on copies already",
            Traffic { shadow: Behaviour { error: 0.02, ..healthy }, ..Traffic::healthy(100.0) },
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
