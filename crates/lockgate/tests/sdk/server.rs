//! `lockgate serve` as a process, configured for an upstream that a test plays.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// What clients present.
pub const CLIENT_KEY: &str = "client-key-1";
/// What the upstream is sent.
pub const TARGET_KEY: &str = "target-key-1";
/// The model that every feature's version asks for.
pub const MODEL: &str = "model-of-the-version";

/// A debug build on a busy machine takes its time; a hang is found all the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is killed when dropped.
pub struct Server {
    process: Child,
    /// Where clients call, and where people do.
    clients: String,
    admin: String,
    folder: PathBuf,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Server {
    /// Starts it with these targets and features, and waits until it takes calls.
    pub async fn start(targets_and_features: &str) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sdk-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.join("lockgate.yaml");
        let head = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nstore: \"sqlite::memory:\"\n\
                    clients: { app: { key: { env: SDK_CLIENT_KEY } } }\n";
        std::fs::write(&config, head.to_owned() + targets_and_features).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_lockgate"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("SDK_CLIENT_KEY", CLIENT_KEY)
            .env("SDK_TARGET_KEY", TARGET_KEY)
            .env_remove("LOCKGATE_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let serving = serving(process.stderr.take().unwrap());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut server = Self { process, clients: String::new(), admin: String::new(), folder, client };
        let ready = tokio::time::timeout(PATIENCE, server.until_ready(&serving)).await;
        ready.expect("`lockgate serve` does not become ready");
        server
    }

    async fn until_ready(&mut self, serving: &Receiver<(String, String)>) {
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("`lockgate serve` ended with {status}");
            }
            if let Ok((clients, admin)) = serving.try_recv() {
                (self.clients, self.admin) = (clients, admin);
            }
            let asked = Request::get(self.url("/health/ready")).body(Full::default());
            if let (false, Ok(asked)) = (self.clients.is_empty(), asked)
                && self.client.request(asked).await.is_ok_and(|answer| answer.status() == 200)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where clients find a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.clients)
    }

    /// Where people find it.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Posts a call with the client's key and reads its whole answer.
    pub async fn post(&self, path: &str, headers: HeaderMap, body: String) -> Response<Bytes> {
        let mut request = Request::post(self.url(path)).body(Full::from(body)).unwrap();
        *request.headers_mut() = headers;
        let key = HeaderValue::from_str(&format!("Bearer {CLIENT_KEY}")).unwrap();
        request.headers_mut().insert("authorization", key);
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
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

/// Hears where it serves from what it says, and hands on all of that.
fn serving(log: ChildStderr) -> Receiver<(String, String)> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let after = |key: &str| line.split_once(key)?.1.split_whitespace().next().map(str::to_owned);
            if let (Some(clients), Some(admin)) = (after(" clients="), after(" admin=")) {
                // Whoever started it may have given up by now.
                let _ = tell.send((clients, admin));
            }
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    });
    told
}
