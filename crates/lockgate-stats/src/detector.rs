//! Has it become worse? A detector of change for triggers.
//!
//! Evidence gathered from the beginning must first pay back every good day before it can speak of a bad hour. A detector of
//! the Shiryaev-Roberts kind starts a new gambler before every bucket instead: M becomes (M + 1) times the bucket's factor
//! (e-detectors: Shin, Ramdas, Rinaldo 2024). While nothing is wrong, M less the number of looks is a supermartingale, so with
//! at most N looks the chance that M ever reaches N/alpha is at most alpha.

use crate::wealth::{BETS_MAX, Wealth, log_mixture};

/// One detector: the mean over a mixture of stakes, in logarithms.
#[derive(Debug, Clone)]
pub struct Detector {
    logs: [f64; BETS_MAX],
    parts: &'static [f64],
}

impl Default for Detector {
    /// One that has seen nothing.
    fn default() -> Self {
        Self { logs: [f64::NEG_INFINITY; BETS_MAX], parts: &[] }
    }
}

impl Detector {
    /// Takes in one bucket's factor. All factors of one detector come from the same mixture.
    pub fn step(&mut self, factor: &Wealth) {
        self.parts = factor.parts();
        for (mine, factor) in self.logs.iter_mut().zip(factor.logs()) {
            *mine = log_plus_one(*mine) + factor;
        }
    }

    /// The natural logarithm of the detector; minus infinity before the first bucket.
    pub fn log_e(&self) -> f64 {
        log_mixture(&self.logs[..self.parts.len()], self.parts)
    }

    /// Whether it has reached a threshold. Cheap while it is far away.
    pub fn reaches(&self, log_needed: f64) -> bool {
        self.logs.iter().any(|log| *log >= log_needed) && self.log_e() >= log_needed
    }
}

/// What a detector must reach for its chance of a false alarm within so many looks to be at most `alpha`.
pub fn log_threshold(looks: f64, alpha: f64) -> f64 {
    looks.max(1.0).ln() - alpha.ln()
}

/// ln(exp(x) + 1).
fn log_plus_one(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
