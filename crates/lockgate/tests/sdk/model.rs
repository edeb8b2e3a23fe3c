//! A real model behind Lockgate: the server of llama.cpp with `SmolLM2`, called by the official SDKs in both dialects.
//!
//! What is invented agrees with its inventors; this server was written by others, speaks both dialects, and takes its time
//! over every token, so that a client can leave in the middle of an answer.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::script::{Script, folder, installed};
use crate::server::{CLIENT_KEY, Server};

/// Longest time until the model is loaded, which takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_real_model_is_called_by_the_official_sdks_in_both_dialects() {
    let llama = Llama::start().await;
    let server = Server::start(&configuration(&llama.url)).await;
    let script = Script::python("python", "python/real_model.py").told("MODEL_URL", &llama.url);
    let script = script.told("ROOT_URL", server.url("")).told("ADMIN_URL", server.admin());
    let script = script.told("API_KEY", CLIENT_KEY);
    script.told("OPENAI_FEATURE", "openai-reply").told("ANTHROPIC_FEATURE", "anthropic-reply").run().await;
}

/// The server of llama.cpp; it stops when this is dropped.
struct Llama {
    _process: Child,
    url: String,
}

impl Llama {
    async fn start() -> Self {
        // It says much of itself, which is of use only where it does not start.
        let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("llama.log");
        let mut process = Command::new(installed("model/bin/python"))
            .arg(folder().join("python/llama_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = tokio::time::timeout(PATIENCE, said.next_line()).await;
        let port = port.ok().and_then(Result::ok).flatten();
        let port = port.unwrap_or_else(|| panic!("the model does not start; see {}", log.display()));
        Self { _process: process, url: format!("http://127.0.0.1:{port}") }
    }
}

fn configuration(llama: &str) -> String {
    let feature = |target: &str| {
        let tier = format!("{{ target: {target}, model: smollm2, parameters: {{ temperature: 0 }} }}");
        format!("{{ stable: v1, versions: {{ v1: {{ kind: model, chain: [{tier}] }} }} }}")
    };
    format!(
        "targets:\n  openai: {{ kind: openai, base_url: \"{llama}/v1\" }}\n  \
         anthropic: {{ kind: anthropic, base_url: \"{llama}\" }}\n\
         features:\n  openai-reply: {}\n  anthropic-reply: {}\n",
        feature("openai"),
        feature("anthropic"),
    )
}
