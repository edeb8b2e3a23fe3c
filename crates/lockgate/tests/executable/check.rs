//! What `check` says of files, and how the command line says no.

use crate::support::{directory, lockgate, provider, stderr, stdout, yaml};

const TEN_MISTAKES: &str = r#"
listen: 127.0.0.1:70800
admin: { listen: 0.0.0.0:7081 }
targts: {}
targets:
  big: { kind: openai, base_url: "ftp://example.invalid", timeout: soon }
  odd: { kind: opnai, base_url: "http://127.0.0.1:9/v1" }
features:
  support-reply:
    stable: v9
    versions:
      v1: { kind: modle, chain: [{ target: bigg, model: m }] }
      v2: { kind: model, chain: [] }
plans:
  quick:
    phases:
      - { share: 150%, dwell: 1h, gates: [{ signal: error, below: 1% }] }
    triggers: [{ signal: eror, above: 2% }]
signals: { bucket: 10 }
"#;

#[tokio::test]
async fn ten_mistakes_are_all_told_with_line_and_hint() {
    let file = directory().join("lockgate.yaml");
    std::fs::write(&file, TEN_MISTAKES).unwrap();
    let file = file.to_str().unwrap();

    let output = lockgate(&["check", "-c", file], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    assert!(told.lines().filter(|line| line.trim_start().starts_with("hint: ")).count() >= 10, "{told}");

    let output = lockgate(&["check", "-c", file, "--json"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ok"], false);
    let problems = json["problems"].as_array().unwrap();
    assert!(problems.len() >= 10, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem["line"].is_u64() && problem["message"].is_string()));
}

#[tokio::test]
async fn a_sound_file_is_said_to_be_sound() {
    let provider = provider().await;
    let file = directory().join("lockgate.yaml");
    std::fs::write(&file, yaml(&provider)).unwrap();
    let output = lockgate(&["check", "-c", file.to_str().unwrap()], &[]).await;
    assert!(output.status.success(), "{}", stdout(&output));
    assert!(stdout(&output).contains("all is well"));
    provider.stop().await;
}

#[tokio::test]
async fn a_file_with_mistakes_is_not_served() {
    let file = directory().join("lockgate.yaml");
    std::fs::write(&file, TEN_MISTAKES).unwrap();
    let output = lockgate(&["serve", "-c", file.to_str().unwrap()], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`targts`") || stderr(&output).contains("targts"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn the_schema_is_one_and_the_standard_plan_is_shown() {
    let output = lockgate(&["schema"], &[]).await;
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["$schema"].is_string() && schema["properties"]["features"].is_object());

    let output = lockgate(&["plan", "show", "--json"], &[]).await;
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["phases"].as_array().unwrap().len(), 5);
    assert!(stdout(&lockgate(&["plan", "show"], &[]).await).contains("shadow"));
}

#[tokio::test]
async fn wrong_usage_is_status_2_and_a_failure_status_1_with_a_hint() {
    for wrong in
        [&["rollout", "start"][..], &["fly"], &["rollout", "promote", "f"], &["audit", "at", "f", "noon"]]
    {
        assert_eq!(lockgate(wrong, &[]).await.status.code(), Some(2), "{wrong:?}");
    }
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let output = lockgate(&["rollout", "status", "f"], &[("LOCKGATE_URL", &gone)]).await;
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains(&gone) && told.contains("lockgate serve") && told.contains("LOCKGATE_URL"),
        "{told}"
    );

    let output = lockgate(&["plan", "show", "quick"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hint"), "{}", stderr(&output));
}
