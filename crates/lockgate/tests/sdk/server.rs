//! `lockgate serve` as a process, configured for one replaying upstream.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lockgate_sim::replay::Replay;

/// What clients present.
pub const CLIENT_KEY: &str = "client-key-1";
/// What the upstream is sent.
pub const TARGET_KEY: &str = "target-key-1";
/// The model that every feature's version asks for.
pub const MODEL: &str = "gpt-4o-of-the-version";
/// A feature whose streams are asked for their usage, as it is by default.
pub const ASKING: &str = "support-reply";
/// A feature whose target must not be asked for it.
pub const QUIET: &str = "support-quiet";

/// A debug build on a busy machine takes its time; a hang is found all the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is killed when dropped.
pub struct Server {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Server {
    /// Starts it in front of an upstream and waits until it takes calls.
    pub async fn start(upstream: &Replay) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sdk-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [address, admin] = [free_address(), free_address()];
        let config = folder.join("lockgate.yaml");
        std::fs::write(&config, configuration(address, admin, &upstream.base_url())).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("REPLAY_CLIENT_KEY", CLIENT_KEY)
            .env("REPLAY_TARGET_KEY", TARGET_KEY)
            .spawn()
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut server = Self { process, address, folder, client };
        tokio::time::timeout(PATIENCE, server.until_ready())
            .await
            .expect("`lockgate serve` does not become ready");
        server
    }

    async fn until_ready(&mut self) {
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("`lockgate serve` ended with {status}");
            }
            let asked = Request::get(self.url("/health/ready")).body(Full::default()).unwrap();
            if self.client.request(asked).await.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where an OpenAI client would point its base URL.
    pub fn base_url(&self) -> String {
        self.url("/v1")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Posts a chat completion and reads its whole answer.
    pub async fn chat(&self, body: String) -> Response<Bytes> {
        let request = Request::post(self.url("/v1/chat/completions"))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {CLIENT_KEY}"))
            .body(Full::from(body))
            .unwrap();
        let answering = async {
            let (head, body) = self.client.request(request).await.unwrap().into_parts();
            Response::from_parts(head, body.collect().await.unwrap().to_bytes())
        };
        tokio::time::timeout(PATIENCE, answering).await.expect("no answer")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn configuration(listen: SocketAddr, admin: SocketAddr, upstream: &str) -> String {
    format!(
        r#"
listen: {listen}
admin: {{ listen: {admin} }}
store: "sqlite::memory:"
clients:
  app: {{ key: {{ env: REPLAY_CLIENT_KEY }} }}
targets:
  asked: {{ kind: openai, base_url: "{upstream}", api_key: {{ env: REPLAY_TARGET_KEY }} }}
  unasked: {{ kind: openai, base_url: "{upstream}", api_key: {{ env: REPLAY_TARGET_KEY }}, asks_usage: false }}
features:
  {ASKING}:
    stable: v1
    versions:
      v1: {{ kind: model, chain: [{{ target: asked, model: {MODEL} }}] }}
  {QUIET}:
    stable: v1
    versions:
      v1: {{ kind: model, chain: [{{ target: unasked, model: {MODEL} }}] }}
"#
    )
}
