//! Runs the executable, and calls what it serves.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use lockgate_config::clock::Clock;
use lockgate_sim::provider::Provider;
use lockgate_sim::provider::behaviour::{Behaviour, Faults};
use serde_json::Value;

/// Long for any of this, short for a hang.
pub const LONG_ENOUGH: Duration = Duration::from_secs(30);

/// A directory of its own for each test, kept until the next build for whoever wants to look.
pub fn directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// Runs one command to its end.
pub async fn lockgate(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lockgate"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    for variable in ["LOCKGATE_URL", "LOCKGATE_TOKEN", "LOCKGATE_GATEWAY_URL", "LOCKGATE_LOG"] {
        command.env_remove(variable);
    }
    command.envs(environment.iter().copied());
    tokio::time::timeout(LONG_ENOUGH, command.output()).await.unwrap().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A provider with the models that [`yaml`] names.
pub async fn provider() -> Provider {
    let provider = Provider::start(Clock::System, 1).await.unwrap();
    let behaviour = Behaviour {
        latency_median: Duration::from_millis(2),
        faults: Faults::default(),
        deviation: 0.0,
        ..Behaviour::GOOD
    };
    provider.set("model-1", behaviour);
    provider.set("model-2", behaviour);
    provider
}

/// A configuration with a stable version and a candidate.
pub fn yaml(provider: &Provider) -> String {
    format!(
        r#"
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0 }}
store: sqlite://lockgate.db
targets:
  provider: {{ kind: openai, base_url: "{}" }}
  desk: {{ kind: rules, otherwise: "We are short of hands." }}
features:
  support-reply:
    owner: support-platform
    stable: v1
    versions:
      v1: {{ kind: model, chain: [{{ target: provider, model: model-1 }}, {{ target: desk }}] }}
      v2: {{ kind: model, chain: [{{ target: provider, model: model-2 }}, {{ target: desk }}] }}
signals: {{ bucket: 1s, flush: 100ms, watermark: 300ms, retention: 30d }}
"#,
        provider.base_url()
    )
}

/// A server that is running; killed when dropped.
pub struct Server {
    process: Child,
    pub clients: SocketAddr,
    pub admin: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it with a file in a directory, and waits until it says that it serves.
    pub async fn start(directory: &std::path::Path, yaml: &str) -> Self {
        let file = directory.join("lockgate.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(["serve", "-c"])
            .arg(&file)
            .env_remove("LOCKGATE_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&said);
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| hears.lock().unwrap().push(line))
        });
        let line = heard(&said, "serving").await;
        let after = |key: &str| {
            let rest = line.split_once(key).unwrap().1;
            rest.split_whitespace().next().unwrap().to_owned()
        };
        Self { process, clients: after("clients=http://").parse().unwrap(), admin: after("admin="), said }
    }

    /// Waits until it has logged a line with these words.
    pub async fn has_said(&self, words: &str) {
        heard(&self.said, words).await;
    }

    /// The process, as the system numbers it.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL: no farewell.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends it a signal, as `kill` does.
    pub fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap().success()
        );
    }

    /// SIGTERM, and the exit status.
    pub async fn terminate(mut self) -> std::process::ExitStatus {
        self.signal("-TERM");
        let waiting = async {
            loop {
                match self.process.try_wait().unwrap() {
                    Some(status) => return status,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        tokio::time::timeout(LONG_ENOUGH, waiting).await.unwrap()
    }

    /// Runs a command against it.
    pub async fn lockgate(&self, args: &[&str]) -> Output {
        lockgate(args, &[("LOCKGATE_URL", &self.admin), ("USER", "tester")]).await
    }

    /// Runs a command that succeeds, and reads its JSON.
    pub async fn json(&self, args: &[&str]) -> Value {
        let output = self.lockgate(&[args, &["--json"]].concat()).await;
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

async fn heard(said: &Mutex<Vec<String>>, words: &str) -> String {
    let listening = async {
        loop {
            let line = said.lock().unwrap().iter().find(|line| line.contains(words)).cloned();
            match line {
                Some(line) => return line,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    match tokio::time::timeout(LONG_ENOUGH, listening).await {
        Ok(line) => line,
        Err(_) => panic!("`{words}` was not said; it said {:#?}", said.lock().unwrap()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One client with one connection.
pub struct Caller(SendRequest<Full<Bytes>>);

/// What a call was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    pub arm: String,
    pub version: String,
    pub request_id: String,
    pub body: String,
}

impl Caller {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move { connection.await.ok() });
        Self(sender)
    }

    /// A question to `support-reply` by a user.
    pub async fn ask(&mut self, user: &str) -> Answered {
        let body = r#"{"model":"support-reply","messages":[{"role":"user","content":"Where is my order?"}]}"#;
        let request = Request::post("/v1/chat/completions")
            .header("host", "lockgate")
            .header("content-type", "application/json")
            .header("x-lockgate-user", user)
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        self.0.ready().await.unwrap();
        let (head, body) = self.0.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let header = |name: &str| {
            head.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        Answered {
            status: head.status.as_u16(),
            arm: header("x-lockgate-arm"),
            version: header("x-lockgate-version"),
            request_id: header("x-lockgate-request-id"),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}
