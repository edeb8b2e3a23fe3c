//! The few classes that both forms tell errors by.

use super::told::Told;

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Invalid,
    Authentication,
    Billing,
    Permission,
    NotFound,
    TooLarge,
    RateLimit,
    Internal,
    Overloaded,
    Timeout,
}

impl Class {
    /// By the code, then by the type, then by the status. `OpenAI` calls most mistakes of a caller by one type, so the status
    /// knows more where the type is that one; and where none of them says anything it is the provider's.
    pub(super) fn of(told: &Told, status: u16) -> Self {
        let status = told.status.unwrap_or(status);
        let by_code = told.code.as_deref().and_then(Self::of_code);
        let by_kind = || told.kind.as_deref().and_then(Self::of_kind);
        match by_code.or_else(by_kind) {
            Some(class @ (Self::Invalid | Self::Internal)) => {
                Self::of_status(status).filter(|other| *other != Self::Internal).unwrap_or(class)
            }
            Some(class) => class,
            None => Self::of_status(status).unwrap_or(Self::Internal),
        }
    }

    /// The types that both families use, and those that compatible servers add.
    pub(super) fn of_kind(kind: &str) -> Option<Self> {
        Some(match kind {
            "invalid_request_error" | "BadRequestError" => Self::Invalid,
            "authentication_error" | "invalid_authentication_error" => Self::Authentication,
            "billing_error" | "insufficient_quota" => Self::Billing,
            "permission_error" => Self::Permission,
            "not_found_error" | "NotFoundError" => Self::NotFound,
            "request_too_large" => Self::TooLarge,
            "rate_limit_error" | "rate_limit_exceeded" | "requests" | "tokens" => Self::RateLimit,
            "api_error" | "server_error" | "InternalServerError" => Self::Internal,
            "overloaded_error" | "service_unavailable" => Self::Overloaded,
            "timeout_error" | "timeout" => Self::Timeout,
            _ => return None,
        })
    }

    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "invalid_api_key" => Self::Authentication,
            "model_not_found" | "not_found" | "DeploymentNotFound" => Self::NotFound,
            "request_too_large" => Self::TooLarge,
            "rate_limit_exceeded" => Self::RateLimit,
            "insufficient_quota" => Self::Billing,
            "overloaded" | "server_overloaded" => Self::Overloaded,
            "timeout" => Self::Timeout,
            _ => return None,
        })
    }

    fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::Invalid,
            500..=599 => Self::Internal,
            _ => return None,
        })
    }

    /// The type and the code by which `OpenAI`'s clients know it.
    pub(super) fn in_chat(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Invalid => ("invalid_request_error", None),
            Self::Authentication => ("authentication_error", Some("invalid_api_key")),
            Self::Billing => ("insufficient_quota", Some("insufficient_quota")),
            Self::Permission => ("permission_error", None),
            Self::NotFound => ("invalid_request_error", Some("not_found")),
            Self::TooLarge => ("invalid_request_error", Some("request_too_large")),
            Self::RateLimit => ("rate_limit_error", Some("rate_limit_exceeded")),
            Self::Internal => ("server_error", None),
            Self::Overloaded => ("overloaded_error", Some("overloaded")),
            Self::Timeout => ("timeout_error", Some("timeout")),
        }
    }

    /// The type by which Anthropic's clients know it.
    pub(super) fn in_messages(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::TooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Internal => "api_error",
            Self::Overloaded => "overloaded_error",
            Self::Timeout => "timeout_error",
        }
    }
}

/// The code that `OpenAI`'s clients know for what Anthropic says by its message alone.
pub(super) fn code_of(message: &str) -> Option<&'static str> {
    if message.starts_with("model: ") {
        return Some("model_not_found");
    }
    let is_too_long = message.starts_with("prompt is too long") || message.contains("exceed context limit");
    is_too_long.then_some("context_length_exceeded")
}
