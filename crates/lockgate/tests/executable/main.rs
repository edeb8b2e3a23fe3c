//! The executable as people run it: a process, files, sockets, exit statuses.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot go on is to fail")]

mod support;

mod check;
mod demo;
mod killed;
mod serve;
