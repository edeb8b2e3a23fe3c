//! Where a rate or a mean lies, valid at any time: confidence sequences, for people to look at.
//!
//! The set of truths that no gambler has refuted yet. However often it is looked at, the chance that it ever misses the truth
//! is at most alpha.

use crate::mean::{STAKES, STAKES_PARTS};
use crate::wealth::log_mixture;
use crate::{Count, Histogram, mean_of, score};

/// Halvings of an interval: 2^-40 is finer than anything shown.
const HALVINGS: u32 = 40;

/// Where a rate lies. Without observations: anywhere.
///
/// The gambler is Krichevsky and Trofimov's (1981): the Beta(1/2, 1/2) mixture, whose wealth against a rate p is at least
/// exp(n kl(hits/n, p)) / (2 sqrt(n)). Their bound in place of the exact mixture costs at most ln 2 and needs no gamma
/// functions.
pub fn of_rate(count: Count, alpha: f64) -> (f64, f64) {
    let Some(rate) = count.rate() else { return (0.0, 1.0) };
    let n = count.n as f64;
    let allowed = (-alpha.ln() + 0.5 * n.ln() + std::f64::consts::LN_2) / n;
    (farthest(rate, 0.0, |p| kl(rate, p) < allowed), farthest(rate, 1.0, |p| kl(rate, p) < allowed))
}

/// Where a mean of scores lies. Without observations: anywhere.
///
/// Both sides bet as in [`crate::mean`], each with half of alpha. With stakes held as parts of the wealth, the evidence grows
/// steadily as the supposed mean moves away, so that each end is found by halving.
pub fn of_mean(scores: &Histogram, alpha: f64) -> (f64, f64) {
    let Some(mean) = mean_of(scores) else { return (0.0, 1.0) };
    let needed = (2.0 / alpha).ln();
    let unrefuted = |payout: &dyn Fn(f64) -> f64| {
        let mut logs = [0.0; STAKES.len()];
        for (level, count) in scores.iter().enumerate().filter(|(_, count)| **count > 0) {
            let gain = payout(score(level)) - 1.0;
            for (log, stake) in logs.iter_mut().zip(STAKES) {
                *log += *count as f64 * (stake * gain).ln_1p();
            }
        }
        log_mixture(&logs, STAKES_PARTS) < needed
    };
    (
        farthest(mean, 0.0, |m| unrefuted(&|x| x / m)),
        farthest(mean, 1.0, |m| unrefuted(&|x| (1.0 - x) / (1.0 - m))),
    )
}

/// The farthest point from `near` towards `end` that still holds, rounded outwards.
fn farthest(near: f64, end: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (near, end);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (inside + outside);
        if holds(middle) { inside = middle } else { outside = middle }
    }
    outside
}

/// The divergence of one coin from another.
fn kl(rate: f64, p: f64) -> f64 {
    let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
    part(rate, p) + part(1.0 - rate, 1.0 - p)
}
