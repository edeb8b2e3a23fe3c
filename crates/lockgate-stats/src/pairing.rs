//! Pairs scores of two arms, from counts per level alone.
//!
//! A difference of means is judged on pairs: each candidate score with the mean of up to four stable scores of about the same
//! time. Which score meets which is drawn at random, with a seed that is the bucket itself. Within a bucket the order of the
//! scores carries nothing, so any draw gives exchangeable pairs; and because it is a function of the merged counts, every
//! replica of the controller, and every later replay, draws the same.

use crate::{Histogram, LEVELS, score};

/// Stable scores per candidate score. More than four gain little: the candidate's own spread remains.
const STABLE_PER_PAIR_MAX: usize = 4;
/// Pairs formed per bucket; what is beyond is left out by the draw, which favours no score.
const PAIRS_MAX: usize = 1024;
/// Candidate scores that wait for a partner in a later bucket, the latest of them.
const CANDIDATE_WAITING_MAX: usize = 64;
/// Stable scores that wait: enough for the candidates of a sparse hour, few enough to stay of the same time.
const STABLE_WAITING_MAX: usize = 16;

/// A candidate score and the mean of its stable partners.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The candidate's score.
    pub candidate: f64,
    /// The mean of the stable scores that it met.
    pub stable: f64,
}

/// Forms pairs bucket by bucket; what finds no partner waits, bounded.
#[derive(Debug, Clone, Default)]
pub struct Pairing {
    candidate_waiting: Vec<u8>,
    stable_waiting: Vec<u8>,
    pairs: Vec<Pair>,
}

impl Pairing {
    /// Takes in one bucket's counts and gives the pairs that they complete.
    pub fn take(&mut self, seed: u64, candidate: &Histogram, stable: &Histogram) -> &[Pair] {
        self.pairs.clear();
        let mut random = Random(seed);
        let mut candidate = Urn::new(candidate);
        let mut stable = Urn::new(stable);
        let candidates = candidate.left.saturating_add(self.candidate_waiting.len() as u64);
        let stables = stable.left.saturating_add(self.stable_waiting.len() as u64);
        let pairs = candidates.min(stables).min(PAIRS_MAX as u64) as usize;
        if pairs > 0 {
            // Stable scores are dealt out evenly, so that the last candidates do not get fewer than the first.
            let each = (stables / pairs as u64).clamp(1, STABLE_PER_PAIR_MAX as u64) as usize;
            for _ in 0..pairs {
                self.pair(&mut random, &mut candidate, &mut stable, each);
            }
        }
        keep_latest(&mut self.candidate_waiting, &mut candidate, &mut random, CANDIDATE_WAITING_MAX);
        keep_latest(&mut self.stable_waiting, &mut stable, &mut random, STABLE_WAITING_MAX);
        &self.pairs
    }

    /// Candidates that waited go first, with this bucket's stable scores before older ones.
    fn pair(&mut self, random: &mut Random, candidate: &mut Urn, stable: &mut Urn, each: usize) {
        let waited = (!self.candidate_waiting.is_empty()).then(|| self.candidate_waiting.remove(0));
        let Some(own) = waited.or_else(|| candidate.draw(random)) else { return };
        let (mut total, mut met) = (0.0, 0.0);
        while met < each as f64 {
            let Some(level) = stable.draw(random).or_else(|| self.stable_waiting.pop()) else { break };
            total += score(usize::from(level));
            met += 1.0;
        }
        if met > 0.0 {
            self.pairs.push(Pair { candidate: score(usize::from(own)), stable: total / met });
        }
    }
}

/// Adds a bounded draw of what is left to those who wait; the longest waiting make room.
fn keep_latest(waiting: &mut Vec<u8>, urn: &mut Urn, random: &mut Random, most: usize) {
    for _ in 0..most {
        match urn.draw(random) {
            Some(level) => waiting.push(level),
            None => break,
        }
    }
    waiting.drain(..waiting.len().saturating_sub(most));
}

/// Draws levels without putting them back.
struct Urn {
    counts: [(u8, u64); LEVELS],
    levels: usize,
    left: u64,
}

impl Urn {
    fn new(histogram: &Histogram) -> Self {
        let mut urn = Self { counts: [(0, 0); LEVELS], levels: 0, left: 0 };
        for (level, count) in histogram.iter().enumerate().filter(|(_, count)| **count > 0) {
            urn.counts[urn.levels] = (level as u8, *count);
            urn.levels += 1;
            urn.left = urn.left.saturating_add(*count);
        }
        urn
    }

    fn draw(&mut self, random: &mut Random) -> Option<u8> {
        if self.left == 0 {
            return None;
        }
        let mut place = random.below(self.left);
        for (level, count) in &mut self.counts[..self.levels] {
            if place < *count {
                *count -= 1;
                self.left -= 1;
                return Some(*level);
            }
            place -= *count;
        }
        None
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere for ever, which a replay needs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, even to one part in 2^64 / bound.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
