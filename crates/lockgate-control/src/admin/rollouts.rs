//! `/api/v1/rollouts`: starting, watching and steering rollouts.

use axum::Json;
use lockgate_core::name::{PlanName, VersionName};
use serde::{Deserialize, Serialize};

use super::Ask;
use super::body::{Asked, Body, Named, Reason, feature};
use super::caller::Author;
use super::failure::Failure;
use crate::explain::Explanation;
use crate::gate::GateView;
use crate::order::{Receipt, Request};
use crate::view::RolloutView;

/// Longest owner in characters: a team or an address.
const OWNER_CHARS_MAX: usize = 200;

#[derive(Debug, Serialize)]
pub(super) struct Rollouts {
    rollouts: Vec<RolloutView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    feature: String,
    candidate: VersionName,
    plan: Option<PlanName>,
    owner: Option<String>,
    #[serde(default)]
    only: Vec<String>,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    undecidable: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    event: Option<u64>,
}

pub(super) async fn list(ask: Ask) -> Json<Rollouts> {
    Json(Rollouts { rollouts: ask.rollouts().await })
}

pub(super) async fn one(ask: Ask, Named(named): Named) -> Result<Json<RolloutView>, Failure> {
    let name = feature(&ask, &named)?;
    let view = ask.rollout(&name).await;
    view.map(Json).ok_or_else(|| {
        Failure::not_found(format!("{name} has had no rollout yet"))
            .hint("`lockgate rollout start` starts one, or POST /api/v1/rollouts")
    })
}

pub(super) async fn start(
    ask: Ask,
    Author(author): Author,
    Body(start): Body<Start>,
) -> Result<Json<Receipt>, Failure> {
    let Start { feature: named, candidate, plan, owner, only, again, undecidable } = start;
    let name = feature(&ask, &named)?;
    if owner
        .as_ref()
        .is_some_and(|owner| owner.chars().count() > OWNER_CHARS_MAX || owner.chars().any(char::is_control))
    {
        return Err(Failure::bad_request("`owner` is too long or not printable")
            .hint(format!("a team or an address of at most {OWNER_CHARS_MAX} characters")));
    }
    let request = Request::Start { candidate, plan, owner, only, again, undecidable };
    Ok(Json(ask.command(&author, &name, request).await?))
}

pub(super) async fn promote(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(Reason { why }): Body<Reason>,
) -> Result<Json<Receipt>, Failure> {
    let request = Request::Promote { why: why.said() };
    Ok(Json(ask.command(&author, &feature(&ask, &named)?, request).await?))
}

pub(super) async fn pause(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(Reason { why }): Body<Reason>,
) -> Result<Json<Receipt>, Failure> {
    let request = Request::Pause { why: why.or_unsaid() };
    Ok(Json(ask.command(&author, &feature(&ask, &named)?, request).await?))
}

pub(super) async fn resume(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(Reason { why }): Body<Reason>,
) -> Result<Json<Receipt>, Failure> {
    let request = Request::Resume { why: why.or_unsaid() };
    Ok(Json(ask.command(&author, &feature(&ask, &named)?, request).await?))
}

pub(super) async fn roll_back(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(Reason { why }): Body<Reason>,
) -> Result<Json<Receipt>, Failure> {
    let request = Request::RollBack { why: why.or_unsaid() };
    Ok(Json(ask.command(&author, &feature(&ask, &named)?, request).await?))
}

pub(super) async fn explain(
    ask: Ask,
    Named(named): Named,
    Asked(Which { event }): Asked<Which>,
) -> Result<Json<Explanation>, Failure> {
    Ok(Json(ask.explain(&feature(&ask, &named)?, event).await?))
}

pub(super) async fn gate(ask: Ask, Named(named): Named) -> Result<Json<GateView>, Failure> {
    let view = ask.gate(&feature(&ask, &named)?);
    view.map(Json).ok_or_else(|| ask.unknown_feature(&named).into())
}
