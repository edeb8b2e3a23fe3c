//! Windows taken at their word: how often a candidate as good as stable crosses one by chance.
//!
//! Nothing is proven here, so there is no evidence to ask. A window slides over drawn buckets, as the live one does, until it
//! is over its limit; then it begins anew. How often that happens in a long time says how likely it is in a phase. Calls are
//! taken to come evenly: bunched calls make thinner windows, and thinner windows cross more often.

use std::collections::VecDeque;

use super::course::{BUCKET, Scene};
use super::draw::Draw;
use super::schedule::Schedule;
use super::traffic::{Manner, Values};
use super::{Effort, FalseAlarm, TriggerEstimate};
use crate::plan::{Action, Blame, Mode, Phase, PhaseKind, Rule, Trigger};
use crate::signal::{Measure, Signal};

/// Buckets that are drawn in search of one window's crossings: a year of ten seconds each.
const BUCKETS: u64 = 3_000_000;
/// So many crossings are enough to know their rate to 5 %.
const CROSSINGS: u64 = 400;
/// With so many times the candidate's observations, stable's mean in a window is as good as known.
const STABLE_IS_KNOWN: f64 = 20.0;
/// "Three minutes in a row" is read minute by minute: this many buckets each.
const MINUTE: usize = 6;
/// Spending is compared only from so many sessions or calls on, and with so many of stable's to spare.
const SPENDING: [(f64, f64); 2] = [(10.0, 20.0), (30.0, 20.0)];

pub(super) fn triggers(scene: &Scene<'_>, schedule: &Schedule, effort: Effort) -> Vec<TriggerEstimate> {
    let each = scene.plan.triggers.iter().filter(|trigger| has_window(trigger));
    each.map(|trigger| TriggerEstimate {
        name: format!("{} {}", trigger.signal, trigger.rule),
        over_seconds: trigger.over.as_secs_f64(),
        mode: trigger.mode,
        false_alarms: (scene.plan.phases.iter().enumerate())
            .filter_map(|(i, phase)| {
                false_alarm(scene, schedule.phases[i].seconds, i, phase, trigger, effort)
            })
            .collect(),
    })
    .collect()
}

fn has_window(trigger: &Trigger) -> bool {
    // What only alerts does so by its evidence, unless it is to be taken at its word.
    let is_read = trigger.action != Action::Alert || trigger.mode == Mode::Literal;
    is_read && !matches!(trigger.rule, Rule::Never | Rule::ShiftUnder { .. })
}

fn false_alarm(
    scene: &Scene<'_>,
    seconds: f64,
    i: usize,
    phase: &Phase,
    trigger: &Trigger,
    effort: Effort,
) -> Option<FalseAlarm> {
    let candidate = scene.candidate_calls(phase);
    let per_call = scene.per_call(phase, &trigger.signal);
    if candidate * per_call <= 0.0 || seconds <= 0.0 {
        return None;
    }
    let stable = match phase.kind {
        PhaseKind::Shadow { .. } => scene.calls(phase),
        PhaseKind::Canary { share } => scene.calls(phase) * (1.0 - share.fraction()),
    };
    let manner = scene.traffic.stable.of(&trigger.signal);
    let sessions = scene.per_call(phase, &Signal::Sessions);
    let is_spending = matches!(trigger.rule, Rule::SpendUnder { .. });
    let mut scan = Scan {
        rule: trigger.rule,
        stable_level: level(&manner, trigger.rule, trigger.signal.measure()),
        window: (trigger.over.as_secs_f64() / BUCKET.as_secs_f64()).round().max(1.0) as usize,
        candidate: Arm::new(candidate, &manner, trigger.rule, is_spending.then_some(sessions)),
        stable: (stable < STABLE_IS_KNOWN * candidate && stable > 0.0 && is_relative(trigger.rule))
            .then(|| Arm::new(stable, &manner, trigger.rule, is_spending.then_some(sessions))),
        spending: SPENDING[usize::from(sessions <= 0.0)],
    };
    let mut draw = Draw::of_item(effort.seed, i as u64);
    let in_phase = seconds / BUCKET.as_secs_f64();
    let (crossings, buckets) =
        if scan.is_out_of_reach(in_phase) { (0, 1) } else { scan.crossings(&mut draw) };
    let between = BUCKET.as_secs_f64() * buckets as f64 / crossings as f64;
    let watched = (seconds - trigger.over.as_secs_f64()).max(0.0);
    Some(FalseAlarm {
        phase: i,
        name: phase.name.clone(),
        probability: if crossings == 0 { 0.0 } else { 1.0 - (-watched / between).exp() },
        seconds_between: (crossings > 0).then_some(between),
    })
}

fn is_relative(rule: Rule) -> bool {
    !matches!(rule, Rule::RateUnder { .. } | Rule::SlowUnder { .. } | Rule::MeanOver { .. })
}

/// What an observation is on average, in the unit that the window compares.
fn level(manner: &Manner, rule: Rule, measure: Measure) -> f64 {
    match rule {
        Rule::SlowUnder { limit, .. } => manner.slower_than(limit),
        _ => manner.level(measure),
    }
}

/// A window that slides over drawn buckets.
struct Scan {
    rule: Rule,
    stable_level: f64,
    /// In buckets.
    window: usize,
    candidate: Arm,
    /// Absent where stable's mean is as good as known.
    stable: Option<Arm>,
    spending: (f64, f64),
}

/// A crossing that is less likely than this in a whole phase is not looked for.
const OUT_OF_REACH: f64 = 1e-4;

impl Scan {
    /// Whether a window is so far from its limit that chance does not bring it there: by Chernoff's bound, once per bucket.
    fn is_out_of_reach(&self, buckets: f64) -> bool {
        let arm = &self.candidate;
        let calls = arm.calls * self.window as f64;
        let stable = self.stable_level;
        let (n, limit) = match self.rule {
            Rule::RateUnder { limit, .. } | Rule::MeanOver { limit } => (calls * arm.per_call, limit),
            Rule::RatioUnder { fail, .. } => (calls * arm.per_call, fail * stable),
            Rule::DropUnder { fail, .. } => (calls * arm.per_call, (1.0 - fail) * stable),
            Rule::RiseUnder { fail, .. } => (calls * arm.per_call, (1.0 + fail) * stable),
            Rule::SpendUnder { times } => (calls * arm.units.unwrap_or(1.0).min(1.0), times * stable),
            // One minute alone must be out of reach.
            Rule::SlowUnder { part, .. } => (arm.calls * self.window.min(MINUTE) as f64, part),
            Rule::Never | Rule::ShiftUnder { .. } => return false,
        };
        // Stable's mean in the window is uncertain too, in proportion to its calls.
        let doubt = self.stable.as_ref().map_or(1.0, |stable| 1.0 + arm.calls / stable.calls);
        arm.is_unlikely(n / doubt, limit, buckets)
    }

    /// How often it crosses, in how many buckets in which it was full.
    fn crossings(&mut self, draw: &mut Draw) -> (u64, u64) {
        let (mut crossings, mut buckets, mut drawn) = (0, 0, 0);
        while drawn < BUCKETS && crossings < CROSSINGS {
            let (took, crossed) = match self.rule {
                Rule::SlowUnder { part, .. } => self.minute_by_minute(draw, part, BUCKETS - drawn),
                _ => self.at_once(draw, BUCKETS - drawn),
            };
            drawn += took;
            buckets += took.saturating_sub(self.window as u64 - 1);
            crossings += u64::from(crossed);
        }
        (crossings, buckets.max(1))
    }

    /// Slides until the window as a whole is over its limit.
    fn at_once(&mut self, draw: &mut Draw, at_most: u64) -> (u64, bool) {
        let mut held: VecDeque<[f64; 4]> = VecDeque::with_capacity(self.window + 1);
        let mut sums = [0.0; 4];
        let mut took = 0;
        while took < at_most {
            took += 1;
            let (n, sum) = self.candidate.draw(draw);
            let (stable_n, stable_sum) = self.stable.as_mut().map_or((0.0, 0.0), |arm| arm.draw(draw));
            let now = [n, sum, stable_n, stable_sum];
            held.push_back(now);
            sums.iter_mut().zip(now).for_each(|(sum, now)| *sum += now);
            if held.len() > self.window
                && let Some(old) = held.pop_front()
            {
                sums.iter_mut().zip(old).for_each(|(sum, old)| *sum -= old);
            }
            // Sums of fractions lose their last digits as they slide; nothing but a whole observation may cross.
            if held.len() == self.window && sums[0] > 0.5 && self.is_over(sums) {
                return (took, true);
            }
        }
        (took, false)
    }

    fn is_over(&self, [n, sum, stable_n, stable_sum]: [f64; 4]) -> bool {
        let mean = sum / n;
        let stable = match &self.stable {
            Some(_) if stable_n < 0.5 => return false,
            Some(_) => stable_sum / stable_n,
            None => self.candidate.unit_level(self.stable_level),
        };
        match self.rule {
            Rule::RateUnder { limit, blame } => mean > limit && is_blamed(blame, mean, stable),
            Rule::MeanOver { limit } => mean < limit,
            Rule::RatioUnder { fail, .. } => mean > fail * stable,
            Rule::DropUnder { fail, .. } => mean < (1.0 - fail) * stable,
            Rule::RiseUnder { fail, .. } => mean > (1.0 + fail) * stable,
            Rule::SpendUnder { times } => {
                let (least, grace) = self.spending;
                n >= least && sum > times * stable * n + grace * stable
            }
            Rule::SlowUnder { .. } | Rule::Never | Rule::ShiftUnder { .. } => false,
        }
    }

    /// Slides until each minute of the window is over its limit; in one piece where it is shorter than two.
    fn minute_by_minute(&mut self, draw: &mut Draw, part: f64, at_most: u64) -> (u64, bool) {
        let piece = if self.window < 2 * MINUTE { self.window } else { MINUTE };
        let pieces = self.window / piece;
        let blame = match self.rule {
            Rule::SlowUnder { blame, .. } => blame,
            _ => Blame::Always,
        };
        let mut held: VecDeque<(f64, f64)> = VecDeque::with_capacity(piece + 1);
        let mut over: VecDeque<bool> = VecDeque::with_capacity(self.window + 1);
        let (mut n, mut sum) = (0.0, 0.0);
        let mut took = 0;
        while took < at_most {
            took += 1;
            let now = self.candidate.draw(draw);
            held.push_back(now);
            (n, sum) = (n + now.0, sum + now.1);
            if held.len() > piece
                && let Some(old) = held.pop_front()
            {
                (n, sum) = (n - old.0, sum - old.1);
            }
            over.push_front(n > 0.5 && sum / n > part && is_blamed(blame, sum / n, self.stable_level));
            over.truncate(self.window);
            if took >= self.window as u64 && (0..pieces).all(|back| over.get(back * piece) == Some(&true)) {
                return (took, true);
            }
        }
        (took, false)
    }
}

fn is_blamed(blame: Blame, candidate: f64, stable: f64) -> bool {
    match blame {
        Blame::Always => true,
        Blame::OverStable { ratio } => candidate > ratio * stable,
    }
}

/// One arm's buckets.
struct Arm {
    /// Calls in a bucket; what is less than one is owed to the next.
    calls: f64,
    owed: f64,
    per_call: f64,
    outcome: Outcome,
    /// Where the window counts sessions or calls instead of observations: how many per call.
    units: Option<f64>,
    /// For so many calls, the chance that nothing happens.
    nothing: (u64, f64),
}

enum Outcome {
    Rate(f64),
    /// Mean and standard deviation.
    Number(f64, f64),
}

impl Arm {
    fn new(calls_per_second: f64, manner: &Manner, rule: Rule, sessions: Option<f64>) -> Self {
        let outcome = match (&manner.values, rule) {
            (_, Rule::SlowUnder { limit, .. }) => Outcome::Rate(manner.slower_than(limit)),
            (Values::Rate(rate), _) => Outcome::Rate(*rate),
            (Values::Amount { mean, spread }, _) => Outcome::Number(*mean, *spread),
            (Values::Levels(levels), rule) => {
                let value = |level: u16| match rule {
                    Rule::RiseUnder { .. } => crate::size_levels::value(level),
                    _ => f64::from(level) / f64::from(crate::sums::SCORE_STEPS),
                };
                let mean: f64 = levels.iter().map(|(level, part)| part * value(*level)).sum();
                let squares: f64 =
                    levels.iter().map(|(level, part)| part * (value(*level) - mean).powi(2)).sum();
                Outcome::Number(mean, squares.sqrt())
            }
        };
        Self {
            calls: calls_per_second * BUCKET.as_secs_f64(),
            owed: 0.0,
            per_call: manner.per_call.clamp(0.0, 1.0),
            outcome,
            units: sessions.map(|sessions| if sessions > 0.0 { sessions } else { 1.0 }),
            nothing: (0, 1.0),
        }
    }

    /// Whether the mean of so many observations hardly ever lies beyond a limit, in so many tries.
    fn is_unlikely(&self, n: f64, limit: f64, tries: f64) -> bool {
        let exponent = match self.outcome {
            Outcome::Rate(rate) if rate < limit => {
                n * (limit * (limit / rate.max(1e-12)).ln() - limit + rate)
            }
            Outcome::Rate(rate) => n * (rate - limit).powi(2) / 2.0,
            Outcome::Number(mean, spread) => {
                // Fewer observations come in some windows; a fifth fewer is as bad as is likely.
                0.8 * n * ((mean - limit) / spread.max(1e-12)).powi(2) / 2.0
            }
        };
        tries * (-exponent).exp() < OUT_OF_REACH
    }

    /// What stable's mean is per unit of this window.
    fn unit_level(&self, level: f64) -> f64 {
        self.units.map_or(level, |units| level / units)
    }

    /// Units (or observations) and sum of one bucket.
    fn draw(&mut self, draw: &mut Draw) -> (f64, f64) {
        self.owed += self.calls;
        let calls = self.owed.floor();
        self.owed -= calls;
        let calls = calls as u64;
        let seen = if self.per_call >= 1.0 { calls } else { draw.binomial(calls, self.per_call) };
        let sum = match self.outcome {
            Outcome::Rate(rate) => self.hits(draw, seen, rate) as f64,
            Outcome::Number(mean, spread) if seen > 0 => {
                (seen as f64 * mean + (seen as f64).sqrt() * spread * draw.normal()).max(0.0)
            }
            Outcome::Number(..) => 0.0,
        };
        let n = match self.units {
            Some(units) if units < 1.0 => draw.binomial(calls, units),
            Some(_) => calls,
            None => seen,
        };
        (n as f64, sum)
    }

    fn hits(&mut self, draw: &mut Draw, n: u64, rate: f64) -> u64 {
        if n == 0 || rate <= 0.0 {
            return 0;
        }
        if n as f64 * rate > 2.0 {
            return draw.binomial(n, rate);
        }
        if self.nothing.0 != n {
            self.nothing = (n, (n as f64 * (-rate).ln_1p()).exp());
        }
        let odds = rate / (1.0 - rate);
        let (mut place, mut chance, mut hits) = (draw.fraction(), self.nothing.1, 0);
        while place > chance && hits < n {
            place -= chance;
            hits += 1;
            chance *= odds * (n - hits + 1) as f64 / hits as f64;
        }
        hits
    }
}
