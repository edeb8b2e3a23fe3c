//! The measurements in their quick form: enough to notice a mistake, not to publish a figure.

use lockgate_calibrate::{Effort, Finding, change, cost, gate, incident, scores, segments, split};

fn hold(findings: &[Finding]) {
    assert!(findings.iter().any(|finding| finding.holds.is_some()));
    for finding in findings {
        assert_ne!(finding.holds, Some(false), "{}: {} ({})", finding.what, finding.figure, finding.bar);
    }
}

#[test]
fn one_gate_is_seldom_wrong_and_soon_right() {
    hold(&gate::findings(Effort::Quick).unwrap());
}

#[test]
fn a_change_in_mid_rollout_is_found() {
    hold(&change::findings(Effort::Quick).unwrap());
}

#[test]
fn a_fall_of_judged_scores_is_found() {
    hold(&scores::findings(Effort::Quick).unwrap());
}

#[test]
fn dearer_sessions_are_found() {
    hold(&cost::findings(Effort::Quick).unwrap());
}

#[test]
fn a_shared_incident_is_not_laid_at_the_candidates_door() {
    hold(&incident::findings(Effort::Quick).unwrap());
}

#[test]
fn a_regression_of_a_few_is_found_long_before_the_whole_shows_it() {
    hold(&segments::findings(Effort::Quick).unwrap());
}

#[test]
fn broken_routing_is_noticed_and_sound_routing_left_alone() {
    hold(&split::findings(Effort::Quick).unwrap());
}
