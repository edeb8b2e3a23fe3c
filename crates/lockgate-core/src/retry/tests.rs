//! What pauses and budgets promise.

use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
}

#[test]
fn the_bound_of_a_pause_doubles_up_to_its_longest() {
    let settings = Settings::default();
    let bounds = [1, 2, 3, 5, 6, 40, u32::MAX].map(|tried| pause(&settings, tried, None, 1.0).as_millis());
    assert_eq!(bounds, [200, 400, 800, 3_200, 5_000, 5_000, 5_000]);
    assert_eq!(pause(&settings, 1, None, 0.0), Duration::ZERO);
}

#[test]
fn no_less_is_waited_than_the_target_asked_for() {
    let asked = Some(Duration::from_secs(7));
    let settings = Settings::default();
    assert_eq!(pause(&settings, 1, asked, 0.0), Duration::from_secs(7));
    assert_eq!(pause(&settings, 1, asked, 0.5), Duration::from_millis(7_100));
    assert_eq!(pause(&settings, 1, Some(Duration::MAX), 0.5), Duration::MAX);
}

#[test]
fn a_quiet_target_may_retry_and_a_busy_one_a_tenth() {
    let settings = Settings::default();
    let mut budget = Budget::default();
    assert_eq!((0..10).filter(|_| budget.spend(&settings, at(0))).count(), 3);
    assert_eq!(budget.left(&settings, at(10_499)), 0);
    assert_eq!(budget.left(&settings, at(10_500)), 3);

    let mut busy = Budget::default();
    (0..1_000).for_each(|_| busy.earn(&settings, at(0)));
    assert_eq!((0..1_000).filter(|_| busy.spend(&settings, at(0))).count(), 100);
}

#[test]
fn no_budget_is_no_retries() {
    for budget in [0.0, -1.0, f64::NAN] {
        assert!(!Budget::default().spend(&Settings { budget, ..Settings::default() }, at(0)), "{budget}");
    }
}

#[test]
fn in_an_outage_a_target_sees_no_more_than_a_tenth_on_top() {
    let settings = Settings::default();
    let mut budget = Budget::default();
    let mut retries = 0;
    for call in 0..30_000 {
        let now = at(call * 2);
        budget.earn(&settings, now);
        retries += (0..2).filter(|_| budget.spend(&settings, now)).count();
    }
    // The bound, and not so far under it that the budget would be of no use.
    assert!((2_500..=3_000).contains(&retries), "{retries}");
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Earn,
    Spend,
}

fn ops() -> impl Strategy<Value = Vec<(i64, Op)>> {
    let gap = prop_oneof![4 => 0i64..40, 2 => 0i64..900, 1 => 0i64..12_000];
    let op = prop_oneof![3 => Just(Op::Earn), 2 => Just(Op::Spend)];
    prop::collection::vec((gap, op), 1..400)
}

proptest! {
    #[test]
    fn retries_within_any_window_stay_within_its_budget(ops in ops(), part in 0.01f64..1.0) {
        let settings = Settings { budget: part, ..Settings::default() };
        let mut budget = Budget::default();
        let (mut now, mut calls, mut retries) = (0, Vec::new(), Vec::new());
        for (gap, op) in ops {
            now += gap;
            match op {
                Op::Earn => {
                    budget.earn(&settings, at(now));
                    calls.push(now);
                }
                Op::Spend if budget.spend(&settings, at(now)) => retries.push(now),
                Op::Spend => continue,
            }
            let within = |times: &[i64]| times.iter().filter(|&&time| time > now - 10_000).count();
            let allowed = (part * within(&calls) as f64).max(RESERVE as f64);
            let is_spent = retries.last() == Some(&now);
            prop_assert!(!is_spent || within(&retries) as f64 <= allowed);
        }
    }

    #[test]
    fn no_pause_is_shorter_than_asked_or_longer_than_the_bound_on_top(
        tried in any::<u32>(), asked_ms in 0u64..100_000, draw in any::<f64>(), base_ms in 0u64..10_000,
    ) {
        let settings = Settings { base: Duration::from_millis(base_ms), ..Settings::default() };
        let asked = Duration::from_millis(asked_ms);
        let pause = pause(&settings, tried, Some(asked), draw);
        prop_assert!(pause >= asked && pause <= asked + settings.max, "{pause:?}");
    }

    #[test]
    fn a_clock_that_jumps_never_leaves_a_budget_empty_for_ever(jumps in prop::collection::vec(any::<i32>(), 1..60)) {
        let settings = Settings::default();
        let mut budget = Budget::default();
        for jump in jumps {
            let now = i64::from(jump % 100_000) * 50;
            while budget.spend(&settings, at(now)) {}
            prop_assert_eq!(budget.left(&settings, at(now + 21_000)), RESERVE);
        }
    }
}
