//! The parts of a message and of its stream that are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{Usage, believed};
use crate::lenient::{List, Number, Object, Text};

/// A message, or an error in its place.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(borrow, default)]
    pub(super) content: List<Object<Block<'a>>>,
    #[serde(borrow, default)]
    pub(super) stop_reason: Text<'a>,
    #[serde(default)]
    pub(super) usage: Object<UsageFields>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// One piece of what is said.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    /// What is left of thoughts that are not shown.
    #[serde(borrow, default)]
    signature: Text<'a>,
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

/// One event of a stream.
#[derive(Deserialize)]
pub(super) struct StreamEvent<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(default)]
    pub(super) index: Number,
    #[serde(borrow, default)]
    pub(super) message: Object<Message<'a>>,
    #[serde(borrow, default)]
    pub(super) content_block: Object<Block<'a>>,
    #[serde(borrow, default)]
    pub(super) delta: Object<Delta<'a>>,
    #[serde(default)]
    pub(super) usage: Object<UsageFields>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// What an event adds, to a block or to the message.
#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default)]
    signature: Text<'a>,
    #[serde(borrow, default)]
    pub(super) partial_json: Text<'a>,
    #[serde(borrow, default)]
    pub(super) stop_reason: Text<'a>,
}

/// The answer of the token counting API, or an error in its place.
#[derive(Deserialize)]
pub(super) struct Count<'a> {
    #[serde(default)]
    pub(super) input_tokens: Number,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// What was used. Tokens out of the cache and tokens put into it are told apart from those that were read as usual.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct UsageFields {
    #[serde(default)]
    input_tokens: Number,
    #[serde(default)]
    cache_read_input_tokens: Number,
    #[serde(default)]
    cache_creation_input_tokens: Number,
    #[serde(default)]
    output_tokens: Number,
    #[serde(default)]
    output_tokens_details: Object<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Number,
}

impl Block<'_> {
    /// Whether a user or a program would notice it. A block that begins empty is none yet; of a kind that is not known here,
    /// that it is there is enough.
    pub(super) fn has_content(&self) -> bool {
        let texts = [&self.text, &self.thinking, &self.signature];
        texts.iter().any(|text| text.some().is_some())
            || self.kind.some().is_some_and(|kind| !matches!(kind, "text" | "thinking"))
    }
}

impl Delta<'_> {
    pub(super) fn has_content(&self) -> bool {
        let texts = [&self.text, &self.thinking, &self.signature, &self.partial_json];
        texts.iter().any(|text| text.some().is_some())
    }
}

impl UsageFields {
    /// Takes over what a later event tells: its counts are sums of the whole message, and it tells some of them only.
    pub(super) fn update(&mut self, later: &Self) {
        let update = |number: &mut Number, later: Number| {
            if later.0.is_some() {
                *number = later;
            }
        };
        update(&mut self.input_tokens, later.input_tokens);
        update(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        update(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        update(&mut self.output_tokens, later.output_tokens);
        if later.output_tokens_details.0.is_some() {
            self.output_tokens_details = later.output_tokens_details;
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let (input, output) = (believed(self.input_tokens), believed(self.output_tokens));
        if input.is_none() && output.is_none() {
            return None;
        }
        let cached = believed(self.cache_read_input_tokens).unwrap_or(0);
        let written = believed(self.cache_creation_input_tokens).unwrap_or(0);
        let thinking = self.output_tokens_details.0.and_then(|details| believed(details.thinking_tokens));
        let completion_tokens = output.unwrap_or(0);
        Some(Usage {
            prompt_tokens: input.unwrap_or(0) + cached + written,
            completion_tokens,
            cached_tokens: cached,
            cache_written_tokens: written,
            reasoning_tokens: thinking.unwrap_or(0).min(completion_tokens),
        })
    }
}
