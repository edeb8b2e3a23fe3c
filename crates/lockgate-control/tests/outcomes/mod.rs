//! Invented outcomes: what a log of calls might hold, drawn from a seed.

use std::fmt::Write as _;

use jiff::Timestamp;

/// As which version a call was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    Stable,
    Candidate,
}

/// How calls are for a while.
#[derive(Debug, Clone)]
pub struct Stretch {
    pub minutes: u64,
    pub per_second: f64,
    /// The candidate's part of the users.
    pub share: f64,
    /// Whether the candidate answers a copy of every call instead.
    pub copies: bool,
    /// Stable's rate and the candidate's.
    pub errors: [f64; 2],
    /// Whether callers are labelled; one in ten is premium.
    pub segments: bool,
}

impl Stretch {
    pub const GOOD: Self = Self {
        minutes: 10,
        per_second: 5.0,
        share: 0.0,
        copies: false,
        errors: [0.004, 0.004],
        segments: false,
    };
}

/// A file in the making.
pub struct Outcomes {
    pub text: String,
    state: u64,
    ts_ms: i64,
    calls: u64,
}

impl Outcomes {
    pub fn new(seed: u64) -> Self {
        let begin: Timestamp = "2026-08-01T00:00:00Z".parse().unwrap();
        Self {
            text: String::new(),
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            ts_ms: begin.as_millisecond(),
            calls: 0,
        }
    }

    fn draw(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn wait_days(&mut self, days: i64) {
        self.ts_ms += days * 86_400_000;
    }

    pub fn play(&mut self, stretch: &Stretch) {
        let [stable, candidate] = stretch.errors;
        self.play_by(stretch, move |arm, _| if arm == Arm::Stable { stable } else { candidate });
    }

    /// With rates of errors by arm and by whether the caller is premium.
    pub fn play_by(&mut self, stretch: &Stretch, errors: impl Fn(Arm, bool) -> f64) {
        let calls = (stretch.minutes as f64 * 60.0 * stretch.per_second) as u64;
        for _ in 0..calls {
            self.ts_ms += (1000.0 / stretch.per_second) as i64;
            self.calls += 1;
            let user = (self.draw() * 50_000.0) as u64;
            // Users stay where they are, and a greater share only adds to them.
            let point = (user.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64 / (1_u64 << 53) as f64;
            let is_premium = user.is_multiple_of(10);
            let arm = if point < stretch.share { Arm::Candidate } else { Arm::Stable };
            self.write(stretch, arm, user, is_premium, errors(arm, is_premium), false);
            if stretch.copies {
                self.write(
                    stretch,
                    Arm::Candidate,
                    user,
                    is_premium,
                    errors(Arm::Candidate, is_premium),
                    true,
                );
            }
        }
    }

    fn write(
        &mut self,
        stretch: &Stretch,
        arm: Arm,
        user: u64,
        is_premium: bool,
        errors: f64,
        is_copy: bool,
    ) {
        let ts = Timestamp::from_millisecond(self.ts_ms).unwrap();
        let arm = if arm == Arm::Stable { "stable" } else { "candidate" };
        let is_error = self.draw() < errors;
        let latency = 300.0 + 1500.0 * self.draw();
        let tokens = 400 + (self.draw() * 600.0) as u64;
        let _ = write!(
            self.text,
            r#"{{"ts":"{ts}","arm":"{arm}","user":"u{user}","session":"s{user}","latency_ms":{latency:.1},"error":{is_error},"cost_usd":{:.6},"tokens":{tokens}"#,
            tokens as f64 * 4e-6
        );
        if stretch.segments {
            let tier = if is_premium { "premium" } else { "free" };
            let _ = write!(self.text, r#","segment":{{"tier":"{tier}"}}"#);
        }
        if is_copy && !is_error {
            let agreement = 0.9 + 0.1 * self.draw();
            let _ = write!(self.text, r#","agreement":{agreement:.2}"#);
        }
        if !is_copy && self.draw() < 0.05 {
            let (is_down, csat) = (self.draw() < 0.02, 0.7 + 0.3 * self.draw());
            let _ = write!(self.text, r#","thumbs_down":{is_down},"csat":{csat:.2}"#);
        }
        self.text.push_str("}\n");
    }
}
