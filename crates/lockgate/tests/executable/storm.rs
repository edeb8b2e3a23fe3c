//! A target that refuses everything for a while, under full traffic: it is left in peace, and nobody who asks notices more than
//! that the rules answer.
//!
//! The outage takes 6 s; `LOCKGATE_STORM_SECONDS` makes it longer. The breaker is as quick as that: open for 1 s at first, 2 s at
//! the longest, and 2 s until all traffic is back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;

use crate::support::{LONG_ENOUGH, Server, directory};
use crate::upstream::{Reply, Upstream, yaml};

const PER_SECOND: u32 = 500;
const OUTAGE_SECONDS: u64 = 6;
const HEALTHY: Duration = Duration::from_secs(1);
/// The outage's first part, in which the breaker may still be closed.
const NOTICING: Duration = Duration::from_secs(1);
const OPEN: Duration = Duration::from_secs(1);
const PROBES: usize = 3;
/// The longest open time, the recovery, and some patience.
const UNTIL_RECOVERED: Duration = Duration::from_secs(12);
/// Short enough to find a second collapse, long enough for the smallest share of the traffic to show.
const SLOT: Duration = Duration::from_millis(500);
const BREAKER: &str = ", breaker: { open: 1s, open_max: 2s, recovery: 2s }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_refuses_everything_is_left_in_peace_and_met_gently_when_it_is_back() {
    let outage = std::env::var_os("LOCKGATE_STORM_SECONDS").and_then(|text| text.to_str()?.parse().ok());
    let outage = Duration::from_secs(outage.unwrap_or(OUTAGE_SECONDS).max(OUTAGE_SECONDS));
    let upstream_saw: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let begun = Instant::now();
    let fails = Arc::new(Mutex::new(None::<(Instant, Instant)>));
    let upstream = {
        let (saw, fails) = (Arc::clone(&upstream_saw), Arc::clone(&fails));
        Upstream::start(move |_| {
            let now = Instant::now();
            let mut saw = saw.lock().unwrap();
            saw.push(now);
            let fails = fails.lock().unwrap().is_some_and(|(from, to)| from <= now && now < to);
            match (fails, saw.len() % 2) {
                (false, _) => Reply::Plain { after: Duration::from_millis(5) },
                (true, 0) => Reply::Error { status: 429, headers: "" },
                (true, _) => Reply::Error { status: 429, headers: "retry-after: 1\r\n" },
            }
        })
        .await
    };
    let server = Server::start(&directory(), &yaml(&upstream, BREAKER, "")).await;
    let traffic = Traffic::new(&server);

    traffic.offer(HEALTHY).await;
    let from = Instant::now();
    let to = from + outage;
    *fails.lock().unwrap() = Some((from, to));
    traffic.offer(outage).await;
    let recovered = traffic.offer_until_all_reach_the_target(UNTIL_RECOVERED).await;
    traffic.offer(HEALTHY).await;
    let calls = traffic.end().await;

    let saw = upstream_saw.lock().unwrap().clone();
    let seen = |from: Instant, to: Instant| saw.iter().filter(|at| (from..to).contains(at)).count();
    let offered =
        |from: Instant, to: Instant| calls.iter().filter(|call| (from..to).contains(&call.at)).count();
    let wrong: Vec<&Call> = calls.iter().filter(|call| call.problem.is_some()).collect();
    assert!(wrong.is_empty(), "{} of {} calls were not answered: {:?}", wrong.len(), calls.len(), wrong[0]);

    // While the breaker is closed, retries add a tenth at the most; what is under way when it opens counts with it.
    let noticed = from + NOTICING;
    let (offered_closed, seen_closed) = (offered(begun, noticed), seen(begun, noticed));
    assert!(seen_closed as f64 <= 1.1 * offered_closed as f64, "{seen_closed} seen of {offered_closed}");
    // Open, it lets probes pass, a few each time that it tries.
    let probes = seen(noticed, to);
    let probes_max = PROBES * (1 + (outage - NOTICING).div_duration_f64(OPEN).ceil() as usize);
    assert!(probes <= probes_max, "{probes} calls reached a target that refuses; {probes_max} probes may");
    assert!(probes > 0, "nobody looked whether it is back");
    let by_rules = calls.iter().filter(|call| (noticed..to).contains(&call.at) && call.is_degraded).count();
    let others = offered(noticed, to) - by_rules;
    // A call that was offered at the very end may find the target back.
    assert!(others <= PROBES, "{others} calls were not answered by the rules while the target refused");

    // Back, it is met by a share that grows: no slot without calls, and at the end all of them.
    let end = calls.last().unwrap().at;
    let back = saw.iter().copied().find(|at| *at >= to).unwrap();
    let slots: Vec<(usize, usize)> = (0..)
        .map(|slot| back + SLOT * slot)
        .take_while(|slot| *slot + SLOT <= end)
        .map(|slot| (seen(slot, slot + SLOT), offered(slot, slot + SLOT)))
        .collect();
    println!(
        "{} calls offered; closed {seen_closed} seen of {offered_closed}; refusing: {probes} probes among {by_rules} answers of \
         the rules; all traffic back {:?} after the target; per half second, of what was offered: {slots:?}",
        calls.len(),
        recovered - to,
    );
    let opened_again =
        slots.iter().skip(1).find(|(seen, offered)| *seen <= PROBES && *offered > PER_SECOND as usize / 10);
    assert_eq!(opened_again, None, "it opened again: {slots:?}");
}

/// Calls that are offered at a fixed rate, whatever becomes of those before them.
struct Traffic {
    url: String,
    client: Client<HttpConnector, Full<bytes::Bytes>>,
    calls: Mutex<JoinSet<Call>>,
    ended: Arc<Ended>,
}

/// How the newest calls ended, to see when all traffic is back.
#[derive(Default)]
struct Ended {
    /// Calls in a row that the target answered.
    by_target: AtomicU64,
}

/// One call.
#[derive(Debug, Clone)]
struct Call {
    at: Instant,
    is_degraded: bool,
    problem: Option<String>,
}

impl Traffic {
    fn new(server: &Server) -> Self {
        Self {
            url: format!("http://{}/v1/chat/completions", server.clients),
            client: Client::builder(TokioExecutor::new()).build_http(),
            calls: Mutex::default(),
            ended: Arc::default(),
        }
    }

    async fn offer(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
        while Instant::now() < end {
            ticks.tick().await;
            let (client, url, ended) = (self.client.clone(), self.url.clone(), Arc::clone(&self.ended));
            self.calls.lock().unwrap().spawn(async move {
                let at = Instant::now();
                let answered = tokio::time::timeout(LONG_ENOUGH, call(&client, &url));
                let answered = answered.await.unwrap_or_else(|_| Err("no answer".to_owned()));
                match &answered {
                    Ok(false) => ended.by_target.fetch_add(1, Ordering::Relaxed),
                    _ => ended.by_target.swap(0, Ordering::Relaxed),
                };
                Call { at, is_degraded: answered == Ok(true), problem: answered.err() }
            });
        }
    }

    /// Goes on until the calls of a whole second were answered by the target; gives the time when that began.
    async fn offer_until_all_reach_the_target(&self, patience: Duration) -> Instant {
        self.ended.by_target.store(0, Ordering::Relaxed);
        let end = Instant::now() + patience;
        while self.ended.by_target.load(Ordering::Relaxed) < u64::from(PER_SECOND) {
            assert!(Instant::now() < end, "after {patience:?} not all calls reach the target");
            self.offer(SLOT).await;
        }
        Instant::now()
    }

    /// All calls, in the order in which they were offered.
    async fn end(self) -> Vec<Call> {
        let mut calls = self.calls.into_inner().unwrap().join_all().await;
        calls.sort_by_key(|call| call.at);
        calls
    }
}

/// Whether a lower tier answered.
async fn call(client: &Client<HttpConnector, Full<bytes::Bytes>>, url: &str) -> Result<bool, String> {
    let body = r#"{"model":"support-reply","messages":[{"role":"user","content":"Where is my order?"}]}"#;
    let request =
        http::Request::post(url).header("content-type", "application/json").body(Full::from(body)).unwrap();
    let (head, body) = client.request(request).await.map_err(|error| format!("{error:?}"))?.into_parts();
    let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let is_degraded = head.headers.get("x-lockgate-degraded").is_some_and(|value| value == "true");
    let expected = if is_degraded { "short of hands" } else { "on its way" };
    match head.status.as_u16() {
        200 if text.contains(expected) => Ok(is_degraded),
        status => Err(format!("{status}: {text}")),
    }
}
