//! Users in front of the provider itself, which answers the same calls as a gateway would.

use lockgate_config::clock::Clock;

use super::*;
use crate::provider::Provider;
use crate::provider::behaviour::{Behaviour, Faults};

const LONG_ENOUGH: Duration = Duration::from_secs(8);

fn habits(calls_max: u64) -> Habits {
    Habits {
        feature: "m".into(),
        people: 1_000,
        tools_part: 0.25,
        stream_part: 0.2,
        rated_part: 0.3,
        in_flight_max: 8,
        calls_max,
    }
}

async fn until(users: &Users, enough: impl Fn(&Tally) -> bool) -> Tally {
    let look = async {
        loop {
            let tally = users.tally();
            if enough(&tally) {
                return tally;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG_ENOUGH, look).await.unwrap()
}

fn quick(faults: Faults) -> Behaviour {
    Behaviour { latency_median: Duration::from_millis(1), faults, ..Behaviour::GOOD }
}

#[tokio::test]
async fn nobody_comes_after_the_last_call_and_every_call_is_tallied() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    provider.set("m", quick(Faults::default()));
    let users = Users::start(provider.address(), habits(200), 3);
    users.set_rate(2_000.0);
    until(&users, |tally| tally.calls() >= 200).await;
    let tally = users.stop().await;
    assert_eq!((tally.calls(), tally.stable.wrong, tally.unanswered), (200, 0, 0));
    assert_eq!(provider.count("m").calls, 200);
    provider.stop().await;
}

#[tokio::test]
async fn errors_are_told_from_answers() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    provider.set("m", quick(Faults { error_rate: 0.5, ..Faults::default() }));
    let users = Users::start(provider.address(), habits(300), 3);
    users.set_rate(3_000.0);
    until(&users, |tally| tally.calls() >= 300).await;
    let tally = users.stop().await;
    assert_eq!(tally.stable.wrong, provider.count("m").errors);
    assert!((100..200).contains(&tally.stable.wrong), "{tally:?}");
    provider.stop().await;
}

#[tokio::test]
async fn who_finds_no_place_is_counted_and_does_not_wait_without_bound() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    let slow = Behaviour { latency_median: Duration::from_millis(200), ..quick(Faults::default()) };
    provider.set("m", slow);
    let users = Users::start(provider.address(), habits(10_000), 3);
    users.set_rate(5_000.0);
    let tally = until(&users, |tally| tally.crowded_out > 100 && tally.calls() > 0).await;
    assert!(tally.calls() < 200, "{tally:?}");
    users.stop().await;
    provider.stop().await;
}

#[tokio::test]
async fn calls_to_nobody_are_unanswered() {
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let users = Users::start(gone, habits(20), 3);
    users.set_rate(1_000.0);
    until(&users, |tally| tally.unanswered >= 20).await;
    assert_eq!(users.stop().await.calls(), 20);
}
