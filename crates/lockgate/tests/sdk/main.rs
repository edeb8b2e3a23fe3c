//! The official SDKs and recorded exchanges against the real executable.
//!
//! The upstream replays what providers really sent, or plays a provider that can be talked to; between it and the clients stands
//! `lockgate serve`, as a process of its own. A client must not be able to tell the difference but by Lockgate's own headers,
//! and the upstream none but by the model that Lockgate put in place of the feature's name.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]

mod clients;
mod guide;
mod model;
mod provider;
mod raw;
mod recordings;
mod replayed;
mod script;
mod server;
