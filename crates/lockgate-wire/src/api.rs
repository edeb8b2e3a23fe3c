//! The APIs that clients call and targets speak.

/// One operation of a provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// `OpenAI`'s chat completions.
    Chat,
    /// `OpenAI`'s responses.
    Responses,
    /// `OpenAI`'s embeddings.
    Embeddings,
    /// Anthropic's messages.
    Messages,
    /// Anthropic's token counting.
    CountTokens,
}

/// Whose conventions an API follows: the shape of errors, of lists, of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `OpenAI`'s, and those of everybody who is compatible with it.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Embeddings, Self::Messages, Self::CountTokens];

    /// Where clients call it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
        }
    }

    /// Whose conventions it follows.
    pub fn family(self) -> Family {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => Family::OpenAi,
            Self::Messages | Self::CountTokens => Family::Anthropic,
        }
    }

    /// The word for it in configuration, headers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    /// Whether its answers say something to a person, so that a fixed text can be one.
    pub fn is_conversation(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Messages)
    }
}
