//! A rollout confined to segments touches nobody else, and expanding it moves nobody back.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use lockgate_core::route::Route;
use lockgate_core::segment::{Confine, Matcher, Segment};
use lockgate_core::signal::Arm;
use proptest::prelude::*;

use story::{in_phase, matcher, segment};

const TIERS: [&str; 3] = ["internal", "free", "premium"];
const GEOS: [&str; 3] = ["eu", "us", "in"];

fn route(confine: Confine) -> Route {
    in_phase(2, confine).route()
}

fn arm(route: &Route, key: &str, segment: &Segment) -> Arm {
    route.assign(key, segment).arm
}

#[test]
fn internal_then_free_in_one_region_then_premium() {
    let internal = Confine(vec![matcher(&[("tier", &["internal"])])]);
    let with_free =
        Confine(vec![matcher(&[("tier", &["internal"])]), matcher(&[("tier", &["free"]), ("geo", &["eu"])])]);
    let staff = segment(&[("tier", "internal"), ("geo", "us")]);
    let free_eu = segment(&[("geo", "eu"), ("tier", "free")]);
    let free_us = segment(&[("geo", "us"), ("tier", "free")]);
    let nobody = Segment::none();

    assert!(internal.admits(&staff) && !internal.admits(&free_eu) && !internal.admits(&nobody));
    assert!(with_free.admits(&staff) && with_free.admits(&free_eu));
    assert!(!with_free.admits(&free_us) && !with_free.admits(&nobody));
    assert!(Confine::everyone().admits(&nobody));
    assert_eq!(with_free.to_string(), "tier=internal or geo=eu,tier=free");
}

#[test]
fn whoever_is_not_admitted_is_not_even_counted_for_the_rollout() {
    let route = route(Confine(vec![matcher(&[("tier", &["internal"])])]));
    let outside = segment(&[("tier", "premium")]);
    let inside = segment(&[("tier", "internal")]);
    for user in 0..200 {
        let outside = route.assign(&format!("u{user}"), &outside).rollout;
        assert_eq!(outside, None);
        assert!(route.assign(&format!("u{user}"), &inside).rollout.is_some());
    }
}

#[test]
fn a_phase_narrows_what_the_rollout_allows_and_never_widens_it() {
    let mut state = in_phase(2, Confine(vec![matcher(&[("tier", &["internal", "free"])])]));
    if let Some(rollout) = state.rollout.as_mut() {
        rollout.plan.phases[2].confine = Confine(vec![matcher(&[("tier", &["free", "premium"])])]);
        rollout.plan.phases[3].confine = Confine(vec![matcher(&[("geo", &["eu"])])]);
    }
    let touched =
        |route: &Route, pairs: &[(&str, &str)]| route.assign("u", &segment(pairs)).rollout.is_some();
    let second = state.route();
    assert!(touched(&second, &[("tier", "free")]));
    assert!(!touched(&second, &[("tier", "internal")]) && !touched(&second, &[("tier", "premium")]));

    story::follow(&mut state, &lockgate_core::command::Command::Promote { why: "test".into() });
    let third = state.route();
    assert!(touched(&third, &[("tier", "internal"), ("geo", "eu")]));
    assert!(!touched(&third, &[("tier", "internal")]) && !touched(&third, &[("geo", "eu")]));
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let values =
        |all: [&'static str; 3]| proptest::option::of(proptest::sample::subsequence(all.to_vec(), 1..=3));
    (values(TIERS), values(GEOS)).prop_map(|(tiers, geos)| {
        let pairs: Vec<(&str, Vec<&str>)> =
            tiers.map(|t| ("tier", t)).into_iter().chain(geos.map(|g| ("geo", g))).collect();
        let pairs: Vec<(&str, &[&str])> = pairs.iter().map(|(l, v)| (*l, v.as_slice())).collect();
        matcher(&pairs)
    })
}

fn any_segment() -> impl Strategy<Value = Segment> {
    (proptest::option::of(0..3usize), proptest::option::of(0..3usize)).prop_map(|(tier, geo)| {
        let pairs: Vec<(&str, &str)> =
            geo.map(|g| ("geo", GEOS[g])).into_iter().chain(tier.map(|t| ("tier", TIERS[t]))).collect();
        segment(&pairs)
    })
}

proptest! {
    #[test]
    fn expanding_to_another_segment_moves_nobody_back(
        matchers in proptest::collection::vec(any_matcher(), 1..4),
        more in any_matcher(),
        who in any_segment(),
        key in "[a-z]{1,8}",
    ) {
        let narrow = route(Confine(matchers.clone()));
        let wide = route(Confine(matchers.into_iter().chain([more]).collect()));
        let everyone = route(Confine::everyone());
        if arm(&narrow, &key, &who) == Arm::Candidate {
            prop_assert_eq!(arm(&wide, &key, &who), Arm::Candidate);
        }
        if arm(&wide, &key, &who) == Arm::Candidate {
            prop_assert_eq!(arm(&everyone, &key, &who), Arm::Candidate);
        }
    }

    #[test]
    fn the_candidate_is_seen_only_by_whom_the_rollout_admits(
        matchers in proptest::collection::vec(any_matcher(), 1..4),
        who in any_segment(),
        key in "[a-z]{1,8}",
    ) {
        let confine = Confine(matchers);
        let route = route(confine.clone());
        prop_assert!(arm(&route, &key, &who) == Arm::Stable || confine.admits(&who));
    }
}
