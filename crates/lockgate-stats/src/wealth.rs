//! The wealth of a mixture of gamblers, each with a fixed stake, in logarithms.
//!
//! A mixture is as good as its best gambler, less the logarithm of that one's part of the starting capital.
//! It needs no learning, so nothing about it depends on the order of the observations.

/// Most gamblers in one mixture.
pub const BETS_MAX: usize = 16;

/// Newton's steps when a crossing is looked for. Each doubles the digits; from where it starts, six are
/// usual.
const NEWTON_MAX: u32 = 40;

/// What each gambler of a mixture has made of a starting capital of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wealth {
    logs: [f64; BETS_MAX],
    parts: &'static [f64],
}

impl Wealth {
    /// Nothing won and nothing lost. The mixture has as many gamblers as there are parts of the capital; the
    /// parts add up to at most 1.
    pub fn untouched(parts: &'static [f64]) -> Self {
        debug_assert!(parts.len() <= BETS_MAX, "a mixture has at most {BETS_MAX} gamblers");
        Self { logs: [0.0; BETS_MAX], parts }
    }

    /// Multiplies one gambler's wealth by `exp(log_factor)`.
    pub(crate) fn multiply(&mut self, bet: usize, log_factor: f64) {
        self.logs[bet] += log_factor;
    }

    /// Multiplies every gambler's wealth by what the same gambler made elsewhere.
    pub fn multiply_all(&mut self, factor: &Self) {
        for (mine, theirs) in self.logs.iter_mut().zip(&factor.logs) {
            *mine += theirs;
        }
    }

    /// Each gambler's wealth, in logarithms.
    pub fn logs(&self) -> &[f64] {
        &self.logs[..self.parts.len()]
    }

    /// The parts of the starting capital.
    pub fn parts(&self) -> &'static [f64] {
        self.parts
    }

    /// The natural logarithm of the mixture's wealth: of the evidence against the hypothesis.
    pub fn log_e(&self) -> f64 {
        log_mixture(self.logs(), self.parts)
    }

    /// Whether the evidence has reached a threshold. Cheaper than [`Self::log_e`] while it is far away,
    /// because a mixture is never richer than its richest gambler.
    pub fn reaches(&self, log_needed: f64) -> bool {
        let richest = self.logs().iter().copied().fold(f64::NEG_INFINITY, f64::max);
        richest >= log_needed && self.log_e() >= log_needed
    }

    /// How many times the observations so far, more of the same kind, would reach a threshold; `None` when
    /// more of the same leads nowhere. At least 1.
    pub fn multiple_to(&self, log_needed: f64) -> Option<f64> {
        let enough_alone = |(log, part): (&f64, &f64)| (log_needed - part.ln()) / log;
        let most = (self.logs().iter().zip(self.parts))
            .filter(|(log, _)| **log > 0.0)
            .map(enough_alone)
            .min_by(f64::total_cmp)?;
        // ln of the wealth of "more of the same", and its slope. It is convex in the multiple and below the
        // threshold at 0, so it crosses once, and Newton's steps from beyond come down to the crossing
        // without ever stepping over it.
        let at = |multiple: f64| {
            let mut logs = self.logs;
            logs.iter_mut().for_each(|log| *log *= multiple);
            let reached = log_mixture(&logs[..self.parts.len()], self.parts);
            let weighed = |((log, own), part): ((&f64, &f64), &f64)| part * (log - reached).exp() * own;
            (reached, logs.iter().zip(self.logs()).zip(self.parts).map(weighed).sum::<f64>())
        };
        let mut enough = most;
        for _ in 0..NEWTON_MAX {
            let (reached, slope) = at(enough);
            let less = (reached - log_needed) / slope;
            if less.is_nan() || less <= enough * f64::EPSILON {
                break;
            }
            enough -= less;
        }
        enough.is_finite().then(|| enough.max(1.0))
    }
}

/// ln of the sum of `part * exp(log)`, without leaving the range of a float.
pub(crate) fn log_mixture(logs: &[f64], parts: &[f64]) -> f64 {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + logs.iter().zip(parts).map(|(log, part)| part * (log - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: &[f64] = &[0.5, 0.5];

    #[test]
    fn a_mixture_is_the_mean_of_its_gamblers_and_stays_finite() {
        let mut wealth = Wealth::untouched(HALVES);
        assert!(wealth.log_e().abs() < 1e-15);
        wealth.multiply(0, 4f64.ln());
        wealth.multiply(1, 2f64.ln());
        assert!((wealth.log_e() - 3f64.ln()).abs() < 1e-12);
        wealth.multiply(0, 1e18);
        wealth.multiply(1, -1e18);
        assert!(wealth.log_e().is_finite() && wealth.reaches(1e17));
    }

    #[test]
    fn more_of_the_same_reaches_the_threshold_at_the_multiple_told() {
        let mut wealth = Wealth::untouched(HALVES);
        wealth.multiply(0, 1.0);
        wealth.multiply(1, -3.0);
        let multiple = wealth.multiple_to(5.0).unwrap();
        assert!((multiple - (5.0 + std::f64::consts::LN_2)).abs() < 1e-6, "{multiple}");
        wealth.multiply(0, -2.0);
        assert_eq!(wealth.multiple_to(5.0), None);
    }
}
