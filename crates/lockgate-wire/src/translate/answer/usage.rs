//! What an answer used, in the numbers of both forms.
//!
//! A chat completion counts cached tokens among those of the prompt; a message counts them beside its input tokens.

use serde::{Deserialize, Serialize};

use crate::answer::TOKENS_MAX;
use crate::lenient::{Number, Object};

/// Tokens, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::translate) struct Tokens {
    read: u64,
    read_from_cache: u64,
    written_to_cache: u64,
    said: u64,
}

/// The `usage` of a message, or of an event of its stream.
#[derive(Deserialize)]
pub(in crate::translate) struct MessageUsage {
    #[serde(default)]
    input_tokens: Number,
    #[serde(default)]
    cache_creation_input_tokens: Number,
    #[serde(default)]
    cache_read_input_tokens: Number,
    #[serde(default)]
    output_tokens: Number,
}

/// The `usage` of a chat completion, or of a chunk.
#[derive(Deserialize)]
pub(in crate::translate) struct ChatUsage {
    #[serde(default)]
    prompt_tokens: Number,
    #[serde(default)]
    completion_tokens: Number,
    #[serde(default)]
    prompt_tokens_details: Object<PromptDetails>,
    /// `DeepSeek`'s name for tokens out of its cache.
    #[serde(default)]
    prompt_cache_hit_tokens: Number,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Number,
    /// `OpenRouter`'s name for tokens that were put into a cache.
    #[serde(default)]
    cache_write_tokens: Number,
}

/// As a message tells it.
#[derive(Serialize)]
pub(in crate::translate) struct ToldInMessage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

/// As a chat completion tells it.
#[derive(Serialize)]
pub(in crate::translate) struct ToldInChat {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: ToldPromptDetails,
}

#[derive(Serialize)]
struct ToldPromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
}

impl Tokens {
    /// Takes over what a message, or an event of its stream, tells. Counts in a stream are those of the whole answer so far.
    pub(in crate::translate) fn update(&mut self, usage: &MessageUsage) {
        for (count, told) in [
            (&mut self.read, usage.input_tokens),
            (&mut self.written_to_cache, usage.cache_creation_input_tokens),
            (&mut self.read_from_cache, usage.cache_read_input_tokens),
            (&mut self.said, usage.output_tokens),
        ] {
            *count = believed(told).unwrap_or(*count);
        }
    }

    /// Reads what a chat completion, or a chunk, tells; `None` when it tells nothing.
    pub(in crate::translate) fn of_chat(usage: &ChatUsage) -> Option<Self> {
        let (prompt, completion) = (believed(usage.prompt_tokens), believed(usage.completion_tokens));
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let prompt = prompt.unwrap_or(0);
        let details = usage.prompt_tokens_details.0.as_ref();
        let cached = details.and_then(|details| believed(details.cached_tokens));
        let read_from_cache =
            cached.or_else(|| believed(usage.prompt_cache_hit_tokens)).unwrap_or(0).min(prompt);
        let written_to_cache = details
            .and_then(|details| believed(details.cache_write_tokens))
            .unwrap_or(0)
            .min(prompt - read_from_cache);
        let read = prompt - read_from_cache - written_to_cache;
        Some(Self { read, read_from_cache, written_to_cache, said: completion.unwrap_or(0) })
    }

    /// As a message tells it.
    pub(in crate::translate) fn in_message(self) -> ToldInMessage {
        ToldInMessage {
            input_tokens: self.read,
            cache_creation_input_tokens: self.written_to_cache,
            cache_read_input_tokens: self.read_from_cache,
            output_tokens: self.said,
        }
    }

    /// As a chat completion tells it.
    pub(in crate::translate) fn in_chat(self) -> ToldInChat {
        let prompt_tokens = self.read + self.read_from_cache + self.written_to_cache;
        ToldInChat {
            prompt_tokens,
            completion_tokens: self.said,
            total_tokens: prompt_tokens + self.said,
            prompt_tokens_details: ToldPromptDetails {
                cached_tokens: self.read_from_cache,
                cache_write_tokens: self.written_to_cache,
            },
        }
    }
}

fn believed(number: Number) -> Option<u64> {
    number.0.filter(|count| *count <= TOKENS_MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
