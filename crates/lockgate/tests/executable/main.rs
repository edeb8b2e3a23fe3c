//! The executable as people run it: a process, files, sockets, exit statuses.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot go on is to fail")]

mod support;
mod upstream;

mod backtest;
mod check;
mod demo;
mod drain;
mod drill;
mod explain;
mod gate;
mod killed;
mod plan;
mod serve;
#[cfg(target_os = "linux")]
mod slow_clients;
mod status;
mod storm;
