//! When a session begins and ends, and which costs are counted.

use std::path::Path;

use lockgate_core::assign::Salt;
use lockgate_core::mishap::Mishap;
use lockgate_core::name::{FeatureName, Revision, RolloutId, VersionName, VersionRef};
use lockgate_core::route::Trial;
use lockgate_core::segment::{Confine, Segment};
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;

use super::*;
use crate::record::{Recorder, Subject, bucket_at};

const IDLE: Duration = Duration::from_secs(600);
const ALICE: Caller<'_> = Caller::Session("alice");
const NOTHING: [u16; 0] = [];
const BOB: Caller<'_> = Caller::StickyKey("bob");

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn feature() -> FeatureName {
    FeatureName::new("reply").unwrap()
}

fn under(trial_since: Option<i64>) -> Under {
    Under { trial_since: trial_since.map(at), visitor: None }
}

/// Sessions of one feature, and the sums that they end in.
struct Desk {
    recorder: Recorder,
    sessions: Sessions,
    table: Table,
    /// How often the recorder was asked; each time for a later bucket, since what was given out once is not counted in again.
    asked: std::cell::Cell<i64>,
}

impl Desk {
    fn open() -> Self {
        let file = "
targets: { desk: { kind: rules, otherwise: later } }
features:
  reply: { stable: v1, versions: { v1: { kind: model, chain: [ { target: desk } ] } } }
";
        let config = lockgate_config::parse(file, Path::new(""), &|_| None).unwrap().config;
        let table = Table::new(Arc::new(config), &HashMap::new());
        Self {
            recorder: Recorder::default(),
            sessions: Sessions::default(),
            table,
            asked: Default::default(),
        }
    }

    fn slot(&self, version: &str) -> Arc<Slot> {
        self.recorder.slot(&Subject {
            feature: feature(),
            revision: Revision::of(version.as_bytes()),
            arm: Arm::Stable,
            segment: Segment::none(),
        })
    }

    fn try_out(&mut self, since: i64) {
        self.table.routes.get_mut("reply").unwrap().trial = Some(Trial {
            rollout: RolloutId(uuid::Uuid::from_u128(1)),
            candidate: VersionRef { name: VersionName::new("v2").unwrap(), revision: Revision::of(b"v2") },
            since: at(since),
            confine: Confine::everyone(),
            withdrawn: Vec::new(),
            drill: None,
            mode: Mode::Canary { share: Share::FULL, salt: Salt::from_random(1) },
        });
    }

    /// A call that takes a second, and whether a session begins with it.
    fn call(&self, caller: Caller<'_>, second: i64, cost: Cost) -> bool {
        self.call_under(None, caller, second, cost)
    }

    fn call_under(&self, since: Option<i64>, caller: Caller<'_>, second: i64, cost: Cost) -> bool {
        let slot = self.slot("v1");
        let (seat, known) = self.sessions.begin(caller, under(since), &slot, at(second), IDLE);
        self.sessions.end(seat, &slot, well(cost), at(second + 1));
        known == Known::Nothing
    }

    /// The costs that are counted by a moment and were not before, smallest first, as their levels.
    fn settled(&self, second: i64) -> Vec<u16> {
        self.sessions.settle(&self.table, at(second));
        self.asked.set(self.asked.get() + 1);
        let until = at(1_000_000 + self.asked.get() * 10);
        let rows = self.recorder.closed_rows(bucket_at(until, Duration::from_secs(10)));
        let costs = rows.into_iter().filter(|(_, key, _)| key.signal == Signal::SessionCost);
        costs.flat_map(|(_, _, sum)| levels(sum)).collect()
    }
}

fn levels(sum: Sum) -> Vec<u16> {
    let Sum::Levels(levels) = sum else { panic!("no levels: {sum:?}") };
    levels.into_iter().flat_map(|(level, n)| std::iter::repeat_n(level, n as usize)).collect()
}

/// A call of such a cost that went well.
fn well(cost: Cost) -> Brought {
    Brought { cost, mishaps: Mishaps::default() }
}

fn cost(nano_usd: u64) -> Cost {
    Cost::NanoUsd(nano_usd)
}

#[test]
fn a_session_is_the_calls_with_no_long_pause_between_them() {
    let desk = Desk::open();
    let began: Vec<bool> = [0, 5, 604, 1_206, 1_300].map(|second| desk.call(ALICE, second, cost(10))).into();
    // The last call before 1206 ended at 605: its pause of 601 s is too long.
    assert_eq!(began, [true, false, false, true, false]);
    assert_eq!(desk.settled(1_306), [level(30)]);
    assert_eq!(desk.settled(1_900), NOTHING);
    assert_eq!(desk.settled(1_901), [level(20)]);
    assert_eq!(desk.settled(9_999), NOTHING);
}

#[test]
fn who_is_named_only_by_the_call_has_a_session_per_call() {
    let desk = Desk::open();
    assert!(desk.call(Caller::Nameless, 0, cost(1)) && desk.call(Caller::Nameless, 0, cost(2)));
    assert_eq!(desk.settled(1), [level(1), level(2)]);
    assert_eq!(desk.sessions.lock().sessions.len(), 0);
}

#[test]
fn a_session_with_a_call_of_unknown_cost_is_not_counted() {
    let desk = Desk::open();
    desk.call(ALICE, 0, cost(10));
    desk.call(ALICE, 5, Cost::Unknown);
    desk.call(BOB, 5, cost(7));
    assert_eq!(desk.settled(5_000), [level(7)]);
}

#[test]
fn a_session_does_not_end_while_a_call_of_it_is_under_way() {
    let desk = Desk::open();
    let slot = desk.slot("v1");
    let (seat, _) = desk.sessions.begin(ALICE, under(None), &slot, at(0), IDLE);
    assert_eq!(desk.settled(5_000), NOTHING);
    assert!(!desk.call(ALICE, 5_000, cost(1)));
    desk.sessions.end(seat, &slot, well(cost(2)), at(5_100));
    assert_eq!(desk.settled(5_699), NOTHING);
    assert_eq!(desk.settled(5_700), [level(3)]);
}

#[test]
fn a_session_that_never_pauses_ends_after_a_day() {
    let desk = Desk::open();
    let began = (0..400).filter(|call| desk.call(ALICE, call * 300, cost(1))).count();
    assert_eq!(began, 2);
    assert_eq!(desk.settled(400 * 300), [level(288)]);
}

#[test]
fn a_caller_who_comes_to_another_version_begins_another_session() {
    let desk = Desk::open();
    assert!(desk.call(ALICE, 0, cost(1)));
    let other = desk.slot("v2");
    let (_, known) = desk.sessions.begin(ALICE, under(None), &other, at(1), IDLE);
    assert_eq!(known, Known::Nothing);
}

#[test]
fn a_visitor_need_not_be_looked_up_again_in_a_session_that_began_with_him_under_the_same_trial() {
    let desk = Desk::open();
    let slot = desk.slot("v1");
    let known = |since, visitor| {
        let under = Under { trial_since: Some(at(since)), visitor: Some(visitor) };
        let (seat, known) = desk.sessions.begin(ALICE, under, &slot, at(0), IDLE);
        desk.sessions.end(seat, &slot, well(cost(1)), at(1));
        known
    };
    assert_eq!(known(5, 1), Known::Nothing);
    assert_eq!(known(5, 1), Known::SessionAndVisitor);
    assert_eq!(known(5, 2), Known::Session, "two people in one session");
    assert_eq!(known(6, 1), Known::Session, "the share was changed");
}

#[test]
fn while_a_canary_runs_only_sessions_that_began_under_it_are_counted() {
    let mut desk = Desk::open();
    desk.call(ALICE, 50, cost(1));
    desk.try_out(100);
    // Begun after the change by the clock, on a gateway that had not heard of it.
    desk.call_under(None, BOB, 101, cost(2));
    desk.call_under(Some(100), Caller::Session("carol"), 102, cost(3));
    desk.call_under(Some(100), ALICE, 103, cost(4));
    assert_eq!(desk.settled(800), [level(3)]);
    // The share changes while a session goes on.
    desk.call_under(Some(100), BOB, 900, cost(5));
    desk.try_out(901);
    desk.call_under(Some(901), Caller::Nameless, 902, cost(6));
    assert_eq!(desk.settled(2_000), [level(6)]);
}

#[test]
fn whom_the_trial_does_not_touch_is_counted_if_he_came_after_it_changed() {
    let mut desk = Desk::open();
    desk.try_out(100);
    if let Some(trial) = &mut desk.table.routes.get_mut("reply").unwrap().trial {
        trial.confine = Confine(vec![lockgate_core::segment::Matcher(
            [(lockgate_core::name::LabelName::new("tier").unwrap(), ["free".to_owned()].into())].into(),
        )]);
    }
    desk.call(ALICE, 99, cost(1));
    desk.call(BOB, 100, cost(2));
    assert_eq!(desk.settled(2_000), [level(2)]);
}

#[test]
fn beyond_the_bound_the_one_that_was_silent_longest_ends() {
    let desk = Desk::open();
    let names: Vec<String> = (0..SESSIONS_MAX).map(|number| number.to_string()).collect();
    for name in &names {
        desk.call(Caller::Session(name), 0, cost(9));
    }
    desk.call(Caller::Session("0"), 1, cost(9));
    assert!(desk.call(Caller::Session("one more"), 2, cost(9)));
    assert_eq!((desk.sessions.displaced.value(), desk.settled(3)), (1, vec![level(9)]));
    assert!(!desk.call(Caller::Session("0"), 4, cost(9)), "it was heard of since");
    assert!(desk.call(Caller::Session("1"), 4, cost(9)), "it was the one");
    let open = desk.sessions.lock();
    assert_eq!((open.places.len(), open.sessions.len()), (SESSIONS_MAX, SESSIONS_MAX));
}

#[test]
fn a_session_that_must_go_while_a_call_of_it_is_under_way_is_counted_as_lost() {
    let desk = Desk::open();
    let slot = desk.slot("v1");
    let waiting: Vec<Seat> = (0..=SESSIONS_MAX)
        .map(|number| {
            desk.sessions.begin(Caller::Session(&number.to_string()), under(None), &slot, at(0), IDLE).0
        })
        .collect();
    assert_eq!((desk.sessions.displaced.value(), desk.sessions.lost.value()), (1, 1));
    drop(waiting);
}

#[test]
fn a_call_whose_session_was_ended_for_want_of_room_ends_quietly() {
    let desk = Desk::open();
    let slot = desk.slot("v1");
    let (seat, _) = desk.sessions.begin(ALICE, under(None), &slot, at(0), IDLE);
    {
        let mut open = desk.sessions.lock();
        let oldest = open.oldest;
        open.end(oldest);
    }
    desk.call(BOB, 1, cost(1));
    desk.sessions.end(seat, &slot, well(cost(5)), at(2));
    assert_eq!(desk.settled(5_000), [level(1)]);
}

#[test]
fn places_are_used_again() {
    let desk = Desk::open();
    for second in 0..1_000 {
        let name = second.to_string();
        desk.call(Caller::Session(&name), second * 100, cost(1));
        desk.sessions.settle(&desk.table, at(second * 100));
    }
    assert!(desk.sessions.lock().sessions.len() < 10);
}

/// What had gone wrong in a session before a call that was let down now.
fn let_down(desk: &Desk, seat: Seat, slot: &Arc<Slot>, second: i64) -> bool {
    let mishaps = [Mishap::LetDown].into_iter().collect();
    desk.sessions.end(seat, slot, Brought { cost: cost(1), mishaps }, at(second)).has(Mishap::LetDown)
}

#[test]
fn of_two_calls_that_are_let_down_at_once_the_one_that_ends_first_was_first() {
    let desk = Desk::open();
    let slot = desk.slot("v1");
    let begin = |second| desk.sessions.begin(ALICE, under(None), &slot, at(second), IDLE).0;
    let (first, second) = (begin(0), begin(1));
    assert!(!let_down(&desk, second, &slot, 2));
    assert!(let_down(&desk, first, &slot, 3));
    assert!(let_down(&desk, begin(602), &slot, 602), "the session goes on");
    assert!(!let_down(&desk, begin(1_202), &slot, 1_203), "another has begun");
}

#[test]
fn one_kind_of_mishap_hides_no_other_and_one_version_hides_no_other() {
    let desk = Desk::open();
    let [v1, v2] = ["v1", "v2"].map(|version| desk.slot(version));
    let end = |slot: &Arc<Slot>, mishap| {
        let (seat, _) = desk.sessions.begin(ALICE, under(None), slot, at(0), IDLE);
        let brought = Brought { cost: cost(1), mishaps: [mishap].into_iter().collect() };
        desk.sessions.end(seat, slot, brought, at(1)).has(mishap)
    };
    for mishap in [Mishap::LetDown, Mishap::Refused, Mishap::Rejected, Mishap::Cancelled] {
        assert!(!end(&v1, mishap) && end(&v1, mishap) && !end(&v2, mishap), "{mishap:?}");
    }
}

#[test]
fn a_session_that_had_to_go_has_no_memory() {
    let desk = Desk::open();
    let slot = desk.slot("v1");
    let begin = || desk.sessions.begin(ALICE, under(None), &slot, at(0), IDLE).0;
    assert!(!let_down(&desk, begin(), &slot, 0));
    let waiting = begin();
    let oldest = desk.sessions.lock().oldest;
    desk.sessions.lock().end(oldest);
    assert!(!let_down(&desk, waiting, &slot, 1), "nobody knows");
    assert!(!let_down(&desk, begin(), &slot, 2), "it starts anew");
}

#[test]
fn copies_of_a_session_have_mishaps_of_their_own_per_version() {
    let desk = Desk::open();
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|version| desk.slot(version));
    let let_down_copy = |of, slot| {
        desk.sessions.end_copy(of, slot, [Mishap::LetDown].into_iter().collect()).has(Mishap::LetDown)
    };
    let (seat, _) = desk.sessions.begin(ALICE, under(None), &v1, at(0), IDLE);
    assert!(!let_down_copy(seat, &v2) && let_down_copy(seat, &v2));
    assert!(!let_down(&desk, seat, &v1, 1), "the user's own call is another matter");
    assert!(!let_down_copy(seat, &v3) && let_down_copy(seat, &v3), "another candidate");
    let (alone, _) = desk.sessions.begin(Caller::Nameless, under(None), &v1, at(0), IDLE);
    assert!(!let_down_copy(alone, &v3) && !let_down_copy(alone, &v3));
}
