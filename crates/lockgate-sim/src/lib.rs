//! Invented targets, traffic, faults and time: for the demo, the drill and the tests.

pub mod paper;
pub mod provider;
pub mod random;
pub mod replay;
pub mod users;
