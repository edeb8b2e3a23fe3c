//! The gateway over real sockets: a client on one side, a target that does what the test says on the other.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails is a test that fails")]

mod target;
mod world;

mod agents;
mod answers;
mod bounds;
mod callers;
mod chain;
mod conversations;
mod dialects;
mod drill;
mod edges;
mod faults;
mod feedback;
mod honest;
mod models;
mod ofrep;
mod retreat;
mod shadows;
mod signals;
mod streams;
mod table;
mod tiers;
mod unusable;
