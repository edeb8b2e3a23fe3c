//! Keeps what outlives a request: the hash-chained log, signal sums, answers and feedback.
//!
//! The promises, whatever keeps them: an appended entry is on disk before its caller hears of it; an append goes through only
//! if the log's head is where the caller thinks it is; a sum sent twice counts once; a piece of feedback counts once.

pub mod row;
mod sqlite;
mod store;

pub use store::{AppendError, Store, StoreError};
