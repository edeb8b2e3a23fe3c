//! Says in one provider's form what was said in another's: `OpenAI`'s chat completions and Anthropic's messages, both ways.
//!
//! A request is translated when a target does not speak the API that was asked; its answer, plain or streamed, and its errors
//! are translated back. What the other form cannot say is left out and named, so that whoever asked can be told or the call
//! refused before anything is sent.

mod answer;
mod error;
mod request;
mod stream;

pub use answer::answer;
pub use error::error;
pub use request::request;
pub use stream::StreamTranslator;

use crate::api::Api;

/// From what is asked to what the target speaks. Answers go the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A chat completions call to a target that speaks messages.
    ChatToMessages,
    /// A messages call to a target that speaks chat completions.
    MessagesToChat,
}

/// What a translation needs to know beside the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSettings {
    /// The most tokens to be written where the caller names none and the target's API wants a number.
    pub max_tokens: u64,
}

/// What the caller asked for that an answer does not have unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The usage chunk of a chat completion's stream.
    pub usage_chunk: bool,
    /// A message's thinking. Chat servers tell it unasked, where Anthropic's clients expect none and take the first block for the
    /// text. A chat completion has a member of its own for it, which hides nothing, and always tells it.
    pub thinking: bool,
}

/// A translated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// JSON in the target's form. Its `model` is the caller's; whoever sends it sets another.
    pub body: Vec<u8>,
    /// What could not be said and was left out, as paths such as `logprobs` or `messages[2].content[0].input_audio`, each once, in
    /// the order of their appearance, at most [`DROPPED_MAX`].
    pub dropped: Vec<String>,
}

/// Most names that are told of what was left out.
pub const DROPPED_MAX: usize = 32;

/// A request that cannot be read as one of the API it was sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value for `{param}`: {problem}.")]
pub struct Untranslatable {
    /// Where it is wrong, as a path.
    pub param: String,
    /// What is wrong there and what would be right.
    pub problem: String,
}

/// An answer that cannot be read as one of the API that the target speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not one of its API")]
pub struct BadAnswer;

impl Way {
    /// The way from an API that is asked to one that a target speaks; `None` where there is none.
    pub fn between(asked: Api, spoken: Api) -> Option<Self> {
        match (asked, spoken) {
            (Api::Chat, Api::Messages) => Some(Self::ChatToMessages),
            (Api::Messages, Api::Chat) => Some(Self::MessagesToChat),
            _ => None,
        }
    }

    /// What the target speaks.
    pub fn spoken(self) -> Api {
        match self {
            Self::ChatToMessages => Api::Messages,
            Self::MessagesToChat => Api::Chat,
        }
    }
}
