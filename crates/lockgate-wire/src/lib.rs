//! Speaks the providers' formats: parse, write, stream, splice (pure).
//!
//! What a client and a target say to each other is carried byte for byte; this crate reads beside the relay what routing and
//! measuring need, and changes only what a version's configuration asks to change. Nothing here opens a socket or reads a clock.
//!
//! [`body`] and [`splice`] know any JSON object; the modules named `chat` know OpenAI's chat completions. Another dialect gets
//! modules of its own name beside them.

pub mod body;
pub mod chat_call;

pub mod splice;

pub mod sse;

pub mod chat;
pub mod chat_stream;
pub mod chat_usage_strip;

pub mod error;
pub mod models;
pub mod rules;

mod lenient;
