//! Moves rollouts by evidence, and shows them to people.
//!
//! A [`Controller`] owns the routing table that gateways read. Each look at a rollout is `tick.rs`: gather, decide, commit,
//! carry out. What people ask for comes in by [`Controller::command`], from the executable itself or over the admin API
//! ([`admin`]). Whether a rollout moves, and whether a command is legal, is decided in `lockgate-core`; this crate brings the
//! evidence there and the events to the log.

mod world;

mod commit;
mod controller;
mod gather;
mod retreat;
mod tick;

mod drawn;
mod drill;
mod only;
mod order;
mod reload;
mod traffic;

mod again;
mod audit;
mod explain;
mod gate;
mod view;

pub mod admin;
pub mod backtest;

pub use audit::{AuditError, LogPage};
pub use controller::{Controller, StartError, TickError};
pub use drill::{Drill, DrillStarted, Rehearsal};
pub use explain::{Explanation, explain_stored};
pub use gate::GateView;
pub use only::OnlyError;
pub use order::{CommandError, Receipt, RecordedEvent, Request};
pub use reload::ReloadRefused;
pub use view::{FeatureView, PhaseView, RolloutView, VersionView, WarmView};
pub use world::Alert;
