//! The callers of a rehearsal: many invented users, each with one call, all of them marked.
//!
//! One call a user, so that the two arms get users of one kind and a session is one call, which is what spending is counted
//! by. Calls under way are bounded, and what could not be made for that is counted; nothing here outlives its owner.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lockgate_core::drill::{Fault, ON};
use lockgate_sim::random::{Random, digest};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use crate::client::ClientError;
use crate::complaint::Complaint;

/// Calls under way at once: twenty a second, each held back by half a minute.
const AT_ONCE_MAX: usize = 600;
/// Longest wait for one answer, at least as long as a gateway's own deadline.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the last calls may take once no more are made.
const LAST_CALLS: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The quality that is reported of stable's answers: good, with room above and below.
const QUALITY: f64 = 0.80;
/// How far single reports lie from it, as a standard deviation: what a judge's scores of one model do.
const QUALITY_SPREAD: f64 = 0.10;

/// What the callers do.
#[derive(Debug)]
pub(super) struct Habits {
    /// The address that clients call.
    pub gateway: String,
    /// Where under it the feature is.
    pub path: String,
    /// A client key, where one is needed.
    pub key: Option<String>,
    /// What each asks.
    pub body: Bytes,
    /// Calls per second; 0 for none.
    pub rate: f64,
    /// What is rehearsed: for quality, what is reported of answers hangs on it.
    pub fault: Fault,
    /// What every user's name begins with.
    pub tag: String,
}

/// What came of the calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Calls that stable answered.
    pub stable: u64,
    /// Calls that the rehearsal's candidate answered.
    pub candidate: u64,
    /// Calls of the candidate that a caller would call failed or degraded.
    pub candidate_failed: u64,
    /// Calls of stable that failed: nobody rehearsed that.
    pub stable_failed: u64,
    /// Calls that no gateway answered.
    pub unanswered: u64,
    /// Calls that were not made, because too many were under way.
    pub skipped: u64,
    /// Reports of quality that were not taken.
    pub reports_refused: u64,
    /// When the first call was made that the fault touched.
    pub first_faulty: Option<Instant>,
}

/// Callers at work.
#[derive(Debug)]
pub(super) struct Traffic {
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
    tally: Arc<Mutex<Tally>>,
}

/// What all calls share.
#[derive(Debug)]
struct Callers {
    habits: Habits,
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    tally: Arc<Mutex<Tally>>,
}

impl Traffic {
    /// Sends the callers off.
    pub(super) fn start(habits: Habits) -> Result<Self, Complaint> {
        let url = format!("{}{}", habits.gateway, habits.path);
        let is_sound = url
            .parse::<http::Uri>()
            .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if !is_sound {
            return Err(ClientError::Address { url: habits.gateway }.into());
        }
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let callers = Callers {
            habits,
            http: HttpClient::builder(TokioExecutor::new()).build(connector),
            tally: Arc::clone(&tally),
        };
        let (stop, stopped) = watch::channel(false);
        let work = tokio::spawn(call(Arc::new(callers), stopped));
        Ok(Self { stop, work, tally })
    }

    /// What came of the calls so far.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// No more calls; those under way go on.
    pub(super) fn pause(&self) {
        self.stop.send_replace(true);
    }

    /// No more calls, and what came of all of them.
    pub(super) async fn stop(mut self) -> Tally {
        self.pause();
        // It ends by itself within its own bounds; that it could not be waited for changes nothing of what was counted.
        let _ = (&mut self.work).await;
        self.tally()
    }
}

impl Tally {
    /// For programs.
    pub(super) fn shown(&self) -> Value {
        json!({
            "stable": self.stable,
            "candidate": self.candidate,
            "candidate_failed": self.candidate_failed,
            "stable_failed": self.stable_failed,
            "unanswered": self.unanswered,
            "skipped": self.skipped,
            "reports_refused": self.reports_refused,
        })
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn call(callers: Arc<Callers>, mut stop: watch::Receiver<bool>) {
    let mut calls = JoinSet::new();
    if callers.habits.rate > 0.0 {
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / callers.habits.rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        while !*stop.borrow_and_update() {
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { break },
                Some(_) = calls.join_next() => {}
                _ = ticks.tick() => {
                    if calls.len() < AT_ONCE_MAX {
                        calls.spawn(callers_call(Arc::clone(&callers), number));
                        number += 1;
                    } else {
                        lock(&callers.tally).skipped += 1;
                    }
                }
            }
        }
    }
    let all = async { while calls.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_CALLS, all).await.is_err() {
        lock(&callers.tally).unanswered += calls.len() as u64;
    }
    calls.shutdown().await;
}

async fn callers_call(callers: Arc<Callers>, number: u64) {
    let made = Instant::now();
    let user = format!("{}-{number}", callers.habits.tag);
    let headers = [("x-lockgate-user", user.as_str()), ("x-lockgate-drill", ON)];
    let asked = callers.post(&callers.habits.path, &headers, callers.habits.body.clone());
    let Ok(Some(response)) = tokio::time::timeout(PATIENCE, asked).await else {
        lock(&callers.tally).unanswered += 1;
        return;
    };
    let said = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let has_failed = !response.status().is_success() || said("x-lockgate-degraded").is_some();
    let is_candidate = said("x-lockgate-arm") == Some("candidate");
    let request = said("x-lockgate-request-id").unwrap_or_default().to_owned();
    callers.note(made, is_candidate, has_failed);
    if let (Fault::Quality(lower), false) = (callers.habits.fault, has_failed) {
        callers.report(&request, number, if is_candidate { 1.0 - lower } else { 1.0 }).await;
    }
}

impl Callers {
    fn note(&self, made: Instant, is_candidate: bool, has_failed: bool) {
        let is_faulty = is_candidate && (has_failed || !matches!(self.habits.fault, Fault::Errors(_)));
        let mut tally = lock(&self.tally);
        match is_candidate {
            true => tally.candidate += 1,
            false => tally.stable += 1,
        }
        match (is_candidate, has_failed) {
            (true, true) => tally.candidate_failed += 1,
            (false, true) => tally.stable_failed += 1,
            _ => {}
        }
        if is_faulty {
            tally.first_faulty = Some(tally.first_faulty.map_or(made, |first| first.min(made)));
        }
    }

    /// What a judge would say of an answer: drawn around the arm's own quality.
    async fn report(&self, request: &str, number: u64, times: f64) {
        let mut random = Random::for_item(digest(self.habits.tag.as_bytes()), number);
        let quality = (QUALITY * times + QUALITY_SPREAD * random.normal()).clamp(0.0, 1.0);
        let piece = json!({ "request_id": request, "name": "quality", "value": quality });
        let posted = self.post("/v1/feedback", &[], piece.to_string().into());
        let is_taken = match tokio::time::timeout(PATIENCE, posted).await {
            Ok(Some(response)) => response.status().is_success(),
            _ => false,
        };
        lock(&self.tally).reports_refused += u64::from(!is_taken);
    }

    /// Posts, and reads the answer to its end: whoever leaves before counts as a caller who left.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Option<Response<()>> {
        let mut request = Request::post(format!("{}{path}", self.habits.gateway))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.habits.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) = self.http.request(request.body(Full::new(body)).ok()?).await.ok()?.into_parts();
        Limited::new(body, ANSWER_BYTES_MAX).collect().await.ok()?;
        Some(Response::from_parts(head, ()))
    }
}
