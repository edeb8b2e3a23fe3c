//! Checked configuration: what the rest of the program uses.
//!
//! Every value here has been checked and every reference resolved: a tier holds its target, a version its digest, a prompt
//! its text.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lockgate_core::breaker;
use lockgate_core::name::{
    DeclaredSignal, FeatureName, LabelName, PlanName, Revision, TargetName, VersionName, VersionRef,
};
use lockgate_core::plan::Plan;
use lockgate_core::retry;
use lockgate_core::signal::Signal;
use lockgate_wire::api::Api;

use crate::secret::Secret;

/// The whole configuration.
#[derive(Debug)]
pub struct Config {
    /// Where clients call.
    pub listen: SocketAddr,
    /// Where people and the command line call.
    pub admin: Admin,
    /// Where the log and the sums are kept.
    pub store: StoreUrl,
    /// The upstreams.
    pub targets: BTreeMap<TargetName, Arc<Target>>,
    /// The features.
    pub features: BTreeMap<FeatureName, Arc<Feature>>,
    /// The plans, `standard` always among them.
    pub plans: BTreeMap<PlanName, Arc<Plan>>,
    /// Client keys; empty means that any caller is served and a presented key is ignored.
    pub clients: Vec<Client>,
    /// What a call may weigh and how many may be under way.
    pub bounds: Bounds,
    /// How behaviour is counted.
    pub signals: SignalSettings,
}

/// The admin port.
#[derive(Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What callers must present; always set when `listen` is not loopback.
    pub token: Option<Secret>,
}

/// Where the log and the sums are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file, made when missing.
    Sqlite(PathBuf),
    /// Gone with the process; for tests and tries.
    SqliteMemory,
}

/// One upstream.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// What it is.
    pub kind: TargetKind,
}

/// What an upstream is.
#[derive(Debug)]
pub enum TargetKind {
    /// An OpenAI-compatible endpoint; `base_url` ends in what comes before `/chat/completions`.
    OpenAi(Endpoint),
    /// An Anthropic endpoint; `base_url` ends in what comes before `/v1/messages`.
    Anthropic(Endpoint),
    /// A plain HTTP agent: any JSON is posted to `base_url` itself.
    Agent(Endpoint),
    /// A deterministic responder that needs no network.
    Rules(Rules),
}

/// How an HTTP upstream is reached, and what may be expected of it.
#[derive(Debug)]
pub struct Endpoint {
    /// `http` or `https`, host, optional port and path, without a trailing slash.
    pub base_url: http::Uri,
    /// The key that is sent.
    pub api_key: Option<Secret>,
    /// How it is sent.
    pub key_header: KeyHeader,
    /// Headers that every call carries, such as an organisation or an API version.
    pub headers: http::HeaderMap,
    /// Put behind the path, without the `?`: `api-version=2024-10-21`. Empty for none.
    pub query: String,
    /// The APIs that it speaks, each with what is put behind `base_url`. Empty for an agent.
    pub paths: BTreeMap<Api, String>,
    /// Certificates of authorities that are trusted beside the platform's, as PEM.
    pub ca: Option<Arc<[u8]>>,
    /// How long a call may take, as far as a tier says nothing else.
    pub times: Times,
    /// Whether a stream may be asked for its usage (`stream_options.include_usage`); some servers refuse the field.
    pub asks_usage: bool,
    /// Whether an answer that broke off may be gone on with here, by giving its beginning as the assistant's last message.
    pub resumes: bool,
    /// The most tokens that its models can take, where that is declared.
    pub context_window: Option<u64>,
    /// The most tokens that are written where a caller names none and the API wants a number.
    pub max_tokens: u64,
    /// When it is not asked any more.
    pub breaker: breaker::Settings,
    /// How its calls are tried again.
    pub retries: retry::Settings,
}

/// How a key is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization: Bearer KEY`
    Bearer,
    /// A header that holds the key alone: `x-api-key`, `api-key`.
    Plain(http::HeaderName),
}

/// How long a call may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// To a connection.
    pub connect: Duration,
    /// From sending a call to the end of a plain answer.
    pub answer: Duration,
    /// From sending a call to the first content of a stream.
    pub first_content: Duration,
    /// Between two chunks of a stream.
    pub idle: Duration,
    /// From sending a call to the end of a stream; `None` leaves it to the call's own deadline.
    pub stream: Option<Duration>,
    /// The least tokens per second that a stream must come to once it has begun, over [`RATE_WINDOW`]; `None` for any.
    pub tokens_per_second: Option<f64>,
    /// A call that takes longer, to its end or to a stream's first content, counts as a failure of the target although its
    /// answer is used.
    pub sla: Option<Duration>,
}

impl Times {
    /// Of a target that answers at once.
    pub const INSTANT: Self = Self {
        connect: Duration::ZERO,
        answer: Duration::ZERO,
        first_content: Duration::ZERO,
        idle: Duration::ZERO,
        stream: None,
        tokens_per_second: None,
        sla: None,
    };
}

/// Over how long the speed of a stream is measured.
pub const RATE_WINDOW: Duration = Duration::from_secs(10);

/// A deterministic responder.
#[derive(Debug)]
pub struct Rules {
    /// Tried in order against the last user message (or the whole body, for a plain agent).
    pub rules: Vec<RuleAnswer>,
    /// When none matches.
    pub otherwise: String,
}

/// One rule of a deterministic responder.
#[derive(Debug)]
pub struct RuleAnswer {
    /// Linear-time pattern.
    pub when: regex::Regex,
    /// What is answered.
    pub answer: String,
}

/// One feature.
#[derive(Debug)]
pub struct Feature {
    /// Its name.
    pub name: FeatureName,
    /// Who answers for it; a rollout without an owner does not start.
    pub owner: Option<String>,
    /// How it is called.
    pub surface: Surface,
    /// The version that users have, as far as the configuration says; the log may know better.
    pub stable: VersionName,
    /// Its versions.
    pub versions: BTreeMap<VersionName, Arc<Version>>,
    /// The labels that slice its traffic.
    pub labels: BTreeMap<LabelName, Label>,
    /// What an assignment sticks to.
    pub sticky: Sticky,
    /// How copies of its calls are bounded.
    pub shadow: ShadowBounds,
    /// Whether a call of which a part cannot be said to a target is refused, rather than made without that part.
    pub strict_translation: bool,
    /// What may be reported of its answers, beside the built-in names: name as reported, and how it is counted.
    pub feedback: BTreeMap<DeclaredSignal, Feedback>,
    /// The range in which CSAT is reported.
    pub csat_range: (f64, f64),
}

/// How a feature is called; follows from the kinds of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// As a model, by any API that its targets speak or that can be translated to one of them.
    Model,
    /// At `/agents/{feature}`.
    Agent,
}

/// What an assignment sticks to first; the other one comes next, then the call itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sticky {
    /// The user, else the session.
    User,
    /// The session, else the user.
    Session,
}

/// One label that slices traffic.
#[derive(Debug)]
pub struct Label {
    /// Read from here, in order, when the client key does not fix it: the `x-lockgate-segment` header always comes first.
    pub from: Vec<LabelSource>,
    /// The values it may take; empty means any (at most `LABEL_VALUES_MAX` of them).
    pub values: Vec<String>,
    /// The value of a caller that has none.
    pub default: Option<String>,
}

/// Where a label's value may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelSource {
    /// A request header, lower case.
    Header(String),
    /// A string in the body's `metadata`.
    Metadata(String),
}

/// A signal that the configuration declares for feedback.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// What it is counted as.
    pub signal: Signal,
    /// For a score, the range in which it is reported.
    pub range: (f64, f64),
}

/// How copies of a feature's calls are bounded.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowBounds {
    /// Copies under way at once.
    pub concurrency: usize,
    /// Copies waiting.
    pub queue: usize,
    /// Longest life of a copy, waiting included.
    pub deadline: Duration,
    /// Money per UTC day; a model without a price is counted at [`Price::DEAR`].
    pub daily_usd: f64,
}

/// One version.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its name and the digest of everything below.
    pub id: VersionRef,
    /// What kind of change it is.
    pub kind: VersionKind,
    /// The tiers it answers through, best first; never empty.
    pub chain: Vec<Tier>,
    /// Whether a copy keeps its tools. Without, a shadow answer cannot act.
    pub shadow_tools: bool,
}

/// What kind of change a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionKind {
    /// Another prompt.
    Prompt,
    /// Another model.
    Model,
    /// Another index or collection.
    Retrieval,
    /// The whole pipeline.
    Pipeline,
}

impl VersionKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Prompt, Self::Model, Self::Retrieval, Self::Pipeline];

    /// The word used in the file and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Model => "model",
            Self::Retrieval => "retrieval",
            Self::Pipeline => "pipeline",
        }
    }
}

/// One tier of a chain.
#[derive(Debug, Clone)]
pub struct Tier {
    /// Who answers.
    pub target: Arc<Target>,
    /// The model asked for; `None` passes the client's own text through.
    pub model: Option<String>,
    /// Put before the client's messages as a system message.
    pub system: Option<String>,
    /// Top-level members set in the body, replacing the client's: temperature, index names and the like.
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// What its tokens cost.
    pub price: Option<Price>,
    /// How long it may take: the target's, but for what the tier says itself.
    pub times: Times,
    /// Most further tries of one call at this tier.
    pub retries: u32,
    /// How many tokens of a stream are held back before the first is passed on. Until then another tier can still step in.
    pub hold_back: u32,
}

/// What tokens cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// US dollars per million tokens read.
    pub input_per_million_usd: f64,
    /// US dollars per million tokens written.
    pub output_per_million_usd: f64,
}

impl Price {
    /// What a model without a price is taken to cost where money is bounded: dearer than any common model, so that an unknown
    /// price never spends more than was allowed.
    pub const DEAR: Self = Self { input_per_million_usd: 20.0, output_per_million_usd: 100.0 };

    /// Nano-dollars for a call.
    pub fn nano_usd(&self, tokens_in: u64, tokens_out: u64) -> u64 {
        let usd_per_million =
            tokens_in as f64 * self.input_per_million_usd + tokens_out as f64 * self.output_per_million_usd;
        (usd_per_million * 1e3).round() as u64
    }
}

/// A client key and what it fixes.
#[derive(Debug)]
pub struct Client {
    /// For people and logs.
    pub name: String,
    /// What is presented in `authorization: Bearer` or `x-api-key`.
    pub key: Secret,
    /// Labels that no header can change.
    pub segments: BTreeMap<LabelName, String>,
    /// The features it may call; empty means all.
    pub features: Vec<FeatureName>,
}

/// What a call may weigh and how many may be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Largest request body; more is answered with 413.
    pub body_bytes_max: usize,
    /// Largest sum of request header names and values; more is answered with 431.
    pub header_bytes_max: usize,
    /// Largest answer that is kept to be read (usage, agreement); a longer one is still relayed whole.
    pub answer_bytes_kept_max: usize,
    /// Calls under way at once; more are answered with 503 and `retry-after`.
    pub calls_max: usize,
    /// Longest life of a call, unless its client asks for less.
    pub deadline: Duration,
    /// How long a stopping process waits for calls under way.
    pub drain: Duration,
    /// How long a stopping process goes on taking calls, each on a connection that closes after it, so that no client finds a
    /// closed door.
    pub lame_duck: Duration,
    /// Longest silence towards a client that waits for a stream; then it is sent a comment.
    pub ping: Duration,
}

/// How behaviour is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalSettings {
    /// The width of a bucket; decisions are looked at once per bucket.
    pub bucket: Duration,
    /// How often sums are written to the store.
    pub flush: Duration,
    /// How long after its end a bucket is read: at least two flushes.
    pub watermark: Duration,
    /// A session with no call for so long has ended.
    pub session_idle: Duration,
    /// How long buckets and answers are kept.
    pub retention: Duration,
}

impl Config {
    /// A version by feature and name.
    pub fn version(&self, feature: &FeatureName, version: &VersionName) -> Option<&Arc<Version>> {
        self.features.get(feature)?.versions.get(version)
    }
}

impl Feature {
    /// A version by its digest.
    pub fn version_of(&self, revision: Revision) -> Option<&Arc<Version>> {
        self.versions.values().find(|version| version.id.revision == revision)
    }
}

impl TargetKind {
    /// Where it is reached; `None` for one that needs no network.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::OpenAi(endpoint) | Self::Anthropic(endpoint) | Self::Agent(endpoint) => Some(endpoint),
            Self::Rules(_) => None,
        }
    }
}
