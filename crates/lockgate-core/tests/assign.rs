//! What the assignment promises: frozen points, shares that hold, and nobody moved back.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

use lockgate_core::assign::{Salt, is_candidate, point};
use lockgate_core::share::{POINTS, Share};
use proptest::prelude::*;

/// The reference page itself, so that what is published and what is computed cannot drift apart. Its figures come from
/// another implementation.
const PAGE: &str = include_str!("../../../docs/reference/assignment.md");

fn salt(text: &str) -> Salt {
    Salt::from_random(u128::from_str_radix(text, 16).unwrap())
}

/// Salt, key and point of every row of the page's table.
fn published() -> Vec<(Salt, String, u32)> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let mut next = || cells.next().unwrap();
        let salt = salt(next().trim_end_matches('`'));
        let key = next();
        let key = if key == "(empty)" { "" } else { key.trim_matches('`') };
        (salt, key.to_owned(), next().parse().unwrap())
    })
    .collect()
}

#[test]
fn every_published_vector_is_what_is_computed() {
    let vectors = published();
    assert_eq!(vectors.len(), 30, "the page's table was not read whole");
    for (salt, key, expected) in vectors {
        assert_eq!(point(&salt, &key), expected, "salt {salt:?} key {key:?}");
    }
}

#[test]
fn the_page_names_the_hash_that_is_used() {
    assert!(PAGE.contains("SHA-256(\"lockgate-assign-1\" 0x00 salt 0x00 key)"));
}

#[test]
fn shares_hold_within_four_sigma_over_a_million_users() {
    const USERS: u32 = 1_000_000;
    let salt = salt("5eed");
    let points: Vec<u32> = (0..USERS).map(|user| point(&salt, &format!("user-{user}"))).collect();
    for fraction in [0.001, 0.01, 0.10, 0.50] {
        let share = Share::from_fraction(fraction).unwrap();
        let inside = points.iter().filter(|point| share.contains(**point)).count() as f64;
        let expected = f64::from(USERS) * fraction;
        let sigma = (expected * (1.0 - fraction)).sqrt();
        assert!((inside - expected).abs() <= 4.0 * sigma, "{share}: {inside} of {expected} +- {sigma}");
    }
}

#[test]
fn another_rollout_begins_with_other_users() {
    let (one, two) = (salt("1"), salt("2"));
    let share = Share::from_fraction(0.1).unwrap();
    let of = |salt: &Salt, user: u32| is_candidate(salt, &format!("user-{user}"), share);
    let (mut first, mut both) = (0, 0);
    for user in 0..20_000 {
        first += u32::from(of(&one, user));
        both += u32::from(of(&one, user) && of(&two, user));
    }
    // A tenth of a tenth when the two are independent: 200 +- 14.
    assert!((first as i32 - 2000).abs() < 4 * 43, "{first}");
    assert!((both as i32 - 200).abs() < 4 * 14, "{both}");
}

#[test]
fn the_ends_of_the_line_are_nobody_and_everybody() {
    for (salt, key, _) in published() {
        assert!(!is_candidate(&salt, &key, Share::NONE) && is_candidate(&salt, &key, Share::FULL));
    }
    assert!(Share::FULL.contains(u32::MAX) && !Share::NONE.contains(0));
    let all_but_one = Share::from_fraction((POINTS - 1) as f64 / POINTS as f64).unwrap();
    assert!(!all_but_one.contains(u32::MAX) && all_but_one.contains(u32::MAX - 1));
}

proptest! {
    #[test]
    fn raising_the_share_moves_nobody_back_to_stable(
        bits in any::<u128>(), key in ".{0,40}", low in 0.0..=1.0f64, high in 0.0..=1.0f64,
    ) {
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        let share = |fraction| Share::from_fraction(fraction).unwrap();
        let salt = Salt::from_random(bits);
        prop_assert!(!is_candidate(&salt, &key, share(low)) || is_candidate(&salt, &key, share(high)));
    }

    #[test]
    fn a_replica_that_read_the_salt_from_the_log_agrees(bits in any::<u128>(), key in ".{0,40}") {
        let here = Salt::from_random(bits);
        let there: Salt = serde_json::from_str(&serde_json::to_string(&here).unwrap()).unwrap();
        prop_assert_eq!(point(&here, &key), point(&there, &key));
    }
}
