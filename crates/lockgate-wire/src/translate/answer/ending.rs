//! How an answer ends, in the words of both forms.

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) enum Ending {
    /// All was said.
    Whole,
    /// The room for tokens ran out.
    CutShort,
    /// Tools are to be called.
    Tools,
    /// A filter or the model itself declined.
    Refused,
}

/// What a chat answer did that its `finish_reason` may not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) struct Deeds {
    /// A tool was called. Servers say `stop` all the same where the caller had demanded that tool.
    pub(in crate::translate) called: bool,
    /// It has a text that is marked as a refusal.
    pub(in crate::translate) refused: bool,
}

impl Ending {
    /// Reads a `stop_reason`. One that is not known here ends an answer all the same.
    pub(in crate::translate) fn of_message(stop_reason: &str) -> Self {
        match stop_reason {
            "max_tokens" | "model_context_window_exceeded" => Self::CutShort,
            "tool_use" => Self::Tools,
            "refusal" => Self::Refused,
            _ => Self::Whole,
        }
    }

    /// Reads a `finish_reason`; `None` for those by which servers say that they failed midway, since what came before is then
    /// no whole answer.
    pub(in crate::translate) fn of_chat(finish_reason: &str, deeds: Deeds) -> Option<Self> {
        Some(match finish_reason {
            "error" | "abort" | "insufficient_system_resource" => return None,
            "length" | "model_length" => Self::CutShort,
            "tool_calls" | "function_call" => Self::Tools,
            "content_filter" => Self::Refused,
            _ if deeds.refused => Self::Refused,
            _ if deeds.called => Self::Tools,
            _ => Self::Whole,
        })
    }

    /// As a chat completion says it.
    pub(in crate::translate) fn finish_reason(self) -> &'static str {
        match self {
            Self::Whole => "stop",
            Self::CutShort => "length",
            Self::Tools => "tool_calls",
            Self::Refused => "content_filter",
        }
    }

    /// As a message says it.
    pub(in crate::translate) fn stop_reason(self) -> &'static str {
        match self {
            Self::Whole => "end_turn",
            Self::CutShort => "max_tokens",
            Self::Tools => "tool_use",
            Self::Refused => "refusal",
        }
    }
}
