//! Reads what was said: compares two answers (pure).
//!
//! Nothing here knows a provider's format or a network; texts come in, findings go out. What an answer is and how it was taken
//! out of a stream is for the wire crate and the gateway to say.

pub mod agreement;
