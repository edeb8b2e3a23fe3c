//! What has been shown of a rule: that it is kept, or that it is broken.
//!
//! A broken rule is shown in either of two ways. Evidence gathered from the beginning is quickest while a candidate has been
//! bad all along; but after a week of good calls it must pay back that week before it can speak of a bad hour. A detector of
//! change pays nothing back, and has to clear a higher bar because it starts anew at every look. Gates use both, and share
//! their part of alpha between them; triggers, which are about changes, only the second.
//!
//! In the field's terms: evidence gathered from the beginning is an e-process, which is at least 1/alpha with a chance of at
//! most alpha, ever (Ville's inequality); the detector of change is a Shiryaev-Roberts detector, whose threshold grows with the
//! number of looks; the bar is the threshold of either, in natural logarithms.

use lockgate_stats::detector::{self, Detector};
use lockgate_stats::wealth::Wealth;

/// The detector's share of a gate's alpha. Small, because what a candidate is like from its first call decides how many
/// users it reaches; a tenth delays a detector by some per cent only.
const PART_OF_CHANGE: f64 = 0.1;

/// What must be reached for a rule to count as broken, in either way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) from_start: f64,
    pub(super) of_change: f64,
    /// For so many looks.
    looks: f64,
}

impl Bar {
    /// Out of reach.
    pub(super) const NEVER: Self = Self { from_start: f64::MAX, of_change: f64::MAX, looks: f64::MAX };

    /// For a gate with this part of alpha that is looked at so often.
    pub(super) fn of_gate(alpha: f64, looks: f64) -> Self {
        Self {
            from_start: -(alpha * (1.0 - PART_OF_CHANGE)).ln(),
            of_change: detector::log_threshold(looks, alpha * PART_OF_CHANGE),
            looks,
        }
    }

    /// For a trigger.
    pub(super) fn of_trigger(alpha: f64, looks: f64) -> Self {
        Self { from_start: f64::MAX, of_change: detector::log_threshold(looks, alpha), looks }
    }

    /// After so many looks. Pauses and resumptions can make a rollout longer than its plan, and a detector's promise is one
    /// about a number of looks. So beyond that number every doubling may spend half of what the one before might: for twice
    /// the looks, at half of alpha, the bar is four times as high. However long it takes, what is spent beyond is at most half
    /// of alpha once more.
    pub(super) fn after(self, looks: u64) -> Self {
        let (mut bar, looks) = (self, looks as f64);
        while looks > bar.looks {
            bar.looks *= 2.0;
            bar.of_change += 2.0 * std::f64::consts::LN_2;
        }
        bar
    }

    /// For evidence against something that itself is wrong with half of the chance: the other half is left.
    pub(super) fn halved(self) -> Self {
        let ln_2 = std::f64::consts::LN_2;
        let halved = |log: f64| if log < f64::MAX { log + ln_2 } else { log };
        Self { from_start: halved(self.from_start), of_change: halved(self.of_change), ..self }
    }

    /// Of two ways of showing, the one whose evidence is nearer to its bar.
    pub(super) fn nearer(&self, from_start: f64, of_change: f64) -> (f64, f64) {
        let of_change = of_change.max(0.0);
        if from_start - self.from_start >= of_change - self.of_change {
            (from_start, self.from_start)
        } else {
            (of_change, self.of_change)
        }
    }
}

/// Evidence gathered from the beginning. Absent before the first step.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathered(Option<Wealth>);

impl Gathered {
    pub(super) fn step(&mut self, factor: &Wealth) {
        match &mut self.0 {
            Some(wealth) => wealth.multiply_all(factor),
            None => self.0 = Some(*factor),
        }
    }

    pub(super) fn reaches(&self, log_needed: f64) -> bool {
        self.0.is_some_and(|wealth| wealth.reaches(log_needed))
    }

    /// The evidence, 0 before there is any.
    pub(super) fn log_e(&self) -> f64 {
        self.0.map_or(0.0, |wealth| wealth.log_e())
    }

    /// How many times the observations so far, more of the same, would be enough.
    pub(super) fn multiple_to(&self, log_needed: f64) -> Option<f64> {
        self.0.and_then(|wealth| wealth.multiple_to(log_needed))
    }
}

/// Evidence that a rule is broken.
#[derive(Debug, Clone, Default)]
pub(super) struct Broken {
    pub(super) from_start: Gathered,
    pub(super) of_change: Detector,
}

impl Broken {
    pub(super) fn step(&mut self, factor: &Wealth) {
        self.from_start.step(factor);
        self.of_change.step(factor);
    }

    /// What it has speaks against both arms alike, and from now on only one is left: nothing of it may be held against that
    /// one alone. What speaks for it stays. Letting go of winnings is always allowed, so the promise holds as before.
    pub(super) fn begin_alone(&mut self) {
        self.of_change = Detector::default();
        if self.is_likely() {
            self.from_start = Gathered::default();
        }
    }

    /// Whether it alone is shown.
    pub(super) fn is_shown(&self, bar: &Bar) -> bool {
        are_shown(&[self], bar)
    }

    /// Whether it is shown, and only by the detector of change.
    pub(super) fn is_by_change(&self, bar: &Bar) -> bool {
        !self.from_start.reaches(bar.from_start) && self.of_change.reaches(bar.of_change)
    }

    /// Whether the evidence from the beginning speaks for it at all.
    pub(super) fn is_likely(&self) -> bool {
        self.from_start.log_e() > 0.0
    }
}

/// Whether all of these are shown, in the same way. Requiring all splits no alpha: while one of them does not hold, its own
/// bar keeps the promise.
pub(super) fn are_shown(all: &[&Broken], bar: &Bar) -> bool {
    all.iter().all(|broken| broken.from_start.reaches(bar.from_start))
        || all.iter().all(|broken| broken.of_change.reaches(bar.of_change))
}

/// The evidence that all of these hold, and its bar: of the two ways the one that is nearer to it.
pub(super) fn nearest(all: &[&Broken], bar: &Bar) -> (f64, f64) {
    let weakest = |of: &dyn Fn(&Broken) -> f64| all.iter().map(|broken| of(broken)).fold(f64::MAX, f64::min);
    let from_start = weakest(&|broken| broken.from_start.log_e());
    let of_change = weakest(&|broken| broken.of_change.log_e());
    bar.nearer(from_start, of_change)
}
