//! Where a rate, a mean or a quantile lies, valid at any time: confidence sequences, for people to look at.
//!
//! The set of truths that no gambler has refuted yet. However often it is looked at, the chance that it ever
//! misses the truth is at most alpha.

use crate::mean::{STAKES, STAKES_PARTS};
use crate::mismatch::log_beta_mixture;
use crate::wealth::log_mixture;
use crate::{Count, Histogram, inside, mean_of, score};

/// How closely an end is looked for: finer than anything shown.
const CLOSE: f64 = 1e-9;
/// Steps in which it is looked for. Ten are usual; every fourth halves, so that it is found in any case.
const STEPS_MAX: u32 = 160;

/// Where a rate lies. Without observations: anywhere.
///
/// The gambler is Krichevsky and Trofimov's (1981): the Beta(1/2, 1/2) mixture, whose wealth against a rate p
/// is at least exp(n kl(hits/n, p)) / (2 sqrt(n)). Their bound in place of the exact mixture costs at most ln
/// 2 and needs no gamma functions.
pub fn of_rate(count: Count, alpha: f64) -> (f64, f64) {
    let Some(rate) = count.rate() else { return (0.0, 1.0) };
    let n = count.n as f64;
    let allowed = (-alpha.ln() + 0.5 * n.ln() + std::f64::consts::LN_2) / n;
    (farthest(rate, 0.0, allowed, |p| kl(rate, p)), farthest(rate, 1.0, allowed, |p| kl(rate, p)))
}

/// Where a mean of scores lies. Without observations: anywhere.
///
/// Both sides bet as in [`crate::mean`], each with half of alpha. With stakes held as parts of the wealth,
/// the evidence grows steadily as the supposed mean moves away, so that each end is found by halving.
pub fn of_mean(scores: &Histogram, alpha: f64) -> (f64, f64) {
    let Some(mean) = mean_of(scores) else { return (0.0, 1.0) };
    let needed = (2.0 / alpha).ln();
    let evidence = |payout: &dyn Fn(f64) -> f64| {
        let mut logs = [0.0; STAKES.len()];
        for (level, count) in scores.iter().enumerate().filter(|(_, count)| **count > 0) {
            let gain = payout(score(level)) - 1.0;
            for (log, stake) in logs.iter_mut().zip(STAKES) {
                *log += *count as f64 * (stake * gain).ln_1p();
            }
        }
        log_mixture(&logs, STAKES_PARTS)
    };
    (
        farthest(mean, 0.0, needed, |m| evidence(&|x| x / m)),
        farthest(mean, 1.0, needed, |m| evidence(&|x| (1.0 - x) / (1.0 - m))),
    )
}

/// How many observations of the rarer kind the mixture behind a quantile's interval is worth. Few, so that an
/// upper end comes as soon as it can (P99: after some 660 values); still enough to pay 2 in logarithms by
/// 10 000 values, where Krichevsky and Trofimov's would pay 5.
const QUANTILE_WORTH: f64 = 2.0;

/// Between which levels a quantile lies, both included, from counts per level in ascending order. An end that
/// nothing bounds yet is 0 or `u16::MAX`; without observations there is no answer.
///
/// A level stands for all values from its lower to its upper edge, so the interval of values goes from the
/// first level's lower edge to the last one's upper edge. A level is refuted as too low when too small a part
/// of the values is at or under it, and as too high when too large a part is under it: two rates against `q`,
/// by a Beta mixture around `q`, each with half of alpha. That is as narrow as the variance q (1-q) allows
/// (Howard and Ramdas 2022), where a bound for any variance would be five times as wide at P99.
pub fn of_quantile(levels: &[(u16, u64)], q: f64, alpha: f64) -> Option<(u16, u16)> {
    let n: f64 = levels.iter().map(|(_, count)| *count as f64).sum();
    if n <= 0.0 {
        return None;
    }
    let (q, needed) = (inside(q, 1e-6, 1.0 - 1e-6), (2.0 / alpha).ln());
    let mut at_or_under = Vec::with_capacity(levels.len());
    let mut sum = 0.0;
    for (level, count) in levels.iter().filter(|(_, count)| *count > 0) {
        sum += *count as f64;
        at_or_under.push((*level, sum));
    }
    // The evidence grows as the hits move away from what is expected, to either side: each set below begins
    // or ends once.
    let is_refuted = |hits: f64| log_beta_mixture(hits, (n - hits).max(0.0), q, QUANTILE_WORTH) >= needed;
    let is_too_low = |hits: f64| hits < q * n && is_refuted(hits);
    let is_too_high = |hits: f64| hits > q * n && is_refuted(hits);
    let low = at_or_under.partition_point(|(_, hits)| is_too_low(*hits));
    let high = at_or_under.partition_point(|(_, hits)| !is_too_high(*hits));
    let level = |place: usize| at_or_under.get(place).map(|(level, _)| *level);
    Some((level(low).filter(|_| is_too_low(0.0)).unwrap_or(0), level(high).unwrap_or(u16::MAX)))
}

/// The farthest point from `near` towards `end` that is not refuted yet, rounded outwards. The evidence is
/// under what is needed at `near` and grows towards `end`.
///
/// By false position, with the Illinois method's remedy: an end that stays twice counts half (Dowell and
/// Jarratt 1971). Evidence grows like the square of the distance, so its root is what lies on a line.
fn farthest(near: f64, end: f64, needed: f64, evidence: impl Fn(f64) -> f64) -> f64 {
    let excess = |x: f64| evidence(x).max(0.0).sqrt() - needed.max(0.0).sqrt();
    let (mut inside, mut outside) = ((near, excess(near)), (end, f64::INFINITY));
    let mut moved_in = None;
    for step in 1..=STEPS_MAX {
        let width = outside.0 - inside.0;
        if width.abs() <= CLOSE {
            break;
        }
        // Never quite at an end, so that the other one is fetched when this one has arrived.
        let least = 0.5 * CLOSE / width.abs();
        let part = -inside.1 / (outside.1 - inside.1);
        let part = if step % 4 == 0 || part.is_nan() { 0.5 } else { part.clamp(least, 1.0 - least) };
        let x = inside.0 + width * if outside.1.is_finite() { part } else { 0.5 };
        let y = excess(x);
        let moves_in = y >= 0.0;
        let again = moved_in.replace(moves_in) == Some(moves_in);
        if moves_in {
            outside = (x, y);
            inside.1 *= if again { 0.5 } else { 1.0 };
        } else {
            inside = (x, y);
            outside.1 *= if again { 0.5 } else { 1.0 };
        }
    }
    outside.0
}

/// The divergence of one coin from another.
fn kl(rate: f64, p: f64) -> f64 {
    let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
    part(rate, p) + part(1.0 - rate, 1.0 - p)
}
