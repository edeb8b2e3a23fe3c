//! Lists the features that a client may call, as models, in the shape of whoever asks.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use lockgate_config::value::{Client, Config, Feature, Surface};
use lockgate_wire::api::Family;
use lockgate_wire::error::Failure;
use lockgate_wire::models::{self, Paging};

use crate::caller::{self, may_call};
use crate::handle::echo;

/// Both families list models at one path; Anthropic's clients always say which version of their API they speak.
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Whose client asks, and in whose shape it is to be answered.
pub(crate) fn family(headers: &HeaderMap) -> Family {
    if headers.contains_key(ANTHROPIC_VERSION) { Family::Anthropic } else { Family::OpenAi }
}

/// `GET /v1/models`; `query` is what stands behind the path.
pub(crate) fn list(
    config: &Config,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response<Bytes>, Failure> {
    let client = caller::authenticate(config, headers)?;
    let names: Vec<&str> = listed(config, client).map(|feature| feature.name.as_str()).collect();
    Ok(json(match family(headers) {
        Family::OpenAi => models::list(names),
        Family::Anthropic => Paging::read(query.unwrap_or_default())?.page(&names)?,
    }))
}

/// `GET /v1/models/{name}`
pub(crate) fn one(config: &Config, headers: &HeaderMap, name: &str) -> Result<Response<Bytes>, Failure> {
    let client = caller::authenticate(config, headers)?;
    let Some(feature) = listed(config, client).find(|feature| feature.name.as_str() == name) else {
        let known = listed(config, client).map(|feature| feature.name.to_string()).collect();
        return Err(Failure::UnknownFeature { feature: echo(name), known });
    };
    Ok(json(match family(headers) {
        Family::OpenAi => models::one(feature.name.as_str()),
        Family::Anthropic => models::one_of_anthropic(feature.name.as_str()),
    }))
}

fn listed<'c>(config: &'c Config, client: Option<&'c Client>) -> impl Iterator<Item = &'c Arc<Feature>> {
    let features = config.features.values().filter(|feature| feature.surface == Surface::Model);
    features.filter(move |feature| may_call(client, &feature.name))
}

fn json(body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
