//! How a connection gets to where it goes: straight, or over a proxy that the environment names.
//!
//! A target with `https` is reached through a tunnel, so that the proxy sees no more than its name; one with `http` is asked for in
//! the proxy's own words. Targets on this machine are never reached over a proxy, which could only lead away from it.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Which proxy leads where.
#[derive(Debug)]
pub(super) struct Proxies(Matcher);

impl Proxies {
    /// Those of `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`, but for what `NO_PROXY` excepts; each also in lower case.
    pub(super) fn of_environment(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let either =
                env(name).filter(|value| !value.is_empty()).or_else(|| env(&name.to_ascii_lowercase()));
            either.unwrap_or_default()
        };
        for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"] {
            let anywhere = Uri::from_static("http://anywhere.example/");
            let value = value(name);
            if !value.is_empty() && Matcher::builder().all(value).build().intercept(&anywhere).is_none() {
                // Not repeated: it may hold a password.
                tracing::warn!(
                    variable = name,
                    "the environment names a proxy that is none; it is passed over"
                );
            }
        }
        let excepted = value("NO_PROXY");
        // The matcher takes it for all names and not for addresses; everybody else, for all hosts.
        if excepted.split(',').any(|entry| entry.trim() == "*") {
            return Self(Matcher::builder().build());
        }
        let matcher = Matcher::builder()
            .all(value("ALL_PROXY"))
            .http(value("HTTP_PROXY"))
            .https(value("HTTPS_PROXY"))
            .no(excepted);
        Self(matcher.build())
    }

    fn to(&self, uri: &Uri) -> Option<Intercept> {
        if uri.host().is_some_and(is_this_machine) { None } else { self.0.intercept(uri) }
    }

    /// What a request must tell a proxy that reads it. One that only leads a tunnel is told when the tunnel is made.
    pub(super) fn credentials_beside(&self, uri: &Uri) -> Option<HeaderValue> {
        let proxy = self.to(uri).filter(|_| uri.scheme() == Some(&Scheme::HTTP))?;
        proxy.basic_auth().cloned()
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

/// Makes connections.
#[derive(Debug, Clone)]
pub(super) struct Roads {
    proxies: Arc<Proxies>,
    straight: HttpConnector,
    /// Proxies may speak TLS themselves.
    to_proxy: HttpsConnector<HttpConnector>,
}

impl Roads {
    pub(super) fn new(proxies: Arc<Proxies>, tls: ClientConfig) -> Self {
        let mut straight = HttpConnector::new();
        straight.enforce_http(false);
        straight.set_nodelay(true);
        let to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(straight.clone());
        Self { proxies, straight, to_proxy }
    }

    async fn connect(mut self, to: Uri) -> Result<Road, BoxError> {
        let Some(proxy) = self.proxies.to(&to) else {
            return Ok(Road::through(MaybeHttpsStream::Http(self.straight.call(to).await?)));
        };
        match proxy.uri().scheme_str() {
            Some("http" | "https") if to.scheme() == Some(&Scheme::HTTPS) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy);
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                Ok(Road::through(tunnel.call(to).await?))
            }
            Some("http" | "https") => {
                let stream = self.to_proxy.call(proxy.uri().clone()).await?;
                Ok(Road { stream, asks_proxy: true })
            }
            Some(scheme @ ("socks5" | "socks5h")) => {
                let mut socks =
                    SocksV5::new(proxy.uri().clone(), self.straight).local_dns(scheme == "socks5");
                if let Some((name, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(name.to_owned(), password.to_owned());
                }
                Ok(Road::through(MaybeHttpsStream::Http(socks.call(to).await?)))
            }
            _ => Err(io::Error::other("the environment names a proxy of a kind that is not known").into()),
        }
    }
}

impl Service<Uri> for Roads {
    type Response = Road;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Road, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Each way asks its own connector, which is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// A connection to where it goes, or to a proxy that reads its requests.
#[derive(Debug)]
pub(super) struct Road {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Whether requests name the whole URL, for a proxy to pass them on.
    asks_proxy: bool,
}

impl Road {
    fn through(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self { stream, asks_proxy: false }
    }
}

impl Connection for Road {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.asks_proxy)
    }
}

impl Read for Road {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Road {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }
}
