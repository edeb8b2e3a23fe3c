//! Servers and proxies on this machine, which remember what they were asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) version: Version,
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
}

/// A server, gone with its test.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    /// Set to keep answers back until it is told.
    hold: Option<Arc<Notify>>,
    streams_max: u32,
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    Clear,
    /// TLS, with these protocols by ALPN.
    Tls(&'static [&'static str]),
}

pub(super) fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tests/certificates")
}

impl Server {
    pub(super) async fn start(speech: Speech) -> Self {
        Self::start_with(speech, None, 200).await
    }

    /// One that keeps its answers back until `hold` is told, and lets so many streams be open on an HTTP/2 connection.
    pub(super) async fn start_with(speech: Speech, hold: Option<Arc<Notify>>, streams_max: u32) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            seen: Arc::default(),
            connections: Arc::default(),
            hold,
            streams_max,
        };
        let (serving, tls) = (server.clone(), acceptor(speech));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serving.clone().serve(stream, tls.clone()));
            }
        });
        server
    }

    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else { return self.speak(TokioIo::new(stream), false).await };
        let Ok(stream) = tls.accept(stream).await else { return };
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.speak(TokioIo::new(stream), is_h2).await;
    }

    async fn speak(self, io: impl Read + Write + Unpin + Send + 'static, is_h2: bool) {
        let streams_max = self.streams_max;
        let answer = service_fn(move |request| self.clone().answer(request));
        if is_h2 {
            let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new()).max_concurrent_streams(streams_max);
            let _ = http.serve_connection(io, answer).await;
        } else {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await;
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, _) = request.into_parts();
        let seen = Seen { version: head.version, uri: head.uri.to_string(), headers: head.headers };
        self.seen.lock().unwrap().push(seen);
        if let Some(hold) = &self.hold {
            hold.notified().await;
        }
        Ok(Response::new(Full::from("well")))
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn acceptor(speech: Speech) -> Option<TlsAcceptor> {
    let Speech::Tls(protocols) = speech else { return None };
    let chain = CertificateDer::pem_file_iter(certificates().join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates().join("server.key")).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Some(TlsAcceptor::from(Arc::new(config)))
}

/// A proxy that makes tunnels, all to the same server, and remembers how it was asked.
#[derive(Debug, Clone)]
pub(super) struct TunnelProxy {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl TunnelProxy {
    pub(super) async fn start(leads_to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().lead(stream, leads_to));
            }
        });
        proxy
    }

    async fn lead(self, stream: TcpStream, leads_to: SocketAddr) {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.is_ok_and(|read| read == 0) {
                return;
            }
        }
        self.heads.lock().unwrap().push(head);
        let mut there = TcpStream::connect(leads_to).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut there).await;
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A listener that takes connections and says nothing.
pub(super) async fn silence() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}
