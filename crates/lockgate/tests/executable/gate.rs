//! The gate command, as a pipeline asks it.

use super::explain::{call_until_back, is_broken, quick};
use crate::support::{Server, directory, lockgate, provider, stderr, stdout, yaml};

const FEATURE: &str = "support-reply";

#[tokio::test]
async fn the_exit_status_says_what_a_pipeline_is_to_do() {
    let provider = provider().await;
    is_broken(&provider);
    let server = Server::start(&directory(), &quick(&provider)).await;
    let gate = async |feature: &str| {
        let output = server.lockgate(&["gate", feature]).await;
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    let (status, said) = gate(FEATURE).await;
    assert!(status == Some(3) && said.starts_with("support-reply: INCONCLUSIVE\nno rollout"), "{said}");

    server.json(&["rollout", "start", FEATURE, "--candidate", "v2", "--plan", "quick"]).await;
    let (status, said) = gate(FEATURE).await;
    assert!(status == Some(3) && said.contains("INCONCLUSIVE (canary, phase `50 %`)"), "{said}");

    call_until_back(&server).await;
    let (status, said) = gate(FEATURE).await;
    assert!(status == Some(1) && said.contains(": FAIL") && said.contains("error"), "{said}");
    let json = server.lockgate(&["gate", FEATURE, "--json"]).await;
    assert_eq!(json.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&told["outcome"], &told["feature"]), (&"fail".into(), &FEATURE.into()));

    let (status, said) = gate("suport-reply").await;
    assert!(status == Some(2) && said.contains("there is no feature `suport-reply`"), "{said}");
    provider.stop().await;
}

#[tokio::test]
async fn a_completed_rollout_passes() {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    server.json(&["rollout", "start", FEATURE, "--candidate", "v2"]).await;
    for _ in 0..4 {
        server.json(&["rollout", "promote", FEATURE, "--why", "a test"]).await;
    }
    let output = server.lockgate(&["gate", FEATURE]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(stdout(&output).lines().next(), Some("support-reply: PASS (completed)"));
    provider.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_neither_a_pass_nor_a_fail() {
    let nowhere = [("LOCKGATE_URL", "http://127.0.0.1:9")];
    let output = lockgate(&["gate", FEATURE, "--json"], &nowhere).await;
    assert_eq!(output.status.code(), Some(3));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["outcome"], "inconclusive");
    assert!(told["reasons"][0].as_str().unwrap().contains("no Lockgate answers"), "{told:#}");
    assert_eq!(lockgate(&["gate"], &[]).await.status.code(), Some(2));
}
