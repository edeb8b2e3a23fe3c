//! `/api/v1/targets`: how the targets do, as the gateway of this very process has found them. Each replica has breakers of its
//! own: what one target does to one of them need not be what it does to another.

use axum::Json;
use jiff::Timestamp;
use lockgate_config::health::TargetHealth;
use lockgate_config::value::{Config, Target, TargetKind};
use lockgate_core::name::FeatureName;
use serde::Serialize;

use super::Ask;

#[derive(Debug, Serialize)]
pub(super) struct Targets {
    /// When this was so, for telling how long something still takes.
    at: Timestamp,
    targets: Vec<TargetView>,
}

#[derive(Debug, Serialize)]
struct TargetView {
    kind: &'static str,
    /// The features of which a version names it.
    used_by: Vec<FeatureName>,
    #[serde(flatten)]
    health: TargetHealth,
}

pub(super) async fn list(ask: Ask) -> Json<Targets> {
    let at = ask.clock().now();
    let config = ask.config();
    let known = ask.live().health().list(at);
    let health = |target: &Target| {
        let found = known.iter().find(|health| health.target == target.name);
        found.cloned().unwrap_or_else(|| TargetHealth::unasked(&target.name))
    };
    let view = |target: &Target| TargetView {
        kind: kind(target),
        used_by: used_by(&config, target),
        health: health(target),
    };
    Json(Targets { at, targets: config.targets.values().map(|target| view(target)).collect() })
}

fn kind(target: &Target) -> &'static str {
    match target.kind {
        TargetKind::OpenAi(_) => "openai",
        TargetKind::Anthropic(_) => "anthropic",
        TargetKind::Agent(_) => "agent",
        TargetKind::Rules(_) => "rules",
    }
}

fn used_by(config: &Config, target: &Target) -> Vec<FeatureName> {
    let uses = |version: &lockgate_config::value::Version| {
        version.chain.iter().any(|tier| tier.target.name == target.name)
    };
    let features = config.features.values();
    let users = features.filter(|feature| feature.versions.values().any(|version| uses(version)));
    users.map(|feature| feature.name.clone()).collect()
}
