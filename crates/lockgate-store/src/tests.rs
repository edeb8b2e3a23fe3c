//! The promises, as claims; each file takes a part of them.

mod answers;
mod feedback;
mod forget;
mod invent;
mod log;
mod open;
mod samples;
mod sums;
mod tamper;
