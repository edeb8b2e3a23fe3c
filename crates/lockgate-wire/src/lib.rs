//! Speaks the providers' formats: parse, write, stream, splice (pure).
//!
//! What a client and a target say to each other is carried byte for byte; this crate reads beside the relay what routing and
//! measuring need, and changes only what a version's configuration asks to change. Nothing here opens a socket or reads a clock.
//!
//! An [`api`] is one operation of a provider. [`body`] and [`splice`] know any JSON object, [`call`] what routing needs of a
//! request, [`reader`] what measuring needs of an [`answer`]; the modules named after an API know its form. [`translate`] says in
//! one form what was said in another, and [`blame`] tells whose fault an error is.

pub mod answer;
pub mod api;
pub mod blame;
pub mod body;
pub mod call;
pub mod reader;
pub mod splice;
pub mod sse;
pub mod translate;

pub mod chat;
mod embeddings;
mod messages;
mod responses;

pub mod error;
pub mod models;
pub mod ofrep;
pub mod rules;

mod lenient;
