//! A rate against another arm's at the same time.
//!
//! Whatever hits both arms alike (a provider's incident, a bad hour) says nothing about either. So only hits are looked at,
//! and of each only which arm it fell to. In a bucket with exposures `n_c` and `n_s`, a hit is the candidate's with
//! probability q0 = r n_c / (r n_c + n_s) when its rate is r times stable's; a gambler who believes in m r bets accordingly
//! (conditional counts: Lindon and Malek 2022). Realised exposures, not the planned share, because users differ in volume.
//!
//! Beyond rare events it stays valid for rates of any size: with factors a = q/q0 for a candidate's hit and
//! b = (1-q)/(1-q0) for a stable one, a bucket's expected factor is at most exp(n_c p_c (a-1) + n_s p_s (b-1)), and at
//! p_c = r p_s the exponent is 0.

use crate::rate::{OVER, OVER_PARTS, UNDER, UNDER_PARTS};
use crate::wealth::Wealth;
use crate::{Count, inside};

/// Tests of the ratio of two rates against a limit, for both sides.
#[derive(Debug, Clone, Copy)]
pub struct RatioTest {
    ratio: f64,
}

impl RatioTest {
    /// Of the candidate's rate over stable's against `ratio`.
    pub fn new(ratio: f64) -> Self {
        Self { ratio: inside(ratio, 1e-6, 1e6) }
    }

    /// What one group of concurrent calls adds to the evidence that the ratio is over the limit.
    pub fn fail_step(&self, candidate: Count, stable: Count) -> Wealth {
        self.step(candidate, stable, &OVER, OVER_PARTS)
    }

    /// What one group of concurrent calls adds to the evidence that the ratio is under the limit.
    pub fn pass_step(&self, candidate: Count, stable: Count) -> Wealth {
        self.step(candidate, stable, &UNDER, UNDER_PARTS)
    }

    fn step(&self, candidate: Count, stable: Count, times: &[f64], parts: &'static [f64]) -> Wealth {
        let mut wealth = Wealth::untouched(parts);
        let hits = candidate.hits as f64 + stable.hits as f64;
        if candidate.n == 0 || stable.n == 0 || hits == 0.0 {
            return wealth;
        }
        let exposed = self.ratio * candidate.n as f64;
        let expected = exposed / (exposed + stable.n as f64);
        for (bet, times) in times.iter().enumerate() {
            wealth.multiply(
                bet,
                candidate.hits as f64 * times.ln() - hits * ((times - 1.0) * expected).ln_1p(),
            );
        }
        wealth
    }
}

/// Gathers buckets until both arms have calls in them, and enough of them that their numbers say how the traffic is split: a
/// candidate's call beside the one of stable's that happened to come next would be taken for half of the traffic, and half of
/// what its failures say would be lost. Where calls come quickly every bucket is a group.
///
/// When a group is complete depends on the numbers of calls alone, never on the hits, so it cannot favour a side. Stable's
/// calls are not kept while there are none of the candidate's: what happened while it was frozen or had no traffic is of
/// another time, and a provider's incident that began then would be laid at its door.
#[derive(Debug, Clone, Default)]
pub struct Gathering {
    candidate: Count,
    stable: Count,
    buckets: u32,
}

/// Calls further apart than this many buckets are not of the same time: an hour, at 10 s.
const GATHER_BUCKETS_MAX: u32 = 360;
/// A group is complete when stable has so many calls for each of the candidate's: more would add a tenth to what a failure says.
const STABLE_PER_CANDIDATE: u64 = 10;
/// Or when both have so many together, whatever the split.
const CALLS_ENOUGH: u64 = 40;
/// Or after so many buckets, half an hour at 10 s: what is that sparse waits no longer.
const WAIT_BUCKETS_MAX: u32 = 180;

impl Gathering {
    /// Takes in one bucket; a complete group comes out.
    pub fn take(&mut self, candidate: Count, stable: Count) -> Option<(Count, Count)> {
        if self.buckets >= GATHER_BUCKETS_MAX || self.candidate.n == 0 {
            *self = Self::default();
        }
        self.candidate = self.candidate.plus(candidate);
        self.stable = self.stable.plus(stable);
        if self.candidate.n == 0 && self.stable.n == 0 {
            return None;
        }
        self.buckets += 1;
        if self.candidate.n == 0 || self.stable.n == 0 {
            return None;
        }
        let is_enough = self.stable.n >= self.candidate.n.saturating_mul(STABLE_PER_CANDIDATE)
            || self.stable.n.saturating_add(self.candidate.n) >= CALLS_ENOUGH
            || self.buckets >= WAIT_BUCKETS_MAX;
        if !is_enough {
            return None;
        }
        let group = (self.candidate, self.stable);
        *self = Self::default();
        Some(group)
    }
}
