//! Says in one provider's form what was said in the other's, and back.
//!
//! What both can say has to come back equal in meaning, and whatever comes out has to be a request that the
//! target takes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "round_trip/requests.rs"]
mod requests;
#[path = "round_trip/shapes.rs"]
mod shapes;
#[path = "round_trip/talk.rs"]
mod talk;
