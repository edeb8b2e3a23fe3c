//! A rate against a limit, from the number of observations and hits alone.
//!
//! Each gambler bets on one rate p on the far side of the limit p0: a hit multiplies its wealth by p/p0, a miss by
//! (1-p)/(1-p0). Its mean factor is 1 when the truth is p0 and less when the truth lies further on the near side, because the
//! direction of the bet is fixed; so the mixture is evidence against the whole side. This is a mixture of sequential
//! probability ratio tests (Wald 1945), with a discrete prior (Robbins 1970) in place of the Beta prior of Howard, Ramdas,
//! McAuliffe and Sekhon (2021).

use crate::wealth::{BETS_MAX, Wealth};
use crate::{Count, inside};

/// Rates bet on to show that a rate is over the limit, as multiples of the limit. Dense near 1 to find small excesses at all,
/// reaching far because silent failures are often tenfold.
pub(crate) const OVER: [f64; 14] = [1.1, 1.25, 1.4, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.5, 8.0, 12.0, 20.0, 40.0];
/// Rates bet on to show that a rate is under the limit.
pub(crate) const UNDER: [f64; 10] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.03];

/// Most of the capital backs two- to sixfold rates: what is worth finding within hundreds of calls. A smaller excess takes
/// thousands in any case, which its thinner backing lengthens by some hundredths; a larger one is found at once.
pub(crate) const OVER_PARTS: &[f64] =
    &[0.02, 0.025, 0.035, 0.05, 0.08, 0.13, 0.16, 0.16, 0.13, 0.08, 0.05, 0.035, 0.025, 0.02];
pub(crate) const UNDER_PARTS: &[f64] = &[1.0 / 10.0; 10];

/// Limits are moved inside these, so that no factor is 0 or infinite.
const LIMIT_MIN: f64 = 1e-9;

/// Tests of one rate against one limit, for both sides.
#[derive(Debug, Clone)]
pub struct RateTest {
    over: Odds,
    under: Odds,
    counts_misses: bool,
}

/// What a hit and a miss do to each gambler's wealth, in logarithms.
#[derive(Debug, Clone)]
struct Odds {
    hit: [f64; BETS_MAX],
    miss: [f64; BETS_MAX],
    parts: &'static [f64],
}

impl RateTest {
    /// Of a rate that ought to be under the limit.
    pub fn under(limit: f64) -> Self {
        let limit = inside(limit, LIMIT_MIN, 1.0 - LIMIT_MIN);
        // Midway between the limit and certainty: whatever lies beyond is found at once anyway.
        let highest = 0.5 * (1.0 + limit);
        Self {
            over: Odds::new(limit, OVER.map(|times| (limit * times).min(highest)), OVER_PARTS),
            under: Odds::new(limit, UNDER.map(|times| limit * times), UNDER_PARTS),
            counts_misses: false,
        }
    }

    /// Of a rate that ought to be over the limit: the misses ought to be under what is left.
    pub fn over(limit: f64) -> Self {
        Self { counts_misses: true, ..Self::under(1.0 - limit) }
    }

    /// Evidence that the limit is broken.
    pub fn fail(&self, count: Count) -> Wealth {
        self.over.wealth(self.seen(count))
    }

    /// Evidence that the limit is kept.
    pub fn pass(&self, count: Count) -> Wealth {
        self.under.wealth(self.seen(count))
    }

    fn seen(&self, count: Count) -> Count {
        if self.counts_misses { Count { n: count.n, hits: count.misses() } } else { count }
    }
}

impl Odds {
    fn new<const K: usize>(limit: f64, rates: [f64; K], parts: &'static [f64]) -> Self {
        let (mut hit, mut miss) = ([0.0; BETS_MAX], [0.0; BETS_MAX]);
        for (bet, rate) in rates.into_iter().enumerate() {
            hit[bet] = (rate / limit).ln();
            miss[bet] = (-rate).ln_1p() - (-limit).ln_1p();
        }
        Self { hit, miss, parts }
    }

    fn wealth(&self, count: Count) -> Wealth {
        let (hits, misses) = (count.hits as f64, count.misses() as f64);
        let mut wealth = Wealth::untouched(self.parts);
        for bet in 0..self.parts.len() {
            wealth.multiply(bet, hits * self.hit[bet] + misses * self.miss[bet]);
        }
        wealth
    }
}
