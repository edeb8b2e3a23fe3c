//! Are callers split as they should be? Evidence of a sample-ratio mismatch.
//!
//! Whether a caller gets the candidate is drawn, so of n callers a Binomial(n, share) number ought to have
//! it. Where they have not, routing or counting is broken (a replica with an old table, answers lost in one
//! arm), and nothing compared can be trusted. The gambler bets on a Beta mixture around the share (the
//! Dirichlet-multinomial test of Lindon and Malek 2022), so the evidence hangs on two counts alone and may be
//! looked at all the time.

use crate::inside;

/// Evidence at which a split is called broken: 1000 to 1. It is looked at beside everything else for as long
/// as a rollout lasts, and costs a rollout its whole comparison, so it is asked for more than a gate is.
pub const LOG_NEEDED: f64 = 6.907_755_278_982_137;

/// How many callers of the smaller arm the mixture is worth: it spreads over the shares from about half of
/// the right one to half as much again. Of a share of 1 %, that a quarter is missing (one replica of four has
/// an old table) shows after some 26 000 callers, where 20 000 is the least possible, and that nobody comes
/// after 1 340. A mixture four times narrower would find the first 2 % sooner and the second 60 % later.
const WORTH: f64 = 5.0;
/// Shares are moved inside these, so that neither arm is impossible.
const SHARE_MIN: f64 = 1e-6;

/// The natural logarithm of the evidence that callers do not fall to the candidate with the chance `share`,
/// from how many did to each arm. `copies` is how often one caller may have been counted at most (by so many
/// replicas, or restarts of them).
///
/// A caller counted m times in place of once would make its factor f into f^m, which is no longer fair. So
/// the counts are divided by `copies` = k: each counting brings f^(1/k). Take the j-th countings of all
/// callers as a sequence of their own, in which every caller appears at most once. The evidence E_j of each
/// sequence alone is fair, at any time it is looked at, and what is returned is, by Hoelder's inequality, at
/// most the geometric mean of E_1 to E_k, so never more than the largest of them. The chance that any of k
/// reaches k times a threshold is within the promise: hence ln k is taken off. (If k grows on the way, the
/// j-th sequence counts only against k >= j, and the chance is 1 + 1/2 + .. + 1/k times the promise at most.)
/// That holds as long as how often, and when, a caller is counted does not hang on its arm.
pub fn log_e(candidate: u64, stable: u64, share: f64, copies: u64) -> f64 {
    let copies = copies.max(1) as f64;
    let share = inside(share, SHARE_MIN, 1.0 - SHARE_MIN);
    log_beta_mixture(candidate as f64 / copies, stable as f64 / copies, share, WORTH) - copies.ln()
}

/// What a Beta mixture, with mean `rate` and worth as many observations as give `worth` of the rarer kind,
/// has made of 1 by betting against `rate`, in logarithms.
///
/// It is ln B(a+hits, b+misses) - ln B(a, b) - hits ln(rate) - misses ln(1-rate) with a : b = rate : 1-rate.
/// Written so, the terms grow with the counts and cancel; with Stirling's series put in for each, what
/// cancels can be left out by hand. What is left is n times a divergence, half a logarithm, and the
/// remainders of the series.
pub(crate) fn log_beta_mixture(hits: f64, misses: f64, rate: f64, worth: f64) -> f64 {
    let all = worth / rate.min(1.0 - rate);
    let (a, b) = (all * rate, all * (1.0 - rate));
    let (x, y, n) = (a + hits, b + misses, all + hits + misses);
    let divergence = x * ln_of_ratio(x, n * rate) + y * ln_of_ratio(y, n * (1.0 - rate));
    let spread = 0.5 * ((n / all).ln() - (x / a).ln() - (y / b).ln());
    divergence + spread + remainder(x) + remainder(y) - remainder(n) - remainder(a) - remainder(b)
        + remainder(all)
}

/// ln(x/y), to the last digits where they are close.
fn ln_of_ratio(x: f64, y: f64) -> f64 {
    let ratio = x / y;
    if (0.5..2.0).contains(&ratio) { ((x - y) / y).ln_1p() } else { ratio.ln() }
}

/// What ln gamma(x) is over Stirling's (x - 1/2) ln x - x + ln(2 pi)/2. The first term left out is
/// 0.002/x^11: under 1e-6 from 2 on, the least asked for by quantiles, and under 5e-11 from 5 on, the least
/// asked for here.
fn remainder(x: f64) -> f64 {
    let square = 1.0 / (x * x);
    let series = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0];
    series.into_iter().rev().fold(0.0, |sum, term| sum * square + term) / x
}
