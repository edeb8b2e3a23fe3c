//! The parts of a response and of its stream that are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{Usage, believed};
use crate::lenient::{List, Number, Object, Text};

/// A response, or an error in its place.
#[derive(Default, Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(borrow, default)]
    pub(super) status: Text<'a>,
    #[serde(borrow, default)]
    pub(super) output: List<Object<Item<'a>>>,
    #[serde(borrow, default)]
    pub(super) incomplete_details: Object<IncompleteDetails<'a>>,
    #[serde(default)]
    pub(super) usage: Object<UsageFields>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct IncompleteDetails<'a> {
    #[serde(borrow, default)]
    pub(super) reason: Text<'a>,
}

/// One thing that the model did: it said something, thought, called a tool.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    /// By which the caller gives back what its tool found.
    #[serde(borrow, default)]
    pub(super) call_id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    /// Of a function.
    #[serde(borrow, default)]
    arguments: Text<'a>,
    /// Of a custom tool, which takes any text.
    #[serde(borrow, default)]
    input: Text<'a>,
    #[serde(borrow, default)]
    content: List<Object<Part<'a>>>,
    /// Of thoughts.
    #[serde(borrow, default)]
    summary: List<Object<Part<'a>>>,
    /// Thoughts that only the provider can read.
    #[serde(borrow, default)]
    encrypted_content: Text<'a>,
}

/// A piece of a message or of thoughts.
#[derive(Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Text<'a>,
}

/// One event of a stream.
#[derive(Deserialize)]
pub(super) struct StreamEvent<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(default)]
    pub(super) output_index: Number,
    #[serde(borrow, default)]
    pub(super) response: Object<Response<'a>>,
    #[serde(borrow, default)]
    pub(super) item: Object<Item<'a>>,
    #[serde(borrow, default)]
    pub(super) delta: Text<'a>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct UsageFields {
    #[serde(default)]
    input_tokens: Number,
    #[serde(default)]
    input_tokens_details: Object<InputDetails>,
    #[serde(default)]
    output_tokens: Number,
    #[serde(default)]
    output_tokens_details: Object<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Number,
    #[serde(default)]
    cache_write_tokens: Number,
}

#[derive(Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Number,
}

impl<'a> Item<'a> {
    /// Whether it is neither a message nor thoughts nor a list of what there is: something was called, or came of a call.
    pub(super) fn is_act(&self) -> bool {
        let other = ["message", "reasoning", "mcp_list_tools", "additional_tools"];
        self.kind.some().is_some_and(|kind| !other.contains(&kind))
    }

    pub(super) fn is_reasoning(&self) -> bool {
        self.kind.some() == Some("reasoning")
    }

    /// Whether there is anything in what it says or thinks.
    pub(super) fn has_words(&self) -> bool {
        let parts = [&self.content, &self.summary].into_iter().flat_map(parts);
        parts.into_iter().any(|part| part.text.some().is_some() || part.refusal.some().is_some())
            || self.encrypted_content.some().is_some()
    }

    /// The parts of a message.
    pub(super) fn said(&self) -> impl Iterator<Item = &Part<'a>> {
        let is_message = self.kind.some().is_none_or(|kind| kind == "message");
        parts(&self.content).filter(move |_| is_message)
    }

    /// What it calls one of the caller's own tools with; `None` when it calls none.
    pub(super) fn call_arguments(&self) -> Option<&Text<'a>> {
        match self.kind.some()? {
            "function_call" => Some(&self.arguments),
            "custom_tool_call" => Some(&self.input),
            _ => None,
        }
    }
}

fn parts<'l, 'a>(list: &'l List<Object<Part<'a>>>) -> impl Iterator<Item = &'l Part<'a>> + use<'l, 'a> {
    list.0.iter().flatten().filter_map(|part| part.0.as_ref())
}

impl UsageFields {
    pub(super) fn usage(&self) -> Option<Usage> {
        let (input, output) = (believed(self.input_tokens), believed(self.output_tokens));
        if input.is_none() && output.is_none() {
            return None;
        }
        let (prompt_tokens, completion_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
        let details = self.input_tokens_details.0.as_ref();
        let cached = details.and_then(|details| believed(details.cached_tokens)).unwrap_or(0);
        let cached_tokens = cached.min(prompt_tokens);
        let written = details.and_then(|details| believed(details.cache_write_tokens)).unwrap_or(0);
        let reasoning = self.output_tokens_details.0.as_ref().map(|details| details.reasoning_tokens);
        Some(Usage {
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            // What was written was not read from the cache as well.
            cache_written_tokens: written.min(prompt_tokens - cached_tokens),
            reasoning_tokens: reasoning.and_then(believed).unwrap_or(0).min(completion_tokens),
        })
    }
}
