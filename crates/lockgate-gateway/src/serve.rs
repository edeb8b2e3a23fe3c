//! Owns the socket and every task: connections, the flush loop, the look at its own calls, the shadow copies.
//!
//! Stopping goes in this order: unready; for a moment calls are still taken, each on a connection that closes after it, since
//! clients and load balancers learn late; no new connection, idle connections closed; calls under way finished within the drain
//! time; the last flush. Each task is awaited; a call that outlives the drain time is cut and recorded as such by
//! its own observation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lockgate_config::value::Bounds;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::socket::Socket;
use crate::{handle, retreat, shadow};

/// Longest time for a request's head to arrive, counted from the end of the call before it: an idle connection lives as long.
/// A little over the 60 s after which most load balancers close theirs, so that they, and not we, hang up first.
const HEAD_TIME_MAX: Duration = Duration::from_secs(75);
/// Connections per call that may be under way: clients keep idle ones, and one that is waiting for its turn is refused by
/// the bound on calls with an answer, not by a closed door.
const CONNECTIONS_PER_CALL: usize = 4;
/// Room above our own bound on headers, for the request line and for telling a client in JSON by how much it is over.
const HEAD_ROOM: usize = 16 * 1024;
/// How long a connection may take to come out of the listener's queue when it is there already.
const WAITING_TIME: Duration = Duration::from_millis(2);
/// Rest after an accept that failed, for example because file descriptors ran out: long enough not to spin.
const ACCEPT_REST: Duration = Duration::from_millis(20);

pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let config = Arc::clone(&gateway.live.table().config);
    if let Err(error) = gateway.purses.recall(&config, &gateway.store, gateway.clock.now()).await {
        tracing::warn!(%error, "what copies have cost today is not known; their money is counted from 0");
    }
    let (close, closing) = watch::channel(false);
    let (finish, finished) = watch::channel(false);
    let mut background = JoinSet::new();
    background.spawn(flush_regularly(Arc::clone(gateway), finished));
    background.spawn(shadow::run(Arc::clone(gateway), stop.clone()));
    background.spawn(retreat::run(Arc::clone(gateway), stop.clone()));
    gateway.set_ready(true);

    let mut connections = JoinSet::new();
    take(gateway, &listener, &mut connections, &closing, stopped(&mut stop)).await;
    gateway.set_ready(false);
    let bounds = gateway.live.table().config.bounds.clone();
    // Whoever learns late that we stop still gets an answer, on a connection that closes after it.
    take(gateway, &listener, &mut connections, &closing, tokio::time::sleep(bounds.lame_duck)).await;
    take_waiting(gateway, &listener, &mut connections, &closing).await;
    drop(listener);
    close.send_replace(true);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.drain, all_done).await.is_err() {
        tracing::warn!(cut = connections.len(), "calls outlived the drain time and were cut");
    }
    connections.shutdown().await;
    finish.send_replace(true);
    while background.join_next().await.is_some() {}
    gateway.flush().await;
    Ok(())
}

/// Takes connections until something has happened.
async fn take(
    gateway: &Arc<Gateway>,
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
    closing: &watch::Receiver<bool>,
    until: impl Future<Output = ()>,
) {
    let mut until = std::pin::pin!(until);
    loop {
        tokio::select! {
            biased;
            () = until.as_mut() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => accept(gateway, connections, socket, closing),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            },
        }
    }
}

/// Takes the connections that wait to be accepted, which would be reset if the listener went away under them.
async fn take_waiting(
    gateway: &Arc<Gateway>,
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
    closing: &watch::Receiver<bool>,
) {
    while let Ok(Ok((socket, _))) = tokio::time::timeout(WAITING_TIME, listener.accept()).await {
        accept(gateway, connections, socket, closing);
        if connections.len() >= most_connections(gateway) {
            return;
        }
    }
}

fn most_connections(gateway: &Gateway) -> usize {
    gateway.live.table().config.bounds.calls_max.saturating_mul(CONNECTIONS_PER_CALL)
}

fn accept(
    gateway: &Arc<Gateway>,
    connections: &mut JoinSet<()>,
    socket: TcpStream,
    closing: &watch::Receiver<bool>,
) {
    let bounds = &gateway.live.table().config.bounds;
    if connections.len() >= most_connections(gateway) {
        gateway.connections_refused.add(1);
        return;
    }
    // An answer's last bytes must not wait for the client's acknowledgement of the ones before.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    connections.spawn(converse(Arc::clone(gateway), http_settings(bounds), socket, closing.clone()));
}

fn http_settings(bounds: &Bounds) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(bounds.header_bytes_max.saturating_mul(2).saturating_add(HEAD_ROOM));
    http
}

/// One connection, from its first call to its last.
async fn converse(
    gateway: Arc<Gateway>,
    http: http1::Builder,
    socket: TcpStream,
    mut closing: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let gateway = Arc::clone(&gateway);
        async move {
            let is_last = !gateway.is_ready();
            let mut response = handle::request(gateway, request).await;
            if is_last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(Socket::new(socket)), service));
    // A request that has arrived is read before the connection is looked at as an idle one.
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stopped(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn flush_regularly(gateway: Arc<Gateway>, mut finished: watch::Receiver<bool>) {
    loop {
        let pause = gateway.live.table().config.signals.flush;
        tokio::select! {
            biased;
            () = stopped(&mut finished) => return,
            () = tokio::time::sleep(pause) => gateway.flush().await,
        }
    }
}

/// Until the process is to stop; also when whoever would say so is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone: nobody could stop us any more, so we stop now.
    let _ = stop.wait_for(|stop| *stop).await;
}
