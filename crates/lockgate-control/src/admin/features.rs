//! `/api/v1/features`: what there is, the kill switch, and blue-green flips.

use axum::Json;
use lockgate_core::name::VersionName;
use lockgate_core::route::KillTo;
use serde::{Deserialize, Serialize};

use super::Ask;
use super::body::{Body, Named, Reason, Why, feature};
use super::caller::Author;
use super::failure::Failure;
use crate::order::{Receipt, Request};
use crate::view::FeatureView;

#[derive(Debug, Serialize)]
pub(super) struct Features {
    features: Vec<FeatureView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flip {
    to: Option<VersionName>,
    #[serde(default)]
    why: Why,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kill {
    to: Option<KillTo>,
    #[serde(default)]
    why: Why,
}

pub(super) async fn list(ask: Ask) -> Json<Features> {
    Json(Features { features: ask.features().await })
}

pub(super) async fn one(ask: Ask, Named(named): Named) -> Result<Json<FeatureView>, Failure> {
    let name = feature(&ask, &named)?;
    let view = ask.feature(&name).await;
    view.map(Json).ok_or_else(|| ask.unknown_feature(&named).into())
}

pub(super) async fn flip(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(Flip { to, why }): Body<Flip>,
) -> Result<Json<Receipt>, Failure> {
    let request = Request::Flip { to, why: why.or_unsaid() };
    Ok(Json(ask.command(&author, &feature(&ask, &named)?, request).await?))
}

pub(super) async fn kill(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(Kill { to, why }): Body<Kill>,
) -> Result<Json<Receipt>, Failure> {
    let request = Request::Kill { to: to.unwrap_or(KillTo::Stable), why: why.or_unsaid() };
    Ok(Json(ask.command(&author, &feature(&ask, &named)?, request).await?))
}

pub(super) async fn revive(
    ask: Ask,
    Named(named): Named,
    Author(author): Author,
    Body(Reason { why }): Body<Reason>,
) -> Result<Json<Receipt>, Failure> {
    let request = Request::Revive { why: why.or_unsaid() };
    Ok(Json(ask.command(&author, &feature(&ask, &named)?, request).await?))
}
