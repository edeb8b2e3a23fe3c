//! A rehearsal from the command line, against a server that runs.

use std::time::Duration;

use lockgate_sim::provider::Provider;
use serde_json::Value;

use crate::support::{Server, directory, lockgate, provider, stderr, stdout, yaml};

const FEATURE: &str = "support-reply";

async fn world() -> (Provider, Server) {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    (provider, server)
}

async fn drill(server: &Server, more: &[&str]) -> (Option<i32>, Value) {
    let gateway = format!("http://{}", server.clients);
    let args = [&["drill", FEATURE, "--gateway", &gateway, "--json"], more].concat();
    let output = server.lockgate(&args).await;
    let told = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no report: {}{}", stdout(&output), stderr(&output)));
    (output.status.code(), told)
}

#[tokio::test]
async fn errors_are_found_users_are_safe_and_it_is_recorded() {
    let (provider, server) = world().await;
    let (status, report) = drill(&server, &["--fault", "errors=60%", "--rate", "80", "--for", "20s"]).await;
    assert_eq!((status, report["found"].as_bool()), (Some(0), Some(true)), "{report:#}");
    let seconds = report["seconds_to_detection"].as_f64().unwrap();
    assert!(seconds < 20.0 && report["seconds_to_zero_share"].as_f64().is_some(), "{report:#}");
    assert!(report["found_by"][0].as_str().unwrap().contains("error"), "{report:#}");
    assert!(report["users_touched"].as_u64().unwrap() > 0 && report["calls"]["stable"].as_u64().unwrap() > 0);
    assert_eq!(report["calls"]["stable_failed"], 0, "{report:#}");

    let log = server.json(&["audit", "log", "--feature", FEATURE]).await;
    let kinds: Vec<&str> =
        log["entries"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(&kinds[1..], ["rollout_started", "phase_entered", "rollback_started", "rolled_back"]);
    assert!(server.json(&["audit", "verify"]).await["broken"].is_null());
    // What was rehearsed stands in nobody's way.
    server.json(&["rollout", "start", FEATURE, "--candidate", "v2"]).await;
    let (refused, _) = {
        let gateway = format!("http://{}", server.clients);
        let output =
            server.lockgate(&["drill", FEATURE, "--fault", "errors=5%", "--gateway", &gateway]).await;
        (output.status.code(), assert!(stderr(&output).contains("under way"), "{}", stderr(&output)))
    };
    assert_eq!(refused, Some(1));
    provider.stop().await;
}

#[tokio::test]
async fn what_is_not_found_in_time_is_rolled_back_and_says_what_was_missing() {
    let (provider, server) = world().await;
    let (status, report) = drill(&server, &["--fault", "latency=+5ms", "--rate", "10", "--for", "4s"]).await;
    assert_eq!((status, report["found"].as_bool()), (Some(1), Some(false)), "{report:#}");
    assert_eq!((report["cause"].as_str(), report["is_over"].as_bool()), (Some("deadline"), Some(true)));
    let looked = report["looked_at"].as_array().unwrap();
    assert!(looked.iter().any(|rule| rule["signal"] == "latency"), "{report:#}");
    provider.stop().await;
}

#[tokio::test]
async fn ctrl_c_ends_a_drill_cleanly() {
    let (provider, server) = world().await;
    let gateway = format!("http://{}", server.clients);
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_lockgate"))
        .args(["drill", FEATURE, "--fault", "quality=-5%", "--rate", "5", "--json", "--gateway", &gateway])
        .env("LOCKGATE_URL", &server.admin)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let running = async {
        while server.json(&["rollout", "list"]).await["features"][0]["rollout"]["state"] != "canary" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Its first call has come through: it is in the midst of it.
        while server.json(&["rollout", "status", FEATURE]).await["reach"]["calls"].as_u64().unwrap_or(0) == 0
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(crate::support::LONG_ENOUGH, running).await.unwrap();
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output =
        tokio::time::timeout(crate::support::LONG_ENOUGH, child.wait_with_output()).await.unwrap().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), report["cause"].as_str()), (Some(1), Some("person")), "{report:#}");
    assert_eq!(report["is_over"], true, "{report:#}");
    provider.stop().await;
}

#[tokio::test]
async fn wrong_usage_is_told_before_anything_begins() {
    for wrong in [
        &["--fault", "heat=3x"][..],
        &["--fault", "errors=5%", "--share", "100%"],
        &["--fault", "errors=5%", "--rate", "-1"],
        &["--fault", "errors=5%", "--for", "soon"],
        &["--fault", "errors=5%", "--body", "/nowhere.json"],
    ] {
        let output = lockgate(&[&["drill", FEATURE], wrong].concat(), &[]).await;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", stderr(&output));
    }
}
