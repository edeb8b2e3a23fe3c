//! A server as people run it: called, steered from the command line, killed and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{Caller, LONG_ENOUGH, Server, directory, provider, stderr, stdout, yaml};

const FEATURE: &str = "support-reply";

async fn to_half(server: &Server) {
    server.json(&["rollout", "start", FEATURE, "--candidate", "v2"]).await;
    for _ in 0..3 {
        server.json(&["rollout", "promote", FEATURE, "--why", "a test"]).await;
    }
    let status = server.json(&["rollout", "status", FEATURE]).await;
    assert_eq!(
        (status["state"].as_str(), status["share"].as_f64()),
        (Some("canary"), Some(0.5)),
        "{status:#}"
    );
}

#[tokio::test]
async fn a_rollout_is_steered_from_the_command_line() {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    let mut caller = Caller::connect(server.clients).await;
    let answered = caller.ask("somebody").await;
    assert_eq!((answered.status, answered.arm.as_str()), (200, "stable"), "{answered:?}");

    let started = server.json(&["rollout", "start", FEATURE, "--candidate", "v2"]).await;
    assert_eq!(started["events"][0]["event"], "rollout_started");
    let status = server.json(&["rollout", "status", FEATURE]).await;
    assert_eq!(
        (status["state"].as_str(), status["author"].as_str().map(|author| author.starts_with("tester@"))),
        (Some("shadow"), Some(true))
    );
    let shown = stdout(&server.lockgate(&["rollout", "status", FEATURE]).await);
    assert!(
        shown.starts_with("support-reply: SHADOW") && shown.contains("lockgate rollout rollback"),
        "{shown}"
    );

    server.json(&["rollout", "pause", FEATURE, "--why", "lunch"]).await;
    assert_eq!(server.json(&["rollout", "status", FEATURE]).await["state"], "paused");
    server.json(&["rollout", "resume", FEATURE]).await;
    assert_eq!(server.json(&["rollout", "status", FEATURE]).await["state"], "shadow");
    server.json(&["rollout", "rollback", FEATURE, "--why", "enough"]).await;
    let state = server.json(&["rollout", "status", FEATURE]).await;
    assert!(matches!(state["state"].as_str(), Some("rolling_back" | "rolled_back")), "{state:#}");

    // What was taken back does not start again without saying so.
    let again = server.lockgate(&["rollout", "start", FEATURE, "--candidate", "v2"]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("hint"), "{}", stderr(&again));

    let log = server.json(&["audit", "log", "--feature", FEATURE]).await;
    let kinds: Vec<&str> =
        log["entries"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    for kind in ["stable_declared", "rollout_started", "paused", "resumed", "rollback_started"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(server.json(&["audit", "verify"]).await["broken"].is_null());
    let explained = stdout(&server.lockgate(&["rollout", "explain", FEATURE]).await);
    assert!(!explained.is_empty());
    let listed = stdout(&server.lockgate(&["rollout", "list"]).await);
    assert!(listed.contains(FEATURE), "{listed}");
    provider.stop().await;
}

#[tokio::test]
async fn an_answer_is_found_in_the_audit_and_takes_feedback() {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    let answered = Caller::connect(server.clients).await.ask("somebody").await;
    let written = async {
        loop {
            let output = server.lockgate(&["audit", "request", &answered.request_id, "--json"]).await;
            if output.status.success() {
                return serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(LONG_ENOUGH, written).await.unwrap();
    assert_eq!((found["version"]["name"].as_str(), found["status"].as_u64()), (Some("v1"), Some(200)));

    let gateway = format!("http://{}", server.clients);
    let feedback = ["feedback", "--request", &answered.request_id, "thumbs", "-1", "--gateway", &gateway];
    let output = server.lockgate(&feedback).await;
    assert!(output.status.success(), "{}", stderr(&output));
    provider.stop().await;
}

#[tokio::test]
async fn no_call_that_begins_after_a_kill_meets_the_candidate() {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    to_half(&server).await;
    check_none_begins_on(&server, "v2", &["kill", FEATURE, "--why", "a test"]).await;

    // Released, the rollout waits to be resumed; sent to the rules, everybody gets the deterministic answer.
    server.json(&["revive", FEATURE]).await;
    assert_eq!(server.json(&["rollout", "status", FEATURE]).await["state"], "frozen");
    server.json(&["kill", FEATURE, "--to", "rules"]).await;
    let answered = Caller::connect(server.clients).await.ask("somebody").await;
    assert!(answered.body.contains("short of hands"), "{answered:?}");
    provider.stop().await;
}

#[tokio::test]
async fn no_call_that_begins_after_a_rollback_meets_the_candidate() {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    to_half(&server).await;
    check_none_begins_on(&server, "v2", &["rollout", "rollback", FEATURE, "--why", "a test"]).await;
    provider.stop().await;
}

#[tokio::test]
async fn no_call_that_begins_after_a_flip_meets_the_old_version_there_and_back() {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    check_none_begins_on(&server, "v1", &["flip", FEATURE, "--to", "v2"]).await;
    check_none_begins_on(&server, "v2", &["flip", FEATURE, "--why", "back"]).await;
    provider.stop().await;
}

/// Gives a command under load and checks that no call begun after it returned is answered by a version.
async fn check_none_begins_on(server: &Server, version: &'static str, command: &[&str]) {
    let returned = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let [before, after, wrong] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let mut caller = Caller::connect(server.clients).await;
        let (returned, stop) = (Arc::clone(&returned), Arc::clone(&stop));
        let (before, after, wrong) = (Arc::clone(&before), Arc::clone(&after), Arc::clone(&wrong));
        load.spawn(async move {
            for user in 0.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let began_after = returned.load(Ordering::SeqCst);
                let answered = caller.ask(&format!("user-{worker}-{user}")).await;
                assert_eq!(answered.status, 200);
                let is_wrong = u64::from(answered.version == version);
                match began_after {
                    true => {
                        after.fetch_add(1, Ordering::SeqCst);
                        wrong.fetch_add(is_wrong, Ordering::SeqCst);
                    }
                    false => {
                        before.fetch_add(is_wrong, Ordering::SeqCst);
                    }
                }
            }
        });
    }
    wait_for(|| before.load(Ordering::SeqCst) >= 20).await;
    server.json(command).await;
    returned.store(true, Ordering::SeqCst);
    wait_for(|| after.load(Ordering::SeqCst) >= 300).await;
    stop.store(true, Ordering::SeqCst);
    load.join_all().await;
    assert_eq!(wrong.load(Ordering::SeqCst), 0, "{command:?}");
}

async fn wait_for(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG_ENOUGH, waiting).await.unwrap();
}

#[tokio::test]
async fn a_killed_process_comes_back_into_the_same_rollout_with_everybody_where_they_were() {
    let provider = provider().await;
    let directory = directory();
    let server = Server::start(&directory, &yaml(&provider)).await;
    to_half(&server).await;
    let before = server.json(&["rollout", "status", FEATURE]).await;
    let arms = arms(&server).await;
    assert!(arms.iter().any(|arm| arm == "candidate") && arms.iter().any(|arm| arm == "stable"), "{arms:?}");
    server.kill();

    let store = directory.join("lockgate.db");
    let offline =
        crate::support::lockgate(&["audit", "verify", "--store", store.to_str().unwrap()], &[]).await;
    assert!(offline.status.success(), "{}", stdout(&offline));

    let server = Server::start(&directory, &yaml(&provider)).await;
    let after = server.json(&["rollout", "status", FEATURE]).await;
    for key in ["id", "state", "share", "phase_index", "started"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(self::arms(&server).await, arms);
    provider.stop().await;
}

async fn arms(server: &Server) -> Vec<String> {
    let mut caller = Caller::connect(server.clients).await;
    let mut arms = Vec::new();
    for user in 0..40 {
        arms.push(caller.ask(&format!("user-{user}")).await.arm);
    }
    arms
}

#[tokio::test]
async fn a_terminated_process_exits_0_and_a_changed_file_is_followed_whole_or_not_at_all() {
    let provider = provider().await;
    let directory = directory();
    let text = yaml(&provider);
    let server = Server::start(&directory, &text).await;
    let file = directory.join("lockgate.yaml");

    // First a file with a mistake: nothing of it is taken. Then a sound one with another feature.
    let other = text.replace(
        "features:\n",
        "features:\n  other: { stable: v1, versions: { v1: { kind: model, chain: [{ target: desk }] } } }\n",
    );
    std::fs::write(&file, other.replace("kind: rules", "kind: ruls")).unwrap();
    server.signal("-HUP");
    server.has_said("refused whole").await;
    assert!(!stdout(&server.lockgate(&["rollout", "list"]).await).contains("other"));
    std::fs::write(&file, &other).unwrap();
    server.signal("-HUP");
    server.has_said("is in force").await;
    assert!(stdout(&server.lockgate(&["rollout", "list"]).await).contains("other"));
    assert!(server.terminate().await.success());
    provider.stop().await;
}

#[tokio::test]
async fn a_changed_prompt_is_followed_like_a_changed_configuration() {
    let provider = provider().await;
    let directory = directory();
    let prompt = directory.join("prompt.md");
    std::fs::write(&prompt, "Be kind.").unwrap();
    let text = yaml(&provider).replace("model: model-1 }", "model: model-1, system: prompt.md }");
    let server = Server::start(&directory, &text).await;
    let before = server.json(&["audit", "log"]).await["entries"].as_array().unwrap().len();
    std::fs::write(&prompt, "Be kind and brief.").unwrap();
    server.has_said("is in force").await;
    let log = server.json(&["audit", "log"]).await;
    let entries = log["entries"].as_array().unwrap();
    assert_eq!((entries.len(), entries[before]["event"].as_str()), (before + 1, Some("stable_declared")));
    provider.stop().await;
}
