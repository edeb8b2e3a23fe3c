//! A server that is killed again and again, at any moment, while people steer it and users call it.

use std::time::{Duration, Instant};

use crate::support::{Caller, Server, directory, lockgate, provider, stdout, yaml};

const FEATURE: &str = "support-reply";

/// Lives of the server. A few by default, since each costs half a second; `LOCKGATE_KILLS` asks for more.
const KILLS: u64 = 10;

/// Longest life, in milliseconds: long enough for several commands, short enough to be killed in the first one too.
const LIFE_MS_MAX: u64 = 400;

#[tokio::test]
async fn however_often_it_is_killed_no_acknowledged_event_is_lost_and_nobody_is_reassigned() {
    #[expect(clippy::disallowed_methods, reason = "how long to test is asked of whoever runs the test")]
    let kills = std::env::var("LOCKGATE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let provider = provider().await;
    let directory = directory();
    let text = yaml(&provider);
    let store = directory.join("lockgate.db");

    let server = Server::start(&directory, &text).await;
    server.json(&["rollout", "start", FEATURE, "--candidate", "v2"]).await;
    for _ in 0..3 {
        server.json(&["rollout", "promote", FEATURE, "--why", "a test"]).await;
    }
    let arms = arms(&server).await;
    server.kill();

    let mut acknowledged = vec!["a test".to_owned()];
    let mut random = u64::from(std::process::id());
    for life in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let server = Server::start(&directory, &text).await;
        assert_eq!(self::arms(&server).await, arms, "in life {life}");
        let lifetime = Duration::from_millis((random >> 33) % LIFE_MS_MAX);
        tokio::select! {
            () = steer(&server, life, &mut acknowledged) => {}
            () = call(&server) => {}
            () = tokio::time::sleep(lifetime) => {}
        }
        server.kill();
        let verified = lockgate(&["audit", "verify", "--store", store.to_str().unwrap()], &[]).await;
        assert!(verified.status.success(), "after life {life}: {}", stdout(&verified));
    }

    let server = Server::start(&directory, &text).await;
    let recorded = reasons(&server).await;
    for why in &acknowledged {
        assert!(recorded.contains(why), "`{why}` was acknowledged and is not in the log");
    }
    assert_eq!(self::arms(&server).await, arms);
    println!(
        "{kills} kills, {} acknowledged commands, {} reasons in the log",
        acknowledged.len(),
        recorded.len()
    );
    provider.stop().await;
}

/// Pauses and resumes, each with a reason of its own, and notes what was acknowledged.
async fn steer(server: &Server, life: u64, acknowledged: &mut Vec<String>) {
    for number in 0_u64.. {
        let command = if number.is_multiple_of(2) { "pause" } else { "resume" };
        let why = format!("life {life}, command {number}");
        let output = server.lockgate(&["rollout", command, FEATURE, "--why", &why, "--json"]).await;
        // A command that finds things as it asks them to be is acknowledged without an event.
        let appended = serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .is_ok_and(|receipt| receipt["events"].as_array().is_some_and(|events| !events.is_empty()));
        if output.status.success() && appended {
            acknowledged.push(why);
        }
    }
}

async fn call(server: &Server) {
    let mut caller = Caller::connect(server.clients).await;
    for user in 0_u64.. {
        caller.ask(&format!("load-{user}")).await;
    }
}

async fn arms(server: &Server) -> Vec<String> {
    let begun = Instant::now();
    let mut caller = Caller::connect(server.clients).await;
    let mut arms = Vec::new();
    for user in 0..30 {
        arms.push(caller.ask(&format!("user-{user}")).await.arm);
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "a fresh server answers at once");
    arms
}

/// Every reason in the log, page by page.
async fn reasons(server: &Server) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut after = 0;
    loop {
        let page = server.json(&["audit", "log", "--after", &after.to_string(), "--limit", "500"]).await;
        let entries = page["entries"].as_array().unwrap();
        let Some(last) = entries.last() else { return reasons };
        after = last["seq"].as_u64().unwrap();
        reasons.extend(entries.iter().filter_map(|entry| entry["why"].as_str().map(str::to_owned)));
    }
}
