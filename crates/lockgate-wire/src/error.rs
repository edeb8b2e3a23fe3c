//! The failures that Lockgate itself tells its clients, in the shape of the API that they called.
//!
//! A target's own error passes through as it came and is not written here. Each failure says whose fault it is by its status
//! and class, and what to do about it by its sentence. Official SDKs turn the status into their exception and retry by it. The
//! statuses are the same in every dialect: where Anthropic has 529 of its own for a server that is too busy, its SDKs retry 503
//! just as well, and proxies on the way know 503 only.

use serde_json::{Value, json};

use crate::api::{Api, Family};
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
    /// No tier's target speaks the API that was asked, nor one that it can be translated to.
    #[error("`{feature}` cannot be called by {api}: none of its targets speaks it. {speaks}")]
    NotSpoken {
        /// As asked.
        feature: String,
        /// As asked.
        api: &'static str,
        /// What it can be called by.
        speaks: String,
    },
    /// The caller wants all or nothing, and a part of the call cannot be said to the target.
    #[error(
        "This cannot be said to the target that would answer: {}. Leave it out, or allow it to be left out with \
         `x-lockgate-translation: drop`.", dropped.join(", ")
    )]
    NotTranslatable {
        /// What would be left out, as paths.
        dropped: Vec<String>,
    },
    /// A target refused the call as the caller's own doing, where its words cannot be passed on as they are.
    #[error("{message}")]
    Rejected {
        /// A word for programs.
        code: &'static str,
        /// What the target said.
        message: String,
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
            Self::Body(_)
            | Self::InvalidValue { .. }
            | Self::WrongSurface { .. }
            | Self::NotSpoken { .. }
            | Self::NotTranslatable { .. }
            | Self::Rejected { .. } => 400,
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
            Self::TooManyCalls { .. } | Self::StoreAway => 503,
            Self::DeadlinePassed { .. } => 504,
        }
    }

    /// The class of error, as a family names them.
    pub fn kind(&self, family: Family) -> &'static str {
        match family {
            Family::OpenAi => openai_kind(self.status()),
            Family::Anthropic => anthropic_kind(self.status()),
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
            Self::DeadlinePassed { .. } => "deadline_exceeded",
            Self::ChainExhausted { .. } => "chain_exhausted",
            Self::NotSpoken { .. } => "unsupported_api",
            Self::NotTranslatable { .. } => "unsupported_parameter",
            Self::Rejected { code, .. } => code,
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
            Self::NotTranslatable { dropped } => dropped.first().map(String::as_str),
            Self::UnknownFeature { .. } | Self::NotAllowed { .. } | Self::WrongSurface { .. } => {
                Some("model")
            }
            _ => None,
        }
    }

    /// The body of the answer, in the shape of a family. `request_id` is ours.
    pub fn body(&self, family: Family, request_id: &str) -> Vec<u8> {
        self.json(family, request_id).to_string().into_bytes()
    }

    /// The last event of a stream that failed after it began, in an API's own way. No terminal event follows it, so that no
    /// client takes the answer for a finished one.
    pub fn event(&self, api: Api, request_id: &str) -> Vec<u8> {
        let event = match api {
            Api::Chat | Api::Embeddings => format!("data: {}\n\n", self.json(Family::OpenAi, request_id)),
            Api::Messages | Api::CountTokens => {
                format!("event: error\ndata: {}\n\n", self.json(Family::Anthropic, request_id))
            }
            Api::Responses => format!("event: error\ndata: {}\n\n", self.responses_event()),
        };
        event.into_bytes()
    }

    fn json(&self, family: Family, request_id: &str) -> Value {
        let (message, kind) = (self.to_string(), self.kind(family));
        match family {
            Family::OpenAi => json!({
                "error": { "message": message, "type": kind, "param": self.param(), "code": self.code() }
            }),
            Family::Anthropic => json!({
                "type": "error",
                "error": { "type": kind, "message": message },
                "request_id": request_id,
            }),
        }
    }

    /// How many events went before is not known here; the member has to be there, and nobody orders events by it.
    fn responses_event(&self) -> Value {
        json!({
            "type": "error",
            "code": self.code(),
            "message": self.to_string(),
            "param": self.param(),
            "sequence_number": 0,
        })
    }
}

fn openai_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        503 => "overloaded_error",
        status if status >= 500 => "server_error",
        _ => "invalid_request_error",
    }
}

fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        status if status >= 500 => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests;
