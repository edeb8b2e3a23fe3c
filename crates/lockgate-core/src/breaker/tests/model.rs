//! A million random operations, watched from outside.
//!
//! The watcher knows the calls under way and the changes that were told, and nothing of how the breaker keeps its books. Half of
//! the runs move time in whole buckets and only forwards, so that a plain list of the latest calls says exactly when it must
//! open; the others have jumping clocks, lost calls and targets that ask for rest.

use super::*;

const OPERATIONS: u64 = 1_000_000;
const RUNS: u64 = 40;

/// Steele, Lea and Flood's SplitMix64: one word of state, good enough to choose operations.
struct Draws(u64);

impl Draws {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }

    fn part(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A call under way.
struct Call {
    ticket: Ticket,
    /// How often the breaker had been interrupted when it began.
    epoch: u64,
    /// Until when it keeps its place, if it is a probe.
    expires: Option<i64>,
    /// Whether it has lost that place.
    is_over: bool,
}

struct Watcher {
    breaker: Breaker,
    settings: Settings,
    draws: Draws,
    now_ms: i64,
    is_tame: bool,
    state: State,
    epoch: u64,
    calls: Vec<Call>,
    good_probes: u32,
    in_row: u32,
    /// When calls of a closed breaker ended, and whether well.
    ended: Vec<(i64, bool)>,
    /// How often each change was seen.
    changes: [u64; 6],
}

impl Watcher {
    fn new(seed: u64) -> Self {
        let mut draws = Draws(seed);
        let settings = Settings {
            consecutive: 2 + draws.below(6) as u32,
            rate: 0.2 + 0.7 * draws.part(),
            calls_min: 1 + draws.below(20) as u32,
            window: Duration::from_secs(20),
            open: Duration::from_secs(1 + draws.below(20)),
            open_max: Duration::from_secs(30 + draws.below(60)),
            probes: 1 + draws.below(4) as u32,
            recovery: Duration::from_secs(1 + draws.below(30)),
        };
        Self {
            breaker: Breaker::default(),
            settings,
            draws,
            now_ms: 1_700_000_000_000,
            is_tame: seed.is_multiple_of(2),
            state: State::Closed,
            epoch: 0,
            calls: Vec::new(),
            good_probes: 0,
            in_row: 0,
            ended: Vec::new(),
            changes: [0; 6],
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms).unwrap()
    }

    fn open_max_ms(&self) -> i64 {
        self.settings.open_max.as_millis() as i64
    }

    /// Takes note of a change: it must begin where the last one ended, and be one that the state machine has.
    fn note(&mut self, change: Change) {
        use State::{Closed, HalfOpen, Open, Recovering};
        let known = [
            (Closed, Open),
            (Open, HalfOpen),
            (HalfOpen, Open),
            (HalfOpen, Recovering),
            (Recovering, Open),
            (Recovering, Closed),
        ];
        let Change { from, to } = change;
        assert_eq!(from, self.state, "a change was lost");
        let which = known.iter().position(|&known| known == (from, to)).unwrap();
        self.changes[which] += 1;
        self.state = to;
        self.epoch += u64::from(to != Closed);
        (self.good_probes, self.in_row) = (0, 0);
        self.ended.clear();
    }

    fn begin(&mut self) {
        let draw = self.draws.part();
        // A clock that was set back leaves a probe its place for no longer than it would have had; one that has lost its place
        // when somebody asks for it does not get it back.
        let latest = self.now_ms + self.open_max_ms();
        for call in &mut self.calls {
            call.expires = call.expires.map(|expires| expires.min(latest));
            call.is_over |= call.expires.is_some_and(|expires| expires <= self.now_ms);
        }
        let (before, share) = (self.state, self.breaker.reading(&self.settings, self.now()).share);
        match self.breaker.admit(&self.settings, self.now(), draw) {
            Ok(ticket) => {
                ticket.change().into_iter().for_each(|change| self.note(change));
                assert_ne!(self.state, State::Open);
                assert_eq!(ticket.is_probe(), self.state == State::HalfOpen);
                let expires = ticket.is_probe().then_some(latest);
                self.calls.push(Call { ticket, epoch: self.epoch, expires, is_over: false });
            }
            Err(refused) => {
                assert_eq!(refused.state, before, "a refusal changes nothing");
                match refused.state {
                    State::Closed => panic!("closed, every call passes"),
                    State::Open => {
                        let open_for = refused.until.unwrap().duration_since(self.now());
                        assert!(open_for.is_positive() && open_for.unsigned_abs() <= self.settings.open_max);
                    }
                    State::HalfOpen => assert_eq!(self.probes_taken(), self.settings.probes),
                    // A clock that was set back begins the recovery anew, after the reading.
                    State::Recovering => assert!(draw >= share.unwrap() || !self.is_tame),
                }
            }
        }
        if self.state == State::HalfOpen {
            assert!(self.probes_taken() <= self.settings.probes, "too many probes");
        }
    }

    fn probes_taken(&self) -> u32 {
        let keeps = |call: &&Call| call.epoch == self.epoch && call.expires.is_some() && !call.is_over;
        self.calls.iter().filter(keeps).count() as u32 + self.good_probes
    }

    fn end(&mut self, which: usize, outcome: Outcome) {
        let Call { ticket, epoch, is_over, .. } = self.calls.swap_remove(which);
        let (counts, before) = (epoch == self.epoch && !is_over, self.state);
        let must_open = counts && self.counts_to_open(outcome);
        let change = self.breaker.end(&self.settings, ticket, self.now(), outcome);
        let is_probe = counts && before == State::HalfOpen;
        match (change.map(|change| change.to), outcome) {
            (None, Outcome::Failed) => {
                assert!(!is_probe, "a failed probe opens it");
            }
            (None, _) => {}
            (Some(_), _) if !counts => panic!("a call of an earlier epoch made a change"),
            (Some(State::Open), Outcome::Failed) => {}
            (Some(State::Recovering), Outcome::Good) if is_probe => {
                assert_eq!(self.good_probes + 1, self.settings.probes, "not all probes have succeeded");
            }
            told => panic!("{told:?}"),
        }
        if self.is_tame && before == State::Closed {
            assert_eq!(change.is_some(), must_open, "it opens exactly when the plain list says so");
        }
        match change {
            Some(change) => self.note(change),
            None => self.good_probes += u32::from(is_probe && outcome == Outcome::Good),
        }
    }

    /// Takes note of a call that counts; whether a closed breaker must open by it.
    fn counts_to_open(&mut self, outcome: Outcome) -> bool {
        if self.state != State::Closed || outcome == Outcome::Unknown {
            return false;
        }
        let is_good = outcome == Outcome::Good;
        self.ended.push((self.now_ms, is_good));
        self.in_row = if is_good { 0 } else { self.in_row + 1 };
        let window_ms = self.settings.window.as_millis() as i64;
        self.ended.retain(|(at, _)| *at > self.now_ms - window_ms);
        let failed = self.ended.iter().filter(|(_, is_good)| !is_good).count();
        let is_often = self.ended.len() >= self.settings.calls_min as usize
            && failed as f64 >= self.settings.rate * self.ended.len() as f64;
        !is_good && (self.in_row >= self.settings.consecutive || is_often)
    }

    fn pass_time(&mut self) {
        let seconds = match self.draws.below(1_000) {
            0..700 => 0,
            700..950 => 1,
            950..995 => self.draws.below(10),
            _ => self.draws.below(120),
        };
        self.now_ms += 1_000 * seconds as i64;
        if self.is_tame {
            return;
        }
        match self.draws.below(5_000) {
            0..3 => self.now_ms -= self.draws.below(40_000_000) as i64,
            3..5 => self.now_ms += self.draws.below(40_000_000) as i64,
            5..100 => self.now_ms -= self.draws.below(2_000) as i64,
            _ => {}
        }
    }

    fn step(&mut self, is_well: bool) {
        self.pass_time();
        match self.draws.below(100) {
            0..50 => self.begin(),
            50..97 if !self.calls.is_empty() => {
                // Mostly the latest, so that epochs see their own calls; now and then one from long ago.
                let last = self.calls.len() - 1;
                let any = self.draws.below(last as u64 + 1) as usize;
                let which = if self.draws.below(4) == 0 { any } else { last };
                let outcome = match self.draws.below(100) {
                    0..10 => Outcome::Unknown,
                    10..92 if is_well => Outcome::Good,
                    10..45 => Outcome::Good,
                    _ => Outcome::Failed,
                };
                self.end(which, outcome);
            }
            // Lost: nobody will ever end it.
            97 if !self.is_tame && !self.calls.is_empty() => self.lose(),
            98 if !self.is_tame => {
                let asked = Duration::from_secs(self.draws.below(200));
                self.breaker.rest(&self.settings, self.now(), asked);
            }
            _ => {}
        }
        if self.calls.len() > 60 {
            self.end(0, Outcome::Unknown);
        }
    }

    /// A probe that is lost keeps its place for a while, which the watcher could not see any more.
    fn lose(&mut self) {
        if let Some(which) =
            self.calls.iter().position(|call| call.epoch != self.epoch || call.expires.is_none())
        {
            self.calls.swap_remove(which);
        }
    }

    /// From here on the target is well: it closes, within the times that the settings give.
    fn gets_well(&mut self) {
        let within = 3 * self.settings.open_max + self.settings.recovery + Duration::from_secs(10);
        let deadline = self.now_ms + within.as_millis() as i64;
        while self.state != State::Closed {
            assert!(self.now_ms < deadline, "still {} after {within:?}", self.state);
            self.now_ms += 1_000;
            for _ in 0..10 {
                let before = self.calls.len();
                self.begin();
                if self.calls.len() > before {
                    self.end(before, Outcome::Good);
                }
            }
        }
    }
}

#[test]
fn a_million_random_operations_break_no_promise() {
    let mut changes = [0; 6];
    for seed in 0..RUNS {
        let mut watcher = Watcher::new(seed);
        for operation in 0..OPERATIONS / RUNS {
            let is_well = operation / 500 % 2 == 0;
            watcher.step(is_well);
            if operation % 5_000 == 4_999 {
                watcher.gets_well();
            }
        }
        for (sum, seen) in changes.iter_mut().zip(watcher.changes) {
            *sum += seen;
        }
    }
    assert!(changes.iter().all(|&seen| seen > 200), "every change was tried often: {changes:?}");
}
