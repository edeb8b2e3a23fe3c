//! The connections to targets: sends a request, and gives the head of its answer.
//!
//! Where a call goes is fixed by the configuration: its base URL, one of its paths and its query; nothing that a caller sends has
//! a say in it. The endpoint's own headers and its key are put in place of the caller's here, as the last step. Nothing is tried
//! again; dropping the future or the answer ends the request, which is how a target learns that nobody waits any more.
//!
//! Connections are kept and shared by `lane`, made over proxies by `road`, and trusted by `trust`.

mod lane;
mod outgoing;
mod road;
#[cfg(test)]
mod tests;
mod trust;

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, capture_connection};
use lockgate_config::live::Table;
use lockgate_config::value::{Endpoint, KeyHeader};
use lockgate_core::name::TargetName;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::lane::Lane;
use self::outgoing::Outgoing;
use self::road::Proxies;
use crate::trouble::TargetError;

/// Most sets of certificates with connections of their own. A file has a few at most; those of configurations that are gone
/// make room for new ones.
const OWN_LANES_MAX: usize = 32;

/// What is sent to a target.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) target: &'a TargetName,
    pub(crate) endpoint: &'a Endpoint,
    /// Put behind the endpoint's base URL: one of its `paths`, or nothing for an agent.
    pub(crate) path: &'a str,
    /// Already only what may be passed on; the endpoint's own headers and key are added here.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Dropped when the request has been sent.
    pub(crate) table: Arc<Table>,
    /// How long a connection may take.
    pub(crate) connect: Duration,
    /// Until when the head of an answer must be there.
    pub(crate) answer_by: Instant,
}

/// The connections to all targets.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    proxies: Arc<Proxies>,
    /// To the targets that are trusted as the platform says: nearly all.
    usual: Arc<Lane>,
    /// To those with certificates of their own, the newest last.
    own: Arc<Mutex<Vec<OwnLane>>>,
}

#[derive(Debug)]
struct OwnLane {
    ca: Arc<[u8]>,
    lane: Arc<Lane>,
}

impl Upstream {
    /// With the proxies of this process's environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "proxies are told to a process in its environment and nowhere else"
    )]
    pub(crate) fn new() -> Self {
        Self::with_environment(&|name| std::env::var(name).ok())
    }

    /// With the proxies that an environment tells.
    pub(crate) fn with_environment(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let proxies = Arc::new(Proxies::of_environment(env));
        let usual = Lane::new(&proxies, None);
        Self { proxies, usual, own: Arc::default() }
    }

    /// Sends once, and gives the head of the answer, its body still to come. The call counts as under way for as long as the
    /// head's extensions are kept, which should be as long as its body is read.
    pub(crate) async fn send(&self, sending: Sending<'_>) -> Result<Response<Incoming>, TargetError> {
        let Sending { target, connect, answer_by, .. } = sending;
        let lane = self.lane(sending.endpoint.ca.as_ref());
        let (mut request, mut sent) = self.request(sending)?;
        let connection = capture_connection(&mut request);
        let (client, under_way) = lane.client(request.uri());
        let mut responding = std::pin::pin!(client.request(request));
        let broken = |source: hyper_util::client::legacy::Error| {
            let target = target.clone();
            if source.is_connect() {
                TargetError::Unreachable { target, source }
            } else {
                TargetError::NoAnswer { target, source }
            }
        };

        // A request that has begun to be sent is one that has a connection; how it got it, name lookup, proxy and TLS included,
        // is what the time to connect bounds.
        let asked = Instant::now();
        let connect_by = answer_by.min(asked + connect);
        let early = tokio::select! {
            biased;
            response = responding.as_mut() => Some(response.map_err(broken)?),
            _ = &mut sent => None,
            () = is_shared(connection) => None,
            () = sleep_until(connect_by) => {
                return Err(TargetError::ConnectTimeout { target: target.clone(), within: asked.elapsed() });
            }
        };
        let mut response = match early {
            Some(response) => response,
            None => timeout_at(answer_by, responding)
                .await
                .map_err(|_| TargetError::Timeout { target: target.clone(), within: asked.elapsed() })?
                .map_err(broken)?,
        };
        if let Some(under_way) = under_way {
            response.extensions_mut().insert(under_way);
        }
        Ok(response)
    }

    fn request(
        &self,
        sending: Sending<'_>,
    ) -> Result<(Request<Outgoing>, oneshot::Receiver<()>), TargetError> {
        let Sending { target, endpoint, path, mut headers, body, table, .. } = sending;
        let unaskable = |source| TargetError::Unaskable { target: target.clone(), source };
        let uri = uri(&endpoint.base_url, path, &endpoint.query).map_err(unaskable)?;
        add_own(&mut headers, endpoint).map_err(unaskable)?;
        if let Some(credentials) = self.proxies.credentials_beside(&uri) {
            headers.insert(PROXY_AUTHORIZATION, credentials);
        }
        let (body, sent) = Outgoing::new(body, table);
        let mut request = Request::builder().method(Method::POST).uri(uri).body(body).map_err(unaskable)?;
        *request.headers_mut() = headers;
        Ok((request, sent))
    }

    /// The connections of those who trust the same certificates.
    fn lane(&self, ca: Option<&Arc<[u8]>>) -> Arc<Lane> {
        let Some(ca) = ca else { return self.usual.clone() };
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        // A configuration that is read again holds the same certificates at another place.
        let known = own.iter().position(|known| Arc::ptr_eq(&known.ca, ca));
        let known = known.or_else(|| own.iter().position(|known| known.ca == *ca));
        if let Some(known) = known.and_then(|at| own.get_mut(at)) {
            known.ca = ca.clone();
            return known.lane.clone();
        }
        if own.len() >= OWN_LANES_MAX {
            own.remove(0);
        }
        let lane = Lane::new(&self.proxies, Some(ca));
        own.push(OwnLane { ca: ca.clone(), lane: lane.clone() });
        lane
    }
}

/// Waits until a request has a connection on which others are under way, too. There a request may wait for its turn, and that is
/// the target's time, not the connection's.
async fn is_shared(mut connection: CaptureConnection) {
    let is_shared =
        connection.wait_for_connection_metadata().await.as_ref().is_some_and(Connected::is_negotiated_h2);
    if !is_shared {
        pending::<()>().await;
    }
}

fn uri(base: &Uri, path: &str, query: &str) -> Result<Uri, http::Error> {
    let before = if path.is_empty() { base.path() } else { base.path().trim_end_matches('/') };
    let mark = if query.is_empty() { "" } else { "?" };
    let mut builder = Uri::builder().path_and_query(format!("{before}{path}{mark}{query}"));
    if let Some(scheme) = base.scheme() {
        builder = builder.scheme(scheme.clone());
    }
    if let Some(authority) = base.authority() {
        builder = builder.authority(authority.clone());
    }
    builder.build()
}

/// The endpoint's own headers, in place of what a client sent by the same names, and its key.
fn add_own(headers: &mut HeaderMap, endpoint: &Endpoint) -> Result<(), http::Error> {
    for name in endpoint.headers.keys() {
        headers.remove(name);
    }
    headers.extend(endpoint.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(key) = &endpoint.api_key {
        let (name, text) = match &endpoint.key_header {
            KeyHeader::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
            KeyHeader::Plain(name) => (name.clone(), key.expose().to_owned()),
        };
        let mut value = HeaderValue::try_from(text)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(())
}
