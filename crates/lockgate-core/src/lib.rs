//! Decides who gets which version of a feature, and whether a rollout moves.
//!
//! Everything here is a plain value or a pure function: time, randomness and evidence are arguments. No clock is read, no
//! socket opened, no file touched. Read the modules in the order below: names and shares, who gets what, what is measured,
//! what a rollout is allowed to do, what happened to it, what follows from it.

pub mod name;
pub mod share;

pub mod assign;
pub mod breaker;
pub mod retry;
mod rolling;
pub mod route;
pub mod segment;

pub mod drill;
pub mod duration_levels;
pub mod mishap;
pub mod signal;
pub mod size_levels;
pub mod sums;

pub mod plan;

pub mod event;
pub mod state;

pub mod command;

pub mod evidence;

pub mod decide;

pub mod playback;

pub mod estimate;
