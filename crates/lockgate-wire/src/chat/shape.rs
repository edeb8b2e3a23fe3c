//! The parts of a chat answer that are read, under the names that providers give them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{TOKENS_MAX, Usage};
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
    /// Groq's streams tell their usage here.
    #[serde(default)]
    x_groq: Object<XGroq>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
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
    #[serde(borrow, default)]
    pub(super) arguments: Text<'a>,
}

#[derive(Deserialize)]
struct UsageFields {
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
}

#[derive(Deserialize)]
struct XGroq {
    #[serde(default)]
    usage: Object<UsageFields>,
}

impl Answer<'_> {
    /// The choices with their indices; one that has none counts as standing at its index.
    pub(crate) fn choices(&self) -> impl Iterator<Item = (u64, &Choice<'_>)> {
        let choices = self.choices.0.iter().flatten().filter_map(|choice| choice.0.as_ref());
        choices.enumerate().map(|(at, choice)| (choice.index.0.unwrap_or(at as u64), choice))
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let groq = || self.x_groq.0.as_ref().and_then(|x_groq| x_groq.usage.0.as_ref());
        self.usage.0.as_ref().or_else(groq).and_then(UsageFields::usage)
    }
}

impl<'a> Choice<'a> {
    /// What it adds. Some servers send an empty `message` beside the `delta`.
    pub(super) fn said(&self) -> Option<&Said<'a>> {
        self.delta.0.as_ref().or(self.message.0.as_ref())
    }
}

impl Said<'_> {
    pub(super) fn has_content(&self) -> bool {
        let texts = [&self.refusal, &self.reasoning, &self.reasoning_content];
        self.content.parts().any(|part| !part.is_empty())
            || texts.iter().any(|text| text.some().is_some())
            || self.tool_calls.0.iter().flatten().any(|call| call.0.is_some())
            || self.function_call.0.is_some()
            || self.audio.0.is_some()
    }
}

impl UsageFields {
    fn usage(&self) -> Option<Usage> {
        let believed = |number: Number| number.0.filter(|count| *count <= TOKENS_MAX);
        let (prompt, completion) = (believed(self.prompt_tokens), believed(self.completion_tokens));
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let details =
            self.prompt_tokens_details.0.as_ref().and_then(|details| believed(details.cached_tokens));
        let cached = details.or_else(|| believed(self.prompt_cache_hit_tokens));
        Some(Usage {
            prompt_tokens: prompt.unwrap_or(0),
            completion_tokens: completion.unwrap_or(0),
            cached_tokens: cached.unwrap_or(0).min(prompt.unwrap_or(0)),
        })
    }
}
