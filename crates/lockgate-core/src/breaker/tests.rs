//! What the breaker promises, case by case; `model` holds it to the same over a million operations.

use super::*;

mod model;

const SETTINGS: Settings = Settings {
    consecutive: 3,
    rate: 0.5,
    calls_min: 10,
    window: Duration::from_secs(20),
    open: Duration::from_secs(8),
    open_max: Duration::from_secs(60),
    probes: 2,
    recovery: Duration::from_secs(10),
};

fn at(secs: f64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + (secs * 1e3) as i64).unwrap()
}

/// A breaker and where its clock stands.
struct Lab {
    breaker: Breaker,
    secs: f64,
    settings: Settings,
}

impl Lab {
    fn new() -> Self {
        Self { breaker: Breaker::default(), secs: 0.0, settings: SETTINGS }
    }

    fn opened() -> Self {
        let mut lab = Self::new();
        lab.fail(3);
        assert_eq!(lab.state(), State::Open);
        lab
    }

    fn half_open() -> Self {
        let mut lab = Self::opened();
        lab.secs = 8.0;
        lab
    }

    fn recovering() -> Self {
        let mut lab = Self::half_open();
        let probes = [lab.begin(), lab.begin()];
        for probe in probes {
            lab.end(probe, Outcome::Good);
        }
        assert_eq!(lab.state(), State::Recovering);
        lab
    }

    fn admit(&mut self, draw: f64) -> Result<Ticket, Refused> {
        self.breaker.admit(&self.settings, at(self.secs), draw)
    }

    fn begin(&mut self) -> Ticket {
        self.admit(0.0).unwrap()
    }

    fn end(&mut self, ticket: Ticket, outcome: Outcome) -> Option<State> {
        self.breaker.end(&self.settings, ticket, at(self.secs), outcome).map(|change| change.to)
    }

    fn call(&mut self, outcome: Outcome) -> Option<State> {
        let ticket = self.begin();
        self.end(ticket, outcome)
    }

    fn fail(&mut self, times: usize) {
        for _ in 0..times {
            self.call(Outcome::Failed);
        }
    }

    fn rest(&mut self, secs: u64) {
        self.breaker.rest(&self.settings, at(self.secs), Duration::from_secs(secs));
    }

    fn state(&self) -> State {
        self.breaker.state(&self.settings, at(self.secs))
    }

    fn reading(&self) -> Reading {
        self.breaker.reading(&self.settings, at(self.secs))
    }

    /// Seconds until calls may pass again.
    fn open_for(&mut self) -> f64 {
        let until = self.admit(0.0).unwrap_err().until.unwrap();
        until.duration_since(at(self.secs)).as_secs_f64()
    }
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let mut lab = Lab::new();
    lab.fail(2);
    lab.call(Outcome::Good);
    lab.fail(2);
    assert_eq!(lab.state(), State::Closed);
    assert_eq!(lab.call(Outcome::Failed), Some(State::Open));
    assert_eq!(lab.reading().cause, Some(Cause::InARow(3)));
    assert_eq!(lab.admit(0.0).unwrap_err().until, Some(at(8.0)));
}

#[test]
fn a_rate_of_failures_opens_it_once_there_are_calls_enough() {
    let mut lab = Lab::new();
    for _ in 0..4 {
        lab.call(Outcome::Failed);
        lab.call(Outcome::Good);
    }
    lab.call(Outcome::Failed);
    assert_eq!(lab.state(), State::Closed, "5 of 9");
    assert_eq!(lab.call(Outcome::Failed), Some(State::Open));
    assert_eq!(lab.reading().cause.map(|cause| cause.to_string()), Some("6 of 10 calls failed".into()));
}

#[test]
fn failures_that_have_left_the_window_are_forgotten() {
    let mut lab = Lab::new();
    for second in 0..100 {
        lab.secs = f64::from(second) * 5.0;
        lab.call(Outcome::Failed);
        lab.call(Outcome::Good);
    }
    assert_eq!(lab.state(), State::Closed, "8 calls in a window are under the 10 that a rate needs");
    assert_eq!((lab.reading().calls, lab.reading().failures), (8, 4));
}

#[test]
fn faults_of_callers_and_unknown_ends_never_open_it() {
    let mut lab = Lab::new();
    for _ in 0..1_000 {
        assert_eq!(lab.call(Outcome::Good), None);
        assert_eq!(lab.call(Outcome::Unknown), None);
    }
    assert_eq!((lab.reading().calls, lab.reading().failures), (1_000, 0));
}

#[test]
fn half_open_lets_its_probes_pass_and_no_more_until_they_have_ended() {
    let mut lab = Lab::half_open();
    let first = lab.begin();
    assert_eq!(first.change(), Some(Change { from: State::Open, to: State::HalfOpen }));
    let second = lab.begin();
    assert_eq!((second.change(), second.is_probe()), (None, true));
    assert_eq!(lab.admit(0.0), Err(Refused { state: State::HalfOpen, until: None }));
    assert_eq!(lab.end(first, Outcome::Good), None);
    assert!(lab.admit(0.0).is_err(), "one that succeeded keeps its place");
    assert_eq!(lab.end(second, Outcome::Good), Some(State::Recovering));
}

#[test]
fn a_failed_probe_opens_it_for_twice_as_long_up_to_the_longest() {
    let mut lab = Lab::opened();
    for expected in [8.0, 16.0, 32.0, 60.0, 60.0] {
        assert_eq!(lab.open_for(), expected);
        lab.secs += expected;
        let (probe, other) = (lab.begin(), lab.begin());
        assert_eq!(lab.end(probe, Outcome::Failed), Some(State::Open));
        assert_eq!(lab.end(other, Outcome::Good), None, "the other probe comes too late");
    }
    assert_eq!(lab.reading().cause, Some(Cause::Probe));
}

#[test]
fn an_unknown_end_frees_the_place_of_a_probe_and_says_nothing() {
    let mut lab = Lab::half_open();
    for _ in 0..10 {
        assert_eq!(lab.call(Outcome::Unknown), None);
    }
    assert_eq!((lab.state(), lab.reading().probes_in_flight), (State::HalfOpen, 0));
    lab.call(Outcome::Good);
    assert_eq!(lab.call(Outcome::Good), Some(State::Recovering));
}

#[test]
fn a_probe_that_never_ends_loses_its_place_and_then_counts_for_nothing() {
    let mut lab = Lab::half_open();
    let lost = [lab.begin(), lab.begin()];
    lab.secs += 59.9;
    assert!(lab.admit(0.0).is_err());
    lab.secs += 0.1;
    let (one, two) = (lab.begin(), lab.begin());
    assert!(lab.admit(0.0).is_err());
    for probe in lost {
        assert_eq!(lab.end(probe, Outcome::Failed), None);
    }
    lab.end(one, Outcome::Good);
    assert_eq!(lab.end(two, Outcome::Good), Some(State::Recovering));
}

#[test]
fn what_began_before_it_opened_neither_opens_nor_closes_it_later() {
    let mut lab = Lab::new();
    let mut late: Vec<Ticket> = (0..12).map(|_| lab.begin()).collect();
    lab.fail(3);
    let open_for = lab.open_for();
    lab.end(late.pop().unwrap(), Outcome::Failed);
    assert_eq!(lab.open_for(), open_for);
    lab.secs = 8.0;
    let probe = lab.begin();
    for outcome in [Outcome::Failed, Outcome::Good, Outcome::Good, Outcome::Good] {
        assert_eq!(lab.end(late.pop().unwrap(), outcome), None);
    }
    lab.end(probe, Outcome::Good);
    lab.call(Outcome::Good);
    assert_eq!(lab.state(), State::Recovering);
    for ticket in late {
        assert_eq!(lab.end(ticket, Outcome::Failed), None);
    }
}

#[test]
fn a_recovery_lets_a_growing_share_pass_and_ends_closed_with_nothing_remembered() {
    let mut lab = Lab::recovering();
    let begun = lab.secs;
    for (secs, share) in [(0.0, 0.1), (5.0, 0.55), (9.99, 0.9991)] {
        lab.secs = begun + secs;
        assert!((lab.reading().share.unwrap() - share).abs() < 1e-9, "{secs}");
        assert!(lab.admit(share - 1e-3).is_ok() && lab.admit(share + 1e-3).is_err());
    }
    lab.fail(2);
    lab.secs = begun + 10.0;
    assert_eq!(lab.state(), State::Closed);
    let ticket = lab.admit(0.9999).unwrap();
    assert_eq!(ticket.change(), Some(Change { from: State::Recovering, to: State::Closed }));
    let reading = lab.reading();
    assert_eq!((reading.calls, reading.consecutive_failures, reading.cause), (0, 0, None));
    lab.fail(3);
    assert_eq!(lab.open_for(), 8.0, "the next opening is a first one");
}

#[test]
fn a_recovery_that_fails_opens_it_again_for_longer() {
    let mut lab = Lab::recovering();
    lab.call(Outcome::Good);
    assert_eq!(lab.call(Outcome::Failed), Some(State::Open), "half of as many calls as there are probes");
    assert_eq!(lab.open_for(), 16.0);

    // Later in the recovery, when more calls pass, more of them are needed.
    let mut lab = Lab::recovering();
    lab.secs += 5.0;
    for _ in 0..2 {
        lab.call(Outcome::Failed);
        lab.call(Outcome::Good);
    }
    assert_eq!(lab.state(), State::Recovering, "2 of 4 calls, where 5.5 are needed");
    lab.call(Outcome::Failed);
    assert_eq!(lab.call(Outcome::Failed), Some(State::Open));
}

#[test]
fn failures_that_outlast_the_recovery_count_after_it() {
    let mut lab = Lab::recovering();
    let slow: Vec<Ticket> = (0..3).map(|_| lab.begin()).collect();
    lab.secs += 10.0;
    lab.call(Outcome::Good);
    let ended: Vec<_> = slow.into_iter().map(|ticket| lab.end(ticket, Outcome::Failed)).collect();
    assert_eq!(ended, [None, None, Some(State::Open)]);
}

#[test]
fn replicas_that_open_together_do_not_probe_together() {
    let open_for = |draw: f64| {
        let mut lab = Lab::new();
        for _ in 0..3 {
            let ticket = lab.admit(draw).unwrap();
            lab.end(ticket, Outcome::Failed);
        }
        lab.open_for()
    };
    assert_eq!([0.0, 0.5, 0.999_999].map(|draw| (open_for(draw) * 10.0).round()), [80.0, 70.0, 60.0]);
}

#[test]
fn it_stays_open_as_long_as_the_target_asked_and_asking_alone_does_not_open_it() {
    let mut lab = Lab::new();
    lab.rest(30);
    assert_eq!(lab.state(), State::Closed);
    lab.fail(3);
    assert_eq!(lab.open_for(), 30.0);
    lab.rest(45);
    assert_eq!(lab.open_for(), 45.0);
    lab.rest(86_400);
    assert_eq!(lab.open_for(), 60.0, "not longer than the longest");
    lab.secs = 60.0;
    assert_eq!(lab.state(), State::HalfOpen);
    let probe = lab.begin();
    lab.rest(20);
    lab.end(probe, Outcome::Failed);
    assert_eq!(lab.open_for(), 20.0);
}

#[test]
fn a_clock_that_is_set_back_keeps_it_open_no_longer_than_the_longest() {
    let mut lab = Lab::opened();
    lab.secs = -1_000_000.0;
    assert_eq!(lab.open_for(), 60.0);
    assert_eq!(lab.reading().open_until, Some(at(lab.secs + 60.0)));

    let mut lab = Lab::half_open();
    let _lost = [lab.begin(), lab.begin()];
    lab.secs = -1_000_000.0;
    assert!(lab.admit(0.0).is_err());
    lab.secs += 60.0;
    assert!(lab.admit(0.0).is_ok());

    let mut lab = Lab::recovering();
    lab.secs = -1_000_000.0;
    lab.begin();
    lab.secs += 10.0;
    assert_eq!(lab.begin().change().map(|change| change.to), Some(State::Closed));
}

#[test]
fn no_time_and_no_setting_makes_it_panic() {
    let (none, all) = (Duration::ZERO, Duration::MAX);
    for span in [none, all] {
        for (count, rate) in [(0, 0.0), (u32::MAX, f64::NAN), (1, 1.0)] {
            let settings = Settings {
                consecutive: count.min(1),
                rate,
                calls_min: count,
                window: span,
                open: span,
                open_max: span,
                probes: count,
                recovery: span,
            };
            let mut breaker = Breaker::default();
            for now in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX]
            {
                for draw in [f64::NAN, f64::INFINITY, -1.0, 2.0] {
                    breaker.rest(&settings, now, span);
                    if let Ok(ticket) = breaker.admit(&settings, now, draw) {
                        breaker.end(&settings, ticket, now, Outcome::Failed);
                    }
                    breaker.reading(&settings, now);
                }
            }
        }
    }
}

#[test]
fn fewer_probes_after_a_reload_do_not_leave_it_half_open() {
    let mut lab = Lab::half_open();
    lab.settings.probes = 5;
    for _ in 0..4 {
        lab.call(Outcome::Good);
    }
    lab.settings.probes = 2;
    assert_eq!(lab.call(Outcome::Good), Some(State::Recovering));
}
