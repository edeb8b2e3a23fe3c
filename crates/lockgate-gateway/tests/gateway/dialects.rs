//! Calls by every API: carried as they are where the target speaks it, translated where it speaks another, refused by name where
//! neither can be.

use lockgate_config::value::Surface;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::Sum;
use serde_json::json;

use crate::target::TestTarget;
use crate::world::*;

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":5}}"#;
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"message","id":"m1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}"#;

#[tokio::test]
async fn each_api_reaches_a_target_that_speaks_it_byte_for_byte() {
    let mut open = TestTarget::start().await;
    let mut anthropic = TestTarget::start().await;
    let features = vec![
        feature(FEATURE, Surface::Model, vec![version("v1", vec![chat("open", &open.url)])]),
        feature("claude", Surface::Model, vec![version("v1", vec![messages("anthropic", &anthropic.url)])]),
    ];
    let world = World::start(config_of(features)).await;
    for (path, body, answer) in [
        ("/v1/responses", r#"{"model": "support-reply" , "input":"h\u00e9"}"#, RESPONSE),
        (
            "/v1/embeddings",
            r#"{"model":"support-reply","input":[ "a" ]}"#,
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"model":"e","usage":{"prompt_tokens":1,"total_tokens":1}}"#,
        ),
    ] {
        let sending = world.sending(world.post(path, body));
        let arrived = open.next().await;
        assert_eq!((arrived.text(), arrived.head.uri.path()), (body, path));
        arrived.say(200, answer);
        assert_eq!(sending.await.unwrap().body, answer);
    }
    for (path, body, answer) in [
        ("/v1/messages", r#"{"model":"claude", "max_tokens" :5,"messages":[]}"#, MESSAGE),
        ("/v1/messages/count_tokens", r#"{"model":"claude","messages":[]}"#, r#"{"input_tokens":7}"#),
    ] {
        let mut request = world.post(path, body);
        request.headers_mut().insert("anthropic-beta", "tools-1".parse().unwrap());
        let sending = world.sending(request);
        let arrived = anthropic.next().await;
        assert_eq!((arrived.text(), arrived.header("anthropic-beta")), (body, Some("tools-1")));
        assert_eq!(arrived.header("x-api-key"), Some("target-key"));
        assert_eq!(
            (arrived.header("authorization"), arrived.header("anthropic-version")),
            (None, Some("2023-06-01"))
        );
        arrived.say(200, answer);
        assert_eq!(sending.await.unwrap().body, answer);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_chat_call_is_answered_by_a_target_that_speaks_messages_and_counted_as_it_was_billed() {
    let mut anthropic = TestTarget::start().await;
    let world = World::start(config(vec![version("v1", vec![messages("anthropic", &anthropic.url)])])).await;
    let call = json!({ "model": FEATURE, "seed": 7, "logprobs": true, "messages": [{ "role": "user", "content": "hi" }] });
    let sending = world.sending(world.post("/v1/chat/completions", call.to_string()));
    let arrived = anthropic.next().await;
    let asked: serde_json::Value = serde_json::from_str(arrived.text()).unwrap();
    assert_eq!(arrived.head.uri.path(), "/v1/messages");
    assert_eq!(asked["max_tokens"], 4096);
    arrived.say(200, MESSAGE);
    let got = sending.await.unwrap();
    assert_eq!(got.json()["choices"][0]["message"]["content"], "hi");
    let dropped = got.header("x-lockgate-dropped").unwrap();
    assert!(dropped.contains("seed") && dropped.contains("logprobs"), "{dropped}");
    world.until_rate("v1", Arm::Stable, Signal::Error, (0, 1)).await;
    let read = world.sum("v1", Arm::Stable, Signal::TokensIn).await;
    assert_eq!(read, Some(Sum::Amount { n: 1, total: 14, squares: 196 }));
    world.stop().await;
}

#[tokio::test]
async fn a_call_that_wants_all_or_nothing_is_refused_by_name_before_anything_is_sent() {
    let anthropic = TestTarget::start().await;
    let chain = vec![messages("anthropic", &anthropic.url), rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let call =
        json!({ "model": FEATURE, "logprobs": true, "messages": [{ "role": "user", "content": "hi" }] });
    let mut request = world.post("/v1/chat/completions", call.to_string());
    request.headers_mut().insert("x-lockgate-translation", "strict".parse().unwrap());
    let got = world.send(request).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (400, "unsupported_parameter"));
    assert!(got.error().0.contains("logprobs"), "{:?}", got.error());
    assert!(anthropic.is_idle());
    world.stop().await;
}

#[tokio::test]
async fn an_api_that_no_target_speaks_is_refused_with_what_is_spoken() {
    let anthropic = TestTarget::start().await;
    let chain = vec![messages("anthropic", &anthropic.url), rules("desk")];
    let world = World::start(config(vec![version("v1", chain)])).await;
    let got = world.send(world.post("/v1/embeddings", r#"{"model":"support-reply","input":"a"}"#)).await;
    assert_eq!((got.status.as_u16(), got.error().1.as_str()), (400, "unsupported_api"));
    assert!(got.error().0.contains("chat, messages, count_tokens"), "{:?}", got.error());
    world.stop().await;
}

#[tokio::test]
async fn errors_and_fixed_answers_come_in_the_callers_own_form() {
    let mut open = TestTarget::start().await;
    let features = vec![
        feature(FEATURE, Surface::Model, vec![version("v1", vec![chat("open", &open.url)])]),
        feature("fixed", Surface::Model, vec![version("v1", vec![rules("desk")])]),
    ];
    let world = World::start(config_of(features)).await;
    let call = r#"{"model":"support-reply","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let sending = world.sending(world.post("/v1/messages", call));
    open.next().await.say(
        400,
        r#"{"error":{"message":"bad tool","type":"invalid_request_error","param":null,"code":null}}"#,
    );
    let got = sending.await.unwrap();
    assert_eq!(got.status.as_u16(), 400);
    assert_eq!(got.json()["type"], "error");
    assert_eq!(got.json()["error"], json!({ "type": "invalid_request_error", "message": "bad tool" }));
    let got = world.send(world.post("/v1/messages", r#"{"model":"nobody","messages":[]}"#)).await;
    assert_eq!((got.status.as_u16(), got.json()["error"]["type"].clone()), (404, json!("not_found_error")));
    assert_eq!(got.json()["request_id"], got.header("x-lockgate-request-id").unwrap());

    let got = world.send(world.post("/v1/messages", call.replace("support-reply", "fixed"))).await;
    assert_eq!(got.json()["content"], json!([{ "type": "text", "text": "Please wait." }]));
    let got = world.send(world.post("/v1/responses", r#"{"model":"fixed","input":"my refund"}"#)).await;
    assert_eq!(got.json()["output"][0]["content"][0]["text"], "A refund is on its way.");
    world.stop().await;
}

#[tokio::test]
async fn a_conversation_goes_on_where_its_state_is() {
    let (mut old, mut new) = (TestTarget::start().await, TestTarget::start().await);
    let versions =
        vec![version("v1", vec![chat("old", &old.url)]), version("v2", vec![chat("new", &new.url)])];
    let world = World::start_with(config(versions), |table| canary(table, "v2", 0.0)).await;
    let sending =
        world.sending(world.post("/v1/responses", r#"{"model":"support-reply","input":"hi","user":"ada"}"#));
    old.next().await.say(200, RESPONSE);
    assert_eq!(sending.await.unwrap().header("x-lockgate-version"), Some("v1"));
    let mut table = lockgate_config::live::Table::new(world.config.clone(), &Default::default());
    canary(&mut table, "v2", 1.0);
    world.live.publish(table);
    let next = r#"{"model":"support-reply","input":"and","user":"ada","previous_response_id":"resp_1"}"#;
    let sending = world.sending(world.post("/v1/responses", next));
    old.next().await.say(200, RESPONSE);
    let got = sending.await.unwrap();
    assert_eq!(
        (got.header("x-lockgate-version"), got.header("x-lockgate-arm")),
        (Some("v1"), Some("stable"))
    );
    // Others have the new version.
    let sending =
        world.sending(world.post("/v1/responses", r#"{"model":"support-reply","input":"hi","user":"ada"}"#));
    new.next().await.say(200, RESPONSE);
    assert_eq!(sending.await.unwrap().header("x-lockgate-version"), Some("v2"));
    world.stop().await;
}
