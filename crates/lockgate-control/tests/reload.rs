//! Another configuration, while rollouts are and are not under way.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::sync::Arc;

use lockgate_control::{Controller, ReloadRefused, Request, StartError};

use story::{CONFIG, Lab, config, feature, promote, roll_back, start};

const V2: &str = "v2: { kind: prompt, chain: [ { target: desk }, { target: desk } ] }";

fn without_v2() -> String {
    CONFIG.replacen(V2, "", 1)
}

fn with_another_v2() -> String {
    CONFIG.replacen(V2, "v2: { kind: model, chain: [ { target: desk }, { target: desk } ] }", 1)
}

async fn refused(lab: &Lab, text: &str) -> String {
    lab.controller.reload(config(text)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_a_rollout_compares_cannot_be_changed_under_it() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    let before = lab.route();
    assert!(refused(&lab, &without_v2()).await.contains("not in `versions` any more"));
    assert!(refused(&lab, &with_another_v2()).await.contains("another content"));
    let renamed = CONFIG.replacen("stable: v1", "stable: v3", 1);
    assert!(refused(&lab, &renamed).await.contains("another `stable`"));
    assert_eq!(lab.route(), before);

    lab.ask(roll_back()).await;
    lab.pass(story::BUCKET * 3);
    lab.controller.tick().await.unwrap();
    lab.controller.reload(config(&without_v2())).await.unwrap();
    assert!(!lab.controller.config().features[&feature()].versions.contains_key("v2"));
}

#[tokio::test]
async fn sockets_and_files_need_a_restart() {
    let lab = Lab::new().await;
    for (from, to) in [
        ("store: \"sqlite::memory:\"", "store: \"sqlite://other.db\""),
        ("store:", "listen: 127.0.0.1:9999\nstore:"),
        ("store:", "admin: { listen: 127.0.0.1:9999 }\nstore:"),
        ("store:", "signals: { bucket: 20s }\nstore:"),
    ] {
        let error = lab.controller.reload(config(&CONFIG.replacen(from, to, 1))).await.unwrap_err();
        assert!(matches!(error, ReloadRefused::NeedsRestart { .. }), "{to}: {error}");
    }
}

#[tokio::test]
async fn naming_another_stable_version_sends_users_there_and_says_so_in_the_log() {
    let lab = Lab::new().await;
    lab.controller.reload(config(&CONFIG.replacen("stable: v1", "stable: v3", 1))).await.unwrap();
    assert_eq!(lab.route().stable.name.as_str(), "v3");
    assert_eq!(lab.count("stable_declared").await, 2);
    lab.controller.reload(config(&CONFIG.replacen("stable: v1", "stable: v3", 1))).await.unwrap();
    assert_eq!(lab.count("stable_declared").await, 2, "nothing new was said");
}

#[tokio::test]
async fn what_was_rolled_out_stays_when_the_configuration_still_names_the_old_version() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    for _ in 0..3 {
        lab.ask(promote()).await;
    }
    assert_eq!(lab.route().stable.name.as_str(), "v2");
    lab.controller.reload(config(CONFIG)).await.unwrap();
    assert_eq!(lab.route().stable.name.as_str(), "v2");
    assert_eq!(lab.replica().await.route().stable.name.as_str(), "v2");
    assert!(refused(&lab, &without_v2()).await.contains("users have v2"));

    lab.controller.reload(config(&with_another_v2())).await.unwrap();
    let edited = lab.route().stable;
    assert_eq!(edited.name.as_str(), "v2", "its new content is followed under the same name");
    assert_eq!(lab.controller.feature(&feature()).await.unwrap().stable_revision, edited.revision);
}

#[tokio::test]
async fn a_way_back_to_what_is_no_longer_configured_is_refused_with_a_sentence() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    for _ in 0..3 {
        lab.ask(promote()).await;
    }
    let followed = CONFIG.replacen("stable: v1", "stable: v2", 1);
    let without_v1 =
        followed.replacen("v1: { kind: prompt, chain: [ { target: desk } ], shadow_tools: false }", "", 1);
    lab.controller.reload(config(&without_v1)).await.unwrap();
    let error = lab.controller.command("ada", &feature(), roll_back()).await.unwrap_err();
    assert!(error.to_string().contains("put it back there first"), "{error}");
}

/// Another process with another configuration on the same store.
async fn restarted(lab: &Lab, text: &str) -> Result<Arc<Controller>, StartError> {
    Controller::start(config(text), lab.store.clone(), lab.clock.clone()).await
}

#[tokio::test]
async fn a_restart_with_another_candidate_freezes_the_rollout_until_it_is_put_back() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    let changed = restarted(&lab, &with_another_v2()).await.unwrap();
    assert_eq!(changed.live().table().routes[&feature()].trial, None);
    let view = changed.rollout(&feature()).await.unwrap();
    assert_eq!(view.state, "frozen");
    for forwards in [promote(), Request::Resume { why: "go on".into() }] {
        let error = changed.command("ada", &feature(), forwards).await.unwrap_err();
        assert!(error.to_string().contains("finish it or roll it back"), "{error}");
    }

    let back = restarted(&lab, CONFIG).await.unwrap();
    assert_eq!(back.live().table().routes[&feature()].trial, None, "a person lets it go on");
    back.command("ada", &feature(), Request::Resume { why: "put back".into() }).await.unwrap();
    assert!(back.live().table().routes[&feature()].trial.is_some());
}

#[tokio::test]
async fn a_restart_with_another_stable_version_freezes_the_rollout_and_without_it_does_not_start() {
    let lab = Lab::new().await;
    lab.ask(start("v2")).await;
    lab.ask(promote()).await;
    let v1 = "v1: { kind: prompt, chain: [ { target: desk } ], shadow_tools: false }";
    let without = CONFIG.replacen("stable: v1", "stable: v2", 1).replacen(v1, "", 1);
    let error = restarted(&lab, &without).await.unwrap_err();
    assert!(error.to_string().contains("which users have"), "{error}");

    let edited = CONFIG.replacen(v1, &v1.replace("false", "true"), 1);
    let changed = restarted(&lab, &edited).await.unwrap();
    let view = changed.rollout(&feature()).await.unwrap();
    assert_eq!((view.state, view.stable.as_str()), ("frozen", "v1"));
    assert_eq!(lab.count("stable_declared").await, 1, "what is compared is not declared anew");
}
