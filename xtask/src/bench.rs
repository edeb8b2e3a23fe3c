//! `cargo xtask bench latency`: what the gateway adds to a call on loopback.
//!
//! One client calls an echo upstream alternately directly and through the release executable, one call at a time, so that both
//! see the same moments of the same machine. What is reported as added is the difference of the percentiles. Everything that
//! a production set-up would have on is on: a store on disk, signals, answers kept for the audit, segments, and a rollout at
//! 50 %; a second table has every call mirrored as well.

mod client;
mod gateway;
mod upstream;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::output::{heading, say};
use client::Client;
use gateway::{Gateway, Mirrored};
use upstream::Upstream;

/// Calls per way unless told otherwise: the p99 then rests on 50 calls.
const CALLS: usize = 5_000;
/// Calls before measuring: connections are made, caches and branch predictors warm.
const WARM_UP: usize = 500;
/// What the gateway may add to the median.
const BAR: Duration = Duration::from_micros(250);

/// Runs the benchmark; `--calls N` changes how many calls are made per way.
pub fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let calls = match words {
        [] => CALLS,
        ["--calls", n] => n.parse().context("--calls takes a number")?,
        _ => bail!("usage: cargo xtask bench latency [--calls N]"),
    };
    let upstream = Upstream::start()?;
    let executable = gateway::build(root)?;
    let mut worst = Duration::ZERO;
    for (title, mirrored) in [
        ("a rollout at 50 %, everything on", Mirrored::Nothing),
        ("a rollout in shadow, every call mirrored", Mirrored::Everything),
    ] {
        let gateway = Gateway::start(root, &executable, upstream.address(), mirrored)?;
        heading(title);
        say(&row("", ["direct", "", "through", "", "added", ""].map(str::to_owned)));
        say(&row("call", ["p50", "p99", "p50", "p99", "p50", "p99"].map(str::to_owned)));
        for kind in [Kind::Plain, Kind::Stream] {
            let added = measure(kind, calls, &upstream, &gateway)?;
            if mirrored == Mirrored::Nothing {
                worst = worst.max(added);
            }
        }
    }
    say(&format!("\nadded at the median: {} (bar {})", micros(worst), micros(BAR)));
    if worst > BAR {
        bail!("the gateway adds more than {} to the median", micros(BAR));
    }
    Ok(())
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Stream,
}

/// Makes the calls, prints a line per thing that is timed, and gives the most that was added at a median that users feel: of a
/// plain answer and of a stream's first words. The end of a stream is shown too; it has been relayed in some twenty pieces,
/// each at the cost of a plain answer's way through two sockets.
fn measure(kind: Kind, calls: usize, upstream: &Upstream, gateway: &Gateway) -> anyhow::Result<Duration> {
    let mut direct = Client::connect(upstream.address())?;
    let mut through = Client::connect(gateway.address())?;
    let (mut first, mut whole) = (Pairs::default(), Pairs::default());
    for call in 0..WARM_UP + calls {
        let body = body(kind, call);
        let (direct, through) = (direct.call(&body)?, through.call(&body)?);
        if direct.bytes != through.bytes {
            bail!("the gateway gave {} bytes of an answer of {}", through.bytes, direct.bytes);
        }
        if call >= WARM_UP {
            first.add(direct.first, through.first);
            whole.add(direct.whole, through.whole);
        }
    }
    match kind {
        Kind::Plain => Ok(whole.print("plain")),
        Kind::Stream => {
            let added = first.print("stream, first words");
            whole.print("stream, to its end");
            Ok(added)
        }
    }
}

/// Times of calls that were made directly and through the gateway.
#[derive(Default)]
struct Pairs {
    direct: Vec<Duration>,
    through: Vec<Duration>,
}

impl Pairs {
    fn add(&mut self, direct: Duration, through: Duration) {
        self.direct.push(direct);
        self.through.push(through);
    }

    /// Prints a line and gives what was added at the median.
    fn print(mut self, title: &str) -> Duration {
        self.direct.sort_unstable();
        self.through.sort_unstable();
        let [direct50, direct99] = [at(&self.direct, 50), at(&self.direct, 99)];
        let [through50, through99] = [at(&self.through, 50), at(&self.through, 99)];
        let (added50, added99) = (through50.saturating_sub(direct50), through99.saturating_sub(direct99));
        say(&row(title, [direct50, direct99, through50, through99, added50, added99].map(micros)));
        added50
    }
}

/// A line of the table.
fn row(title: &str, columns: [String; 6]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("{column:>10}")).collect();
    format!("{title:<20} {}", columns.join(" "))
}

/// A call of the usual size from one of a thousand users.
fn body(kind: Kind, call: usize) -> String {
    let stream = match kind {
        Kind::Plain => "",
        Kind::Stream => r#","stream":true"#,
    };
    let user = call % 1_000;
    let question =
        "Where is my parcel? It was due on Monday and the tracking page has not changed since. ".repeat(6);
    format!(
        r#"{{"model":"bench","user":"u{user}"{stream},"messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{question}"}}]}}"#
    )
}

/// The value below which this many per cent of the sorted values lie.
fn at(sorted: &[Duration], per_cent: usize) -> Duration {
    let index = (sorted.len() * per_cent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

fn micros(duration: Duration) -> String {
    format!("{:.0} us", duration.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(at(&sorted, 50), Duration::from_micros(101));
        assert_eq!(at(&sorted, 99), Duration::from_micros(199));
        assert_eq!(at(&[], 99), Duration::ZERO);
    }

    #[test]
    fn both_kinds_of_answer_are_read_to_their_end() {
        let upstream = Upstream::start().unwrap();
        let mut client = Client::connect(upstream.address()).unwrap();
        for call in 0..3 {
            assert!(client.call(&body(Kind::Plain, call)).unwrap().bytes > 100);
            assert!(client.call(&body(Kind::Stream, call)).unwrap().bytes > 100);
        }
    }
}
