//! Clients that take all the time there is, or send all the bytes there are: what they cost is bounded, and others are served.
//!
//! The bound is on the memory of the server's process, read from `/proc`, while ordinary calls go on. What each kind of client
//! costs is printed; that the ordinary calls are answered, all of them, is what matters.

#![expect(clippy::print_stdout, reason = "what each kind of client costs is told as it was measured")]

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Caller, LONG_ENOUGH, Server, directory};
use crate::upstream::{Reply, Upstream, yaml};

/// Above what the server needs when nothing happens. An idle connection costs some 18 KB in a build without optimisation, so that
/// ten thousand take most of this; what is to be found is memory that grows with the time or with the bytes.
const OVER_IDLE_MB: u64 = 300;

const SLOW_CLIENTS: usize = 20;
/// How long each kind of slow client is borne with.
const PATIENCE: Duration = Duration::from_secs(5);
const GIGABYTE: u64 = 1 << 30;
const IDLE_CONNECTIONS: u64 = 10_000;
/// Files that a process has open beside those connections.
const OTHER_FILES: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_without_end_cost_bounded_memory_and_harm_nobody() {
    let upstream = Upstream::start(|body| match body.contains(r#""stream":true"#) {
        // Half a gigabyte, as fast as it is taken.
        true => Reply::Stream { events: 32 * 1024, bytes: 16 * 1024, pause: Duration::ZERO },
        false => Reply::Plain { after: Duration::from_millis(1) },
    })
    .await;
    let server = Server::start(&directory(), &yaml(&upstream, "", "")).await;
    let watch = Watch::start(&server).await;
    let address = server.clients;

    let files = raise_files(std::process::id()).min(raise_files(server.id()));
    if files < IDLE_CONNECTIONS + OTHER_FILES {
        println!(
            "skipped: {IDLE_CONNECTIONS} idle connections, because a process may open only {files} files here"
        );
    } else {
        watch.during("idle connections", idle(address)).await;
    }
    watch.during("a byte a second of a long stream", readers(address, &upstream)).await;
    watch.during("headers without end", many(address, headers_without_end)).await;
    watch.during("a header line now and then", many(address, slow_headers)).await;
    watch.during("a body byte now and then", many(address, slow_body)).await;
    watch.during("a gigabyte with its length told", gigabyte(address, Framing::Length)).await;
    watch.during("a gigabyte in chunks", gigabyte(address, Framing::Chunks)).await;
    watch.end().await;
}

/// Calls all the while, and looks at the server's memory.
struct Watch {
    process: u32,
    idle_kb: u64,
    highest_kb: Arc<AtomicU64>,
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    calling: tokio::task::JoinHandle<()>,
}

impl Watch {
    async fn start(server: &Server) -> Self {
        let [highest_kb, answered] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (process, address) = (server.id(), server.clients);
        let calling = {
            let (highest, answered, stop) =
                (Arc::clone(&highest_kb), Arc::clone(&answered), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut caller = Caller::connect(address).await;
                while !stop.load(Ordering::Relaxed) {
                    let answer = tokio::time::timeout(LONG_ENOUGH, caller.ask("somebody")).await;
                    let answer = answer.unwrap();
                    assert!(answer.status == 200 && answer.body.contains("on its way"), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    highest.fetch_max(resident_kb(process), Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        };
        let warm = async {
            while answered.load(Ordering::Relaxed) < 50 && !calling.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG_ENOUGH, warm).await.unwrap();
        let idle_kb = resident_kb(process);
        println!("idle: {} MB", idle_kb / 1024);
        Self { process, idle_kb, highest_kb, answered, stop, calling }
    }

    /// Bears with some clients; `told` is what they have to say when they are done.
    async fn during(&self, what: &str, clients: impl Future<Output = String>) {
        self.highest_kb.store(resident_kb(self.process), Ordering::Relaxed);
        let (begun, before) = (Instant::now(), self.answered.load(Ordering::Relaxed));
        let told =
            tokio::time::timeout(LONG_ENOUGH, clients).await.unwrap_or_else(|_| panic!("{what}: no end"));
        let answered = || self.answered.load(Ordering::Relaxed) - before;
        let ordinary = async {
            while answered() == 0 && !self.calling.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG_ENOUGH, ordinary).await.unwrap();
        assert!(!self.calling.is_finished(), "{what}: an ordinary call was not answered");
        let highest_kb = self.highest_kb.load(Ordering::Relaxed);
        let over_mb = highest_kb.saturating_sub(self.idle_kb) / 1024;
        println!(
            "{what}: {told}; {over_mb} MB over idle, {} ordinary calls in {:?}",
            answered(),
            begun.elapsed()
        );
        assert!(over_mb <= OVER_IDLE_MB, "{what}: {over_mb} MB over idle");
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.calling.await.unwrap();
        println!("all {} ordinary calls were answered", self.answered.load(Ordering::Relaxed));
    }
}

/// Streams of which a byte is read each second.
async fn readers(address: SocketAddr, upstream: &Upstream) -> String {
    let mut readers = JoinSet::new();
    for _ in 0..SLOW_CLIENTS {
        readers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let body =
                r#"{"model":"support-reply","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
            let head = head("/v1/chat/completions", &format!("content-length: {}\r\n", body.len()));
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            let (end, mut byte) = (Instant::now() + PATIENCE, [0]);
            while Instant::now() < end {
                assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "a slow reader is no reason to hang up");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    readers.join_all().await;
    let streamed = upstream.counts().streamed.load(Ordering::Relaxed);
    format!(
        "{SLOW_CLIENTS} clients; {} KB of each stream were taken from the target",
        streamed / 1024 / SLOW_CLIENTS as u64
    )
}

/// Several clients of a kind, each until it is cut off or has been borne with for long enough; tells how many were cut off.
async fn many<F>(address: SocketAddr, client: impl Fn(TcpStream) -> F) -> String
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let mut clients = JoinSet::new();
    for _ in 0..SLOW_CLIENTS {
        clients.spawn(tokio::time::timeout(PATIENCE, client(TcpStream::connect(address).await.unwrap())));
    }
    let cut_off = clients.join_all().await.into_iter().filter(|ended| ended.is_ok()).count();
    format!("{cut_off} of {SLOW_CLIENTS} were cut off")
}

async fn headers_without_end(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: lockgate\r\n").await?;
    for number in 0_u64.. {
        stream.write_all(format!("x-{number}: {}\r\n", "a".repeat(1_000)).as_bytes()).await?;
    }
    Ok(())
}

async fn slow_headers(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: lockgate\r\n").await?;
    for number in 0_u64.. {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(format!("x-{number}: a\r\n").as_bytes()).await?;
    }
    Ok(())
}

async fn slow_body(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(head("/v1/chat/completions", "transfer-encoding: chunked\r\n").as_bytes()).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(b"1\r\n{\r\n").await?;
    }
}

/// How the length of a body is told.
#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Length,
    Chunks,
}

/// A body of a gigabyte, as fast as it is taken; what came of it.
async fn gigabyte(address: SocketAddr, framing: Framing) -> String {
    let (mut reads, mut writes) = TcpStream::connect(address).await.unwrap().into_split();
    let told = match framing {
        Framing::Length => format!("content-length: {GIGABYTE}\r\n"),
        Framing::Chunks => "transfer-encoding: chunked\r\n".to_owned(),
    };
    writes.write_all(head("/v1/chat/completions", &told).as_bytes()).await.unwrap();
    let piece = match framing {
        Framing::Length => "x".repeat(1 << 16),
        Framing::Chunks => format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16)),
    };
    let sent = Arc::new(AtomicU64::new(0));
    let sending = {
        let sent = Arc::clone(&sent);
        tokio::spawn(async move {
            while sent.load(Ordering::Relaxed) < GIGABYTE && writes.write_all(piece.as_bytes()).await.is_ok()
            {
                sent.fetch_add(1 << 16, Ordering::Relaxed);
            }
        })
    };
    let mut answer = vec![0; 1024];
    let length = reads.read(&mut answer).await.unwrap_or(0);
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    let status = answer.lines().next().unwrap_or_default().to_owned();
    // A reset can overtake the answer of a server that hangs up on bytes it does not want.
    assert!(status.is_empty() || status.contains("413"), "{answer}");
    tokio::time::timeout(LONG_ENOUGH, sending).await.unwrap().unwrap();
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < GIGABYTE, "all of it was taken");
    format!("`{status}` after {} MB", sent >> 20)
}

/// Connections on which nothing is said.
async fn idle(address: SocketAddr) -> String {
    let mut connecting = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..IDLE_CONNECTIONS {
        connecting.spawn(TcpStream::connect(address));
        // More at once than the listener's backlog holds would wait for the kernel to try again.
        if connecting.len() == 200 {
            connections.push(connecting.join_next().await.unwrap().unwrap().unwrap());
        }
    }
    connections.extend(connecting.join_all().await.into_iter().map(Result::unwrap));
    // One of them is used, so that the last was accepted before memory is looked at.
    let mut last = connections.pop().unwrap();
    last.write_all(b"GET /health/live HTTP/1.1\r\nhost: lockgate\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    last.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    tokio::time::sleep(Duration::from_secs(1)).await;
    format!("{} connections", connections.len() + 1)
}

fn head(path: &str, lines: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: lockgate\r\ncontent-type: application/json\r\n{lines}\r\n")
}

/// The memory that a process has, as the system counts it.
fn resident_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Lets a process open as many files as it may; says how many.
fn raise_files(process: u32) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard]: [u64; 2] = {
        let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap_or(u64::MAX));
        [(); 2].map(|()| numbers.next().unwrap())
    };
    let wanted = hard.min(IDLE_CONNECTIONS + OTHER_FILES);
    if soft < wanted {
        let limit = format!("--nofile={wanted}:");
        let raised = Command::new("prlimit").args(["--pid", &process.to_string(), &limit]).status();
        return if raised.is_ok_and(|status| status.success()) { wanted } else { soft };
    }
    soft
}
