//! A running gateway and a client of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lockgate_config::clock::Clock;
use lockgate_config::live::{Live, Table};
use lockgate_config::value::*;
use lockgate_core::assign::Salt;
use lockgate_core::breaker;
use lockgate_core::name::{FeatureName, Revision, RolloutId, TargetName, VersionName, VersionRef};
use lockgate_core::retry;
use lockgate_core::route::{Mode, Route, Trial};
use lockgate_core::segment::Confine;
use lockgate_core::share::Share;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum};
use lockgate_gateway::Gateway;
use lockgate_store::Store;
use lockgate_store::row::Writer;
use lockgate_wire::api::Api;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::target::PATIENCE;

/// The one feature of most tests.
pub const FEATURE: &str = "support-reply";
/// A call of it, in a spelling that no serialiser would choose.
pub const CALL: &str =
    r#"{ "model" :"support-reply","messages":[ {"role":"user","content":"h\u00e9llo"} ] }"#;
/// The least that is an answer.
pub const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#;
const START: i64 = 1_800_000_000;

pub struct World {
    pub gateway: Arc<Gateway>,
    pub live: Arc<Live>,
    pub store: Store,
    pub config: Arc<Config>,
    pub clock: Clock,
    pub url: String,
    stop: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
    client: HttpClient<HttpConnector, Full<Bytes>>,
}

/// A plain answer as the client got it.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl World {
    pub async fn start(config: Config) -> Self {
        Self::start_with(config, |_| {}).await
    }

    /// Starts with a table that the test has changed.
    pub async fn start_with(config: Config, change: impl FnOnce(&mut Table)) -> Self {
        Self::start_on(Store::in_memory().await.unwrap(), config, change).await
    }

    /// Starts on a store that an earlier process has written to.
    pub async fn start_on(store: Store, config: Config, change: impl FnOnce(&mut Table)) -> Self {
        let config = Arc::new(config);
        let mut table = Table::new(Arc::clone(&config), &HashMap::new());
        change(&mut table);
        let live = Arc::new(Live::new(table));
        let clock = Clock::manual(jiff::Timestamp::from_second(START).unwrap());
        let writer = Writer { replica: "test".into(), incarnation: 1 };
        let gateway = Gateway::new(Arc::clone(&live), store.clone(), clock.clone(), writer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn({
            let gateway = Arc::clone(&gateway);
            async move { gateway.serve(listener, stopping).await }
        });
        let client = HttpClient::builder(TokioExecutor::new()).build_http();
        Self { gateway, live, store, config, clock, url, stop, serving, client }
    }

    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        self.ask(Method::POST, path, body)
    }

    pub fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        request.header("content-type", "application/json").body(Full::new(body.into())).unwrap()
    }

    /// The response's head, with the body still to come.
    pub async fn begin(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        within(self.client.request(request)).await.unwrap()
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Got {
        let (head, body) = self.begin(request).await.into_parts();
        let body = within(body.collect()).await.unwrap().to_bytes();
        Got { status: head.status, headers: head.headers, body }
    }

    /// Sends in the background, for a test that plays the target meanwhile.
    pub fn sending(&self, request: Request<Full<Bytes>>) -> JoinHandle<Got> {
        let client = self.client.clone();
        tokio::spawn(async move {
            let (head, body) = within(client.request(request)).await.unwrap().into_parts();
            let body = within(body.collect()).await.unwrap().to_bytes();
            Got { status: head.status, headers: head.headers, body }
        })
    }

    pub fn beginning(&self, request: Request<Full<Bytes>>) -> JoinHandle<Response<Incoming>> {
        let client = self.client.clone();
        tokio::spawn(async move { within(client.request(request)).await.unwrap() })
    }

    /// The plain call.
    pub async fn call(&self) -> Got {
        self.send(self.post("/v1/chat/completions", CALL)).await
    }

    /// All that was counted of a signal for a version, over every segment.
    pub async fn sum(&self, version: &str, arm: Arm, signal: Signal) -> Option<Sum> {
        self.gateway.flush().await;
        let feature = FeatureName::new(FEATURE).unwrap();
        let all = self.store.sums(&feature, BucketStart(0), BucketStart(i64::MAX / 2)).await.unwrap();
        let mut total: Option<Sum> = None;
        for (key, sum) in all.values().flatten() {
            if key.signal == signal && key.arm == arm && key.revision == revision(version) {
                match &mut total {
                    Some(total) => total.add(sum),
                    None => total = Some(sum.clone()),
                }
            }
        }
        total
    }

    /// Hits and trials of a rate.
    pub async fn rate(&self, version: &str, arm: Arm, signal: Signal) -> (u64, u64) {
        match self.sum(version, arm, signal).await {
            Some(Sum::Rate { n, hits }) => (hits, n),
            Some(other) => panic!("not a rate: {other:?}"),
            None => (0, 0),
        }
    }

    /// Waits until a rate reads so.
    pub async fn until_rate(&self, version: &str, arm: Arm, signal: Signal, expected: (u64, u64)) {
        let reached = async {
            while self.rate(version, arm, signal.clone()).await != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{signal} of {version} stays {:?}", self.rate(version, arm, signal.clone()).await);
        }
    }

    /// Waits until a sum reads so.
    pub async fn until_sum(&self, version: &str, arm: Arm, signal: Signal, expected: Option<Sum>) {
        let reached = async {
            while self.sum(version, arm, signal.clone()).await != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{signal} of {version} stays {:?}", self.sum(version, arm, signal.clone()).await);
        }
    }

    /// Puts another table in force.
    pub fn publish(&self, change: impl FnOnce(&mut Table)) {
        let mut table = Table::new(Arc::clone(&self.config), &HashMap::new());
        change(&mut table);
        self.live.publish(table);
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        within(self.serving).await.unwrap().unwrap();
    }

    pub fn stopper(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Message and code of an error in OpenAI's shape.
    pub fn error(&self) -> (String, String) {
        let error = &self.json()["error"];
        assert!(error["type"].is_string() && error.get("param").is_some(), "{error}");
        (error["message"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap_or("").to_owned())
    }
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// The next chunk of a stream, as text; `None` at its end.
pub async fn chunk(body: &mut Incoming) -> Option<String> {
    let frame = within(body.frame()).await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

pub fn revision(version: &str) -> Revision {
    Revision::of(version.as_bytes())
}

pub fn version_ref(name: &str) -> VersionRef {
    VersionRef { name: VersionName::new(name).unwrap(), revision: revision(name) }
}

/// An endpoint that speaks the APIs of `OpenAI`, is patient, and whose breaker opens after five failures in a row.
pub fn endpoint(url: &http::Uri) -> Endpoint {
    let paths =
        [(Api::Chat, "/chat/completions"), (Api::Responses, "/responses"), (Api::Embeddings, "/embeddings")];
    Endpoint {
        base_url: url.clone(),
        api_key: Some(lockgate_config::secret::Secret::new("target-key".into())),
        key_header: KeyHeader::Bearer,
        headers: HeaderMap::new(),
        query: String::new(),
        paths: paths.map(|(api, path)| (api, path.to_owned())).into(),
        ca: None,
        times: Times {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(20),
            first_content: Duration::from_secs(20),
            idle: Duration::from_secs(20),
            stream: None,
            tokens_per_second: None,
            sla: None,
        },
        asks_usage: true,
        resumes: false,
        context_window: None,
        max_tokens: 4096,
        breaker: breaker::Settings::default(),
        retries: retry::Settings::default(),
    }
}

/// A tier that takes its times from its target and is not tried again.
pub fn tier(name: &str, kind: TargetKind) -> Tier {
    let times = kind.endpoint().map_or(Times::INSTANT, |endpoint| endpoint.times.clone());
    Tier {
        target: Arc::new(Target { name: TargetName::new(name).unwrap(), kind }),
        model: None,
        system: None,
        parameters: serde_json::Map::new(),
        price: None,
        times,
        retries: 0,
        hold_back: 0,
    }
}

/// A tier that speaks Anthropic's messages.
pub fn messages(name: &str, url: &http::Uri) -> Tier {
    let paths = [(Api::Messages, "/messages"), (Api::CountTokens, "/messages/count_tokens")];
    let paths = paths.map(|(api, path)| (api, path.to_owned())).into();
    let key_header = KeyHeader::Plain(http::HeaderName::from_static("x-api-key"));
    tier(name, TargetKind::Anthropic(Endpoint { paths, key_header, ..endpoint(url) }))
}

/// A chat tier that changes nothing of a call.
pub fn chat(name: &str, url: &http::Uri) -> Tier {
    tier(name, TargetKind::OpenAi(endpoint(url)))
}

pub fn rules(name: &str) -> Tier {
    let rule = RuleAnswer {
        when: regex::Regex::new("(?i)refund").unwrap(),
        answer: "A refund is on its way.".into(),
    };
    tier(name, TargetKind::Rules(Rules { rules: vec![rule], otherwise: "Please wait.".into() }))
}

pub fn version(name: &str, chain: Vec<Tier>) -> Arc<Version> {
    Arc::new(Version { id: version_ref(name), kind: VersionKind::Model, chain, shadow_tools: false })
}

pub fn feature(name: &str, surface: Surface, versions: Vec<Arc<Version>>) -> Feature {
    Feature {
        name: FeatureName::new(name).unwrap(),
        owner: Some("tests".into()),
        surface,
        stable: versions[0].id.name.clone(),
        versions: versions.into_iter().map(|version| (version.id.name.clone(), version)).collect(),
        labels: BTreeMap::new(),
        sticky: Sticky::User,
        shadow: ShadowBounds { concurrency: 4, queue: 100, deadline: PATIENCE, daily_usd: 10.0 },
        feedback: BTreeMap::new(),
        csat_range: (1.0, 5.0),
        strict_translation: false,
    }
}

/// A configuration of one chat feature whose stable version is the first.
pub fn config(versions: Vec<Arc<Version>>) -> Config {
    config_of(vec![feature(FEATURE, Surface::Model, versions)])
}

pub fn config_of(features: Vec<Feature>) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        admin: Admin { listen: "127.0.0.1:0".parse().unwrap(), token: None },
        store: StoreUrl::SqliteMemory,
        targets: BTreeMap::new(),
        features: features.into_iter().map(|feature| (feature.name.clone(), Arc::new(feature))).collect(),
        plans: BTreeMap::new(),
        clients: Vec::new(),
        bounds: Bounds {
            body_bytes_max: 100_000,
            header_bytes_max: 8_000,
            answer_bytes_kept_max: 50_000,
            calls_max: 1_000,
            deadline: PATIENCE,
            drain: PATIENCE,
            lame_duck: Duration::ZERO,
            ping: PATIENCE * 10,
        },
        signals: SignalSettings {
            bucket: Duration::from_secs(10),
            flush: Duration::from_secs(3600),
            watermark: Duration::from_secs(30),
            session_idle: Duration::from_secs(600),
            retention: Duration::from_secs(30 * 86_400),
        },
    }
}

/// Puts `candidate` on trial.
pub fn trial(table: &mut Table, candidate: &str, how: impl FnOnce(Salt) -> Mode) {
    let name = FeatureName::new(FEATURE).unwrap();
    let route: &mut Route = table.routes.get_mut(&name).unwrap();
    route.trial = Some(Trial {
        rollout: RolloutId(uuid::Uuid::now_v7()),
        candidate: version_ref(candidate),
        since: jiff::Timestamp::UNIX_EPOCH,
        confine: Confine::everyone(),
        withdrawn: Vec::new(),
        drill: None,
        mode: how(Salt::from_random(7)),
    });
}

pub fn canary(table: &mut Table, candidate: &str, share: f64) {
    trial(table, candidate, |salt| Mode::Canary { share: Share::from_fraction(share).unwrap(), salt });
}

pub fn shadow(table: &mut Table, candidate: &str) {
    trial(table, candidate, |salt| Mode::Shadow { sample: Share::FULL, salt });
}
