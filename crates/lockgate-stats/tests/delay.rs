//! How many calls a rate takes to be shown, and how often it is shown wrongly: computed exactly, call by
//! call, by carrying the chance of every (calls, hits) that has not crossed yet.

use lockgate_stats::Count;
use lockgate_stats::rate::RateTest;

/// What came of looking after every call.
struct Crossing {
    chance: f64,
    /// The mean number of calls, where it was reached.
    calls: f64,
}

/// Chances smaller than this are let go; together they are far too small to show.
const NEGLIGIBLE: f64 = 1e-16;

/// Which counts of hits reach the threshold.
enum Side {
    /// Those from some number on.
    Many,
    /// Those up to some number.
    Few,
}

/// Both sides' boundaries grow with the calls, so only the counts next to them are ever looked at.
fn crossing(n: u64, p: f64, side: &Side, reaches: impl Fn(Count) -> bool) -> Crossing {
    let reaches = |n, hits: i64| hits >= 0 && reaches(Count { n, hits: hits as u64 });
    let (mut first, mut alive) = (0i64, vec![1.0]);
    let mut boundary: i64 = if matches!(side, Side::Many) { 0 } else { -1 };
    let mut found = Crossing { chance: 0.0, calls: 0.0 };
    for calls in 1..=n {
        let mut carried = 0.0;
        for chance in &mut alive {
            let hit = *chance * p;
            *chance = *chance * (1.0 - p) + carried;
            carried = hit;
        }
        alive.push(carried);
        let crossed: f64 = match side {
            Side::Many => {
                while boundary <= calls as i64 && !reaches(calls, boundary) {
                    boundary += 1;
                }
                alive.drain(alive.len().min((boundary - first).max(0) as usize)..).sum()
            }
            Side::Few => {
                while reaches(calls, boundary + 1) {
                    boundary += 1;
                }
                let gone = alive.len().min((boundary + 1 - first).max(0) as usize);
                first += gone as i64;
                alive.drain(..gone).sum()
            }
        };
        found.chance += crossed;
        found.calls += crossed * calls as f64;
        while alive.last().is_some_and(|chance| *chance < NEGLIGIBLE) {
            alive.pop();
        }
        if alive.is_empty() {
            break;
        }
        let gone = alive.iter().take_while(|chance| **chance < NEGLIGIBLE).count();
        alive.drain(..gone);
        first += gone as i64;
    }
    found.calls /= found.chance;
    found
}

/// Two days of one call a second.
const TWO_DAYS: u64 = 172_800;

fn fail(limit: f64, truth: f64, n: u64) -> Crossing {
    let test = RateTest::under(limit);
    crossing(n, truth, &Side::Many, |count| test.fail(count).reaches(100f64.ln()))
}

fn pass(limit: f64, truth: f64, n: u64) -> Crossing {
    let test = RateTest::under(limit);
    crossing(n, truth, &Side::Few, |count| test.pass(count).reaches(20f64.ln()))
}

#[test]
fn a_broken_limit_is_shown_nearly_as_soon_as_is_possible_at_all() {
    // (limit, truth, Wald's bound on the mean of any valid test of level 1 %, most times that bound)
    let cases = [
        (0.005, 0.02, 359.0, 1.5),
        (0.005, 0.01, 2_369.0, 1.5),
        (0.005, 0.008, 6_023.0, 1.6),
        (0.05, 0.10, 223.0, 1.5),
        (0.03, 0.06, 382.0, 1.5),
    ];
    for (limit, truth, bound, times) in cases {
        let Crossing { chance, calls } = fail(limit, truth, 60_000);
        assert!(chance > 0.999, "{truth} over {limit}: {chance}");
        assert!((bound..times * bound).contains(&calls), "{truth} over {limit}: {calls} of {bound}");
    }
}

#[test]
fn a_kept_limit_is_shown_nearly_as_soon_as_is_possible_at_all() {
    let cases =
        [(0.005, 0.004, 27_757.0), (0.006, 0.004, 7_880.0), (0.008, 0.004, 2_425.0), (0.03, 0.01, 325.0)];
    for (limit, truth, bound) in cases {
        let Crossing { chance, calls } = pass(limit, truth, TWO_DAYS);
        assert!(chance > 0.999, "{truth} under {limit}: {chance}");
        assert!((bound..1.5 * bound).contains(&calls), "{truth} under {limit}: {calls} of {bound}");
    }
}

#[test]
fn over_two_days_on_the_limit_neither_side_is_shown_more_often_than_promised() {
    let failed = fail(0.005, 0.005, TWO_DAYS).chance;
    assert!(failed > 0.0005 && failed <= 0.01, "{failed}");
    let passed = pass(0.005, 0.005, TWO_DAYS).chance;
    assert!(passed > 0.01 && passed <= 0.05, "{passed}");
    assert!(fail(0.005, 0.004, TWO_DAYS).chance < 0.002);
    assert!(pass(0.005, 0.006, TWO_DAYS).chance < 0.01);
}
