//! The examples of the guide for clients do what they say: each is run as it stands there.

use crate::provider::Provider;
use crate::script::{Script, installed};
use crate::server::{CLIENT_KEY, MODEL, Server};

const GUIDE: &str = include_str!("../../../../docs/guide/clients.md");
/// What the examples call.
const URL: &str = "http://127.0.0.1:7080";
/// How many there are at least: one that is not found is not run.
const EXAMPLES_MIN: usize = 10;

#[tokio::test]
async fn the_examples_of_the_guide_work_as_they_stand() {
    let provider = Provider::start().await;
    let server = Server::start(&configuration(&provider.url())).await;
    // Beside the packages, where an example's imports find them.
    let folder = installed("node");
    let examples = examples(GUIDE);
    assert!(examples.len() >= EXAMPLES_MIN, "the guide has {} examples", examples.len());
    for (i, (language, example)) in examples.into_iter().enumerate() {
        assert!(example.contains(URL), "{example} does not call Lockgate");
        let path = folder.join(format!("guide-{}-{i}.{}", std::process::id(), language.extension()));
        std::fs::write(&path, example.replace(URL, &server.url(""))).unwrap();
        let script = match language {
            Language::Python if example.contains("from agents import") => Script::python("agents", &path),
            Language::Python => Script::python("python", &path),
            Language::JavaScript => Script::node(&path),
        };
        script.told("LOCKGATE_KEY", CLIENT_KEY).run().await;
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(provider.complaints(), Vec::<String>::new());
}

#[derive(Clone, Copy)]
enum Language {
    Python,
    JavaScript,
}

impl Language {
    fn extension(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::JavaScript => "mjs",
        }
    }
}

/// The blocks of a page that are programs.
fn examples(page: &str) -> Vec<(Language, &str)> {
    let blocks = page.split("```").skip(1).step_by(2);
    let programs = blocks.filter_map(|block| match block.split_once('\n') {
        Some(("python", program)) => Some((Language::Python, program)),
        Some(("js", program)) => Some((Language::JavaScript, program)),
        _ => None,
    });
    programs.collect()
}

fn configuration(provider: &str) -> String {
    let key = "api_key: { env: SDK_TARGET_KEY }";
    format!(
        r#"
targets:
  openai: {{ kind: openai, base_url: "{provider}/v1", {key} }}
  agent: {{ kind: agent, base_url: "{provider}/agent", {key} }}
features:
  support-reply: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [{{ target: openai, model: {MODEL} }}] }} }} }}
  support-agent: {{ stable: v1, versions: {{ v1: {{ kind: pipeline, chain: [{{ target: agent }}] }} }} }}
"#
    )
}
