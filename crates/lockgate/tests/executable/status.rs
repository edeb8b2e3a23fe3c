//! How everything does, at a glance.

use crate::support::{Server, directory, lockgate, provider, stderr, stdout, yaml};

const FEATURE: &str = "support-reply";

#[tokio::test]
async fn the_status_shows_every_target_and_every_feature() {
    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    server.json(&["rollout", "start", FEATURE, "--candidate", "v2"]).await;
    let status = server.json(&["status"]).await;
    let targets: Vec<_> =
        status["targets"].as_array().unwrap().iter().map(|target| &target["target"]).collect();
    assert_eq!(targets, ["desk", "provider"]);
    assert_eq!(status["features"][0]["rollout"]["candidate"], "v2");
    let output = server.lockgate(&["status"]).await;
    assert!(output.status.success());
    let shown = stdout(&output);
    assert!(shown.starts_with("all targets are asked\n"), "{shown}");
    for name in ["provider", "desk", FEATURE, "shadow"] {
        assert!(shown.contains(name), "{name}\n{shown}");
    }
    provider.stop().await;
}

#[tokio::test]
async fn a_status_without_a_server_says_how_to_start_one() {
    let output = lockgate(&["status", "--url", "http://127.0.0.1:9"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("lockgate serve"), "{}", stderr(&output));
}
