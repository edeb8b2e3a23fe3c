//! Keeps what outlives a request: the hash-chained log, signal sums, answers and feedback.
//!
//! The promises, whatever keeps them: an appended entry is on disk before its caller hears of it; an append
//! goes through only if the log's head is where the caller thinks it is; a sum sent twice counts once; a
//! piece of feedback counts once.
//!
//! [`Store`] names the promises and [`row`] what passes through them; `sqlite` keeps them in one file.

pub mod row;

mod error;
mod sqlite;
mod store;

pub use error::{AppendError, Retry, StoreError};
pub use store::Store;

#[cfg(test)]
mod tests;
