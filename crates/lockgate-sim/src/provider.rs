//! An invented model provider: an OpenAI-compatible server on this machine whose models behave as they are told to.
//!
//! It stands where a real provider would, behind a socket, so that what is tried against it is the real gateway. Each model
//! has a [`Behaviour`] that can be changed while it serves: how slow, how often wrong, how well liked. Draws are random and
//! seeded. It counts per model who called, copies apart from users, and when the last user's call came: the judge of whether
//! traffic has really gone.
//!
//! What it says is in [`answer`], how it errs in [`behaviour`].

pub mod answer;
pub mod behaviour;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use lockgate_config::clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use self::answer::{AnswerBody, Asked};
use self::behaviour::Behaviour;
use crate::random::Random;

/// Longest request that is read: far more than any simulated user sends.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Open connections: above what a gateway under the heaviest demo load keeps.
const CONNECTIONS_MAX: usize = 4096;

/// A provider that is serving. Dropping it leaves it serving; [`Provider::stop`] ends it.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shop: Arc<Shop>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// What a model was asked so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Calls of users.
    pub calls: u64,
    /// Copies that say that they are copies.
    pub shadow_calls: u64,
    /// Calls of users that were answered with an error.
    pub errors: u64,
    /// When the last call of a user came.
    pub last_call: Option<Timestamp>,
}

/// What the connections share.
#[derive(Debug)]
struct Shop {
    models: RwLock<HashMap<String, Arc<Model>>>,
    clock: Clock,
    seed: u64,
    served: AtomicU64,
}

#[derive(Debug)]
struct Model {
    behaviour: RwLock<Behaviour>,
    calls: AtomicU64,
    shadow_calls: AtomicU64,
    errors: AtomicU64,
    /// Milliseconds since 1970; 0 until the first.
    last_call_ms: AtomicI64,
}

impl Provider {
    /// Serves on a free port of this machine, with no models yet.
    pub async fn start(clock: Clock, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shop =
            Arc::new(Shop { models: RwLock::new(HashMap::new()), clock, seed, served: AtomicU64::new(0) });
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(accept(listener, Arc::clone(&shop), stopped));
        Ok(Self { address, shop, stop, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client would be given as its base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Adds a model, or changes how one behaves from its next call on.
    pub fn set(&self, model: &str, behaviour: Behaviour) {
        let mut models = self.shop.models.write().unwrap_or_else(PoisonError::into_inner);
        match models.get(model) {
            Some(known) => {
                *known.behaviour.write().unwrap_or_else(PoisonError::into_inner) = behaviour;
            }
            None => {
                models.insert(model.to_owned(), Arc::new(Model::new(behaviour)));
            }
        }
    }

    /// What a model was asked so far; nothing for one that does not exist.
    pub fn count(&self, model: &str) -> Count {
        self.shop.model(model).map(|model| model.count()).unwrap_or_default()
    }

    /// Stops serving and waits until every connection is closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // The task ends by itself and cannot panic; a join error would only say that the runtime is going down.
        let _ = self.serving.await;
    }
}

impl Shop {
    fn model(&self, name: &str) -> Option<Arc<Model>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl Model {
    fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour: RwLock::new(behaviour),
            calls: AtomicU64::new(0),
            shadow_calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            last_call_ms: AtomicI64::new(0),
        }
    }

    fn behaviour(&self) -> Behaviour {
        *self.behaviour.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, is_shadow: bool, now: Timestamp) {
        if is_shadow {
            self.shadow_calls.fetch_add(1, Ordering::Relaxed);
        } else {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.last_call_ms.fetch_max(now.as_millisecond(), Ordering::Relaxed);
        }
    }

    fn count(&self) -> Count {
        let last_ms = self.last_call_ms.load(Ordering::Relaxed);
        Count {
            calls: self.calls.load(Ordering::Relaxed),
            shadow_calls: self.shadow_calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            last_call: (last_ms != 0).then(|| Timestamp::from_millisecond(last_ms).ok()).flatten(),
        }
    }
}

async fn accept(listener: TcpListener, shop: Arc<Shop>, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stopped.changed() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let shop = Arc::clone(&shop);
                connections.spawn(async move {
                    converse(stream, shop).await;
                    drop(place);
                });
            }
            // Out of file descriptors, most likely: waiting a little lets connections end.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, shop: Arc<Shop>) {
    // Small answers must not wait for one another; where it cannot be set they merely come later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shop = Arc::clone(&shop);
        async move { Ok::<_, Infallible>(answer_to(request, &shop).await) }
    });
    // A client that breaks off is its own business.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer_to(request: Request<Incoming>, shop: &Shop) -> Response<AnswerBody> {
    let is_shadow = request.headers().contains_key("x-lockgate-shadow");
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return answer::error(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large"),
    };
    match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/chat/completions") => chat(&body, is_shadow, shop).await,
        (&Method::POST, "/agent") => agent(&body, is_shadow, shop).await,
        (&Method::GET, "/v1/models") => {
            let models = shop.models.read().unwrap_or_else(PoisonError::into_inner);
            let mut names: Vec<&str> = models.keys().map(String::as_str).collect();
            names.sort_unstable();
            answer::models(&names)
        }
        _ => answer::error(StatusCode::NOT_FOUND, "there is nothing at this address"),
    }
}

async fn chat(body: &Bytes, is_shadow: bool, shop: &Shop) -> Response<AnswerBody> {
    let asked: Asked<'_> = match serde_json::from_slice(body) {
        Ok(asked) => asked,
        Err(wrong) => return answer::error(StatusCode::BAD_REQUEST, &wrong.to_string()),
    };
    let Some(model) = shop.model(&asked.model) else {
        return answer::error(StatusCode::NOT_FOUND, "the model does not exist");
    };
    let serial = shop.served.fetch_add(1, Ordering::Relaxed);
    let mut random = Random::for_item(shop.seed, serial);
    let now = shop.clock.now();
    model.note(is_shadow, now);
    let draw = model.behaviour().draw(asked.prompt(), asked.has_tools(), &mut random);
    if draw.is_error {
        tokio::time::sleep(draw.latency).await;
        if !is_shadow {
            model.errors.fetch_add(1, Ordering::Relaxed);
        }
        return answer::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The server had an error while processing your request",
        );
    }
    let written = answer::Written { serial, created: now.as_second(), body_bytes: body.len() };
    if asked.stream {
        answer::streamed(&asked, &draw, &written)
    } else {
        tokio::time::sleep(draw.latency).await;
        answer::whole(&asked, &draw, &written)
    }
}

/// A plain agent: its model's name stands in the body, everything else is its own.
async fn agent(body: &Bytes, is_shadow: bool, shop: &Shop) -> Response<AnswerBody> {
    #[derive(serde::Deserialize)]
    struct Task {
        model: Option<String>,
    }
    let task: Task = match serde_json::from_slice(body) {
        Ok(task) => task,
        Err(wrong) => return answer::error(StatusCode::BAD_REQUEST, &wrong.to_string()),
    };
    let Some(model) = shop.model(task.model.as_deref().unwrap_or("agent")) else {
        return answer::error(StatusCode::NOT_FOUND, "the model does not exist");
    };
    let serial = shop.served.fetch_add(1, Ordering::Relaxed);
    model.note(is_shadow, shop.clock.now());
    let draw = model.behaviour().draw(body, false, &mut Random::for_item(shop.seed, serial));
    tokio::time::sleep(draw.latency).await;
    if draw.is_error {
        if !is_shadow {
            model.errors.fetch_add(1, Ordering::Relaxed);
        }
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR, "The agent lost its way");
    }
    answer::agent(&draw)
}

#[cfg(test)]
mod tests;
