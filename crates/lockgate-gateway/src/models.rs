//! Lists the features that a client may call, as models.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use lockgate_config::value::{Client, Config, Feature, Surface};
use lockgate_wire::error::Failure;
use lockgate_wire::models;

use crate::caller::{self, may_call};
use crate::handle::echo;

/// When the models were made, as far as a client asks: a feature is older than any moment that we know of.
const CREATED: i64 = 0;

/// `GET /v1/models`
pub(crate) fn list(config: &Config, headers: &HeaderMap) -> Result<Response<Bytes>, Failure> {
    let client = caller::authenticate(config, headers)?;
    let names = config.features.values().filter(|feature| is_listed(client, feature));
    Ok(json(models::list(names.map(|feature| feature.name.as_str()), CREATED)))
}

/// `GET /v1/models/{name}`
pub(crate) fn one(config: &Config, headers: &HeaderMap, name: &str) -> Result<Response<Bytes>, Failure> {
    let client = caller::authenticate(config, headers)?;
    let listed = || config.features.values().filter(|feature| is_listed(client, feature));
    match listed().find(|feature| feature.name.as_str() == name) {
        Some(feature) => Ok(json(models::one(feature.name.as_str(), CREATED))),
        None => Err(Failure::UnknownFeature {
            feature: echo(name),
            known: listed().map(|feature| feature.name.to_string()).collect(),
        }),
    }
}

fn is_listed(client: Option<&Client>, feature: &Arc<Feature>) -> bool {
    feature.surface == Surface::Chat && may_call(client, &feature.name)
}

fn json(body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
