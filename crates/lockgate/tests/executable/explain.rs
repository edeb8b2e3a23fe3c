//! A decision explained by the server that took it, and by another process from the file that it left.

use std::time::Duration;

use lockgate_sim::provider::Provider;
use lockgate_sim::provider::behaviour::{Behaviour, Faults};
use serde_json::Value;

use crate::support::{Caller, LONG_ENOUGH, Server, directory, lockgate, provider, stderr, stdout, yaml};

const FEATURE: &str = "support-reply";

/// Half of the users at once, and back at the first proof that a fifth of the calls fail. A bucket is read late enough for
/// every sum to be in it, on the busiest machine.
pub fn quick(provider: &Provider) -> String {
    let plan = r#"
plans:
  quick:
    phases:
      - { share: 50%, dwell: 1h, deadline: 2h, gates: [ { signal: error, below: 5% } ] }
    triggers: [ { signal: error, above: 20%, blame: always } ]
"#;
    yaml(provider).replace("watermark: 300ms", "watermark: 2s") + plan
}

/// Every other call to the candidate fails.
pub fn is_broken(provider: &Provider) {
    let faults = Faults { error_rate: 0.5, ..Faults::default() };
    provider.set("model-2", Behaviour { faults, ..Behaviour::GOOD });
}

/// Calls until the rollout is taken back.
pub async fn call_until_back(server: &Server) {
    let calling = async {
        let mut caller = Caller::connect(server.clients).await;
        for user in 0.. {
            caller.ask(&format!("user-{user}")).await;
            if user % 50 == 0 {
                let status = server.json(&["rollout", "status", FEATURE]).await;
                if matches!(status["state"].as_str(), Some("rolling_back" | "rolled_back")) {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(LONG_ENOUGH, calling).await.unwrap();
}

/// The explanation of an event once its sums are written: a gateway that goes back alone does not wait for that.
async fn reproduced(server: &Server, number: &str) -> Value {
    let explaining = async {
        loop {
            let told = server.json(&["rollout", "explain", FEATURE, number]).await;
            if told["reproduced"] == true {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG_ENOUGH, explaining).await.unwrap()
}

#[tokio::test]
async fn a_decision_is_explained_alike_by_the_server_and_from_its_file_after_it_has_ended() {
    let provider = provider().await;
    is_broken(&provider);
    let directory = directory();
    let server = Server::start(&directory, &quick(&provider)).await;
    server.json(&["rollout", "start", FEATURE, "--candidate", "v2", "--plan", "quick"]).await;
    call_until_back(&server).await;

    let log = server.json(&["audit", "log", "--feature", FEATURE]).await;
    let entries = log["entries"].as_array().unwrap();
    let back = entries.iter().find(|entry| entry["event"] == "rollback_started").unwrap();
    let number = back["seq"].to_string();
    let told = reproduced(&server, &number).await;
    let verdict = &told["standing"][0];
    for key in ["n", "total", "estimate", "log_e_fail", "log_e_fail_needed", "alpha", "as_of"] {
        assert!(!verdict[key].is_null(), "{key}: {verdict:#}");
    }
    assert_eq!(server.json(&["rollout", "explain", &number]).await, told, "a number alone is an event's");
    assert!(server.terminate().await.success());

    let file = directory.join("lockgate.db");
    let file = file.to_str().unwrap();
    for args in [
        &["rollout", "explain", &number, "--store", file][..],
        &["rollout", "explain", FEATURE, &number, "--store", file],
    ] {
        let output = lockgate(&[args, &["--json"]].concat(), &[]).await;
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), told);
    }
    let shown = stdout(&lockgate(&["rollout", "explain", &number, "--store", file], &[]).await);
    // Which of the two is shown first hangs on how fast calls come.
    assert!(shown.contains(" %: FAIL"), "{shown}");
    assert!(shown.contains("to fail    ln e = ") && shown.contains("give every number again"), "{shown}");
    provider.stop().await;
}

#[tokio::test]
async fn what_cannot_be_explained_is_said() {
    let nowhere = directory().join("none.db");
    let output = lockgate(&["rollout", "explain", "1", "--store", nowhere.to_str().unwrap()], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no store"), "{}", stderr(&output));
    assert!(!nowhere.exists(), "asking makes nothing");

    let provider = provider().await;
    let server = Server::start(&directory(), &yaml(&provider)).await;
    let output = server.lockgate(&["rollout", "explain", "99"]).await;
    assert!(stderr(&output).contains("the log has no entry 99"), "{}", stderr(&output));
    provider.stop().await;
}
