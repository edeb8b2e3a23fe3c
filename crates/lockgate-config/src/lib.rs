//! Turns YAML as people write it into checked values, or into every problem at once.
//!
//! `file` is what people write, `check` turns it into [`value`] or into all problems, each with its path, line and a hint.
//! Nothing else in the workspace parses, defaults or validates configuration. [`live`] holds what is in force now.

pub mod clock;
pub mod live;
pub mod secret;
pub mod value;
