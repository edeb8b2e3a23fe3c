//! The failures that Lockgate itself tells its clients, in OpenAI's shape.
//!
//! A target's own error passes through as it came and is not written here. Each failure says whose fault it is by its status
//! and class, and what to do about it by its sentence. Official SDKs turn the status into their exception and retry by it.

use serde_json::{Value, json};

use crate::body::BodyError;

/// Why a call was not answered by a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The body cannot be used.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A header or a part of the path cannot be used.
    #[error("Invalid value for `{name}`: {problem}.")]
    InvalidValue {
        /// The header or the parameter.
        name: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// The body is longer than allowed.
    #[error("The request body is larger than {bytes_max} bytes.")]
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The headers are longer than allowed.
    #[error("The request headers are larger than {bytes_max} bytes.")]
    HeadersTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body is packed in a way that nobody here unpacks.
    #[error("Content encoding `{encoding}` is not taken. Send the body as it is.")]
    UnsupportedEncoding {
        /// As sent.
        encoding: String,
    },
    /// The body did not come in time or broke off.
    #[error("The request body did not arrive: {problem}.")]
    BodyNotReceived {
        /// What happened instead.
        problem: String,
    },
    /// No such path.
    #[error("Unknown request URL: {method} {path}. Please check the URL for typos.")]
    UnknownPath {
        /// As asked.
        method: String,
        /// As asked.
        path: String,
    },
    /// The path exists, with another method.
    #[error("Not allowed to {method} on {path}. Use {allowed}.")]
    MethodNotAllowed {
        /// As asked.
        method: String,
        /// As asked.
        path: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// No key where one is needed.
    #[error("You did not provide an API key. Send it as `authorization: Bearer KEY` or as `x-api-key`.")]
    MissingKey,
    /// A key that nobody was given.
    #[error("Incorrect API key provided.")]
    WrongKey,
    /// The key may not call this feature.
    #[error("This API key may not use the model `{feature}`.")]
    NotAllowed {
        /// As asked.
        feature: String,
    },
    /// No feature of this name.
    #[error("The model `{feature}` does not exist or you do not have access to it. {}", those_known(known))]
    UnknownFeature {
        /// As asked.
        feature: String,
        /// Those that exist here for this caller.
        known: Vec<String>,
    },
    /// The feature exists, at another path.
    #[error("`{feature}` is not called here. Use {right}.")]
    WrongSurface {
        /// As asked.
        feature: String,
        /// Where it is called.
        right: String,
    },
    /// Feedback, or another call, about an answer that is not known.
    #[error("Nothing is known of `{id}`: {problem}.")]
    UnknownAnswer {
        /// As asked.
        id: String,
        /// Why that may be.
        problem: String,
    },
    /// As many calls are under way as may be.
    #[error("{calls_max} calls are under way, which is as many as are allowed. Please try again shortly.")]
    TooManyCalls {
        /// The limit.
        calls_max: usize,
    },
    /// The process is about to stop.
    #[error("The server is shutting down. Please try again; another one will answer.")]
    Stopping,
    /// The call's time ran out.
    #[error("No answer came within the {deadline_ms} ms that this call had.")]
    DeadlinePassed {
        /// The whole time of the call.
        deadline_ms: u128,
    },
    /// Every tier of the chain failed. The cause of the last one is told without naming addresses or keys.
    #[error("No tier of `{feature}` could answer after {attempts} attempts: {last}.")]
    ChainExhausted {
        /// As asked.
        feature: String,
        /// How often a target was asked.
        attempts: u32,
        /// What happened the last time.
        last: String,
    },
    /// A stream ended before its terminal event.
    #[error("The answer is not complete: {problem}.")]
    CutOff {
        /// What happened.
        problem: String,
    },
    /// Feedback that could not be made durable.
    #[error("This cannot be kept at the moment. Please send it again; what is sent twice counts once.")]
    StoreAway,
    /// Our own fault.
    #[error("The server had an error while processing your request.")]
    Internal,
}

/// Features told in one message; a reader looks for a slip of the pen, not for a catalogue.
const KNOWN_TOLD_MAX: usize = 20;

fn those_known(known: &[String]) -> String {
    match known {
        [] => "There are none here.".to_owned(),
        all if all.len() <= KNOWN_TOLD_MAX => format!("There are: `{}`.", all.join("`, `")),
        all => format!("Among {} there are: `{}`.", all.len(), all[..KNOWN_TOLD_MAX].join("`, `")),
    }
}

impl Failure {
    /// The status that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Body(_) | Self::InvalidValue { .. } | Self::WrongSurface { .. } => 400,
            Self::MissingKey | Self::WrongKey => 401,
            Self::NotAllowed { .. } => 403,
            Self::UnknownPath { .. } | Self::UnknownFeature { .. } | Self::UnknownAnswer { .. } => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::BodyNotReceived { .. } => 408,
            Self::BodyTooLarge { .. } => 413,
            Self::UnsupportedEncoding { .. } => 415,
            Self::HeadersTooLarge { .. } => 431,
            Self::Internal => 500,
            Self::ChainExhausted { .. } | Self::CutOff { .. } => 502,
            Self::TooManyCalls { .. } | Self::Stopping | Self::StoreAway => 503,
            Self::DeadlinePassed { .. } => 504,
        }
    }

    /// The class of error, as OpenAI names them.
    pub fn kind(&self) -> &'static str {
        match self.status() {
            401 => "authentication_error",
            403 => "permission_error",
            503 => "overloaded_error",
            status if status >= 500 => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body(BodyError::Utf8 { .. }) => "invalid_utf8",
            Self::Body(BodyError::Missing { .. }) => "missing_required_parameter",
            Self::Body(BodyError::WrongType { .. }) => "invalid_type",
            Self::Body(_) => "invalid_json",
            Self::InvalidValue { .. } => "invalid_value",
            Self::BodyTooLarge { .. } => "request_too_large",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::UnsupportedEncoding { .. } => "unsupported_encoding",
            Self::BodyNotReceived { .. } => "body_not_received",
            Self::UnknownPath { .. } => "unknown_url",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::MissingKey => "missing_api_key",
            Self::WrongKey => "invalid_api_key",
            Self::NotAllowed { .. } => "model_not_allowed",
            Self::UnknownFeature { .. } => "model_not_found",
            Self::WrongSurface { .. } => "wrong_endpoint",
            Self::UnknownAnswer { .. } => "answer_not_found",
            Self::TooManyCalls { .. } => "too_many_calls",
            Self::Stopping => "shutting_down",
            Self::DeadlinePassed { .. } => "deadline_exceeded",
            Self::ChainExhausted { .. } => "chain_exhausted",
            Self::CutOff { .. } => "answer_cut_off",
            Self::StoreAway => "store_away",
            Self::Internal => "internal_error",
        }
    }

    /// The parameter or header at fault.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Body(error) => error.param(),
            Self::InvalidValue { name, .. } => Some(name),
            Self::UnknownFeature { .. } | Self::NotAllowed { .. } | Self::WrongSurface { .. } => {
                Some("model")
            }
            _ => None,
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> Vec<u8> {
        self.json().to_string().into_bytes()
    }

    /// The last event of a stream that failed after it began. No `[DONE]` follows it, so that no client takes the answer for
    /// a finished one.
    pub fn event(&self) -> Vec<u8> {
        format!("data: {}\n\n", self.json()).into_bytes()
    }

    fn json(&self) -> Value {
        json!({
            "error": {
                "message": self.to_string(),
                "type": self.kind(),
                "param": self.param(),
                "code": self.code(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_all_four_members_and_a_sentence() {
        let text = || "x".to_owned();
        let missing = BodyError::Missing { param: "model", expected: "a string" };
        for (failure, status, kind, param, code) in [
            (Failure::Body(BodyError::Empty), 400, "invalid_request_error", None, "invalid_json"),
            (
                Failure::Body(missing),
                400,
                "invalid_request_error",
                Some("model"),
                "missing_required_parameter",
            ),
            (
                Failure::InvalidValue { name: text(), problem: text() },
                400,
                "invalid_request_error",
                Some("x"),
                "invalid_value",
            ),
            (Failure::BodyTooLarge { bytes_max: 1 }, 413, "invalid_request_error", None, "request_too_large"),
            (
                Failure::HeadersTooLarge { bytes_max: 1 },
                431,
                "invalid_request_error",
                None,
                "headers_too_large",
            ),
            (Failure::WrongKey, 401, "authentication_error", None, "invalid_api_key"),
            (
                Failure::NotAllowed { feature: text() },
                403,
                "permission_error",
                Some("model"),
                "model_not_allowed",
            ),
            (
                Failure::UnknownFeature { feature: text(), known: vec![text()] },
                404,
                "invalid_request_error",
                Some("model"),
                "model_not_found",
            ),
            (Failure::TooManyCalls { calls_max: 1 }, 503, "overloaded_error", None, "too_many_calls"),
            (Failure::DeadlinePassed { deadline_ms: 1 }, 504, "server_error", None, "deadline_exceeded"),
            (
                Failure::ChainExhausted { feature: text(), attempts: 2, last: text() },
                502,
                "server_error",
                None,
                "chain_exhausted",
            ),
            (Failure::Internal, 500, "server_error", None, "internal_error"),
        ] {
            let error = json!({ "message": failure.to_string(), "type": kind, "param": param, "code": code });
            assert_eq!(failure.status(), status);
            assert_eq!(String::from_utf8_lossy(&failure.body()), json!({ "error": error }).to_string());
        }
    }

    #[test]
    fn a_failure_inside_a_stream_is_read_as_an_error_and_not_as_an_end() {
        let mut reader = crate::chat_stream::StreamReader::new(1_000);
        reader.push(&Failure::CutOff { problem: "the target broke off".to_owned() }.event());
        let summary = reader.finish();
        assert!(!summary.is_done);
        let error = summary.answer.error.unwrap();
        assert_eq!(error.message, "The answer is not complete: the target broke off.");
        assert_eq!(
            (error.kind.as_deref(), error.code.as_deref()),
            (Some("server_error"), Some("answer_cut_off"))
        );
    }
}
