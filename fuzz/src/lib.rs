//! Feeds hostile bytes to every parser and holds what comes out against what must always be true.
//!
//! A [`Target`] is a function over bytes that panics when a promise is broken: that nothing panics is one promise, that a
//! stream says the same however the network cuts it is another. The functions know nothing of who calls them. Two do:
//! `guided` runs them under libFuzzer, which keeps the inputs that reach new code (`cargo xtask fuzz`), and an ordinary test
//! replays what once failed (`regressions/`) and the seeds.
//!
//! The recorded exchanges of `lockgate-wire` are where the mutations start from: [`seeds`].

pub mod seeds;

mod blame;
mod body;
mod config;
mod cuts;
mod members;
mod plain;
mod splice;
mod sse;
mod stream;
mod translate;

use lockgate_wire::api::Api;
use lockgate_wire::translate::Way;

use seeds::Row;

/// One parser, or one promise about several.
#[derive(Clone, Copy)]
pub struct Target {
    /// By which it is asked for, and what its folder of regressions is called.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// The inputs that recorded exchanges give.
    pub seeds: fn(&[Row]) -> Vec<Vec<u8>>,
}

/// All of them, those first whose input comes from the network in pieces.
pub const TARGETS: [Target; 15] = [
    Target { name: "sse", run: sse::run, seeds: sse::seeds },
    Target { name: "stream-chat", run: |data| stream::run(Api::Chat, data), seeds: stream::seeds },
    Target { name: "stream-messages", run: |data| stream::run(Api::Messages, data), seeds: stream::seeds },
    Target { name: "stream-responses", run: |data| stream::run(Api::Responses, data), seeds: stream::seeds },
    Target {
        name: "translate-stream-to-chat",
        run: |data| translate::stream(Way::ChatToMessages, data),
        seeds: stream::seeds,
    },
    Target {
        name: "translate-stream-to-messages",
        run: |data| translate::stream(Way::MessagesToChat, data),
        seeds: stream::seeds,
    },
    Target { name: "plain", run: plain::run, seeds: plain::seeds },
    Target { name: "body", run: body::run, seeds: body::seeds },
    Target { name: "splice", run: splice::run, seeds: splice::seeds },
    Target {
        name: "translate-request-to-messages",
        run: |data| translate::request(Way::ChatToMessages, data),
        seeds: body::seeds,
    },
    Target {
        name: "translate-request-to-chat",
        run: |data| translate::request(Way::MessagesToChat, data),
        seeds: body::seeds,
    },
    Target {
        name: "translate-answer-to-chat",
        run: |data| translate::answer(Way::ChatToMessages, data),
        seeds: plain::seeds,
    },
    Target {
        name: "translate-answer-to-messages",
        run: |data| translate::answer(Way::MessagesToChat, data),
        seeds: plain::seeds,
    },
    Target { name: "blame", run: blame::run, seeds: blame::seeds },
    Target { name: "config", run: config::run, seeds: config::seeds },
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
