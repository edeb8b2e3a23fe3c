//! `/api/v1/audit` and `/api/v1/samples`: what happened, what served whom, what differed.

use axum::Json;
use jiff::Timestamp;
use lockgate_core::command::Served;
use lockgate_core::name::{FeatureName, RequestId};
use lockgate_store::row::{Answer, ShadowSample, Verification};
use serde::{Deserialize, Serialize};

use super::Ask;
use super::body::{Asked, Named, feature};
use super::failure::Failure;
use crate::audit::{LogPage, PAGE_MAX};
use crate::explain::Explanation;

/// Entries and samples of a page when nothing else is asked for: a screen or two.
const PAGE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    feature: Option<String>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AtQuery {
    feature: String,
    ts: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SamplesQuery {
    feature: String,
    limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct At {
    feature: FeatureName,
    ts: Timestamp,
    #[serde(flatten)]
    served: Served,
}

#[derive(Debug, Serialize)]
pub(super) struct Checked {
    ok: bool,
    #[serde(flatten)]
    verification: Verification,
}

#[derive(Debug, Serialize)]
pub(super) struct Samples {
    samples: Vec<ShadowSample>,
}

pub(super) async fn log(ask: Ask, Asked(query): Asked<LogQuery>) -> Result<Json<LogPage>, Failure> {
    let name = query.feature.as_deref().map(|text| feature(&ask, text)).transpose()?;
    Ok(Json(ask.log(name.as_ref(), query.after, limit(query.limit)?).await?))
}

pub(super) async fn at(ask: Ask, Asked(query): Asked<AtQuery>) -> Result<Json<At>, Failure> {
    let name = feature(&ask, &query.feature)?;
    let served = ask.at(&name, query.ts).await?.ok_or_else(|| {
        Failure::not_found(format!("{name} was not known at {}", query.ts))
            .hint("`lockgate audit log` shows when it was first declared")
    })?;
    Ok(Json(At { feature: name, ts: query.ts, served }))
}

pub(super) async fn request(ask: Ask, Named(id): Named) -> Result<Json<Answer>, Failure> {
    let id: RequestId = id.parse().map_err(|_| {
        Failure::bad_request("the id of a request is a UUID")
            .hint("answers carry it in `x-lockgate-request-id`")
    })?;
    let answer = ask.served(id).await?.ok_or_else(|| {
        Failure::not_found(format!("no request {id} is known"))
            .hint("it may be older than `signals.retention`, or not have been written yet")
    })?;
    Ok(Json(answer))
}

pub(super) async fn explain(ask: Ask, Named(event): Named) -> Result<Json<Explanation>, Failure> {
    let seq = event.parse().map_err(|_| {
        Failure::bad_request("an event is named by its number in the log")
            .hint("`lockgate audit log` shows the numbers")
    })?;
    Ok(Json(ask.explain_event(seq).await?))
}

pub(super) async fn verify(ask: Ask) -> Result<Json<Checked>, Failure> {
    let verification = ask.verify().await?;
    Ok(Json(Checked { ok: verification.broken.is_none(), verification }))
}

pub(super) async fn samples(ask: Ask, Asked(query): Asked<SamplesQuery>) -> Result<Json<Samples>, Failure> {
    let name = feature(&ask, &query.feature)?;
    Ok(Json(Samples { samples: ask.samples(&name, limit(query.limit)?).await? }))
}

fn limit(asked: Option<usize>) -> Result<usize, Failure> {
    match asked.unwrap_or(PAGE) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        limit => Err(Failure::bad_request(format!("`limit` is {limit}; it is 1 to {PAGE_MAX}"))
            .hint("go on with `after` set to `next_after`")),
    }
}
