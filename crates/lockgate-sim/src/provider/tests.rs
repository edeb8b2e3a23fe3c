//! The provider over real sockets: formats, counts, and behaviour that can be changed.

use http_body_util::Full;
use hyper::client::conn::http1;

use super::*;

struct Told {
    status: u16,
    body: String,
}

async fn ask(provider: &Provider, path: &str, shadow: bool, body: &str) -> Told {
    let stream = TcpStream::connect(provider.address()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post(path).header("host", "provider");
    if shadow {
        request = request.header("x-lockgate-shadow", "true");
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    Told { status, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn quick() -> Behaviour {
    let faults = Faults::default();
    Behaviour { latency_median: Duration::from_millis(1), deviation: 0.0, faults, ..Behaviour::GOOD }
}

use super::behaviour::Faults;

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_plain_answer_is_a_chat_completion_with_usage() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    provider.set("m", quick());
    let told =
        ask(&provider, CHAT, false, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#).await;
    let json: serde_json::Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(told.status, 200);
    assert_eq!(json["object"], "chat.completion");
    assert_eq!(json["model"], "m");
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    assert!(json["choices"][0]["message"]["content"].as_str().unwrap().ends_with(answer::GOOD_CLOSING));
    assert!(json["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    provider.stop().await;
}

#[tokio::test]
async fn a_stream_says_the_same_words_and_ends_in_done() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    provider.set("m", quick());
    let messages = r#""messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]"#;
    let plain = ask(&provider, CHAT, false, &format!(r#"{{"model":"m",{messages}}}"#)).await;
    let plain: serde_json::Value = serde_json::from_str(&plain.body).unwrap();
    let options = r#""stream":true,"stream_options":{"include_usage":true}"#;
    let told = ask(&provider, CHAT, false, &format!(r#"{{"model":"m",{options},{messages}}}"#)).await;
    let mut said = String::new();
    let mut usage = None;
    for data in told.body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        if data == "[DONE]" {
            continue;
        }
        let chunk: serde_json::Value = serde_json::from_str(data).unwrap();
        said.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        usage = chunk["usage"]["total_tokens"].as_u64().or(usage);
    }
    assert_eq!(said, plain["choices"][0]["message"]["content"].as_str().unwrap());
    assert!(usage.is_some());
    assert!(told.body.ends_with("data: [DONE]\n\n"));
    provider.stop().await;
}

#[tokio::test]
async fn some_calls_with_tools_are_answered_by_a_tool_call_streamed_or_not() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    provider.set("m", quick());
    let mut tool_calls = 0;
    for n in 0..60 {
        let stream = n % 2 == 0;
        let body = format!(
            r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"question {n}"}}],
                "tools":[{{"type":"function","function":{{"name":"look_up","parameters":{{}}}}}}]}}"#
        );
        let told = ask(&provider, CHAT, false, &body).await;
        tool_calls +=
            u32::from(told.body.contains(r#""name":"look_up""#) && told.body.contains(r#""tool_calls""#));
    }
    assert!((1..30).contains(&tool_calls), "{tool_calls}");
    provider.stop().await;
}

#[tokio::test]
async fn a_model_that_declines_says_so_in_the_apis_own_way() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    let faults = Faults { refusal_rate: 1.0, ..Faults::default() };
    provider.set("m", Behaviour { faults, ..quick() });
    let plain = ask(&provider, CHAT, false, r#"{"model":"m","messages":[]}"#).await;
    let plain: serde_json::Value = serde_json::from_str(&plain.body).unwrap();
    let message = &plain["choices"][0]["message"];
    assert_eq!((message["refusal"].as_str(), message["content"].as_str()), (Some(answer::REFUSAL), None));
    let streamed = ask(&provider, CHAT, false, r#"{"model":"m","stream":true,"messages":[]}"#).await;
    assert!(streamed.body.contains(&format!(r#""delta":{{"refusal":"{}"}}"#, answer::REFUSAL)));
    provider.stop().await;
}

#[tokio::test]
async fn some_of_the_input_comes_from_a_cache_now_and_then() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    provider.set("m", quick());
    let mut hits = 0;
    for _ in 0..60 {
        let told = ask(&provider, CHAT, false, r#"{"model":"m","messages":[]}"#).await;
        let json: serde_json::Value = serde_json::from_str(&told.body).unwrap();
        let cached = json["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
        assert!(cached < json["usage"]["prompt_tokens"].as_u64().unwrap());
        hits += u32::from(cached > 0);
    }
    assert!((5..40).contains(&hits), "{hits}");
    provider.stop().await;
}

#[tokio::test]
async fn copies_are_counted_apart_and_do_not_count_as_the_last_call() {
    let start = Timestamp::from_second(1_000_000).unwrap();
    let clock = Clock::manual(start);
    let provider = Provider::start(clock.clone(), 1).await.unwrap();
    provider.set("m", quick());
    let body = r#"{"model":"m","messages":[]}"#;
    ask(&provider, CHAT, false, body).await;
    clock.advance(Duration::from_secs(5));
    ask(&provider, CHAT, true, body).await;
    let expected = Count { calls: 1, shadow_calls: 1, errors: 0, last_call: Some(start) };
    assert_eq!(provider.count("m"), expected);
    assert_eq!(provider.count("nobody"), Count::default());
    provider.stop().await;
}

#[tokio::test]
async fn behaviour_changes_while_serving_and_a_fault_may_hit_only_calls_with_tools() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    let faults_with_tools = Faults { error_rate: 1.0, ..Faults::default() };
    provider.set("m", Behaviour { faults_with_tools, ..quick() });
    let plain = r#"{"model":"m","messages":[]}"#;
    let with_tools = r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    assert_eq!(ask(&provider, CHAT, false, plain).await.status, 200);
    let told = ask(&provider, CHAT, false, with_tools).await;
    assert_eq!(told.status, 500);
    assert!(told.body.contains("server_error"));
    provider.set("m", quick());
    assert_eq!(ask(&provider, CHAT, false, with_tools).await.status, 200);
    assert_eq!(provider.count("m").errors, 1);
    provider.stop().await;
}

#[tokio::test]
async fn nonsense_is_answered_in_the_apis_own_shape() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    for (path, body, status) in [
        (CHAT, "{", 400),
        (CHAT, "[1]", 400),
        (CHAT, r#"{"model":"gone","messages":[]}"#, 404),
        ("/v1/elsewhere", "{}", 404),
    ] {
        let told = ask(&provider, path, false, body).await;
        let json: serde_json::Value = serde_json::from_str(&told.body).unwrap();
        assert_eq!(told.status, status, "{body}");
        assert!(json["error"]["message"].is_string(), "{body}");
    }
    provider.stop().await;
}

#[tokio::test]
async fn a_plain_agent_answers_json() {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    provider.set("agent", quick());
    let told = ask(&provider, "/agent", false, r#"{"question":"where?"}"#).await;
    assert_eq!(told.status, 200);
    assert!(told.body.starts_with(r#"{"answer":"#));
    provider.stop().await;
}
