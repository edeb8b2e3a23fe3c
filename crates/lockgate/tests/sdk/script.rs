//! Runs a script with the packages that `cargo xtask test` installed.
//!
//! They are installed there and not here, because a test that fetches packages by itself would fail without a network for no
//! reason of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Said where something is missing.
const MISSING: &str = "the SDKs are not installed: run cargo xtask test";
/// Longest run of a script; a call that hangs is given up by the SDK long before.
const PATIENCE: Duration = Duration::from_secs(240);
/// What a developer may have set for himself, and what would turn a client elsewhere.
const NOT_INHERITED: [&str; 10] = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "LANGSMITH_TRACING",
    "LANGCHAIN_TRACING_V2",
];

/// A script that is ready to run.
pub struct Script(Command);

impl Script {
    /// One in Python, named from the folder of these tests, with the packages of an environment.
    pub fn python(environment: &str, path: impl AsRef<Path>) -> Self {
        let python = installed(&format!("{environment}/bin/python"));
        let mut command = Command::new(python);
        // What Python compiles would be left between the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(folder().join(path));
        Self::new(command)
    }

    /// One for Node, named likewise.
    pub fn node(path: impl AsRef<Path>) -> Self {
        let mut command = Command::new("node");
        command.arg(folder().join(path)).env("NODE_PACKAGES", installed("node/package.json"));
        Self::new(command)
    }

    fn new(mut command: Command) -> Self {
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command.stdin(Stdio::null()).kill_on_drop(true);
        Self(command)
    }

    /// Tells the script something.
    pub fn told(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end. It says itself what is wrong.
    pub async fn run(mut self) {
        let running = tokio::time::timeout(PATIENCE, self.0.status());
        let status = running.await.expect("the script hangs");
        let status = status.unwrap_or_else(|error| panic!("{MISSING} ({error})"));
        assert!(status.success(), "the script above says what is wrong");
    }
}

/// The folder of these tests.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// Where something is that was installed.
pub fn installed(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/sdk");
    let path = folder.join(path);
    assert!(path.exists(), "{MISSING}");
    path
}
