//! Plain answers: what arrives, what comes back, what is told, what is counted.

use http::Method;
use lockgate_config::value::Price;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;
use serde_json::json;

use crate::target::TestTarget;
use crate::world::*;

#[tokio::test]
async fn a_call_and_its_answer_pass_byte_for_byte() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let asked = "{\"model\": \"support-reply\" ,\n\t\"x_unknown\":{\"b\":1.50,\"a\":[ ]}, \"messages\":[{\"role\":\"user\",\
        \"content\":[{\"type\":\"text\",\"text\":\"\\u00e9 ok\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\
        \"data:image/png;base64,iVBORw0KGgo=\"}}]}],\"seed\":12345678901234567890, \"tools\":[{\"type\":\"function\",\
        \"function\":{\"name\":\"f\",\"parameters\":{}}}] }\n";
    let answered = "{\"id\":\"chatcmpl-9\", \"x\" : 1e3,\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\
        \"content\":\"h\\u00ed\"},\"finish_reason\":\"stop\"}] }\n\n";
    let sending = world.sending(world.post("/v1/chat/completions?x=1", asked));
    let arrived = target.next().await;
    assert_eq!(arrived.text(), asked);
    assert_eq!(arrived.head.method, Method::POST);
    assert_eq!(arrived.head.uri.path(), "/v1/chat/completions");
    let response = http::Response::builder()
        .header("content-type", "application/json; charset=utf-8")
        .header("x-request-id", "req_7")
        .header("set-cookie", "a=b")
        .header("x-ratelimit-remaining-requests", "9");
    arrived.reply(response.body(crate::target::Chunks::whole(answered.into())).unwrap());

    let got = sending.await.unwrap();
    assert_eq!(got.body, answered);
    assert_eq!(got.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(got.header("content-length"), Some(answered.len().to_string().as_str()));
    assert_eq!(got.header("x-request-id"), Some("req_7"));
    assert_eq!(got.header("x-ratelimit-remaining-requests"), Some("9"));
    assert_eq!(got.header("set-cookie"), None);
    world.stop().await;
}

#[tokio::test]
async fn every_answer_tells_who_gave_it() {
    let url = TestTarget::saying(200, ANSWER).await;
    let mut first = chat("big", &url);
    first.price = Some(Price { input_per_million_usd: 2.0, output_per_million_usd: 10.0 });
    let world = World::start(config(vec![version("v1", vec![first])])).await;
    let got = world.call().await;
    let revision = revision("v1").short();
    for (name, value) in [
        ("x-lockgate-feature", FEATURE),
        ("x-lockgate-version", "v1"),
        ("x-lockgate-revision", revision.as_str()),
        ("x-lockgate-arm", "stable"),
        ("x-lockgate-target", "big"),
        ("x-lockgate-tier", "0"),
        ("x-lockgate-attempts", "1"),
        ("x-lockgate-cost-usd", "0.000070000"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    assert_eq!(got.header("x-lockgate-degraded"), None);
    assert!(got.header("x-lockgate-request-id").is_some());
    assert!(got.header("server-timing").unwrap().starts_with("lockgate;dur="));
    world.stop().await;
}

#[tokio::test]
async fn a_version_changes_its_own_members_and_nothing_else() {
    let mut target = TestTarget::start().await;
    let mut first = chat("big", &target.url);
    first.model = Some("gpt-test".into());
    first.system = Some("Be brief.".into());
    first.parameters.insert("temperature".into(), json!(0.2));
    let world = World::start(config(vec![version("v1", vec![first])])).await;
    let asked = r#"{"model": "support-reply", "messages":[ {"role":"user","content":"x"}],  "odd" : [1 ,2]}"#;
    let sending = world.sending(world.post("/v1/chat/completions", asked));
    let arrived = target.next().await;
    let expected = concat!(
        r#"{"model": "gpt-test", "messages":[{"role":"system","content":"Be brief."}, {"role":"user","content":"x"}],"#,
        r#"  "odd" : [1 ,2],"temperature":0.2}"#
    );
    assert_eq!(arrived.text(), expected);
    arrived.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().status, 200);
    world.stop().await;
}

#[tokio::test]
async fn a_target_gets_its_own_key_and_nothing_of_the_clients() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let mut request = world.post("/v1/chat/completions", CALL);
    for (name, value) in [
        ("authorization", "Bearer client-key"),
        ("x-api-key", "client-key"),
        ("cookie", "a=b"),
        ("x-lockgate-user", "ada"),
        ("openai-organization", "org"),
        ("accept-encoding", "gzip"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let sending = world.sending(request);
    let arrived = target.next().await;
    assert_eq!(arrived.header("authorization"), Some("Bearer target-key"));
    assert_eq!(arrived.header("accept-encoding"), Some("identity"));
    assert!(arrived.header("traceparent").is_some());
    for absent in ["x-api-key", "cookie", "x-lockgate-user", "openai-organization"] {
        assert_eq!(arrived.header(absent), None, "{absent}");
    }
    arrived.say(200, ANSWER);
    sending.await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn an_answered_call_is_counted_once_in_every_signal_it_has() {
    let url = TestTarget::saying(200, ANSWER).await;
    let mut first = chat("big", &url);
    first.price = Some(Price { input_per_million_usd: 2.0, output_per_million_usd: 10.0 });
    let world = World::start(config(vec![version("v1", vec![first])])).await;
    for _ in 0..3 {
        assert_eq!(world.call().await.status, 200);
    }
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 3)).await;
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Timeout).await, (0, 3));
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Fallback).await, (0, 3));
    assert_eq!(world.rate("v1", Arm::Stable, Signal::Cancelled).await, (0, 3));
    let of = async |signal| world.sum("v1", Arm::Stable, signal).await;
    assert_eq!(of(Signal::Assigned).await.unwrap().n(), 3);
    assert_eq!(of(Signal::Latency).await.unwrap().n(), 3);
    assert_eq!(of(Signal::FirstToken).await, None);
    assert_eq!(of(Signal::TokensIn).await, Some(Sum::Amount { n: 3, total: 30, squares: 300 }));
    assert_eq!(of(Signal::TokensOut).await, Some(Sum::Amount { n: 3, total: 15, squares: 75 }));
    assert_eq!(
        of(Signal::Cost).await,
        Some(Sum::Amount { n: 3, total: 210_000, squares: 3 * 70_000 * 70_000 })
    );
    world.stop().await;
}

#[tokio::test]
async fn an_answer_too_long_to_be_kept_is_relayed_whole() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let long = format!(r#"{{"choices":[],"pad":"{}"}}"#, "x".repeat(200_000));
    target.next().await.say(200, long.clone());
    let got = sending.await.unwrap();
    assert_eq!(got.body, long);
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_long_answer_that_breaks_off_does_not_look_finished() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let beginning = world.beginning(world.post("/v1/chat/completions", CALL));
    let (writing, chunks) = crate::target::Chunks::open();
    let response = http::Response::builder().header("content-type", "application/json");
    target.next().await.reply(response.body(chunks).unwrap());
    writing.write("x".repeat(60_000));
    let mut body = beginning.await.unwrap().into_body();
    let mut received = 0;
    while received < 60_000 {
        received += chunk(&mut body).await.unwrap().len();
    }
    writing.break_off();
    let rest = within(http_body_util::BodyExt::collect(body)).await;
    assert!(rest.is_err());
    world.until_rate("v1", Arm::Stable, Signal::Error, (1, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_packed_in_a_way_nobody_here_undoes_passes_unread() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let response = http::Response::builder().header("content-encoding", "br");
    let packed = crate::target::Chunks::whole(vec![0x1f, 0x8b, 8].into());
    target.next().await.reply(response.body(packed).unwrap());
    let got = sending.await.unwrap();
    assert_eq!((got.header("content-encoding"), got.body.as_ref()), (Some("br"), &[0x1f, 0x8b, 8][..]));
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    world.stop().await;
}

#[tokio::test]
async fn the_log_of_answers_says_who_served_a_call() {
    let url = TestTarget::saying(200, ANSWER).await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &url)])])).await;
    let mut request = world.post("/v1/chat/completions", CALL);
    request.headers_mut().insert("x-lockgate-session", "s-1".parse().unwrap());
    let got = world.send(request).await;
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    let id = got.header("x-lockgate-request-id").unwrap().parse().unwrap();
    let served = world.store.served(id).await.unwrap().unwrap();
    assert_eq!((served.status, served.tier, served.target.as_deref()), (200, Some(0), Some("big")));
    assert_eq!(served.answer_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(served.session.as_deref(), Some("s-1"));
    assert_eq!(served.version, version_ref("v1"));
    world.stop().await;
}

#[tokio::test]
async fn features_are_listed_as_models() {
    let url = TestTarget::saying(200, ANSWER).await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &url)])])).await;
    let list = world.send(world.ask(Method::GET, "/v1/models", "")).await;
    assert_eq!(list.json()["data"][0]["id"], FEATURE);
    let one = world.send(world.ask(Method::GET, "/v1/models/support-reply", "")).await;
    assert_eq!((one.json()["id"].as_str(), one.json()["object"].as_str()), (Some(FEATURE), Some("model")));
    let none = world.send(world.ask(Method::GET, "/v1/models/nobody", "")).await;
    assert_eq!((none.status.as_u16(), none.error().1.as_str()), (404, "model_not_found"));
    world.stop().await;
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_is_under_way() {
    let mut target = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![chat("big", &target.url)])])).await;
    let health = world.send(world.ask(Method::GET, "/health/ready", "")).await;
    assert_eq!(health.status, 200);
    let sending = world.sending(world.post("/v1/chat/completions", CALL));
    let arrived = target.next().await;
    let (gateway, stop) = (world.gateway.clone(), world.stopper());
    stop.send(true).unwrap();
    within(async {
        while gateway.is_ready() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    arrived.say(200, ANSWER);
    assert_eq!(sending.await.unwrap().status, 200);
    world.stop().await;
}
