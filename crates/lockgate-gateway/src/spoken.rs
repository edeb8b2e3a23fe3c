//! Which API a target is asked by, when a call came by another.

use http::HeaderMap;
use lockgate_config::value::{Endpoint, Target, TargetKind};
use lockgate_wire::api::{Api, Family};
use lockgate_wire::translate::Way;

/// How a call is put to a target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spoken<'e> {
    /// By which API; `None` for an agent, to whom nothing is said but the caller's own bytes.
    pub(crate) api: Option<Api>,
    /// What is put behind the endpoint's URL.
    pub(crate) path: &'e str,
    /// Set when the call is translated.
    pub(crate) way: Option<Way>,
}

/// How a call of `asked` is put to an endpoint: by the same API where it speaks that, else by one that it can be translated to.
pub(crate) fn spoken<'e>(asked: Option<Api>, target: &Target, endpoint: &'e Endpoint) -> Option<Spoken<'e>> {
    if matches!(target.kind, TargetKind::Agent(_)) {
        return Some(Spoken { api: None, path: "", way: None });
    }
    let asked = asked?;
    if let Some(path) = endpoint.paths.get(&asked) {
        return Some(Spoken { api: Some(asked), path, way: None });
    }
    endpoint.paths.iter().find_map(|(api, path)| {
        let way = Way::between(asked, *api)?;
        Some(Spoken { api: Some(*api), path, way: Some(way) })
    })
}

/// Adds what a target wants to be told in headers by the API that it is asked by.
pub(crate) fn prepare(headers: &mut HeaderMap, spoken: Spoken<'_>) {
    const VERSION: &str = "anthropic-version";
    const BETA: &str = "anthropic-beta";
    match spoken.api.map(Api::family) {
        Some(Family::Anthropic) => {
            headers.entry(VERSION).or_insert(http::HeaderValue::from_static("2023-06-01"));
        }
        Some(Family::OpenAi) | None => {
            headers.remove(VERSION);
            headers.remove(BETA);
        }
    }
    if spoken.way.is_some() {
        // It names features of the API that the caller spoke.
        headers.remove("openai-beta");
    }
}
