//! How often and after what pause a failed call is tried again at the same target.
//!
//! A pause is drawn evenly between nothing and a bound that doubles, so that calls which failed together do not come back
//! together. Retries are paid from a budget that the traffic itself fills: in an outage they add a fixed part to the load and not
//! a multiple of it.

use std::time::Duration;

use jiff::Timestamp;

use crate::rolling::Rolling;

/// The traffic that fills a budget: long enough to be a rate, short enough that a morning's calls do not pay for an outage at
/// noon.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Retries within [`WINDOW`] that even a quiet target may have: a tenth of two calls is nothing, and a single hiccup is what
/// retries are for.
pub const RESERVE: u64 = 3;

const CALLS: usize = 0;
const RETRIES: usize = 1;

/// How a target's calls are tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Most further tries of one call at one target.
    pub retries: u32,
    /// The bound of the first pause; it doubles with each try.
    pub base: Duration,
    /// The longest bound of a pause.
    pub max: Duration,
    /// Retries per call, over the rolling traffic of the target. Nothing is tried again where it is 0.
    pub budget: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { retries: 2, base: Duration::from_millis(200), max: Duration::from_secs(5), budget: 0.1 }
    }
}

/// The pause before the next try. `tried` counts the tries so far, from 1; `asked` is what the target asked for, which is the least
/// that is waited; `draw` is in [0, 1).
///
/// What is drawn comes on top of what was asked for, so that the calls that were all sent away until the same moment do not all
/// come back at it. Whether so long a pause still fits into the call's deadline is the caller's to see.
pub fn pause(settings: &Settings, tried: u32, asked: Option<Duration>, draw: f64) -> Duration {
    let times = 1_u32.checked_shl(tried.saturating_sub(1)).unwrap_or(u32::MAX);
    let bound = settings.base.saturating_mul(times).min(settings.max);
    let draw = if draw.is_finite() { draw.clamp(0.0, 1.0) } else { 0.0 };
    let drawn = Duration::try_from_secs_f64(bound.as_secs_f64() * draw).unwrap_or(bound).min(bound);
    asked.unwrap_or_default().saturating_add(drawn)
}

/// What may be spent on retries.
///
/// Within any [`WINDOW`] that ends with a retry there are no more retries than `budget` times the calls in it, or than
/// [`RESERVE`] if that is more. So a busy target never sees more than `1 + budget` times what callers ask of it.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    counts: Rolling<2>,
}

impl Budget {
    /// A call was made for the first time.
    pub fn earn(&mut self, settings: &Settings, now: Timestamp) {
        let _ = settings;
        self.counts.count(WINDOW, now, CALLS);
    }

    /// Takes a retry from the budget, if it holds one.
    pub fn spend(&mut self, settings: &Settings, now: Timestamp) -> bool {
        let may = self.left(settings, now) > 0;
        if may {
            self.counts.count(WINDOW, now, RETRIES);
        }
        may
    }

    /// The retries that it holds.
    pub fn left(&self, settings: &Settings, now: Timestamp) -> u64 {
        if settings.budget.is_nan() || settings.budget <= 0.0 {
            return 0;
        }
        // Counted short here and long there, so that the promise holds for the window itself and not for its buckets only.
        let calls = self.counts.within(WINDOW, now)[CALLS];
        let retries = self.counts.at_least(WINDOW, now)[RETRIES];
        let earned = (calls as f64 * settings.budget) as u64;
        earned.max(RESERVE).saturating_sub(retries)
    }
}

#[cfg(test)]
mod tests;
