//! The kept connections of all targets that are trusted in the same way.
//!
//! Over HTTP/1.1 a call has a connection to itself. Over HTTP/2 a client keeps one connection for each host, and servers take about
//! a hundred calls on it; further ones would wait in line, which streams of a minute make long. So there are as many clients as the
//! busiest host needs, and each call goes to the first that has room for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::outgoing::Outgoing;
use super::road::{Proxies, Roads};
use super::trust;

/// Idle connections kept per target and client: what a burst of calls leaves behind, at some 10 KiB each.
const IDLE_CONNECTIONS_MAX: usize = 512;
/// How long an idle connection is kept: most servers and load balancers in between hang up after 60 s, and the side that
/// hangs up first must be ours, or a call is written into a connection that is being closed.
const IDLE_CONNECTION_TIME: Duration = Duration::from_secs(45);
/// Calls on one HTTP/2 connection. No server should take less than 100 (RFC 9113, 6.5.2), and the usual ones take 100 or 128.
const CALLS_PER_CONNECTION: usize = 96;
/// Most clients, of which each has one HTTP/2 connection per host. Together they carry more calls than are under way at once by
/// default; beyond that the least busy one takes what comes.
const CLIENTS_MAX: usize = 64;
/// What a target may send of one answer before it is read. Events are short, and the memory of a call is bounded by it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all answers of a connection: room for all its calls, so that one which is read slowly cannot stop the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * CALLS_PER_CONNECTION as u32;
/// A connection that carries calls is asked so often whether it still lives, and has so long to say so. Without, a connection that
/// died in silence would swallow calls until the system gave it up after a quarter of an hour.
const ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const ALIVE_TIME: Duration = Duration::from_secs(10);

type Client = legacy::Client<HttpsConnector<Roads>, Outgoing>;

/// The connections of those who trust the same certificates.
#[derive(Debug)]
pub(super) struct Lane {
    connector: HttpsConnector<Roads>,
    spread: Mutex<Spread>,
}

#[derive(Debug, Default)]
struct Spread {
    clients: Vec<Client>,
    /// For each host that has any, the calls under way by each client.
    calls: HashMap<Authority, Vec<usize>>,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    lane: Arc<Lane>,
    host: Authority,
    client: usize,
}

impl Lane {
    /// Of those who trust the platform's certificates and these.
    pub(super) fn new(proxies: &Arc<Proxies>, ca: Option<&[u8]>) -> Arc<Self> {
        let tls = trust::tls(ca);
        let roads = Roads::new(proxies.clone(), tls.clone());
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(roads);
        Arc::new(Self { connector, spread: Mutex::default() })
    }

    /// Who sends a call, and what counts it while it is under way. In clear text there is no HTTP/2, and nothing to count.
    pub(super) fn client(self: &Arc<Self>, uri: &Uri) -> (Client, Option<Arc<UnderWay>>) {
        let mut spread = self.spread.lock().unwrap_or_else(PoisonError::into_inner);
        let host = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS));
        let at = host.map_or(0, |host| spread.take(host));
        while spread.clients.len() <= at {
            let client = self.new_client();
            spread.clients.push(client);
        }
        let under_way = host.map(|host| UnderWay { lane: self.clone(), host: host.clone(), client: at });
        (spread.clients[at].clone(), under_way.map(Arc::new))
    }

    #[cfg(test)]
    pub(super) fn calls_under_way(&self) -> usize {
        let spread = self.spread.lock().unwrap_or_else(PoisonError::into_inner);
        spread.calls.values().flatten().sum()
    }

    fn new_client(&self) -> Client {
        legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(ALIVE_INTERVAL)
            .http2_keep_alive_timeout(ALIVE_TIME)
            .build(self.connector.clone())
    }
}

impl Spread {
    /// Counts a call, and says which client is to send it.
    fn take(&mut self, host: &Authority) -> usize {
        let calls = self.calls.entry(host.clone()).or_default();
        let with_room = calls.iter().position(|calls| *calls < CALLS_PER_CONNECTION);
        let at = match with_room {
            Some(at) => at,
            None if calls.len() < CLIENTS_MAX => {
                calls.push(0);
                calls.len() - 1
            }
            None => calls.iter().enumerate().min_by_key(|(_, calls)| **calls).map_or(0, |(at, _)| at),
        };
        if let Some(calls) = calls.get_mut(at) {
            *calls += 1;
        }
        at
    }

    fn give_back(&mut self, host: &Authority, at: usize) {
        let Some(calls) = self.calls.get_mut(host) else { return };
        if let Some(calls) = calls.get_mut(at) {
            *calls = calls.saturating_sub(1);
        }
        if calls.iter().all(|calls| *calls == 0) {
            self.calls.remove(host);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.lane.spread.lock().unwrap_or_else(PoisonError::into_inner).give_back(&self.host, self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_host_is_spread_over_clients_and_a_quiet_one_is_not() {
        let (busy, quiet) = (Authority::from_static("busy.test"), Authority::from_static("quiet.test"));
        let mut spread = Spread::default();
        let taken: Vec<usize> = (0..2 * CALLS_PER_CONNECTION + 1).map(|_| spread.take(&busy)).collect();
        assert!(taken[..CALLS_PER_CONNECTION].iter().all(|at| *at == 0));
        assert!(taken[CALLS_PER_CONNECTION..2 * CALLS_PER_CONNECTION].iter().all(|at| *at == 1));
        assert_eq!(taken.last(), Some(&2));
        assert_eq!(spread.take(&quiet), 0);
        // Room that is given back is used again before a further client is.
        spread.give_back(&busy, 0);
        assert_eq!(spread.take(&busy), 0);
    }

    #[test]
    fn beyond_all_clients_the_least_busy_one_takes_a_call() {
        let host = Authority::from_static("busy.test");
        let mut spread = Spread::default();
        for _ in 0..CLIENTS_MAX * CALLS_PER_CONNECTION {
            spread.take(&host);
        }
        assert_eq!([spread.take(&host), spread.take(&host)], [0, 1]);
        assert_eq!(spread.calls[&host].len(), CLIENTS_MAX);
    }

    #[test]
    fn a_host_without_calls_is_forgotten() {
        let host = Authority::from_static("quiet.test");
        let mut spread = Spread::default();
        let at = spread.take(&host);
        spread.give_back(&host, at);
        assert!(spread.calls.is_empty());
    }
}
