//! Who counts as a visitor.

use super::*;

fn trial(rollout: u128, since: i64) -> TrialState {
    TrialState {
        rollout: RolloutId(uuid::Uuid::from_u128(rollout)),
        since: Timestamp::from_second(since).unwrap(),
    }
}

fn feature(name: &str) -> FeatureName {
    FeatureName::new(name).unwrap()
}

#[test]
fn a_caller_counts_once_per_feature_and_state_of_the_trial() {
    let visitors = Visitors::default();
    let asks = |name, trial, key| visitors.is_first(&feature(name), trial, Some(visitors.hash(key)));
    assert!(asks("f", trial(1, 5), "alice") && asks("f", trial(1, 5), "bob"));
    assert!(!asks("f", trial(1, 5), "alice"));
    assert!(asks("g", trial(1, 5), "alice"));
    assert!(asks("f", trial(1, 9), "alice"), "the share was changed");
    assert!(!asks("f", trial(1, 9), "alice"));
    assert!(!asks("f", trial(1, 5), "carol"), "a straggler from before the change");
    assert!(asks("f", trial(2, 11), "alice"), "another rollout");
}

#[test]
fn a_caller_without_a_name_is_always_new() {
    let visitors = Visitors::default();
    assert!((0..3).all(|_| visitors.is_first(&feature("f"), trial(1, 5), None)));
}

#[test]
fn beyond_the_bound_nobody_is_counted_any_more() {
    let visitors = Visitors::default();
    let is_first = |key: &str| visitors.is_first(&feature("f"), trial(1, 5), Some(visitors.hash(key)));
    assert!((0..VISITORS_MAX).all(|number| is_first(&number.to_string())));
    assert!(!is_first("one more") && !visitors.is_first(&feature("f"), trial(1, 5), None));
    assert_eq!(visitors.uncounted.value(), 2);
    assert!(visitors.is_first(&feature("f"), trial(1, 6), Some(7)));
}
