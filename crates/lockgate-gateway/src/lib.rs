//! Carries calls from clients to targets.
//!
//! Start at `handle`: it is the table of contents of one call, and every step is a file of the same name. Around it, `serve`
//! owns the sockets and the tasks, and [`Gateway`] is what all calls share. The gateway reads the table in force and writes
//! sums; it decides nothing about rollouts, and goes on without the store.

mod gateway;
mod serve;
mod socket;

mod handle;

mod admit;
mod answer;
mod assign;
mod body;
mod caller;
mod conversation;
mod draw;
mod events;
mod fault;
mod packed;
mod relay;
mod reply;
mod resume;
mod spoken;
mod stage;
mod telling;
mod tier;
mod trouble;
mod upstream;

mod answers;
mod observation;
mod record;
mod retreat;
mod sessions;
mod tally;
mod visitors;
mod workbench;

mod copy;
mod purse;
mod shadow;

mod feedback;
mod health;
mod models;
mod ofrep;
mod opinion;

mod counts;
mod hashed;
mod headers;
mod labels;
mod refusal;

pub use counts::Counts;
pub use gateway::Gateway;
#[doc(hidden)]
pub use workbench::Workbench;
