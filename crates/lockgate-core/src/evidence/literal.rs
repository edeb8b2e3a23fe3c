//! A trigger's window taken at its word: is it over its limit just now?
//!
//! As alerting tools read it, by chance or not. Where the plan asks for evidence, a window over its limit calls for a person and
//! moves nothing; where it asks for the letter, it acts.

use std::time::Duration;

use super::tally::Both;
use super::window::Trailing;
use crate::plan::{Blame, Mode, Rule};
use crate::sums::BucketStart;

/// "Three minutes in a row" is read minute by minute.
const MINUTE_MS: i64 = 60_000;

/// Where nothing moves by a window, only a person is called: not for a handful of observations, nor for a rate of rare things
/// that stable happened to have none of.
const CALLS_FOR_A_PERSON: u128 = 20;
const HITS_FOR_A_PERSON: u128 = 5;

/// Where in the sums an arm's lie: how many, and what they add up to.
const CANDIDATE: usize = 0;
const STABLE: usize = 2;

/// One trigger's window.
#[derive(Debug, Clone)]
pub(super) struct Literal {
    rule: Rule,
    bucket_ms: i64,
    window: Trailing<4>,
    /// Whether the window acts by itself, or only calls for a person.
    acts: bool,
    /// What one unit of a sum is worth.
    unit: f64,
    /// The first bucket in which the candidate was seen; a window that begins before it is not full yet.
    first: Option<BucketStart>,
    /// Since when it is over its limit.
    pub(super) crossed: Option<BucketStart>,
}

impl Literal {
    /// Of a rule that has a window; hard rules and distributions have none beside their own.
    pub(super) fn new(rule: Rule, over: Duration, bucket: Duration, mode: Mode) -> Option<Self> {
        let has_window = !matches!(rule, Rule::SpendUnder { .. } | Rule::Never | Rule::ShiftUnder { .. });
        has_window.then(|| Self {
            rule,
            bucket_ms: (bucket.as_millis() as i64).max(1),
            window: Trailing::new(over, bucket),
            acts: mode == Mode::Literal,
            unit: 1.0,
            first: None,
            crossed: None,
        })
    }

    /// Takes in one bucket.
    pub(super) fn step(&mut self, start: BucketStart, now: &Both) {
        let ((n, sum), (stable_n, stable_sum)) = (now.candidate.sums(), now.stable.sums());
        self.unit = now.candidate.unit();
        self.window.move_on(start);
        self.window.add(start, [n.into(), sum, stable_n.into(), stable_sum]);
        if n > 0 {
            self.first = self.first.or(Some(start));
        }
        let end = start.0.saturating_add(self.bucket_ms);
        let is_full = self.first.is_some_and(|first| end.saturating_sub(first.0) >= self.window.over_ms());
        self.crossed = (is_full && self.is_over(end)).then(|| self.crossed.unwrap_or(start));
    }

    /// What lies in the window of the candidate's, and how long it is.
    pub(super) fn lately(&self) -> (u128, u128, Duration) {
        let total = self.window.total();
        let over = Duration::from_millis(self.window.over_ms().unsigned_abs());
        (total[CANDIDATE], total[CANDIDATE + 1], over)
    }

    /// Whether it must be stepped although nothing came.
    pub(super) fn is_moving(&self) -> bool {
        !self.window.is_empty()
    }

    /// Starts again after a person has looked.
    pub(super) fn clear(&mut self) {
        self.window.clear();
        (self.first, self.crossed) = (None, None);
    }

    /// Whether stable is as bad in the same window, so that it is over for both.
    pub(super) fn is_of_both(&self) -> bool {
        self.crossed.is_some() && !self.is_blamed()
    }

    /// Whether what is over its limit is the candidate's doing: stable, where it has calls, is not as bad in the same window.
    pub(super) fn is_blamed(&self) -> bool {
        let (Rule::RateUnder { blame, .. } | Rule::SlowUnder { blame, .. }) = self.rule else { return true };
        let Blame::OverStable { ratio } = blame else { return true };
        match (self.mean(CANDIDATE), self.mean(STABLE)) {
            (Some(candidate), Some(stable)) => candidate > ratio * stable,
            _ => true,
        }
    }

    fn mean(&self, arm: usize) -> Option<f64> {
        mean(self.window.total(), arm, self.unit)
    }

    fn is_over(&self, end: i64) -> bool {
        let Some(candidate) = self.mean(CANDIDATE) else { return false };
        if !self.acts && !self.is_worth_a_call() {
            return false;
        }
        let stable = self.mean(STABLE);
        match self.rule {
            Rule::RateUnder { limit, .. } => candidate > limit,
            Rule::MeanOver { limit } => candidate < limit,
            Rule::SlowUnder { part, .. } => self.each_piece_is_over(end, part),
            Rule::RatioUnder { fail, .. } => stable.is_some_and(|stable| candidate > fail * stable),
            Rule::DropUnder { fail, .. } => stable.is_some_and(|stable| candidate < (1.0 - fail) * stable),
            Rule::RiseUnder { fail, .. } => stable.is_some_and(|stable| candidate > (1.0 + fail) * stable),
            Rule::SpendUnder { .. } | Rule::Never | Rule::ShiftUnder { .. } => false,
        }
    }

    /// Whether there is enough in the window to trouble a person with.
    fn is_worth_a_call(&self) -> bool {
        let total = self.window.total();
        let is_relative = matches!(self.rule, Rule::RatioUnder { .. });
        total[CANDIDATE] >= CALLS_FOR_A_PERSON && (!is_relative || total[CANDIDATE + 1] >= HITS_FOR_A_PERSON)
    }

    /// Minute by minute, back from now; in one piece where it is shorter than two minutes.
    fn each_piece_is_over(&self, end: i64, part: f64) -> bool {
        let over_ms = self.window.over_ms();
        let piece_ms = if over_ms < 2 * MINUTE_MS { over_ms } else { MINUTE_MS.max(self.window.piece_ms()) };
        let mut pieces = self.window.pieces().rev().peekable();
        (0..over_ms / piece_ms).all(|back| {
            let begins = end - (back + 1) * piece_ms;
            let mut sums = [0; 4];
            while let Some((_, some)) = pieces.next_if(|(at, _)| *at >= begins) {
                sums.iter_mut().zip(some).for_each(|(sum, some)| *sum += some);
            }
            mean(sums, CANDIDATE, 1.0).is_some_and(|slow| slow > part)
        })
    }
}

fn mean(sums: [u128; 4], arm: usize, unit: f64) -> Option<f64> {
    (sums[arm] > 0).then(|| sums[arm + 1] as f64 * unit / sums[arm] as f64)
}
