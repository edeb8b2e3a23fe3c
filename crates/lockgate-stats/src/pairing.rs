//! Pairs values of two arms, from counts per level alone.
//!
//! A difference of means is judged on pairs: each value of the candidate with the mean of up to four stable
//! values of about the same time. Which value meets which is drawn at random, with a seed that is the bucket
//! itself. Within a bucket the order of the values carries nothing, so any draw gives exchangeable pairs; and
//! because it is a function of the merged counts, every replica of the controller, and every later replay,
//! draws the same.
//!
//! What a level stands for (a hundredth of a score, a twelfth of an octave of money) is the caller's to say.

use crate::random::Random;
use crate::{Histogram, LEVELS, score};

/// Stable values per value of the candidate. More than four gain little: the candidate's own spread remains.
const STABLE_PER_PAIR_MAX: usize = 4;
/// Pairs formed per bucket; what is beyond is left out by the draw, which favours no value.
const PAIRS_MAX: usize = 1024;
/// Values of the candidate that wait for a partner in a later bucket, the latest of them.
const CANDIDATE_WAITING_MAX: usize = 64;
/// Stable values that wait: enough for the candidates of a sparse hour, few enough to stay of the same time.
const STABLE_WAITING_MAX: usize = 16;

/// A value of the candidate and the mean of its stable partners.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The candidate's value.
    pub candidate: f64,
    /// The mean of the stable values that it met.
    pub stable: f64,
}

/// Forms pairs bucket by bucket; what finds no partner waits, bounded.
#[derive(Debug, Clone, Default)]
pub struct Pairing {
    candidate_waiting: Vec<u16>,
    stable_waiting: Vec<u16>,
    pairs: Vec<Pair>,
    /// Kept between buckets for their memory only.
    urns: (Urn, Urn),
}

impl Pairing {
    /// Takes in one bucket's scores and gives the pairs that they complete.
    pub fn take(&mut self, seed: u64, candidate: &Histogram, stable: &Histogram) -> &[Pair] {
        let (candidate, stable) = (by_level(candidate), by_level(stable));
        self.take_levels(seed, &candidate, &stable, |level| score(usize::from(level)))
    }

    /// Takes in one bucket's counts per level, sparse and in ascending order, and gives the pairs that they complete.
    /// `value` says what a level stands for. One `Pairing` keeps to one ladder of levels: what waits is kept as levels.
    pub fn take_levels(
        &mut self,
        seed: u64,
        candidate: &[(u16, u64)],
        stable: &[(u16, u64)],
        value: impl Fn(u16) -> f64,
    ) -> &[Pair] {
        self.pairs.clear();
        let mut random = Random(seed);
        self.urns.0.fill(candidate);
        self.urns.1.fill(stable);
        let candidates = self.urns.0.left.saturating_add(self.candidate_waiting.len() as u64);
        let stables = self.urns.1.left.saturating_add(self.stable_waiting.len() as u64);
        let pairs = candidates.min(stables).min(PAIRS_MAX as u64) as usize;
        if pairs > 0 {
            // Stable values are dealt out evenly, so that the last candidates do not get fewer than the
            // first.
            let each = (stables / pairs as u64).clamp(1, STABLE_PER_PAIR_MAX as u64) as usize;
            for _ in 0..pairs {
                self.pair(&mut random, each, &value);
            }
        }
        keep_latest(&mut self.candidate_waiting, &mut self.urns.0, &mut random, CANDIDATE_WAITING_MAX);
        keep_latest(&mut self.stable_waiting, &mut self.urns.1, &mut random, STABLE_WAITING_MAX);
        &self.pairs
    }

    /// Candidates that waited go first, with this bucket's stable values before older ones.
    fn pair(&mut self, random: &mut Random, each: usize, value: &impl Fn(u16) -> f64) {
        let waited = (!self.candidate_waiting.is_empty()).then(|| self.candidate_waiting.remove(0));
        let Some(own) = waited.or_else(|| self.urns.0.draw(random)) else { return };
        let (mut total, mut met) = (0.0, 0.0);
        while met < each as f64 {
            let Some(level) = self.urns.1.draw(random).or_else(|| self.stable_waiting.pop()) else { break };
            total += value(level);
            met += 1.0;
        }
        if met > 0.0 {
            self.pairs.push(Pair { candidate: value(own), stable: total / met });
        }
    }
}

/// A histogram without its empty levels.
fn by_level(histogram: &Histogram) -> Vec<(u16, u64)> {
    let mut levels = Vec::with_capacity(LEVELS);
    levels
        .extend((0..).zip(histogram).filter(|(_, count)| **count > 0).map(|(level, count)| (level, *count)));
    levels
}

/// Adds a bounded draw of what is left to those who wait; the longest waiting make room.
fn keep_latest(waiting: &mut Vec<u16>, urn: &mut Urn, random: &mut Random, most: usize) {
    for _ in 0..most {
        match urn.draw(random) {
            Some(level) => waiting.push(level),
            None => break,
        }
    }
    waiting.drain(..waiting.len().saturating_sub(most));
}

/// Draws levels without putting them back, each in as many steps as the number of levels has binary digits.
#[derive(Debug, Clone, Default)]
struct Urn {
    levels: Vec<u16>,
    /// Node `i` holds the count of the `i & -i` levels that end with the `i`th (Fenwick 1994); node 0 is
    /// unused.
    sums: Vec<u64>,
    left: u64,
}

impl Urn {
    fn fill(&mut self, counts: &[(u16, u64)]) {
        self.levels.clear();
        self.sums.clear();
        self.sums.push(0);
        self.left = 0;
        for (level, count) in counts.iter().filter(|(_, count)| *count > 0) {
            // More than fits is left out, so that the sums below stay exact.
            let count = (*count).min(u64::MAX - self.left);
            self.left += count;
            self.levels.push(*level);
            self.sums.push(count);
        }
        for node in 1..self.sums.len() {
            let above = node + (node & node.wrapping_neg());
            if above < self.sums.len() {
                self.sums[above] += self.sums[node];
            }
        }
    }

    fn draw(&mut self, random: &mut Random) -> Option<u16> {
        if self.left == 0 {
            return None;
        }
        let mut place = random.below(self.left);
        self.left -= 1;
        // Down the tree: over every node whose levels all lie before the place, into the others, one draw the
        // poorer.
        let (mut passed, mut width) = (0, self.sums.len().next_power_of_two());
        while width > 0 {
            if let Some(sum) = self.sums.get_mut(passed + width) {
                if *sum <= place {
                    place -= *sum;
                    passed += width;
                } else {
                    *sum -= 1;
                }
            }
            width /= 2;
        }
        self.levels.get(passed).copied()
    }
}
