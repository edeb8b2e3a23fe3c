//! Reads what a request says: names in paths, JSON bodies, queries. What does not fit is told with a sentence.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use lockgate_core::name::FeatureName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::{Ask, BODY_BYTES_MAX};
use crate::order::CommandError;

/// Longest reason in characters: a paragraph, in an audit that is read by people.
const WHY_CHARS_MAX: usize = 2000;

/// A JSON body; an empty one stands for `{}`.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Failure::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    format!("the body is larger than {BODY_BYTES_MAX} bytes"),
                ),
                _ => broken_off(&rejection),
            })?;
        let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes.trim_ascii_start() };
        if !text.starts_with(b"{") {
            return Err(Failure::bad_request("the body does not fit").hint("it is a JSON object"));
        }
        serde_json::from_slice(text).map(Self).map_err(|error| {
            Failure::bad_request(format!("the body does not fit: {error}")).hint("it is a JSON object")
        })
    }
}

fn broken_off(rejection: &BytesRejection) -> Failure {
    Failure::bad_request(format!("the body could not be read: {rejection}"))
}

/// What stands after the `?`.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Query(asked) =
            Query::from_request_parts(parts, state).await.map_err(|rejection: QueryRejection| {
                Failure::bad_request(format!("the query does not fit: {}", rejection.body_text()))
            })?;
        Ok(Self(asked))
    }
}

/// A reason, for the audit.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Why(String);

impl TryFrom<String> for Why {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().count() > WHY_CHARS_MAX {
            return Err(format!("a reason has at most {WHY_CHARS_MAX} characters"));
        }
        // It is shown on terminals, one entry a line: a line break could pass for another entry, an escape for anything.
        let text: String =
            text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
        match text.chars().find(|c| c.is_control()) {
            Some(found) => Err(format!("a reason is printable text; it contains {found:?}")),
            None => Ok(Self(text)),
        }
    }
}

impl Why {
    /// The reason, or that none was said.
    pub(super) fn or_unsaid(self) -> String {
        if self.0.trim().is_empty() { "no reason was said".to_owned() } else { self.0 }
    }

    /// The reason as it was said, perhaps empty.
    pub(super) fn said(self) -> String {
        self.0
    }
}

/// The body of a request that only gives a reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    #[serde(default)]
    pub(super) why: Why,
}

/// The name of a configured feature, as it stands in a path or a query.
pub(super) fn feature(ask: &Ask, text: &str) -> Result<FeatureName, Failure> {
    let config = ask.config();
    let name = FeatureName::new(text).ok().filter(|name| config.features.contains_key(name));
    name.ok_or_else(|| CommandError::into(ask.unknown_feature(text)))
}

/// A name in a path, as it was written.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let named = Path::from_request_parts(parts, state).await;
        named
            .map(|Path(text)| Self(text))
            .map_err(|rejection| Failure::bad_request(format!("the path cannot be read: {rejection}")))
    }
}
