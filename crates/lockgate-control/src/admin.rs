//! The admin API: what people and the command line ask of a controller, over HTTP.
//!
//! Handlers read names and bodies, ask the controller, and say what came of it; nothing is decided here. Every answer is
//! JSON, errors too (`failure`). Who may ask is settled once for all of `/api` in `caller`.

mod audit;
mod body;
mod caller;
mod drill;
mod failure;
mod features;
mod health;
mod rollouts;
mod targets;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use lockgate_config::secret::Secret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use self::caller::Door;
use self::failure::Failure;
use crate::controller::Controller;

/// Largest request body: the longest reason and a full list of matchers fit many times.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Connections at once. People, a command line and a dashboard need a handful; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// Longest time for a client to send its headers, so that idle connections do not use up the number above.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a stopping process waits for answers under way: longer than any command takes.
const DRAIN: Duration = Duration::from_secs(20);
/// How long accepting stands still after it failed; the usual reason is that the process has no file handles left.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What every handler may ask.
type Ask = axum::extract::State<Arc<Controller>>;

/// Serves the admin API until it is told to stop, then finishes what is under way.
///
/// Without a token the listener must be on loopback; the configuration's check sees to it.
pub async fn serve(
    controller: Arc<Controller>,
    listener: TcpListener,
    token: Option<Secret>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let router = router(controller, token);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    while !*stop.borrow_and_update() {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            changed = stop.changed() => if changed.is_err() { break } else { continue },
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the admin port could not accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks off concerns its client only.
            let _ = watched.await;
            drop(slot);
        });
    }
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

/// The routes, for a process that serves more than these on its admin port.
pub fn router(controller: Arc<Controller>, token: Option<Secret>) -> Router {
    let door = Arc::new(Door::new(token));
    let api = Router::new()
        .route("/features", get(features::list))
        .route("/features/{feature}", get(features::one))
        .route("/features/{feature}/flip", post(features::flip))
        .route("/features/{feature}/kill", post(features::kill))
        .route("/features/{feature}/revive", post(features::revive))
        .route("/rollouts", get(rollouts::list).post(rollouts::start))
        .route("/rollouts/{feature}", get(rollouts::one))
        .route("/rollouts/{feature}/promote", post(rollouts::promote))
        .route("/rollouts/{feature}/pause", post(rollouts::pause))
        .route("/rollouts/{feature}/resume", post(rollouts::resume))
        .route("/rollouts/{feature}/rollback", post(rollouts::roll_back))
        .route("/rollouts/{feature}/explain", get(rollouts::explain))
        .route("/rollouts/{feature}/gate", get(rollouts::gate))
        .route("/events/{event}/explain", get(audit::explain))
        .route("/drills/{feature}", get(drill::one).post(drill::start))
        .route("/drills/{feature}/end", post(drill::end))
        .route("/targets", get(targets::list))
        .route("/audit/log", get(audit::log))
        .route("/audit/at", get(audit::at))
        .route("/audit/request/{id}", get(audit::request))
        .route("/audit/verify", get(audit::verify))
        .route("/samples", get(audit::samples))
        .fallback(nothing_here)
        .layer(axum::middleware::from_fn_with_state(door, caller::at_the_door));
    Router::new()
        .nest("/api/v1", api)
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(controller)
}

async fn nothing_here() -> Result<Infallible, Failure> {
    Err(Failure::not_found("there is nothing at this path")
        .hint("the API begins at /api/v1/features, /api/v1/rollouts and /api/v1/audit/log"))
}

async fn wrong_method() -> Result<Infallible, Failure> {
    Err(Failure::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path is not asked in this way",
    )
    .hint("what shows is asked with GET, what changes with POST"))
}
