//! Measures what the decisions cost and find.
//!
//! Promises such as "a harmless candidate is taken back in at most 1 % of rollouts" are checked here by playing: the ledger
//! that judges live is handed sums that are drawn by chance, thousands of times, and the share of mistakes is counted, with the
//! upper end of its confidence interval. Every draw is seeded, so that a figure can be had again.
//!
//! | module | asks |
//! | --- | --- |
//! | [`gate`] | how often is one gate wrong, and how soon is it right? |
//! | [`change`] | how soon is a change in mid-rollout found? |
//! | [`scores`] | the same for judged answers |
//! | [`cost`] | the same for what sessions cost |
//! | [`incident`] | is a provider's incident blamed on the candidate? |
//! | [`segments`] | is a regression of a few found, and how much sooner than by the whole? |
//! | [`split`] | is broken routing noticed, and sound routing left alone? |
//! | [`whole`] | how often is a whole rollout wrong? |
//! | [`planner`] | does the planner foretell what the simulation finds? |
//! | [`peeking`] | what do repeated looks at recorded experiments flag? |
//! | [`series`] | what does the detector of change find in labelled series? |
//! | [`mod@reference`] | do independent implementations agree? |

pub mod change;
pub mod cost;
pub mod gate;
pub mod incident;
pub mod peeking;
pub mod planner;
pub mod reference;
pub mod scores;
pub mod segments;
pub mod series;
pub mod split;
pub mod whole;

mod bench;
mod chance;
pub mod report;

pub use self::chance::upper_bound;
pub use self::report::{Effort, Finding};

/// What keeps a measurement from being made.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// A file that cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path}, line {line}: {what}")]
    Content {
        /// Which.
        path: String,
        /// Where.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A program that failed.
    #[error("{0}")]
    Program(String),
    /// A name that is none; a mistake in this crate.
    #[error(transparent)]
    Name(#[from] lockgate_core::name::NameError),
}
