//! The dense counters of one subject in one bucket.

use std::collections::BTreeMap;

use lockgate_core::mishap::{Mishap, Mishaps};
use lockgate_core::signal::Signal;
use lockgate_core::sums::{BucketStart, Sum};
use lockgate_core::{duration_levels, size_levels};

use crate::record::{Row, Subject};

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Observed {
    /// A call was given to the version.
    Assigned,
    /// A caller was seen for the first time since the present share is in force.
    Visited,
    /// A session began.
    SessionBegan,
    /// A session ended, having cost this level of nano-dollars.
    SessionCost(size_levels::Level),
    /// A call came to an end that says something about the version.
    Finished {
        error: bool,
        timeout: bool,
        fallback: bool,
        degraded: bool,
    },
    /// A chat was answered.
    Answered {
        refused: bool,
    },
    /// The target refused the call as the caller's own mistake.
    Rejected,
    /// The client left first.
    Cancelled,
    Latency(duration_levels::Level),
    FirstToken(duration_levels::Level),
    /// What the provider says that the call used, in tokens.
    Used {
        read: u64,
        written: u64,
        hit_cache: bool,
    },
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
    visitors: u64,
    sessions: u64,
    /// Calls in the rates of errors, time-outs, fallbacks and degraded answers.
    finished: u64,
    errors: u64,
    timeouts: u64,
    fallbacks: u64,
    degraded: u64,
    refusal: Rate,
    cache_hit: Rate,
    rejected: Rate,
    cancelled: Rate,
    latency: Levels,
    first_token: Levels,
    tokens_in: Amount,
    tokens_out: Amount,
    tokens: Amount,
    cost: Amount,
    input_length: Levels,
    output_length: Levels,
    session_cost: Levels,
    agreement: Levels,
    coverage: Rate,
}

/// Levels whose cells are made at once: few enough that a short ladder stays short, enough that a table is made anew a handful
/// of times and not with every longer answer.
const LEVELS_STEP: usize = 256;

/// Counts per level, dense, as far up as anything was counted.
#[derive(Debug, Default)]
struct Levels(Vec<u32>);

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

impl Observed {
    /// The mishap that it is for its session, if it is one.
    pub(crate) fn mishap(self) -> Option<Mishap> {
        match self {
            Self::Finished { error, fallback, degraded, .. } => {
                (error || fallback || degraded).then_some(Mishap::LetDown)
            }
            Self::Answered { refused } => refused.then_some(Mishap::Refused),
            Self::Rejected => Some(Mishap::Rejected),
            Self::Cancelled => Some(Mishap::Cancelled),
            _ => None,
        }
    }

    /// In how many kinds of rates it is not counted, after such mishaps of its session.
    pub(crate) fn repeats(self, before: Mishaps) -> u64 {
        let counted_in: &[Mishap] = match self {
            Self::Finished { .. } => &[Mishap::LetDown, Mishap::Rejected, Mishap::Cancelled],
            Self::Answered { .. } => &[Mishap::Refused],
            Self::Rejected => &[Mishap::Rejected],
            Self::Cancelled => &[Mishap::Cancelled],
            _ => &[],
        };
        counted_in.iter().filter(|mishap| before.has(**mishap)).count() as u64
    }
}

impl Counters {
    /// Adds what is observed of a call, in whose session there were such mishaps before.
    pub(super) fn add(&mut self, observed: Observed, before: Mishaps) {
        match observed {
            Observed::Assigned => self.assigned += 1,
            Observed::Visited => self.visitors += 1,
            Observed::SessionBegan => self.sessions += 1,
            Observed::SessionCost(level) => self.session_cost.add(level),
            Observed::Finished { error, timeout, fallback, degraded } => {
                if !before.has(Mishap::LetDown) {
                    self.finished += 1;
                    self.errors += u64::from(error);
                    self.timeouts += u64::from(timeout);
                    self.fallbacks += u64::from(fallback);
                    self.degraded += u64::from(degraded);
                }
                self.rejected.add_unless(before.has(Mishap::Rejected), false);
                self.cancelled.add_unless(before.has(Mishap::Cancelled), false);
            }
            Observed::Answered { refused } => self.refusal.add_unless(before.has(Mishap::Refused), refused),
            Observed::Rejected => self.rejected.add_unless(before.has(Mishap::Rejected), true),
            Observed::Cancelled => self.cancelled.add_unless(before.has(Mishap::Cancelled), true),
            Observed::Latency(level) => self.latency.add(level),
            Observed::FirstToken(level) => self.first_token.add(level),
            Observed::Used { read, written, hit_cache } => {
                self.tokens_in.add(read);
                self.tokens_out.add(written);
                self.tokens.add(read.saturating_add(written));
                self.input_length.add(size_levels::level(read));
                self.output_length.add(size_levels::level(written));
                self.cache_hit.add(hit_cache);
            }
            Observed::CostNanoUsd(nano_usd) => self.cost.add(nano_usd),
            Observed::Agreement(step) => self.agreement.add(step),
            Observed::Coverage { compared } => self.coverage.add(compared),
        }
    }

    /// Hands over every signal with an observation, as rows, and begins again from nothing.
    pub(super) fn drain(&mut self, subject: &Subject, start: BucketStart, mut put: impl FnMut(Row)) {
        let rate = |n, hits| (n > 0).then_some(Sum::Rate { n, hits });
        let count = |n: u64| (n > 0).then(|| Sum::Amount { n, total: n, squares: n.into() });
        let sums = [
            (Signal::Assigned, count(self.assigned)),
            (Signal::Visitors, count(self.visitors)),
            (Signal::Sessions, count(self.sessions)),
            (Signal::Error, rate(self.finished, self.errors)),
            (Signal::Timeout, rate(self.finished, self.timeouts)),
            (Signal::Fallback, rate(self.finished, self.fallbacks)),
            (Signal::Degraded, rate(self.finished, self.degraded)),
            (Signal::Refusal, self.refusal.sum()),
            (Signal::CacheHit, self.cache_hit.sum()),
            (Signal::Rejected, self.rejected.sum()),
            (Signal::Cancelled, self.cancelled.sum()),
            (Signal::Latency, self.latency.drain()),
            (Signal::FirstToken, self.first_token.drain()),
            (Signal::TokensIn, self.tokens_in.sum()),
            (Signal::TokensOut, self.tokens_out.sum()),
            (Signal::Tokens, self.tokens.sum()),
            (Signal::Cost, self.cost.sum()),
            (Signal::InputLength, self.input_length.drain()),
            (Signal::OutputLength, self.output_length.drain()),
            (Signal::SessionCost, self.session_cost.drain()),
            (Signal::Agreement, self.agreement.drain()),
            (Signal::Coverage, self.coverage.sum()),
        ];
        for (signal, sum) in sums {
            if let Some(sum) = sum {
                put((start, subject.key(signal), sum));
            }
        }
        // The tables keep their room: the next call counts in them.
        *self = Self {
            latency: std::mem::take(&mut self.latency),
            first_token: std::mem::take(&mut self.first_token),
            input_length: std::mem::take(&mut self.input_length),
            output_length: std::mem::take(&mut self.output_length),
            session_cost: std::mem::take(&mut self.session_cost),
            agreement: std::mem::take(&mut self.agreement),
            ..Self::default()
        };
    }
}

impl Levels {
    fn add(&mut self, level: u16) {
        let at = usize::from(level);
        if at >= self.0.len() {
            self.0.resize((at / LEVELS_STEP + 1) * LEVELS_STEP, 0);
        }
        if let Some(cell) = self.0.get_mut(at) {
            *cell = cell.saturating_add(1);
        }
    }

    fn drain(&mut self) -> Option<Sum> {
        let mut levels = BTreeMap::new();
        for (level, count) in self.0.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            levels.insert(level as u16, u64::from(std::mem::take(count)));
        }
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

impl Rate {
    fn add(&mut self, hit: bool) {
        self.n += 1;
        self.hits += u64::from(hit);
    }

    fn add_unless(&mut self, is_closed: bool, hit: bool) {
        if !is_closed {
            self.add(hit);
        }
    }

    fn sum(&self) -> Option<Sum> {
        let Self { n, hits } = *self;
        (n > 0).then_some(Sum::Rate { n, hits })
    }
}
