//! The admin API over a real socket, asked as any client may ask it.

#![expect(clippy::unwrap_used, reason = "a test fails where its story does not fit")]

mod story;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use lockgate_config::secret::Secret;
use lockgate_control::admin;
use lockgate_core::breaker::Outcome;
use lockgate_core::name::{RequestId, VersionRef};
use lockgate_core::segment::Segment;
use lockgate_core::signal::Arm;
use lockgate_store::row::Answer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use story::{BAD, CONFIG, GOOD, Lab, config, feature};

struct Served {
    lab: Lab,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

/// Method, path and body.
type Asked = (&'static str, &'static str, Vec<u8>);
/// Status and body.
type Told = (u16, Value);

impl Served {
    async fn new(token: Option<&str>) -> Self {
        let lab = Lab::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let token = token.map(|token| Secret::new(token.to_owned()));
        let server = tokio::spawn(admin::serve(Arc::clone(&lab.controller), listener, token, stopped));
        Self { lab, address, stop, server }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("host: localhost\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses a body early may close before it has read all of it.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {head}\n{body}")))
    }

    async fn get(&self, path: &str) -> Told {
        self.send("GET", path, &[], b"").await
    }

    async fn post(&self, path: &str, body: Value) -> Told {
        self.send("POST", path, &[("x-lockgate-author", "ada@example.com")], body.to_string().as_bytes())
            .await
    }

    async fn posted(&self, path: &str, body: Value) -> Value {
        let (status, told) = self.post(path, body).await;
        assert_eq!(status, 200, "{path}: {told}");
        told
    }

    async fn got(&self, path: &str) -> Value {
        let (status, told) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {told}");
        told
    }
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

fn quick() -> Value {
    json!({ "feature": "support-reply", "candidate": "v2", "plan": "quick" })
}

#[tokio::test]
async fn a_rollout_is_started_watched_steered_and_explained() {
    let served = Served::new(None).await;
    let receipt = served.posted("/api/v1/rollouts", with(quick(), "only", json!(["tier=internal"]))).await;
    assert_eq!(
        (&receipt["recorded"], &receipt["events"][0]["event"]),
        (&json!(true), &json!("rollout_started"))
    );

    let view = served.got("/api/v1/rollouts/support-reply").await;
    for (key, value) in [
        ("candidate", json!("v2")),
        ("stable", json!("v1")),
        ("state", json!("shadow")),
        ("phase", json!("shadow")),
        ("share", json!(0.0)),
        ("owner", json!("support-platform")),
        ("author", json!("ada@example.com")),
        ("confine", json!("tier=internal")),
        ("plan", json!("quick")),
    ] {
        assert_eq!(view[key], value, "{key}");
    }
    assert_eq!(served.got("/api/v1/rollouts").await["rollouts"][0]["id"], view["id"]);

    let (status, told) = served.post("/api/v1/rollouts/support-reply/promote", json!({})).await;
    assert_eq!((status, &told["error"]["code"]), (409, &json!("no_reason")), "{told}");
    served.posted("/api/v1/rollouts/support-reply/promote", json!({ "why": "seen enough" })).await;
    assert_eq!(served.got("/api/v1/rollouts/support-reply").await["state"], json!("canary"));
    served.posted("/api/v1/rollouts/support-reply/pause", json!({})).await;
    served.posted("/api/v1/rollouts/support-reply/resume", json!({})).await;

    served.lab.step(GOOD).await;
    let waits = served.got("/api/v1/rollouts/support-reply/explain").await;
    assert!(waits["sentence"].as_str().unwrap().contains("waits for"), "{waits}");
    let (status, told) =
        served.post("/api/v1/rollouts/support-reply/rollback", json!({ "why": "enough" })).await;
    assert_eq!((status, &told["settled"]), (200, &json!(true)), "{told}");
    let again = served.posted("/api/v1/rollouts/support-reply/rollback", json!({})).await;
    assert_eq!(again["events"], json!([]));
    assert!(again["sentence"].as_str().unwrap().contains("rolling back already"), "{again}");

    let log = served.got("/api/v1/audit/log?feature=support-reply").await;
    let last = log["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["event"], &last["author"]), (&json!("rollback_started"), &json!("ada@example.com")));
    let explained =
        served.got(&format!("/api/v1/rollouts/support-reply/explain?event={}", last["seq"])).await;
    assert!(explained["sentence"].as_str().unwrap().contains("enough"), "{explained}");
    assert!(!explained["numbers"].as_array().unwrap().is_empty(), "{explained}");
}

#[tokio::test]
async fn the_switches_of_a_feature_work_over_http() {
    let served = Served::new(None).await;
    served.posted("/api/v1/features/support-reply/flip", json!({ "to": "v3", "why": "blue-green" })).await;
    served.posted("/api/v1/features/support-reply/flip", json!({})).await;
    let (status, _) = served.send("POST", "/api/v1/features/support-reply/kill", &[], b"").await;
    assert_eq!(status, 200, "no body is needed to throw the switch");
    served.posted("/api/v1/features/support-reply/kill", json!({ "to": "rules" })).await;
    let view = served.got("/api/v1/features/support-reply").await;
    assert_eq!(
        (&view["killed"], &view["stable"], &view["warm"]["version"]),
        (&json!("rules"), &json!("v1"), &json!("v3"))
    );
    served.posted("/api/v1/features/support-reply/revive", json!({})).await;
    let names: Vec<Value> = served.got("/api/v1/features").await["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| feature["feature"].clone())
        .collect();
    assert_eq!(names, [json!("nobodys"), json!("support-reply")]);
    let log = served.got("/api/v1/audit/log?feature=support-reply").await;
    let authors: Vec<_> = log["entries"].as_array().unwrap().iter().map(|e| e["author"].clone()).collect();
    assert_eq!(authors[0], "configuration");
    assert_eq!(authors[3], "admin", "who does not say who they are");
}

#[tokio::test]
async fn every_target_is_listed_with_how_it_does() {
    let served = Served::new(None).await;
    let two = "targets:\n  big: { kind: openai, base_url: \"http://127.0.0.1:9/v1\" }\n";
    let text = CONFIG.replace("targets:\n", two);
    let controller = &served.lab.controller;
    controller.reload(config(&text)).await.unwrap();
    let listed = served.got("/api/v1/targets").await;
    let names: Vec<&Value> =
        listed["targets"].as_array().unwrap().iter().map(|target| &target["target"]).collect();
    assert_eq!(names, ["big", "desk"]);
    let [big, desk] = [0, 1].map(|index| &listed["targets"][index]);
    assert_eq!(
        (&big["kind"], &big["state"], &big["totals"]["calls"]),
        (&json!("openai"), &json!("closed"), &json!(0))
    );
    assert_eq!((&desk["kind"], &desk["state"]), (&json!("rules"), &json!("closed")));
    assert_eq!(desk["used_by"], json!(["nobodys", "support-reply"]));

    let now = controller.clock().now();
    let configured = controller.config();
    let target = configured.targets.values().next().unwrap();
    let endpoint = target.kind.endpoint().unwrap();
    for _ in 0..endpoint.breaker.consecutive {
        let live = controller.live();
        let pass = live.health().of(&target.name, endpoint).admit(endpoint, now, 0.0, false).unwrap();
        pass.end(now, Outcome::Failed, "timeout");
    }
    let listed = served.got("/api/v1/targets").await;
    let big = &listed["targets"][0];
    assert_eq!((&big["state"], &big["last_failure"]["why"]), (&json!("open"), &json!("timeout")));
    assert!(big["open_until"].as_str() > listed["at"].as_str(), "{listed}");
}

#[tokio::test]
async fn the_audit_answers_what_happened_and_what_served_whom() {
    let served = Served::new(None).await;
    served.posted("/api/v1/rollouts", quick()).await;
    served.lab.pass(story::BUCKET);
    served.posted("/api/v1/rollouts/support-reply/promote", json!({ "why": "test" })).await;

    let at = |seconds: i64| {
        let moment = Timestamp::from_second(story::AT.as_second() + seconds).unwrap();
        format!("/api/v1/audit/at?feature=support-reply&ts={moment}")
    };
    assert_eq!(served.got(&at(5)).await["versions"][1]["arm"], json!("shadow"));
    let later = served.got(&at(60)).await;
    assert_eq!(later["versions"][1]["share"], json!(0.1), "{later}");
    assert_eq!(served.get(&at(-5)).await.0, 404);

    let request = RequestId(Uuid::from_u128(9));
    let version: VersionRef = served.lab.route().stable;
    let answer = Answer {
        request_id: request,
        answer_id: None,
        session: None,
        ts: story::AT,
        feature: feature(),
        version,
        arm: Arm::Stable,
        rollout: None,
        segment: Segment::none(),
        point: None,
        target: Some("desk".into()),
        tier: Some(0),
        status: 200,
    };
    served.lab.store.put_answers(vec![answer]).await.unwrap();
    assert_eq!(served.got(&format!("/api/v1/audit/request/{request}")).await["version"]["name"], json!("v1"));
    assert_eq!(served.get(&format!("/api/v1/audit/request/{}", Uuid::from_u128(10))).await.0, 404);
    assert_eq!(served.get("/api/v1/audit/request/none").await.0, 400);

    let verified = served.got("/api/v1/audit/verify").await;
    assert_eq!((&verified["ok"], &verified["broken"]), (&json!(true), &Value::Null));

    let mut after = 0;
    let mut kinds = Vec::new();
    while let Some(next) = {
        let page = served.got(&format!("/api/v1/audit/log?limit=2&after={after}")).await;
        kinds.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()));
        page["next_after"].as_u64()
    } {
        after = next;
    }
    assert_eq!(kinds, (1..=kinds.len() as u64).collect::<Vec<_>>(), "every entry once, in order");
    assert_eq!(served.got("/api/v1/samples?feature=support-reply").await, json!({ "samples": [] }));
}

#[tokio::test]
async fn mistakes_are_told_with_a_status_a_code_and_a_hint() {
    let served = Served::new(None).await;
    let rollouts = "/api/v1/rollouts";
    let huge = format!("{{\"feature\":\"{}\"}}", "x".repeat(70_000));
    let post = |path: &'static str, body: &'static str| ("POST", path, body.as_bytes().to_vec());
    let get = |path: &'static str| ("GET", path, Vec::new());
    let cases: Vec<(Asked, u16, &str, &str)> = vec![
        (post(rollouts, "{"), 400, "bad_request", "line 1"),
        (post(rollouts, "[]"), 400, "bad_request", "the body does not fit"),
        (post(rollouts, "{\"feature\":1}"), 400, "bad_request", "string"),
        (
            post(rollouts, "{\"feature\":\"support-reply\",\"candidate\":\"v2\",\"speed\":1}"),
            400,
            "bad_request",
            "`speed`",
        ),
        (
            post(rollouts, "{\"feature\":\"support-reply\",\"candidate\":\"v 2\"}"),
            400,
            "bad_request",
            "`v 2`",
        ),
        (post(rollouts, "{\"feature\":\"support-reply\"}"), 400, "bad_request", "candidate"),
        (
            post(rollouts, "{\"feature\":\"reply\",\"candidate\":\"v2\"}"),
            404,
            "unknown_feature",
            "`support-reply`",
        ),
        (
            post(rollouts, "{\"feature\":\"support-reply\",\"candidate\":\"v9\"}"),
            404,
            "unknown_version",
            "`v2`",
        ),
        (
            post(rollouts, "{\"feature\":\"support-reply\",\"candidate\":\"v2\",\"plan\":\"p\"}"),
            404,
            "unknown_plan",
            "`quick`",
        ),
        (post(rollouts, "{\"feature\":\"support-reply\",\"candidate\":\"v1\"}"), 409, "already_stable", "v1"),
        (post(rollouts, "{\"feature\":\"nobodys\",\"candidate\":\"v2\"}"), 409, "no_owner", "who answers"),
        (
            post(rollouts, "{\"feature\":\"support-reply\",\"candidate\":\"v2\",\"only\":[\"x\"]}"),
            400,
            "bad_request",
            "label=value",
        ),
        (
            post("/api/v1/rollouts/support-reply/rollback", ""),
            409,
            "nothing_to_roll_back",
            "nothing to roll back",
        ),
        (post("/api/v1/rollouts/support-reply/pause", "{\"wy\":\"\"}"), 400, "bad_request", "`wy`"),
        (
            post("/api/v1/features/support-reply/kill", "{\"why\":\"x\\u001b[31m\"}"),
            400,
            "bad_request",
            "printable",
        ),
        (
            post("/api/v1/features/support-reply/kill", "[\"stable\", \"x\"]"),
            400,
            "bad_request",
            "does not fit",
        ),
        (post("/api/v1/features/support-reply/kill", "{\"to\":\"moon\"}"), 400, "bad_request", "`moon`"),
        (post("/api/v1/features/support-reply/revive", "{}"), 409, "not_killed", "nothing to revive"),
        (("POST", rollouts, huge.into_bytes()), 413, "too_large", "65536"),
        (("POST", rollouts, vec![b'"', 0xff, b'"']), 400, "bad_request", "the body does not fit"),
        (get("/api/v1/rollouts/support-reply"), 404, "not_found", "no rollout yet"),
        (get("/api/v1/rollouts/%ff"), 400, "bad_request", "path"),
        (get("/api/v1/rollouts/a%20b"), 404, "unknown_feature", "`a b`"),
        (get("/api/v1/rollouts/support-reply/explain"), 404, "not_found", "nothing was decided"),
        (get("/api/v1/rollouts/support-reply/explain?event=99"), 404, "not_found", "99"),
        (get("/api/v1/rollouts/support-reply/explain?event=0"), 404, "not_found", "0"),
        (get("/api/v1/events/99/explain"), 404, "not_found", "no entry 99"),
        (get("/api/v1/events/last/explain"), 400, "bad_request", "number"),
        (get("/api/v1/rollouts/reply/gate"), 404, "unknown_feature", "`support-reply`"),
        (get("/api/v1/audit/log?limit=5000"), 400, "bad_request", "1000"),
        (get("/api/v1/audit/log?after=-1"), 400, "bad_request", "query"),
        (get("/api/v1/audit/log?feture=x"), 400, "bad_request", "feture"),
        (get("/api/v1/audit/at?feature=support-reply&ts=yesterday"), 400, "bad_request", "query"),
        (get("/api/v1/nowhere"), 404, "not_found", "nothing at this path"),
        (get("/nowhere"), 404, "not_found", "nothing at this path"),
        (("DELETE", "/api/v1/features", Vec::new()), 405, "method_not_allowed", "path"),
    ];
    for ((method, path, body), status, code, says) in cases {
        let (told_status, told) = served.send(method, path, &[], &body).await;
        let error = &told["error"];
        let about =
            format!("{method} {path} {}: {told}", String::from_utf8_lossy(&body[..body.len().min(80)]));
        assert_eq!((told_status, error["code"].as_str()), (status, Some(code)), "{about}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(says)), "{about}");
    }
    assert_eq!(served.lab.kinds().await, ["stable_declared"], "none of it did anything");
}

#[tokio::test]
async fn a_token_is_needed_where_one_is_set() {
    let served = Served::new(Some("a-long-secret")).await;
    let ask = async |headers: &[(&str, &str)]| served.send("GET", "/api/v1/features", headers, b"").await;
    for headers in [
        &[][..],
        &[("authorization", "Bearer a-long-secreT")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Basic a-long-secret")],
        &[("authorization", "a-long-secret")],
    ] {
        let (status, told) = ask(headers).await;
        assert_eq!((status, &told["error"]["code"]), (401, &json!("unauthorized")), "{headers:?}");
        assert!(told["error"]["hint"].as_str().unwrap().contains("Bearer"));
        assert!(!told.to_string().contains("a-long"), "a presented text is not repeated");
    }
    assert_eq!(ask(&[("authorization", "bearer a-long-secret")]).await.0, 200);
    let (status, _) = served.send("POST", "/api/v1/features/support-reply/kill", &[], b"").await;
    assert_eq!((status, served.lab.route().killed), (401, None));
    let elsewhere = [("authorization", "Bearer a-long-secret"), ("host", "lockgate.internal")];
    assert_eq!(ask(&elsewhere).await.0, 200);
    for probe in ["/health/live", "/health/ready"] {
        assert_eq!(served.get(probe).await.0, 200, "probes carry no token");
    }
}

#[tokio::test]
async fn a_web_page_of_another_origin_cannot_throw_the_switch() {
    let served = Served::new(None).await;
    let kill = async |headers: &[(&str, &str)]| {
        served.send("POST", "/api/v1/features/support-reply/kill", headers, b"").await
    };
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("host", "evil.example:7081"), ("origin", "http://evil.example:7081")],
        &[("host", "evil.example")],
    ] {
        let (status, told) = kill(headers).await;
        assert_eq!(status, 403, "{headers:?} {told}");
    }
    assert_eq!(served.lab.route().killed, None);
    let own = [("host", "127.0.0.1:7081"), ("origin", "http://127.0.0.1:7081")];
    assert_eq!(kill(&own).await.0, 200);
}

#[tokio::test]
async fn an_author_is_printable_and_bounded() {
    let served = Served::new(None).await;
    let long = "x".repeat(129);
    for author in [long.as_str(), "", "a\tb"] {
        let headers = [("x-lockgate-author", author)];
        let (status, told) = served.send("POST", "/api/v1/features/support-reply/kill", &headers, b"").await;
        assert_eq!(status, 400, "{author:?} {told}");
    }
    let why = json!({ "why": "w".repeat(2001) });
    assert_eq!(served.post("/api/v1/features/support-reply/kill", why).await.0, 400);
    assert_eq!(served.lab.route().killed, None);
}

#[tokio::test]
async fn a_rollback_by_evidence_is_explained_with_the_trigger_and_its_numbers() {
    let served = Served::new(None).await;
    served.posted("/api/v1/rollouts", quick()).await;
    served.posted("/api/v1/rollouts/support-reply/promote", json!({ "why": "test" })).await;
    served.lab.until("rolling_back", BAD).await;
    let log = served.got("/api/v1/audit/log?feature=support-reply").await;
    let last = log["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["author"], &last["cause"]), (&json!("controller"), &json!("trigger")));
    let explained =
        served.got(&format!("/api/v1/rollouts/support-reply/explain?event={}", last["seq"])).await;
    let numbers = explained["numbers"].to_string();
    assert!(numbers.contains("40 %") && numbers.contains("fail"), "{explained}");
}

#[tokio::test]
async fn the_gate_is_one_word_and_its_reasons() {
    let served = Served::new(None).await;
    let told = served.got("/api/v1/rollouts/support-reply/gate").await;
    assert_eq!((&told["outcome"], &told["state"]), (&json!("inconclusive"), &Value::Null), "{told}");
    served.posted("/api/v1/rollouts", quick()).await;
    for _ in 0..4 {
        served.lab.step(GOOD).await;
    }
    let told = served.got("/api/v1/rollouts/support-reply/gate").await;
    assert_eq!((&told["outcome"], &told["phase"]), (&json!("pass"), &json!("shadow")), "{told}");
    assert!(told["reasons"][0].as_str().unwrap().starts_with("error < 5 %: "), "{told}");
}

#[tokio::test]
async fn a_flip_to_what_was_taken_back_is_refused_with_a_hint_that_a_flip_can_follow() {
    let served = Served::new(None).await;
    served.posted("/api/v1/rollouts", quick()).await;
    served.posted("/api/v1/rollouts/support-reply/rollback", json!({ "why": "enough" })).await;
    served.lab.until("rolled_back", GOOD).await;
    let (status, told) = served.post("/api/v1/features/support-reply/flip", json!({ "to": "v2" })).await;
    let hint = told["error"]["hint"].as_str().unwrap();
    assert_eq!((status, &told["error"]["code"]), (409, &json!("rejected")));
    assert!(hint.contains("rollout start --again"), "{hint}");
}

#[tokio::test]
async fn stopping_finishes_and_lets_go_of_the_port() {
    let served = Served::new(None).await;
    // A client that connects and says nothing does not keep the process.
    let idle = TcpStream::connect(served.address).await.unwrap();
    served.got("/health/live").await;
    served.stop.send(true).unwrap();
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(25), served.server).await;
    stopped.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
    drop(idle);
}
