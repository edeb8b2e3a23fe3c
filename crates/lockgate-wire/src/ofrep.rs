//! Reads and writes the OpenFeature remote evaluation protocol: which value a flag has for somebody.
//!
//! Here a flag is a feature and its value the name of the version that somebody gets. The protocol lets metadata be texts,
//! numbers and booleans only, and leaves the members of a context to whoever configured the flags.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::body::{Body, BodyError};

/// By which a context names whom it is about.
const TARGETING_KEY: &str = "targetingKey";

/// What is said of whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Context<'b>(Option<Body<'b>>);

/// Why a request for an evaluation cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// The body is no JSON object.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The context, or a member of it, is of another type than the protocol's.
    #[error("`{member}` must be {expected}.")]
    WrongType {
        /// Where.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl<'b> Context<'b> {
    /// Reads the body of a request. One that says nothing has a context in which nothing is said.
    pub fn read(bytes: &'b [u8]) -> Result<Self, ContextError> {
        let Some(text) = Body::read(bytes)?.get("context").filter(|text| *text != "null") else {
            return Ok(Self(None));
        };
        let wrong = |member, expected| ContextError::WrongType { member, expected };
        let context = Body::read_text(text).map_err(|_| wrong("context", "a JSON object"))?;
        let key = context.get(TARGETING_KEY).unwrap_or("null");
        if key.starts_with(['{', '[']) {
            return Err(wrong("context.targetingKey", "a text"));
        }
        Ok(Self(Some(context)))
    }

    /// Whom it is about.
    pub fn targeting_key(&self) -> Option<Cow<'b, str>> {
        self.attribute(TARGETING_KEY)
    }

    /// A member that is a text, a number or a boolean, as text; an empty text counts as absent.
    pub fn attribute(&self, name: &str) -> Option<Cow<'b, str>> {
        self.0.as_ref()?.scalar(name)
    }
}

/// Why a flag has the value that it has, as OpenFeature names the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Everybody has this value.
    Static,
    /// Somebody's labels decided.
    TargetingMatch,
    /// Somebody's place in a share decided.
    Split,
    /// The flag is switched off.
    Disabled,
}

impl Reason {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Split => "SPLIT",
            Self::Disabled => "DISABLED",
        }
    }
}

/// What kind of thing went wrong, as OpenFeature names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// No such flag.
    FlagNotFound,
    /// The request is not JSON as it should be.
    ParseError,
    /// The context does not say whom it is about.
    TargetingKeyMissing,
    /// The context says what cannot be.
    InvalidContext,
    /// Anything else.
    General,
}

impl ErrorCode {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::ParseError => "PARSE_ERROR",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::General => "GENERAL",
        }
    }
}

/// A flag that was evaluated. Its variant is its value: both are the version's name.
pub fn flag(key: &str, version: &str, reason: Reason, metadata: Map<String, Value>) -> Value {
    json!({ "key": key, "reason": reason.as_str(), "variant": version, "value": version, "metadata": metadata })
}

/// A failure, of one flag or of a whole request.
pub fn failure(key: Option<&str>, code: ErrorCode, details: &str) -> Value {
    match key {
        Some(key) => json!({ "key": key, "errorCode": code.as_str(), "errorDetails": details }),
        None => json!({ "errorCode": code.as_str(), "errorDetails": details }),
    }
}

/// Whether a client that has what one of these tags names has what `tag` names. What matters is what is assigned and not how
/// it is written, so the tags are compared weakly.
pub fn is_matched(if_none_match: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tag = opaque(tag);
    if_none_match.split(',').any(|one| one.trim() == "*" || opaque(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(body: &str) -> Result<Option<String>, ContextError> {
        Context::read(body.as_bytes()).map(|context| context.targeting_key().map(Cow::into_owned))
    }

    #[test]
    fn a_context_says_whom_it_is_about() {
        assert_eq!(
            key(r#"{"context":{"targetingKey":"ada","plan":"pro"}}"#).unwrap().as_deref(),
            Some("ada")
        );
        assert_eq!(key(r#"{"context":{"targetingKey":42}}"#).unwrap().as_deref(), Some("42"));
        for nobody in ["{}", r#"{"context":null}"#, r#"{"context":{}}"#, r#"{"context":{"targetingKey":""}}"#]
        {
            assert_eq!(key(nobody), Ok(None), "{nobody}");
        }
    }

    #[test]
    fn attributes_are_read_as_text_whatever_they_are() {
        let body = br#"{"context":{"tier":"free","beta":true,"age":7,"home":{"geo":"eu"},"none":null}}"#;
        let context = Context::read(body).unwrap();
        let said = ["tier", "beta", "age", "home", "none", "never"].map(|name| context.attribute(name));
        let said = said.map(|value| value.map(Cow::into_owned));
        assert_eq!(
            said,
            [Some("free"), Some("true"), Some("7"), None, None, None].map(|v| v.map(str::to_owned))
        );
    }

    #[test]
    fn what_is_no_context_is_told_apart_from_what_is_no_json() {
        assert!(matches!(key(""), Err(ContextError::Body(BodyError::Empty))));
        assert!(matches!(key("[1]"), Err(ContextError::Body(BodyError::NotAnObject { .. }))));
        assert!(matches!(key("{\"context\":"), Err(ContextError::Body(_))));
        for wrong in [r#"{"context":7}"#, r#"{"context":["ada"]}"#] {
            assert!(matches!(key(wrong), Err(ContextError::WrongType { member: "context", .. })), "{wrong}");
        }
        let wrong = key(r#"{"context":{"targetingKey":{"id":1}}}"#).unwrap_err();
        assert_eq!(wrong.to_string(), "`context.targetingKey` must be a text.");
    }

    #[test]
    fn flags_and_failures_are_written_as_the_protocol_has_them() {
        let metadata = Map::from_iter([("arm".to_owned(), json!("stable"))]);
        assert_eq!(
            flag("reply", "v1", Reason::TargetingMatch, metadata).to_string(),
            r#"{"key":"reply","reason":"TARGETING_MATCH","variant":"v1","value":"v1","metadata":{"arm":"stable"}}"#
        );
        assert_eq!(
            failure(Some("reply"), ErrorCode::FlagNotFound, "why").to_string(),
            r#"{"key":"reply","errorCode":"FLAG_NOT_FOUND","errorDetails":"why"}"#
        );
        assert_eq!(
            failure(None, ErrorCode::General, "why").to_string(),
            r#"{"errorCode":"GENERAL","errorDetails":"why"}"#
        );
    }

    #[test]
    fn a_tag_is_matched_in_a_list_and_weakly() {
        for matching in ["\"a\"", "W/\"a\"", "\"b\", W/\"a\"", "*"] {
            assert!(is_matched(matching, "W/\"a\""), "{matching}");
        }
        for other in ["", "a", "\"b\"", "\"aa\""] {
            assert!(!is_matched(other, "W/\"a\""), "{other}");
        }
    }
}
