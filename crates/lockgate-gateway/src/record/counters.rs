//! The dense counters of one subject in one bucket.

use std::collections::BTreeMap;

use lockgate_core::duration_levels::{self, Level};
use lockgate_core::signal::Signal;
use lockgate_core::sums::{BucketStart, SCORE_STEPS, Sum};

use crate::record::{Row, Subject};

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Observed {
    /// A call was given to the version.
    Assigned,
    /// A call came to an end that says something about the version.
    Finished {
        error: bool,
        timeout: bool,
        fallback: bool,
    },
    /// The target refused the call as the caller's own mistake.
    Rejected,
    /// The client left first.
    Cancelled,
    Latency(Level),
    FirstToken(Level),
    TokensIn(u64),
    TokensOut(u64),
    CostNanoUsd(u64),
    /// In hundredths.
    Agreement(u16),
    /// A call should have been mirrored; whether its copy was compared.
    Coverage {
        compared: bool,
    },
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    assigned: u64,
    finished: u64,
    errors: u64,
    timeouts: u64,
    fallbacks: u64,
    rejected: u64,
    cancelled: u64,
    latency: Levels,
    first_token: Levels,
    tokens_in: Amount,
    tokens_out: Amount,
    cost: Amount,
    agreement: Levels,
    coverage: Rate,
}

/// Counts per level, dense; made at the first observation.
#[derive(Debug, Default)]
struct Levels(Box<[u32]>);

#[derive(Debug, Default)]
struct Amount {
    n: u64,
    total: u64,
    squares: u128,
}

#[derive(Debug, Default)]
struct Rate {
    n: u64,
    hits: u64,
}

impl Counters {
    pub(super) fn add(&mut self, observed: Observed) {
        match observed {
            Observed::Assigned => self.assigned += 1,
            Observed::Finished { error, timeout, fallback } => {
                self.finished += 1;
                self.errors += u64::from(error);
                self.timeouts += u64::from(timeout);
                self.fallbacks += u64::from(fallback);
            }
            Observed::Rejected => self.rejected += 1,
            Observed::Cancelled => self.cancelled += 1,
            Observed::Latency(level) => self.latency.add(level, duration_levels::count()),
            Observed::FirstToken(level) => self.first_token.add(level, duration_levels::count()),
            Observed::TokensIn(tokens) => self.tokens_in.add(tokens),
            Observed::TokensOut(tokens) => self.tokens_out.add(tokens),
            Observed::CostNanoUsd(nano_usd) => self.cost.add(nano_usd),
            Observed::Agreement(step) => self.agreement.add(step, usize::from(SCORE_STEPS) + 1),
            Observed::Coverage { compared } => {
                self.coverage.n += 1;
                self.coverage.hits += u64::from(compared);
            }
        }
    }

    /// Every signal with an observation, as rows.
    pub(super) fn write(&self, subject: &Subject, start: BucketStart, mut put: impl FnMut(Row)) {
        let rate = |n, hits| (n > 0).then_some(Sum::Rate { n, hits });
        let assigned = Amount { n: self.assigned, total: self.assigned, squares: self.assigned.into() };
        let sums = [
            (Signal::Assigned, assigned.sum()),
            (Signal::Error, rate(self.finished, self.errors)),
            (Signal::Timeout, rate(self.finished, self.timeouts)),
            (Signal::Fallback, rate(self.finished, self.fallbacks)),
            (Signal::Rejected, rate(self.finished + self.rejected, self.rejected)),
            (Signal::Cancelled, rate(self.finished + self.cancelled, self.cancelled)),
            (Signal::Latency, self.latency.sum()),
            (Signal::FirstToken, self.first_token.sum()),
            (Signal::TokensIn, self.tokens_in.sum()),
            (Signal::TokensOut, self.tokens_out.sum()),
            (Signal::Cost, self.cost.sum()),
            (Signal::Agreement, self.agreement.sum()),
            (Signal::Coverage, rate(self.coverage.n, self.coverage.hits)),
        ];
        for (signal, sum) in sums {
            if let Some(sum) = sum {
                put((start, subject.key(signal), sum));
            }
        }
    }
}

impl Levels {
    fn add(&mut self, level: u16, count: usize) {
        if self.0.is_empty() {
            self.0 = vec![0; count].into();
        }
        if let Some(cell) = self.0.get_mut(usize::from(level)) {
            *cell = cell.saturating_add(1);
        }
    }

    fn sum(&self) -> Option<Sum> {
        let counts = self.0.iter().enumerate().filter(|(_, count)| **count > 0);
        let levels: BTreeMap<u16, u64> =
            counts.map(|(level, count)| (level as u16, u64::from(*count))).collect();
        (!levels.is_empty()).then_some(Sum::Levels(levels))
    }
}

impl Amount {
    fn add(&mut self, value: u64) {
        self.n += 1;
        self.total = self.total.saturating_add(value);
        self.squares = self.squares.saturating_add(u128::from(value) * u128::from(value));
    }

    fn sum(&self) -> Option<Sum> {
        let Self { n, total, squares } = *self;
        (n > 0).then_some(Sum::Amount { n, total, squares })
    }
}
