//! Which headers pass, in both directions, and which are added.
//!
//! Towards a target only what is known to be meant for it: a client's credentials, cookies and our own headers stay here.
//! Towards the client everything but what belongs to the one connection, tells browsers and clients how to treat our own address, or
//! tells whose account or whose software answers: clients read providers' rate limits and ids, and a new one must not need a new
//! version of us.

use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALT_SVC, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, PROXY_AUTHENTICATE,
    REFERRER_POLICY, REFRESH, SERVER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, USER_AGENT, VIA, WWW_AUTHENTICATE, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use lockgate_core::name::RequestId;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-lockgate-request-id");
pub(crate) const FEATURE: HeaderName = HeaderName::from_static("x-lockgate-feature");
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-lockgate-version");
pub(crate) const REVISION: HeaderName = HeaderName::from_static("x-lockgate-revision");
pub(crate) const ARM: HeaderName = HeaderName::from_static("x-lockgate-arm");
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-lockgate-target");
pub(crate) const TIER: HeaderName = HeaderName::from_static("x-lockgate-tier");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-lockgate-attempts");
/// Which targets gave no answer before the one that did, and why: `big=timeout, small=circuit_open`.
pub(crate) const FALLBACK: HeaderName = HeaderName::from_static("x-lockgate-fallback");
/// What of the call could not be said to the target.
pub(crate) const DROPPED: HeaderName = HeaderName::from_static("x-lockgate-dropped");
pub(crate) const DEGRADED: HeaderName = HeaderName::from_static("x-lockgate-degraded");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-lockgate-cost-usd");
pub(crate) const SHADOW: HeaderName = HeaderName::from_static("x-lockgate-shadow");
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// What headers of an answer begin with that are ours to send, or are rules that browsers keep for our address.
const NOT_TO_CLIENT_FROM: [&str; 5] =
    ["x-lockgate-", "access-control-", "content-security-policy", "cross-origin-", "permissions-policy"];

/// Client headers that are meant for whoever answers.
const TO_TARGET: [HeaderName; 11] = [
    ACCEPT,
    CONTENT_TYPE,
    USER_AGENT,
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-client-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// Headers of an answer that do not pass.
const NOT_TO_CLIENT: [HeaderName; 33] = [
    // The connection with the target, and the way to it.
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    VIA,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    // Rules for our own address, which a target does not make: where else it is served, who may read it, what is stored and
    // reported of it.
    ALT_SVC,
    REFERRER_POLICY,
    REFRESH,
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE,
    X_FRAME_OPTIONS,
    HeaderName::from_static("accept-ch"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("expect-ct"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("origin-agent-cluster"),
    HeaderName::from_static("public-key-pins"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("service-worker-allowed"),
    // Whose account is asked, which is the operator's and not the caller's, and what software answers.
    HeaderName::from_static("anthropic-organization-id"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    SERVER,
    HeaderName::from_static("x-aspnet-version"),
    HeaderName::from_static("x-powered-by"),
];

/// The bytes of all names and values.
pub(crate) fn weight(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// What a target is sent of a client's headers, without the target's key.
pub(crate) fn to_target(client: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(TO_TARGET.len() + 4);
    for name in TO_TARGET {
        for value in client.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    // Bodies are read on the way, and SDKs would ask for compression that nobody here undoes.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// What a client is told of a target's headers.
pub(crate) fn to_client(target: &HeaderMap) -> HeaderMap {
    let named_by_connection: Vec<String> = target
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut headers = HeaderMap::with_capacity(target.len() + 12);
    for (name, value) in target {
        let stays = NOT_TO_CLIENT.contains(name)
            || NOT_TO_CLIENT_FROM.iter().any(|prefix| name.as_str().starts_with(prefix))
            || named_by_connection.iter().any(|named| named == name.as_str());
        if !stays {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// Tells the call's id and the time spent inside, which every answer carries, errors included.
pub(crate) fn tell_call(headers: &mut HeaderMap, id: RequestId, inside: Duration) {
    put(headers, REQUEST_ID, id.to_string());
    let timing = format!("lockgate;dur={:.3}", inside.as_secs_f64() * 1e3);
    if let Ok(value) = HeaderValue::try_from(timing) {
        headers.append(SERVER_TIMING, value);
    }
}

/// Adds a header of ours. All of them are made of names and numbers, which always can stand in one.
pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// A text as it can stand in a header.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|char| if matches!(char, ' '..='~') { char } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_target_never_sees_a_clients_credentials_or_cookies_or_our_headers() {
        let sent = to_target(&map(&[
            ("authorization", "Bearer client"),
            ("x-api-key", "client"),
            ("cookie", "a=b"),
            ("x-lockgate-user", "ada"),
            ("x-stainless-lang", "python"),
            ("openai-organization", "org"),
            ("accept-encoding", "gzip"),
            ("traceparent", "00-1-2-01"),
        ]));
        let mut names: Vec<&str> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "content-type", "traceparent"]);
        assert_eq!(sent["accept-encoding"], "identity");
    }

    #[test]
    fn a_client_sees_a_providers_limits_and_ids_but_nothing_of_its_connection() {
        let told = to_client(&map(&[
            ("x-request-id", "req_1"),
            ("x-ratelimit-remaining-tokens", "12"),
            ("retry-after", "3"),
            ("set-cookie", "a=b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("x-lockgate-version", "forged"),
        ]));
        let mut names: Vec<&str> = told.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["retry-after", "x-ratelimit-remaining-tokens", "x-request-id"]);
    }

    #[test]
    fn a_target_makes_no_rules_for_our_address_and_tells_nobody_whose_account_it_is() {
        let told = to_client(&map(&[
            ("openai-processing-ms", "12"),
            ("openai-version", "2020-10-01"),
            ("request-id", "req_1"),
            ("anthropic-ratelimit-tokens-remaining", "9"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("cf-ray", "9f-LHR"),
            ("alt-svc", "h3=\":443\""),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "X-Request-ID"),
            ("content-security-policy", "default-src *"),
            ("content-security-policy-report-only", "default-src *"),
            ("cross-origin-opener-policy", "unsafe-none"),
            ("clear-site-data", "\"*\""),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("reporting-endpoints", "a=\"https://example.com\""),
            ("openai-organization", "the-operator"),
            ("openai-project", "proj_1"),
            ("anthropic-organization-id", "org"),
            ("server", "cloudflare"),
            ("via", "1.1 google"),
            ("x-powered-by", "Express"),
        ]));
        let mut names: Vec<&str> = told.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let passed = [
            "anthropic-ratelimit-tokens-remaining",
            "cf-ray",
            "openai-processing-ms",
            "openai-version",
            "request-id",
            "x-ratelimit-reset-tokens",
        ];
        assert_eq!(names, passed);
    }
}
