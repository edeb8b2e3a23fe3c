//! Pairs: the same for ever from the same counts, on any ladder of levels, in bounded time.

use lockgate_stats::pairing::{Pair, Pairing};
use lockgate_stats::{Histogram, LEVELS, score};
use proptest::prelude::*;

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A few levels, some crowded.
    fn scores(&mut self) -> Histogram {
        let mut scores = [0; LEVELS];
        for _ in 0..self.below(8) {
            let level = self.below(LEVELS as u64) as usize;
            scores[level] += [1, 3, 40, 2_000][self.below(4) as usize];
        }
        scores
    }
}

#[test]
fn a_replay_of_old_counts_gives_the_old_pairs_to_the_last_bit() {
    let mut digest = 0xcbf2_9ce4_8422_2325u64;
    let mut formed = 0;
    for history in 0..20 {
        let (mut draw, mut pairing) = (Draw(history), Pairing::default());
        for bucket in 0..10 {
            let (candidate, stable) = (draw.scores(), draw.scores());
            for pair in pairing.take(bucket, &candidate, &stable) {
                for bits in [pair.candidate.to_bits(), pair.stable.to_bits()] {
                    digest = (digest ^ bits).wrapping_mul(0x0000_0100_0000_01b3);
                }
                formed += 1;
            }
        }
    }
    // What the first version of this file's subject gave. Whoever changes it changes what logs replay to.
    assert_eq!((formed, digest), (65_342, 0xd587_82f3_6c5c_833b));
}

fn sparse(histogram: &Histogram) -> Vec<(u16, u64)> {
    (0..).zip(histogram).filter(|(_, count)| **count > 0).map(|(level, count)| (level, *count)).collect()
}

/// A few levels of a ladder of 3000, in ascending order.
fn levels() -> impl Strategy<Value = Vec<(u16, u64)>> {
    proptest::collection::btree_map(0u16..3000, 0u64..20, 0..12).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn scores_are_one_ladder_among_others(seed: u64, history in 0u64..1_000_000) {
        let (mut draw, mut one, mut other) = (Draw(history), Pairing::default(), Pairing::default());
        for bucket in 0..4 {
            let (candidate, stable) = (draw.scores(), draw.scores());
            let pairs = one.take(seed ^ bucket, &candidate, &stable);
            let value = |level| score(usize::from(level));
            prop_assert_eq!(pairs, other.take_levels(seed ^ bucket, &sparse(&candidate), &sparse(&stable), value));
        }
    }

    #[test]
    fn every_value_is_dealt_out_at_most_once(seed: u64, candidate in levels(), stable in levels()) {
        // Each pair's values are told apart by their levels; a mean of four is undone by asking for one each.
        let count = |levels: &[(u16, u64)]| levels.iter().map(|(_, count)| count).sum::<u64>();
        let mut pairing = Pairing::default();
        let pairs = pairing.take_levels(seed, &candidate, &stable, f64::from).to_vec();
        prop_assert_eq!(pairs.len() as u64, count(&candidate).min(count(&stable)));
        for (level, most) in &candidate {
            let used = pairs.iter().filter(|pair| pair.candidate == f64::from(*level)).count() as u64;
            prop_assert!(used <= *most, "level {level}: {used} of {most}");
        }
        if count(&candidate) >= count(&stable) {
            for (level, most) in &stable {
                let used = pairs.iter().filter(|pair| pair.stable == f64::from(*level)).count() as u64;
                prop_assert_eq!(used, *most);
            }
        }
    }
}

#[test]
fn a_draw_favours_no_level() {
    // Level k has k in 10 of the counts, so it ought to be drawn first in k of 10 buckets.
    let counts: Vec<(u16, u64)> = (1..=4).map(|level| (level, u64::from(level))).collect();
    let mut first = [0u32; 5];
    for seed in 0..4_000 {
        let pairs = Pairing::default().take_levels(seed, &counts, &[(9, 10)], f64::from).to_vec();
        first[pairs[0].candidate as usize] += 1;
    }
    for level in 1..=4 {
        let expected = 400.0 * level as f64;
        assert!((f64::from(first[level]) - expected).abs() < 5.0 * expected.sqrt(), "{first:?}");
    }
}

#[test]
fn a_full_ladder_of_crowds_forms_a_bounded_number_of_pairs() {
    let crowd: Vec<(u16, u64)> = (0..3000).map(|level| (level, u64::MAX / 2)).collect();
    let mut pairing = Pairing::default();
    for bucket in 0..20 {
        assert_eq!(pairing.take_levels(bucket, &crowd, &crowd, f64::from).len(), 1024);
    }
    // What waited from then is little, and goes first.
    let pairs = pairing.take_levels(99, &[], &[(7, 1_000)], f64::from);
    assert_eq!(pairs.len(), 64);
    assert!(pairs.iter().all(|pair| *pair == Pair { stable: 7.0, ..*pair }));
}
