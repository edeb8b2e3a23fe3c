//! What the standard plan's rules find and cost, on paper: quick forms of the table that `examples/paper.rs` prints.

use std::time::Duration;

use lockgate_core::event::Event;
use lockgate_core::name::LabelName;
use lockgate_core::plan::Plan;
use lockgate_core::segment::Segment;
use lockgate_core::signal::Signal;
use lockgate_sim::paper::{Behaviour, Ending, Incident, Paper, Part, Story, Traffic, run};

const HOUR: Duration = Duration::from_secs(3600);

/// The standard plan with its gates, triggers, budgets and deadlines; only the dwell times are shorter, and a bucket is a
/// minute, so that a rollout takes thousands of buckets and not a hundred thousand.
fn play(seed: u64, traffic: &Traffic) -> Story {
    let mut plan = Plan::standard();
    plan.phases.iter_mut().for_each(|phase| phase.dwell = phase.dwell.min(HOUR));
    let bucket = Duration::from_secs(60);
    run(&Paper { seed, plan, bucket, traffic: traffic.clone() })
}

fn with(candidate: Behaviour) -> Traffic {
    Traffic { candidate, ..Traffic::healthy(100.0) }
}

fn mean_calls(traffic: &Traffic, seeds: u64) -> f64 {
    let stories: Vec<Story> = (0..seeds).map(|seed| play(seed, traffic)).collect();
    assert!(stories.iter().all(|story| story.ending == Ending::RolledBack));
    stories.iter().map(|story| story.candidate_calls as f64).sum::<f64>() / seeds as f64
}

#[test]
fn a_healthy_candidate_goes_all_the_way() {
    for seed in 0..6 {
        let story = play(seed, &Traffic::healthy(100.0));
        assert_eq!(story.ending, Ending::Completed, "seed {seed}: {:?}", story.rollback());
    }
}

#[test]
fn a_silent_two_percent_of_errors_is_found_within_some_hundred_calls() {
    // One candidate call a second in the 1 % phase. A bucket of a minute adds half a minute to what is possible.
    let traffic = with(Behaviour::healthy().at(Signal::Error, 0.02));
    let calls = mean_calls(&traffic, 40);
    assert!(calls <= 650.0, "{calls}");
}

#[test]
fn what_copies_show_already_reaches_no_user() {
    let traffic = Traffic { shadow: Behaviour::healthy().at(Signal::Error, 0.02), ..Traffic::healthy(100.0) };
    assert_eq!(mean_calls(&traffic, 4), 0.0);
}

#[test]
fn a_slow_a_disliked_and_a_failing_candidate_are_all_taken_back() {
    let healthy = Behaviour::healthy;
    for (candidate, signal) in [
        (healthy().slower(Signal::Latency, &[(Duration::from_secs(5), 0.05)]), "latency"),
        (healthy().at(Signal::ThumbsDown, 0.15), "thumbs_down"),
        (healthy().at(Signal::TaskSuccess, 0.6), "task_success"),
        (healthy().at(Signal::Hallucination, 0.10), "hallucination"),
        (healthy().at(Signal::Csat, 0.6), "csat"),
        (healthy().at(Signal::SessionCost, 3e7), "session_cost"),
    ] {
        let story = play(1, &with(candidate));
        assert_eq!(story.ending, Ending::RolledBack, "{signal}");
        assert!(story.rollback().is_some_and(|why| why.contains(signal)), "{:?}", story.rollback());
    }
}

#[test]
fn an_incident_that_hits_both_versions_takes_nobody_back() {
    for (seed, begins) in [(1, HOUR / 2), (2, HOUR + HOUR / 2), (3, 2 * HOUR)] {
        let incident = Some(Incident { begins, lasts: HOUR / 3, error: 0.05 });
        let story = play(seed, &Traffic { incident, ..Traffic::healthy(100.0) });
        assert_eq!(story.rollback(), None, "{begins:?}");
    }
}

#[test]
fn without_candidate_traffic_a_rollout_waits_and_then_calls_for_a_person() {
    let story = play(1, &Traffic::healthy(0.0));
    assert_eq!(story.ending, Ending::Stopped);
    assert!(matches!(story.entries.last().map(|entry| &entry.event), Some(Event::Paused { .. })));
    assert_eq!(story.took(), 14 * 24 * HOUR);
}

#[test]
fn the_same_paper_tells_the_same_story() {
    let traffic = with(Behaviour::healthy().at(Signal::Error, 0.02));
    assert_eq!(play(5, &traffic), play(5, &traffic));
    assert_ne!(play(5, &traffic).candidate_calls, play(6, &traffic).candidate_calls);
}

#[test]
fn what_is_broken_in_one_part_of_the_traffic_is_found_there_and_named() {
    let labels = [(LabelName::new("tier").unwrap(), "premium".to_owned())].into();
    let segment = Segment::from_labels(&labels);
    let candidate = Some(Behaviour::healthy().at(Signal::Error, 0.03));
    let parts = vec![Part { segment, part: 0.1, candidate }];
    let story = play(1, &Traffic { parts, ..Traffic::healthy(100.0) });
    assert_eq!(story.ending, Ending::RolledBack);
    assert!(story.rollback().is_some_and(|why| why.contains("tier=premium")), "{:?}", story.rollback());
}
