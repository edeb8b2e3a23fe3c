//! What the tests' stories are made of: a configuration, a store, a clock that is moved, and traffic that is invented.

#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses its own part of it")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockgate_config::clock::Clock;
use lockgate_config::value::Config;
use lockgate_control::{Controller, Receipt, Request};
use lockgate_core::name::FeatureName;
use lockgate_core::route::{KillTo, Route};
use lockgate_core::segment::Segment;
use lockgate_core::signal::{Arm, Signal};
use lockgate_core::sums::{BucketStart, Sum, SumKey};
use lockgate_store::Store;
use lockgate_store::row::{Logged, Writer};

pub const BUCKET: Duration = Duration::from_secs(10);
pub const AT: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// Three versions, and a plan that can be walked through in minutes.
pub const CONFIG: &str = r#"
store: "sqlite::memory:"
targets:
  desk: { kind: rules, otherwise: "Please try again." }
features:
  support-reply:
    owner: support-platform
    stable: v1
    segments: [ { name: tier, values: [ internal, free, premium ] }, geo ]
    versions:
      v1: { kind: prompt, chain: [ { target: desk } ], shadow_tools: false }
      v2: { kind: prompt, chain: [ { target: desk }, { target: desk } ] }
      v3: { kind: prompt, chain: [ { target: desk }, { target: desk }, { target: desk } ] }
  nobodys:
    stable: v1
    feedback: { resolved: rate }
    versions:
      v1: { kind: prompt, chain: [ { target: desk } ] }
      v2: { kind: prompt, chain: [ { target: desk }, { target: desk } ] }
plans:
  quick:
    phases:
      - { shadow: 100%, dwell: 1m, deadline: 10m, gates: [ { signal: error, below: 5% } ] }
      - { share: 10%, dwell: 1m, deadline: 10m, gates: [ { signal: error, below: 5% } ] }
      - { share: 50%, dwell: 1m, deadline: 10m, gates: [ { signal: error, below: 5% } ] }
    triggers: [ { signal: error, above: 20%, blame: always } ]
  resolved:
    phases:
      - { share: 10%, dwell: 1m, gates: [ { signal: resolved, below: 5% } ] }
    triggers: [ { signal: error, above: 20% } ]
"#;

pub fn config(text: &str) -> Config {
    lockgate_config::parse(text, Path::new("."), &|_| None).unwrap().config
}

pub fn feature() -> FeatureName {
    FeatureName::new("support-reply").unwrap()
}

pub fn start(candidate: &str) -> Request {
    Request::Start {
        candidate: candidate.parse_name(),
        plan: Some(lockgate_core::name::PlanName::new("quick").unwrap()),
        owner: None,
        only: vec![],
        again: false,
        undecidable: false,
    }
}

pub fn kill() -> Request {
    Request::Kill { to: KillTo::Stable, why: "test".into() }
}

pub fn roll_back() -> Request {
    Request::RollBack { why: "test".into() }
}

pub fn promote() -> Request {
    Request::Promote { why: "test".into() }
}

trait ParseName {
    fn parse_name(&self) -> lockgate_core::name::VersionName;
}

impl ParseName for str {
    fn parse_name(&self) -> lockgate_core::name::VersionName {
        lockgate_core::name::VersionName::new(self).unwrap()
    }
}

/// Calls of one arm in one bucket, and how many of them failed.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    pub n: u64,
    pub errors: u64,
}

pub const GOOD: Calls = Calls { n: 400, errors: 1 };
pub const BAD: Calls = Calls { n: 400, errors: 160 };

/// A controller with everything around it.
pub struct Lab {
    pub controller: Arc<Controller>,
    pub store: Store,
    pub clock: Clock,
}

impl Lab {
    pub async fn new() -> Self {
        Self::on(Store::in_memory().await.unwrap(), Clock::manual(AT)).await
    }

    pub async fn on(store: Store, clock: Clock) -> Self {
        let controller = Controller::start(config(CONFIG), store.clone(), clock.clone()).await.unwrap();
        Self { controller, store, clock }
    }

    /// Another process on the same store.
    pub async fn replica(&self) -> Self {
        Self::on(self.store.clone(), self.clock.clone()).await
    }

    pub async fn ask(&self, request: Request) -> Receipt {
        self.controller.command("ada", &feature(), request).await.unwrap()
    }

    pub fn route(&self) -> Route {
        self.controller.live().table().routes[&feature()].clone()
    }

    pub async fn word(&self) -> &'static str {
        self.controller.rollout(&feature()).await.map_or("none", |view| view.state)
    }

    pub async fn log(&self) -> Vec<Logged> {
        self.store.log_after(0, 10_000).await.unwrap()
    }

    pub async fn kinds(&self) -> Vec<&'static str> {
        let log = self.log().await;
        log.iter().filter(|l| l.entry.feature == feature()).map(|l| l.entry.event.kind()).collect()
    }

    /// How many entries of a kind the log has.
    pub async fn count(&self, kind: &str) -> usize {
        self.kinds().await.iter().filter(|found| **found == kind).count()
    }

    /// Writes what gateways would have counted in the present bucket.
    pub async fn counted(&self, version: &str, arm: Arm, calls: Calls) {
        let config = self.controller.config();
        let revision = config.version(&feature(), &version.parse_name()).unwrap().id.revision;
        let bucket = BucketStart::containing(self.clock.now(), BUCKET.as_millis() as i64);
        let key = |signal| SumKey { feature: feature(), revision, arm, segment: Segment::none(), signal };
        let Calls { n, errors } = calls;
        let rows = vec![
            (bucket, key(Signal::Assigned), Sum::Amount { n, total: n, squares: u128::from(n) }),
            (bucket, key(Signal::Error), Sum::Rate { n, hits: errors }),
        ];
        let writer = Writer { replica: "test".into(), incarnation: 1 };
        self.store.put_sums(&writer, rows).await.unwrap();
    }

    /// One bucket of good calls to stable and, as far as it is given any, of these to the candidate.
    pub async fn traffic(&self, candidate: Calls) {
        self.counted("v1", Arm::Stable, GOOD).await;
        match self.word().await {
            "shadow" => self.counted("v2", Arm::Shadow, candidate).await,
            "canary" => self.counted("v2", Arm::Candidate, candidate).await,
            _ => {}
        }
    }

    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// A bucket of traffic passes and is looked at.
    pub async fn step(&self, candidate: Calls) {
        self.traffic(candidate).await;
        self.pass(BUCKET);
        self.controller.tick().await.unwrap();
    }

    /// Steps until the rollout is in a state, for an hour at most.
    pub async fn until(&self, word: &str, candidate: Calls) {
        for _ in 0..360 {
            if self.word().await == word {
                return;
            }
            self.step(candidate).await;
        }
        panic!("never {word}: {:#?}", self.controller.rollout(&feature()).await);
    }
}

/// Waits for what must come about on its own.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
