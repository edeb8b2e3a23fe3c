//! How an invented model behaves: how fast, how often wrong, how well liked.
//!
//! Pure: a behaviour and a stream of random numbers give a draw, which says what one answer will be like. Which prompts
//! are answered poorly by nature, and which canonical answer a prompt has, follows from the prompt alone, so that two models
//! that are equally good say the same.

use std::time::Duration;

use crate::random::{Random, digest, lot};

/// No invented answer takes longer than this: a log-normal tail has no end, a demo has.
const LATENCY_MAX: Duration = Duration::from_secs(60);
/// Purposes of lots, any two different numbers.
const LOT_POOR: u64 = 1;
const LOT_TOOL: u64 = 2;
const LOT_REFUSAL: u64 = 3;
/// The part of the calls with tools that are answered by a tool call. Low, because a copy without tools can never agree with
/// a tool call, and agreement is to be about the answers.
const TOOL_CALL_PART: f64 = 0.08;

/// How a model behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// Half of the answers are faster than this.
    pub latency_median: Duration,
    /// The spread of the logarithm of the latency; 0.5 puts the slowest hundredth at 3.2 x the median.
    pub latency_sigma: f64,
    /// Half of the answers have fewer tokens than this.
    pub tokens_median: f64,
    /// The part of the prompts to which it says something else than other models do.
    pub deviation: f64,
    /// The part of the calls of which some of the input is read from a cache, at a lower price.
    pub cache_hit_rate: f64,
    /// What goes wrong with any call.
    pub faults: Faults,
    /// What goes wrong beside that with calls that carry tools. Copies of calls carry none, so that a mirror does not see it.
    pub faults_with_tools: Faults,
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// The part of the calls answered with an error.
    pub error_rate: f64,
    /// The part of the calls that take `slow_by` longer.
    pub slow_rate: f64,
    /// How much longer.
    pub slow_by: Duration,
    /// The part of the answers that users do not like.
    pub poor_rate: f64,
    /// The part of the prompts that it declines to answer.
    pub refusal_rate: f64,
}

/// What one answer will be like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draw {
    /// How long it takes.
    pub latency: Duration,
    /// Whether it is an error.
    pub is_error: bool,
    /// Whether users will dislike it.
    pub is_poor: bool,
    /// Whether it says something else than other models do.
    pub deviates: bool,
    /// Whether it calls a tool instead of answering.
    pub calls_tool: bool,
    /// Whether it declines to answer.
    pub refuses: bool,
    /// Whether some of the input is read from a cache.
    pub hits_cache: bool,
    /// Which of the canonical answers it gives.
    pub choice: u64,
    /// Tokens written.
    pub tokens: u64,
}

impl Behaviour {
    /// Fast, nearly faultless, well liked: what a stable version is like.
    pub const GOOD: Self = Self {
        latency_median: Duration::from_millis(15),
        latency_sigma: 0.4,
        tokens_median: 60.0,
        deviation: 0.02,
        cache_hit_rate: 0.3,
        faults: Faults {
            error_rate: 0.000_1,
            slow_rate: 0.0,
            slow_by: Duration::ZERO,
            poor_rate: 0.01,
            refusal_rate: 0.002,
        },
        faults_with_tools: Faults {
            error_rate: 0.0,
            slow_rate: 0.0,
            slow_by: Duration::ZERO,
            poor_rate: 0.0,
            refusal_rate: 0.0,
        },
    };

    pub(crate) fn draw(&self, prompt: &[u8], has_tools: bool, random: &mut Random) -> Draw {
        let more = if has_tools { self.faults_with_tools } else { Faults::default() };
        let mut latency_ms = random.log_normal(self.latency_median.as_secs_f64() * 1e3, self.latency_sigma);
        for faults in [self.faults, more] {
            if random.chance(faults.slow_rate) {
                latency_ms += faults.slow_by.as_secs_f64() * 1e3;
            }
        }
        Draw {
            latency: Duration::from_micros((latency_ms * 1e3) as u64).min(LATENCY_MAX),
            is_error: random.chance(self.faults.error_rate) || random.chance(more.error_rate),
            is_poor: lot(prompt, LOT_POOR) < self.faults.poor_rate || random.chance(more.poor_rate),
            deviates: random.chance(self.deviation),
            calls_tool: has_tools && lot(prompt, LOT_TOOL) < TOOL_CALL_PART,
            choice: digest(prompt),
            tokens: (random.log_normal(self.tokens_median, 0.3) as u64).max(1),
            refuses: lot(prompt, LOT_REFUSAL) < self.faults.refusal_rate || random.chance(more.refusal_rate),
            hits_cache: random.chance(self.cache_hit_rate),
        }
    }
}
