//! What the records of targets promise.

use std::path::Path;

use super::told::KINDS_MAX;
use super::*;

const FILE: &str = "
targets:
  big: { kind: openai, base_url: http://127.0.0.1:9001/v1 }
  small: { kind: openai, base_url: http://127.0.0.1:9002/v1 }
  desk: { kind: rules, otherwise: later }
features:
  reply: { stable: v1, versions: { v1: { kind: model, chain: [ { target: big, model: m }, { target: small, model: m }, { target: desk } ] } } }
";

fn config(text: &str) -> Config {
    crate::parse(text, Path::new(""), &|_| None).unwrap().config
}

fn name(text: &str) -> TargetName {
    TargetName::new(text).unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + secs).unwrap()
}

/// The records under a configuration.
struct Lab {
    health: Health,
    config: Config,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { health: Health::default(), config: config(FILE) };
        lab.health.follow(&lab.config);
        lab
    }

    fn endpoint(&self, target: &str) -> &Endpoint {
        self.config.targets[&name(target)].kind.endpoint().unwrap()
    }

    fn patient(&self, target: &str) -> Arc<Patient> {
        self.health.of(&name(target), self.endpoint(target))
    }

    fn admit(&self, target: &str, secs: i64) -> Result<Pass, Refused> {
        self.patient(target).admit(self.endpoint(target), at(secs), 0.0, false)
    }

    fn fail(&self, target: &str, times: u32, why: &str) {
        for _ in 0..times {
            self.admit(target, 0).unwrap().end(at(0), Outcome::Failed, why);
        }
    }

    fn open(&self, target: &str) {
        self.fail(target, self.endpoint(target).breaker.consecutive, "timeout");
        assert_eq!(self.state(target, 0), State::Open);
    }

    fn state(&self, target: &str, secs: i64) -> State {
        self.patient(target).state(self.endpoint(target), at(secs))
    }

    fn seen(&self, target: &str, secs: i64) -> TargetHealth {
        let all = self.health.list(at(secs));
        all.into_iter().find(|seen| seen.target == name(target)).unwrap()
    }

    fn reload(&mut self, text: &str) {
        self.config = config(text);
        self.health.follow(&self.config);
    }
}

#[test]
fn targets_that_were_never_asked_are_listed_as_closed() {
    let listed = Lab::new().health.list(at(0));
    let names: Vec<_> = listed.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(names, ["big", "small"], "in order, and without those that need no network");
    let seen = serde_json::to_value(&listed[0]).unwrap();
    assert_eq!((&seen["state"], &seen["calls"]), (&"closed".into(), &0.into()));
    assert!(seen["since"].is_null() && seen["failure_rate"].is_null() && seen["last_failure"].is_null());
}

#[test]
fn an_open_target_tells_why_since_when_and_until_when() {
    let lab = Lab::new();
    lab.fail("big", 2, "unreachable");
    lab.admit("big", 0).unwrap().end(at(0), Outcome::Good, "good");
    lab.open("big");
    assert!(lab.admit("big", 1).is_err());
    let seen = lab.seen("big", 1);
    assert_eq!((seen.state, seen.since, seen.open_until), (State::Open, Some(at(0)), Some(at(10))));
    assert_eq!(seen.why.as_deref(), Some("5 calls in a row failed"));
    let failures = [("timeout".to_owned(), 5), ("unreachable".to_owned(), 2)];
    assert_eq!(seen.totals, Totals { calls: 8, failures: failures.into(), refused: 1, ..Totals::default() });
    assert_eq!(seen.last_failure, Some(LastFailure { at: at(0), why: "timeout".into() }));
    let change = LastChange { at: at(0), from: State::Closed, to: State::Open };
    assert_eq!(seen.last_change, Some(change));
    assert_eq!(lab.seen("small", 1).state, State::Closed, "each target has its own breaker");
    assert_eq!(serde_json::to_value(&seen).unwrap()["last_change"]["to"], "open");
}

#[test]
fn a_pass_that_is_dropped_frees_its_probe() {
    let lab = Lab::new();
    lab.open("big");
    let probes: Vec<_> = (0..3).map(|_| lab.admit("big", 10).unwrap()).collect();
    assert!(lab.admit("big", 10).is_err());
    assert_eq!(lab.seen("big", 10).probes_in_flight, 3);
    drop(probes);
    let seen = lab.seen("big", 10);
    assert_eq!((seen.state, seen.probes_in_flight, seen.totals.unknown), (State::HalfOpen, 0, 3));
    for _ in 0..3 {
        lab.admit("big", 10).unwrap().end(at(10), Outcome::Good, "good");
    }
    let seen = lab.seen("big", 10);
    assert_eq!((seen.state, seen.share), (State::Recovering, Some(0.1)));
    lab.admit("big", 40).unwrap();
    assert_eq!((lab.seen("big", 40).state, lab.seen("big", 40).why), (State::Closed, None));
}

#[test]
fn a_reload_keeps_what_is_known_of_a_target_unless_it_points_elsewhere_or_is_gone() {
    let mut lab = Lab::new();
    lab.open("big");
    lab.open("small");
    lab.reload(&FILE.replace("/v1 }", "/v1, timeout: 9s }"));
    assert_eq!((lab.state("big", 1), lab.state("small", 1)), (State::Open, State::Open));
    lab.reload(&FILE.replace(":9001", ":9003"));
    assert_eq!((lab.state("big", 1), lab.state("small", 1)), (State::Closed, State::Open));
    assert_eq!(lab.seen("big", 1).totals, Totals::default());
    lab.reload(
        "targets: { big: { kind: openai, base_url: http://127.0.0.1:9003/v1 } }
features: { reply: { stable: v1, versions: { v1: { kind: model, chain: [ { target: big, model: m } ] } } } }",
    );
    assert_eq!(lab.health.list(at(1)).len(), 1);
}

#[test]
fn a_call_under_an_older_configuration_does_not_disturb_the_record_of_the_new_one() {
    let mut lab = Lab::new();
    let old = config(FILE);
    lab.reload(&FILE.replace(":9001", ":9003"));
    lab.open("big");
    let endpoint = old.targets[&name("big")].kind.endpoint().unwrap();
    let patient = lab.health.of(&name("big"), endpoint);
    assert!(patient.admit(endpoint, at(1), 0.0, false).is_ok());
    assert_eq!((lab.state("big", 1), lab.health.list(at(1)).len()), (State::Open, 2));
}

#[test]
fn retries_are_counted_and_bounded_by_the_budget() {
    let lab = Lab::new();
    let (patient, endpoint) = (lab.patient("big"), lab.endpoint("big"));
    lab.admit("big", 0).unwrap().end(at(0), Outcome::Good, "good");
    let allowed = (0..5).filter(|_| patient.may_retry(endpoint, at(0))).count();
    let seen = lab.seen("big", 0);
    assert_eq!((allowed, seen.totals.retries, seen.totals.retries_refused, seen.retries_left), (3, 3, 2, 0));
    assert_eq!(lab.seen("big", 20).retries_left, 3);
}

#[test]
fn the_words_for_failures_do_not_grow_without_bound() {
    let mut totals = Totals::default();
    for word in 0..1_000 {
        totals.fail(&format!("word {word}"));
    }
    totals.fail(&"long".repeat(100));
    assert_eq!(totals.failures.len(), KINDS_MAX + 1);
    assert_eq!(totals.failures[OTHER], 1_001 - KINDS_MAX as u64);
}
