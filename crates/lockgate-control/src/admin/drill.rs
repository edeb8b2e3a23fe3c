//! `/api/v1/drills`: rehearsals of a rollback.

use std::time::Duration;

use axum::Json;
use lockgate_config::duration;
use lockgate_core::drill::FaultError;
use lockgate_core::name::{PlanName, RolloutId};
use lockgate_core::share::Share;
use serde::{Deserialize, Serialize};

use super::Ask;
use super::body::{Body, Named, Why, feature};
use super::caller::Author;
use super::failure::Failure;
use crate::drill::{Drill, DrillStarted, Rehearsal};

/// Longest rehearsal: one that nobody waits for the end of is forgotten, and in the way of real rollouts until then.
const WITHIN_MAX: Duration = Duration::from_secs(24 * 3600);
/// Buckets that a rehearsal lasts at least: fewer could not show anything.
const BUCKETS_MIN: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    fault: String,
    share: Option<String>,
    #[serde(rename = "for")]
    within: Option<String>,
    plan: Option<PlanName>,
    #[serde(default)]
    why: Why,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    rollout: RolloutId,
    #[serde(default)]
    why: Why,
}

#[derive(Debug, Serialize)]
pub(super) struct Ended {
    ended: bool,
}

pub(super) async fn one(ask: Ask, Named(named): Named) -> Result<Json<Drill>, Failure> {
    let name = feature(&ask, &named)?;
    ask.last_drill(&name).await?.map(Json).ok_or_else(|| {
        Failure::not_found(format!("{name} has had no drill yet"))
            .hint("`lockgate drill` starts one, or POST to this path")
    })
}

pub(super) async fn start(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(start): Body<Start>,
) -> Result<Json<DrillStarted>, Failure> {
    let name = feature(&ask, &named)?;
    let signals = ask.config().signals.clone();
    let at_least = signals.bucket * BUCKETS_MIN + signals.watermark;
    let rehearsal = Rehearsal {
        fault: start.fault.parse().map_err(|error: FaultError| Failure::bad_request(error.to_string()))?,
        share: share(start.share.as_deref().unwrap_or("50%"))?,
        within: within(start.within.as_deref().unwrap_or("10m"), at_least)?,
        plan: start.plan,
        why: start.why.or_unsaid(),
    };
    Ok(Json(ask.start_drill(&author, &name, rehearsal).await?))
}

pub(super) async fn end(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(End { rollout, why }): Body<End>,
) -> Result<Json<Ended>, Failure> {
    let name = feature(&ask, &named)?;
    Ok(Json(Ended { ended: ask.end_drill(&author, &name, rollout, &why.or_unsaid()).await? }))
}

/// Both arms must have somebody, or there is nothing to compare.
fn share(text: &str) -> Result<Share, Failure> {
    let share = Share::parse(text).filter(|share| *share > Share::NONE && *share < Share::FULL);
    share.ok_or_else(|| {
        Failure::bad_request(format!("`{}` is no share of a drill", cut(text)))
            .hint("write 50%; more than 0 and less than 100%, because stable is what it is compared with")
    })
}

fn within(text: &str, at_least: Duration) -> Result<Duration, Failure> {
    let within = duration::parse(text).filter(|within| (at_least..=WITHIN_MAX).contains(within));
    within.ok_or_else(|| {
        let (least, most) = (duration::write(at_least), duration::write(WITHIN_MAX));
        Failure::bad_request(format!("`{}` is no length of a drill", cut(text)))
            .hint(format!("write 10m; at least {least}, at most {most}"))
    })
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
