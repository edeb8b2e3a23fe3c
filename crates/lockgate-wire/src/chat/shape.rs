//! The parts of a chat answer that are read, under the names that providers give them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{AnswerError, Usage, believed};
use crate::body::string_text;
use crate::lenient::{Content, List, Number, Object, Text};

/// A plain answer or one chunk of a stream.
#[derive(Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(borrow, default)]
    pub(super) system_fingerprint: Text<'a>,
    #[serde(borrow, default)]
    choices: List<Object<Choice<'a>>>,
    #[serde(default)]
    usage: Object<UsageFields>,
    /// Groq's streams tell their usage here, and why they end before their time.
    #[serde(borrow, default)]
    x_groq: Object<XGroq<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default)]
    index: Number,
    #[serde(borrow, default)]
    delta: Object<Said<'a>>,
    #[serde(borrow, default)]
    message: Object<Said<'a>>,
    #[serde(borrow, default)]
    pub(crate) finish_reason: Text<'a>,
    /// `OpenRouter` says here that the provider behind it failed.
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow, default)]
    pub(super) content: Content<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Text<'a>,
    #[serde(borrow, default)]
    reasoning: Text<'a>,
    #[serde(borrow, default)]
    reasoning_content: Text<'a>,
    /// Reasoning that is not told as text, which `OpenRouter` passes on.
    #[serde(default)]
    reasoning_details: List<Object<Anything>>,
    #[serde(default)]
    audio: Object<Anything>,
    #[serde(borrow, default)]
    pub(super) tool_calls: List<Object<ToolDelta<'a>>>,
    /// What tools were called before they were called tools.
    #[serde(borrow, default)]
    pub(super) function_call: Object<FunctionDelta<'a>>,
}

#[derive(Deserialize)]
struct Anything {}

#[derive(Deserialize)]
pub(super) struct ToolDelta<'a> {
    #[serde(default)]
    pub(super) index: Number,
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) function: Object<FunctionDelta<'a>>,
}

#[derive(Deserialize)]
pub(super) struct FunctionDelta<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    /// A string with JSON in it, and with some servers that JSON itself.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(crate) struct UsageFields {
    #[serde(default)]
    prompt_tokens: Number,
    #[serde(default)]
    completion_tokens: Number,
    #[serde(default)]
    prompt_tokens_details: Object<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Object<CompletionDetails>,
    /// `DeepSeek`'s name for tokens out of its cache.
    #[serde(default)]
    prompt_cache_hit_tokens: Number,
    /// What proxies of Anthropic's models leave of the original names.
    #[serde(default)]
    cache_read_input_tokens: Number,
    #[serde(default)]
    cache_creation_input_tokens: Number,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Number,
    /// `OpenRouter`'s name.
    #[serde(default)]
    cache_write_tokens: Number,
    /// `LiteLLM`'s name.
    #[serde(default)]
    cache_creation_tokens: Number,
}

#[derive(Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Number,
}

#[derive(Deserialize)]
struct XGroq<'a> {
    #[serde(default)]
    usage: Object<UsageFields>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Answer<'_> {
    /// The choices with their indices; one that has none counts as standing at its index.
    pub(crate) fn choices(&self) -> impl Iterator<Item = (u64, &Choice<'_>)> {
        let choices = self.choices.0.iter().flatten().filter_map(|choice| choice.0.as_ref());
        choices.enumerate().map(|(at, choice)| (choice.index.0.unwrap_or(at as u64), choice))
    }

    /// Whether it is of another kind: no choices, no usage, no error.
    pub(super) fn is_nothing(&self) -> bool {
        self.choices.0.is_none() && self.usage().is_none() && self.error().is_none()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let groq = || self.x_groq.0.as_ref().and_then(|x_groq| x_groq.usage.0.as_ref());
        self.usage.0.as_ref().or_else(groq).and_then(UsageFields::usage)
    }

    pub(super) fn error(&self) -> Option<AnswerError> {
        let groq = || self.x_groq.0.as_ref().and_then(|x_groq| x_groq.error);
        self.error.or_else(groq).and_then(|error| AnswerError::read(error.get()))
    }
}

impl<'a> Choice<'a> {
    /// What it adds. Some servers send an empty `message` beside the `delta`.
    pub(super) fn said(&self) -> Option<&Said<'a>> {
        self.delta.0.as_ref().or(self.message.0.as_ref())
    }

    pub(super) fn error(&self) -> Option<AnswerError> {
        self.error.and_then(|error| AnswerError::read(error.get()))
    }
}

impl FunctionDelta<'_> {
    /// What it tells of the arguments, as JSON text.
    pub(super) fn arguments(&self) -> Option<Cow<'_, str>> {
        match self.arguments?.get() {
            text if text.starts_with('"') => string_text(text),
            json if json.starts_with(['{', '[']) => Some(Cow::Borrowed(json)),
            _ => None,
        }
    }
}

impl Said<'_> {
    pub(super) fn has_content(&self) -> bool {
        let texts = [&self.refusal, &self.reasoning, &self.reasoning_content];
        self.content.parts().any(|part| !part.is_empty())
            || self.content.has_thoughts()
            || texts.iter().any(|text| text.some().is_some())
            || self.reasoning_details.0.iter().flatten().any(|detail| detail.0.is_some())
            || self.tool_calls.0.iter().flatten().any(|call| call.0.is_some())
            || self.function_call.0.is_some()
            || self.audio.0.is_some()
    }
}

impl UsageFields {
    pub(crate) fn usage(&self) -> Option<Usage> {
        let (prompt, completion) = (believed(self.prompt_tokens), believed(self.completion_tokens));
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
        let details = self.prompt_tokens_details.0.as_ref();
        let cached = details.and_then(|details| believed(details.cached_tokens));
        let cached = cached.or_else(|| believed(self.prompt_cache_hit_tokens));
        let cached = cached.or_else(|| believed(self.cache_read_input_tokens)).unwrap_or(0).min(prompt);
        let written = details.and_then(|details| {
            believed(details.cache_write_tokens).or_else(|| believed(details.cache_creation_tokens))
        });
        let written = written.or_else(|| believed(self.cache_creation_input_tokens)).unwrap_or(0);
        let reasoning = self.completion_tokens_details.0.as_ref().map(|details| details.reasoning_tokens);
        Some(Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            cached_tokens: cached,
            // What was written was not read from the cache as well.
            cache_written_tokens: written.min(prompt - cached),
            reasoning_tokens: reasoning.and_then(believed).unwrap_or(0).min(completion),
        })
    }
}
