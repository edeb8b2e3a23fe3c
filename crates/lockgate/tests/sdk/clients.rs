//! Every kind of client, as its users use it: another base URL, and nothing else.
//!
//! A script makes the calls and checks what comes back, with one feature whose target speaks `OpenAI`'s APIs and one whose
//! target speaks Anthropic's, so that both dialects are called by both. The provider behind them answers by what it is asked,
//! and complains of every call that a real one would refuse.

use std::time::Duration;

use crate::provider::Provider;
use crate::script::Script;
use crate::server::{CLIENT_KEY, MODEL, Server};

const OPENAI: &str = "openai-reply";
const ANTHROPIC: &str = "anthropic-reply";
const AGENT: &str = "agent-desk";
/// Longest time until the provider hears that a client has left.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a script, which leaves so many streams before their end.
async fn check(script: Script, left: u32) {
    let provider = Provider::start().await;
    let server = Server::start(&configuration(&provider.url())).await;
    let script = script.told("ROOT_URL", server.url("")).told("API_KEY", CLIENT_KEY);
    let script = script.told("OPENAI_FEATURE", OPENAI).told("ANTHROPIC_FEATURE", ANTHROPIC);
    script.told("AGENT_FEATURE", AGENT).run().await;
    assert_eq!(provider.complaints(), Vec::<String>::new());
    let noticed = async {
        while provider.left() < left {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let noticed = tokio::time::timeout(PATIENCE, noticed).await;
    noticed.expect("the provider was not told that the client left");
    assert_eq!(provider.left(), left, "streams that nobody left were not taken to their end");
}

#[tokio::test]
async fn openai_chat_completions_in_python() {
    check(Script::python("python", "python/openai_chat.py"), 2).await;
}

#[tokio::test]
async fn openai_responses_and_embeddings_in_python() {
    check(Script::python("python", "python/openai_responses.py"), 1).await;
}

#[tokio::test]
async fn anthropic_messages_in_python() {
    check(Script::python("python", "python/anthropic_messages.py"), 2).await;
}

#[tokio::test]
async fn langchain() {
    check(Script::python("python", "python/langchain_models.py"), 0).await;
}

#[tokio::test]
async fn openai_agents_in_python() {
    check(Script::python("agents", "python/openai_agents.py"), 0).await;
}

#[tokio::test]
async fn openfeature_in_python() {
    check(Script::python("python", "python/openfeature_flags.py"), 0).await;
}

#[tokio::test]
async fn an_agent_with_a_format_of_its_own() {
    check(Script::python("python", "python/plain_agent.py"), 0).await;
}

#[tokio::test]
async fn openai_in_node() {
    check(Script::node("node/openai.mjs"), 2).await;
}

#[tokio::test]
async fn anthropic_in_node() {
    check(Script::node("node/anthropic.mjs"), 2).await;
}

#[tokio::test]
async fn vercel() {
    check(Script::node("node/vercel.mjs"), 2).await;
}

#[tokio::test]
async fn openai_agents_in_node() {
    check(Script::node("node/agents.mjs"), 0).await;
}

#[tokio::test]
async fn openfeature_in_node() {
    check(Script::node("node/openfeature.mjs"), 0).await;
}

/// Nothing is tried again and no breaker opens: the scripts ask for failures one after the other, and count them.
fn configuration(provider: &str) -> String {
    let reached =
        "api_key: { env: SDK_TARGET_KEY }, retries: 0, breaker: { consecutive: 10000, calls_min: 1000000 }";
    format!(
        r#"
targets:
  openai: {{ kind: openai, base_url: "{provider}/v1", {reached} }}
  anthropic: {{ kind: anthropic, base_url: "{provider}", {reached} }}
  agent: {{ kind: agent, base_url: "{provider}/agent", {reached} }}
features:
  {OPENAI}: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [{{ target: openai, model: {MODEL} }}] }} }} }}
  {ANTHROPIC}: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [{{ target: anthropic, model: {MODEL} }}] }} }} }}
  {AGENT}: {{ stable: v1, versions: {{ v1: {{ kind: pipeline, chain: [{{ target: agent }}] }} }} }}
"#
    )
}
