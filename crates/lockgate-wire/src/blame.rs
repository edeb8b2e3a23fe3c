//! Whose fault a failed call is, by what the target answered.
//!
//! Only a target's own fault says anything about the target's health. A caller's mistake, a key of ours that is wrong, a
//! filter or a text that is too long for the model would fail at a healthy target just the same.
//!
//! An error's code and class decide first, then the words of those providers that have no code for it, and the status at last:
//! providers agree on the meaning of a status least of all. What they ask to be waited is read by `wait`.

mod wait;

#[cfg(test)]
mod tests;

pub use self::wait::{RETRY_AFTER_MAX, retry_after, retry_after_in_words, retry_after_of};

use crate::answer::AnswerError;

/// Whose fault a failed call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The target's: it is down, slow, overloaded or wrong.
    Target,
    /// The target refuses because too much was asked of it: a limit of requests or tokens.
    Limited,
    /// The caller's: the request cannot be answered by this target or another.
    Caller,
    /// Ours: a key, a model's name, an address or a budget that the configuration chose.
    Ours,
    /// The provider's filter refused what was asked or what would have been said. Never routed around.
    ContentFilter,
    /// What was asked is longer than the model's window.
    ContextLength,
}

/// What a failed answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Whose it is.
    pub blame: Blame,
    /// Whether the same target may answer the same call when asked again.
    pub is_retryable: bool,
}

const TARGET: Fault = Fault { blame: Blame::Target, is_retryable: true };
const LIMITED: Fault = Fault { blame: Blame::Limited, is_retryable: true };
const CALLER: Fault = Fault { blame: Blame::Caller, is_retryable: false };
const OURS: Fault = Fault { blame: Blame::Ours, is_retryable: false };
const CONTENT_FILTER: Fault = Fault { blame: Blame::ContentFilter, is_retryable: false };
const CONTEXT_LENGTH: Fault = Fault { blame: Blame::ContextLength, is_retryable: false };

/// Reads an error answer. `error` is what its body says, where that could be read. An error that was told inside a stream comes
/// with the stream's status, 200, and is judged by what it says alone.
pub fn of(status: u16, error: Option<&AnswerError>) -> Fault {
    let Some(error) = error else { return of_status(status) };
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_ascii_lowercase();
    let (code, kind) = (lower(&error.code), lower(&error.kind));
    let message = error.message.to_ascii_lowercase();
    let labels = [code.as_str(), kind.as_str()];
    labels
        .into_iter()
        .find_map(of_certain_label)
        .or_else(|| of_words(&message, status))
        .or_else(|| (status < 300).then(|| labels.into_iter().find_map(of_label)).flatten())
        .unwrap_or_else(|| of_status(status))
}

/// Codes and classes that mean the same whatever the status.
fn of_certain_label(label: &str) -> Option<Fault> {
    Some(match label {
        "context_length_exceeded"
        | "string_above_max_length"
        | "exceed_context_size_error"
        | "model_context_window_exceeded"
        | "tokens_limit_reached" => CONTEXT_LENGTH,
        "content_filter"
        | "content_filtered"
        | "content_policy"
        | "moderation_blocked"
        | "responsibleaipolicyviolation"
        | "data_inspection_failed"
        | "prohibited_content" => CONTENT_FILTER,
        "insufficient_quota"
        | "insufficient_balance"
        | "insufficient_funds"
        | "insufficient_credits"
        | "enforced_spend_limit_reached"
        | "billing_error"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "account_deactivated"
        | "access_terminated" => OURS,
        "authentication_error"
        | "permission_error"
        | "permission_denied"
        | "unauthenticated"
        | "invalid_api_key"
        | "invalid_authentication" => OURS,
        "model_not_found"
        | "model_not_available"
        | "model_decommissioned"
        | "invalid_model"
        | "unknown_model"
        | "deploymentnotfound" => OURS,
        // A conversation or a piece of one that the caller named, and not a model that we chose.
        "previous_response_not_found" => CALLER,
        label if label.ends_with("_policy_violation") => CONTENT_FILTER,
        _ => return None,
    })
}

/// What words say for which a provider has no code of its own. Each stands in the error of at least one that is in use.
fn of_words(message: &str, status: u16) -> Option<Fault> {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    // A limit that will have passed in a moment is told in the same words as one that takes a payment.
    let is_passing = wait::in_words(message).is_some();
    if says(&SPENT) && !is_passing {
        return Some(OURS);
    }
    // A call that is larger than a minute's limit will never be let pass; another account or target may take it.
    if says(&["request too large"]) && says(&["tokens per", "rate limit", "(tpm)"]) {
        return Some(OURS);
    }
    if status == 429 {
        return None;
    }
    if says(&FILTERED) {
        Some(CONTENT_FILTER)
    } else if says(&TOO_LONG) {
        Some(CONTEXT_LENGTH)
    } else if says(&["api key not valid", "invalid api key", "incorrect api key", "invalid model"]) {
        Some(OURS)
    } else if status == 404 && says(&["previous response", "item with id"]) {
        Some(CALLER)
    } else {
        None
    }
}

/// The account has nothing left, or a limit of spending was reached.
const SPENT: [&str; 12] = [
    "check your plan and billing details",
    "credit balance is too low",
    "your api usage limits",
    "api usage limits. you will regain access",
    "billing hard limit",
    "billing_hard_limit",
    "account is not active",
    "insufficient balance",
    "insufficient credits",
    "requires more credits",
    "spending limit",
    "spend limit",
];

/// A filter refused: Azure, Anthropic, OpenAI, Gemini, OpenRouter, DeepSeek.
const FILTERED: [&str; 10] = [
    "content management policy",
    "content filtering policy",
    "content policy",
    "responsibleaipolicyviolation",
    "safety system",
    "usage policy",
    "usage policies",
    "prohibited content",
    "requires moderation",
    "content exists risk",
];

/// Longer than the model's window: OpenAI, vLLM and many after them; Anthropic; Gemini; Mistral; Groq; Ollama; llama.cpp;
/// LM Studio; TGI; SGLang; xAI; Moonshot; Bedrock.
const TOO_LONG: [&str; 22] = [
    "maximum context length",
    "context length exceeded",
    "context_length_exceeded",
    "exceeds the context window",
    "exceeds the context length",
    "exceeds context length",
    "exceeds the model's context",
    "longer than the model's context length",
    "longer than the maximum model length",
    "exceed context limit",
    "prompt is too long",
    "input is too long",
    "exceeds the maximum number of tokens",
    "too large for model with",
    "reduce the length of the messages",
    "exceeds the available context size",
    "context size has been exceeded",
    "greater than the context length",
    "`max_new_tokens` must be <=",
    "maximum prompt length is",
    "exceeded model token limit",
    "string too long. expected a string with maximum length",
];

/// What an error inside a stream says of itself.
fn of_label(label: &str) -> Option<Fault> {
    Some(match label {
        "overloaded_error"
        | "api_error"
        | "server_error"
        | "internal_error"
        | "internal_server_error"
        | "timeout_error"
        | "service_unavailable"
        | "internal"
        | "unavailable"
        | "deadline_exceeded" => TARGET,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "too_many_requests"
        | "resource_exhausted"
        | "tokens"
        | "requests" => LIMITED,
        "not_found_error" | "not_found" => OURS,
        "request_too_large"
        | "invalid_prompt"
        | "invalid_argument"
        | "failed_precondition"
        | "bad_request"
        | "bad_request_error"
        | "badrequesterror" => CALLER,
        label if label.starts_with("invalid_") => CALLER,
        // Servers that write the status as a code. A success is no error's code.
        label => match label.parse() {
            Ok(status @ 400..=599) => of_status(status),
            _ => return None,
        },
    })
}

fn of_status(status: u16) -> Fault {
    match status {
        400 | 411..=414 | 422 => CALLER,
        // 498: Groq has no room left for calls of this class.
        429 | 498 => LIMITED,
        408 | 409 | 421 | 425 | 499 => TARGET,
        // 404 is a model or a deployment that is not there, or a wrong address.
        300..=499 => OURS,
        501 | 505 => Fault { is_retryable: false, ..TARGET },
        _ => TARGET,
    }
}
