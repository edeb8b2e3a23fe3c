//! Endpoints: URLs that can be called, and what every call of them carries.
//!
//! What could send a key astray is refused here, where its author reads it: a key in a URL, a header that is not theirs to set,
//! a path that leaves the base URL. So nothing that a caller sends has a say in where a call goes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::{self, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use lockgate_core::retry;
use lockgate_wire::api::Api;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::check::Check;
use crate::node::Value;
use crate::place::{Fields, Place};
use crate::shape::Shape;
use crate::value::{Endpoint, KeyHeader, Times};

/// Largest file of certificates: all authorities that a platform trusts come to a fifth of it.
const CA_BYTES_MAX: u64 = 1 << 20;
/// The longest answer of a translated call that names none, where the API wants a number. The longest that every Claude model
/// accepts: a larger one is refused by the smaller models with an error, and a caller who needs more says so.
const MAX_TOKENS: u64 = 4096;
/// Headers that belong to the connection, to HTTP itself or to Lockgate.
const RESERVED_HEADERS: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
/// What Lockgate tells its own callers.
const OWN_PREFIX: &str = "x-lockgate-";
/// Headers and query names in which providers take keys.
const KEY_NAMES: [&str; 10] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "cookie",
    "key",
    "subscription-key",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
];

/// Where an OpenAI-compatible server has its APIs, behind a base URL that ends in the version.
pub(super) const OPENAI_PATHS: [(Api, &str); 5] = [
    (Api::Chat, "/chat/completions"),
    (Api::Responses, "/responses"),
    (Api::Embeddings, "/embeddings"),
    (Api::Messages, "/messages"),
    (Api::CountTokens, "/messages/count_tokens"),
];
/// Where Anthropic has its APIs, behind a base URL that ends before the version.
pub(super) const ANTHROPIC_PATHS: [(Api, &str); 2] =
    [(Api::Messages, "/v1/messages"), (Api::CountTokens, "/v1/messages/count_tokens")];

/// Which APIs an endpoint may have.
#[derive(Clone, Copy)]
pub(super) struct Speaks {
    /// Each that it may have, with its usual path.
    pub usual: &'static [(Api, &'static str)],
    /// How one with another path is written.
    pub shape: &'static Shape,
}

impl Check<'_> {
    /// An endpoint; without `speaks`, one that has no API of a model.
    pub(super) fn endpoint(&mut self, fields: &Fields<'_>, speaks: Option<Speaks>) -> Option<Endpoint> {
        let base_url = fields.get("base_url").and_then(|place| self.base_url(&place, speaks));
        let api_key = fields.get("api_key").map(|place| self.secret(&place));
        let key_header = self.key_header(fields);
        let headers = self.headers(fields, key_header.as_ref().filter(|_| api_key.is_some()));
        let query = self.query(fields);
        let paths = match speaks {
            Some(speaks) => self.paths(fields, speaks),
            None => Some(BTreeMap::new()),
        };
        let ca = fields.get("ca_file").map(|place| self.authorities(&place));
        let times = self.target_times(fields);
        // What only models have.
        let model = speaks.is_some().then_some(fields);
        let breaker = self.breaker(fields);
        let retries = match speaks {
            // An agent may have acted before it failed, so it is asked again only where that is written.
            None if !fields.has("retries") => Some(retry::Settings { retries: 0, ..Default::default() }),
            _ => self.retries(fields),
        };
        let endpoint = Endpoint {
            base_url: base_url?,
            api_key: api_key.map_or(Some(None), |key| key.map(Some))?,
            key_header: key_header?,
            headers: headers?,
            query: query?,
            paths: paths?,
            ca: ca.map_or(Some(None), |ca| ca.map(Some))?,
            times: Times {
                tokens_per_second: model.and_then(|fields| fields.number("min_tokens_per_second")),
                ..times?
            },
            asks_usage: false,
            resumes: model.map_or(Some(false), |fields| fields.flag("resumes"))?,
            context_window: model
                .and_then(|fields| fields.whole("context_window"))
                .map(|tokens| tokens as u64),
            max_tokens: MAX_TOKENS,
            breaker: breaker?,
            retries: retries?,
        };
        self.note_clear_text(fields, &endpoint);
        self.note_doubled(fields, &endpoint);
        Some(endpoint)
    }

    fn base_url(&mut self, place: &Place<'_>, speaks: Option<Speaks>) -> Option<Uri> {
        const EXAMPLE: &str = "write a URL like https://api.openai.com/v1";
        let text = place.node.text()?;
        let uri = text.trim_end_matches('/').parse::<Uri>().ok();
        let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        let Some((uri, authority)) = uri.and_then(|uri| Some((uri.clone(), uri.authority()?.clone()))) else {
            self.problem(place, format!("{} is not an http or https URL", place.node), EXAMPLE);
            return None;
        };
        if authority.as_str().contains('@') {
            let hint = "take them out of the URL and write api_key: { env: NAME }";
            self.problem(place, "a URL with a name or password ends up in logs", hint);
            return None;
        }
        if uri.query().is_some() || text.contains('#') {
            let hint =
                "end it with the path; a key belongs in api_key: { env: NAME }, anything else in `query`";
            self.problem(place, "a base URL has no query and no fragment", hint);
            return None;
        }
        let usual = speaks.map(|speaks| speaks.usual).unwrap_or_default();
        let whole = text.trim_end_matches('/');
        let doubled = usual.iter().find_map(|(_, path)| Some((path, whole.strip_suffix(path)?)));
        if let Some((path, shorter)) = doubled {
            let message = format!("`{path}` is put behind the base URL for every call");
            self.problem(place, message, format!("write {shorter}"));
            return None;
        }
        Some(uri)
    }

    fn key_header(&mut self, fields: &Fields<'_>) -> Option<KeyHeader> {
        let text = fields.text("auth_header")?;
        let written = fields.get("auth_header");
        if let Some(place) = &written {
            let name = self.header_name(place, &text, "write authorization, x-api-key or api-key")?;
            if !fields.has("api_key") {
                self.warning(place, "there is no key that it could carry", "add api_key: { env: NAME }");
            }
            return Some(key_header(name));
        }
        HeaderName::from_bytes(text.as_bytes()).ok().map(key_header)
    }

    /// The name of a header that may be set, in lower case.
    fn header_name(&mut self, place: &Place<'_>, text: &str, hint: &str) -> Option<HeaderName> {
        let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
            self.problem(place, format!("`{text}` is not a header's name"), hint);
            return None;
        };
        if RESERVED_HEADERS.contains(&name) || name.as_str().starts_with(OWN_PREFIX) {
            let message = format!("`{name}` is set by Lockgate or belongs to the connection");
            self.problem(place, message, "take it away");
            return None;
        }
        Some(name)
    }

    /// The fixed headers. Those that came as secrets are marked as sensitive.
    fn headers(&mut self, fields: &Fields<'_>, key_header: Option<&KeyHeader>) -> Option<HeaderMap> {
        let written = fields.named("headers");
        let mut headers = HeaderMap::new();
        for (name, place) in &written {
            if let Some((name, value)) = self.fixed_header(name, place, key_header)
                && headers.insert(&name, value).is_some()
            {
                self.problem(place, format!("`{name}` is there twice"), "keep one of the two");
            }
        }
        (headers.len() == written.len()).then_some(headers)
    }

    fn fixed_header(
        &mut self,
        name: &str,
        place: &Place<'_>,
        key_header: Option<&KeyHeader>,
    ) -> Option<(HeaderName, HeaderValue)> {
        const KEY_HINT: &str = "write api_key: { env: NAME }, and its header in `auth_header`";
        let name = self.header_name(place, name, "write a name like openai-organization")?;
        if name == header::AUTHORIZATION || key_header.is_some_and(|key| key.name() == name) {
            self.problem(place, format!("`{name}` carries the key"), KEY_HINT);
            return None;
        }
        if let Value::Map(_) = place.node.value {
            let mut value = HeaderValue::from_str(self.secret(place)?.expose()).ok()?;
            value.set_sensitive(true);
            return Some((name, value));
        }
        let text = place.node.text()?;
        if KEY_NAMES.contains(&name.as_str()) {
            let hint = "write { env: NAME } or { file: path }: a secret has no place in this file";
            self.problem(place, format!("`{name}` carries a secret"), hint);
            return None;
        }
        match HeaderValue::from_str(text) {
            Ok(value) if !text.is_empty() => Some((name, value)),
            _ => {
                let message = format!("{} cannot be sent in a header", place.node);
                self.problem(place, message, "write a text of one line without control characters");
                None
            }
        }
    }

    fn query(&mut self, fields: &Fields<'_>) -> Option<String> {
        let mut pairs = Vec::new();
        let mut is_right = true;
        for (name, place) in fields.named("query") {
            if KEY_NAMES.contains(&name.to_ascii_lowercase().as_str()) {
                let hint = "write api_key: { env: NAME }, and in `auth_header` the header that takes it";
                self.problem(&place, "a key in a URL ends up in logs", hint);
            }
            match place.node.text() {
                Some(value) => pairs.push(format!("{}={}", percent_encoded(name), percent_encoded(value))),
                None => is_right = false,
            }
        }
        // Their order means nothing, and must not change a version's digest.
        pairs.sort();
        is_right.then(|| pairs.join("&"))
    }

    /// The APIs that it speaks, each with what is put behind its base URL.
    fn paths(&mut self, fields: &Fields<'_>, speaks: Speaks) -> Option<BTreeMap<Api, String>> {
        let Some(speaks_at) = fields.get("speaks") else {
            // What is taken when nothing is written stands in the table of keys.
            let names = fields.texts("speaks")?;
            return names.iter().map(|name| usual_path(speaks, name)).collect();
        };
        let written = speaks_at.items();
        if written.is_empty() && matches!(speaks_at.node.value, Value::List(_)) {
            let hint = "write speaks: [ chat ], or take `speaks` away";
            self.problem(&speaks_at, "a target that speaks nothing cannot be asked", hint);
        }
        let mut paths = BTreeMap::new();
        for place in &written {
            if let Some((api, path)) = self.spoken(place, speaks)
                && paths.insert(api, path).is_some()
            {
                self.problem(place, format!("`{}` is there twice", api.as_str()), "keep one of the two");
            }
        }
        (paths.len() == written.len() && !paths.is_empty()).then_some(paths)
    }

    fn spoken(&mut self, place: &Place<'_>, speaks: Speaks) -> Option<(Api, String)> {
        if let Value::Text(name) = &place.node.value {
            return usual_path(speaks, name);
        }
        let fields = place.clone().fields(speaks.shape);
        let path_at = fields.get("path")?;
        let path = path_at.node.text()?;
        let hint = "write what comes behind the base URL: /chat/completions";
        let is_path = path.parse::<PathAndQuery>().is_ok() && path.starts_with('/');
        if !is_path || path.contains(['?', '#']) || path.split('/').any(|part| part == "..") {
            self.problem(&path_at, format!("{} is not a path", path_at.node), hint);
            return None;
        }
        let (api, _) = usual_path(speaks, &fields.text("api")?)?;
        Some((api, path.to_owned()))
    }

    /// The certificates of a file, of which each can be trusted.
    fn authorities(&mut self, place: &Place<'_>) -> Option<Arc<[u8]>> {
        let file = place.node.text()?;
        let wrong = match self.read(file, CA_BYTES_MAX) {
            Ok(pem) => match authorities(pem.as_bytes()) {
                Ok(()) => return Some(pem.into_bytes().into()),
                Err(wrong) => wrong,
            },
            Err(wrong) => wrong,
        };
        let hint = "write the path of a file with -----BEGIN CERTIFICATE----- in it";
        self.problem(place, format!("no certificates can be had from {}: {wrong}", place.node), hint);
        None
    }

    /// A version that ends the base URL and begins the path, too.
    fn note_doubled(&mut self, fields: &Fields<'_>, endpoint: &Endpoint) {
        let last = endpoint.base_url.path().rsplit('/').next().filter(|last| !last.is_empty());
        let first = |path: &&String| path.trim_start_matches('/').split('/').next() == last;
        if let Some(path) = endpoint.paths.values().find(first)
            && let Some(place) = fields.get("base_url").filter(|_| last.is_some())
        {
            let message = format!("calls go to {}{path}", endpoint.base_url);
            self.warning(&place, message, "end the base URL before what the path begins with");
        }
    }

    /// A key that travels in clear text is read by everybody on its way.
    fn note_clear_text(&mut self, fields: &Fields<'_>, endpoint: &Endpoint) {
        if endpoint.base_url.scheme_str() != Some("http") {
            return;
        }
        if let Some(place) = fields.get("ca_file") {
            self.warning(&place, "an http URL has no use for certificates", "write https, or take it away");
        }
        let has_secret =
            endpoint.api_key.is_some() || endpoint.headers.values().any(HeaderValue::is_sensitive);
        if has_secret
            && !endpoint.base_url.host().is_some_and(is_nearby)
            && let Some(place) = fields.get("base_url")
        {
            self.warning(&place, "the key is sent in clear text over the network", "write https://");
        }
    }
}

impl KeyHeader {
    fn name(&self) -> HeaderName {
        match self {
            Self::Bearer => header::AUTHORIZATION,
            Self::Plain(name) => name.clone(),
        }
    }
}

fn key_header(name: HeaderName) -> KeyHeader {
    if name == header::AUTHORIZATION { KeyHeader::Bearer } else { KeyHeader::Plain(name) }
}

fn usual_path(speaks: Speaks, name: &str) -> Option<(Api, String)> {
    let (api, path) = speaks.usual.iter().find(|(api, _)| api.as_str() == name)?;
    Some((*api, (*path).to_owned()))
}

fn authorities(pem: &[u8]) -> Result<(), String> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "it is not PEM".to_owned())?;
        count += 1;
        webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|_| format!("the certificate number {count} in it cannot be read"))?;
    }
    if count == 0 { Err("there is none in it".into()) } else { Ok(()) }
}

/// Everything but what RFC 3986 calls unreserved as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Whether a host is this machine or in a network of one's own, as far as its name tells: private addresses, names without a
/// dot, and the endings that no public name has.
fn is_nearby(host: &str) -> bool {
    const ENDINGS: [&str; 6] = [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc"];
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            !host.contains('.') || ENDINGS.iter().any(|ending| host.ends_with(ending))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_may_not_hold_is_percent_encoded() {
        assert_eq!(percent_encoded("2024-10-21_a.b~c"), "2024-10-21_a.b~c");
        assert_eq!(percent_encoded("a b&c=d/e?f#g+h%"), "a%20b%26c%3Dd%2Fe%3Ff%23g%2Bh%25");
        assert_eq!(percent_encoded("é"), "%C3%A9");
    }

    #[test]
    fn hosts_of_ones_own_network_are_known_by_address_or_name() {
        for host in [
            "localhost",
            "ollama",
            "127.0.0.1",
            "[::1]",
            "10.0.0.8",
            "192.168.1.4",
            "172.20.0.1",
            "[fd00::1]",
            "vllm.models.svc",
            "gpu.local",
            "LLM.Internal",
        ] {
            assert!(is_nearby(host), "{host}");
        }
        for host in ["api.openai.com", "8.8.8.8", "172.32.0.1", "[2001:db8::1]", "internal.example.com"] {
            assert!(!is_nearby(host), "{host}");
        }
    }
}
