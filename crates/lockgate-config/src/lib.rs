//! Turns YAML as people write it into checked values, or into every problem at once.
//!
//! `node` reads the YAML with its lines, `file` says what people may write, `shape` compares the two, and `check` turns what
//! fits into [`value`], or into all problems, each with its path, line and a hint. The schema and the reference page are
//! written from the same tables that the file is checked against. Nothing else in the workspace parses, defaults or
//! validates configuration. [`live`] holds what is in force now.

pub mod load;
pub mod problem;
pub mod value;

pub mod clock;
pub mod live;
pub mod secret;

pub mod duration;
pub mod health;
pub mod percent;
pub mod size;

mod check;
mod file;
pub mod nearest;
mod node;
mod place;
mod plan_text;
mod reference;
mod schema;
mod shape;

pub use check::{Fit, check_plan_for, fit_plan, fit_rollout};
pub use load::{Loaded, Plans, load, load_plans, parse, parse_plan};
pub use plan_text::write_plan;
pub use problem::{Problem, Problems};
pub use reference::reference;
pub use schema::schema;
