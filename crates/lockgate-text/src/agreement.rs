//! Says how far two answers to the same call agree.
//!
//! A candidate that answers copies of real calls is judged by how often it says what stable said. Answers for programs are
//! compared as programs read them: tool calls by name and arguments, JSON by its leaves. Answers for people are compared as
//! text, with what nobody reads (case, spacing, typographic quotes) set aside. The score of text is all or nothing: a share of
//! equal words would call "refund" and "no refund" alike.
//!
//! The work is linear in the length of the answers. What JSON costs to build is bounded by [`json::JSON_BYTES_MAX`].

pub mod exact;
pub mod json;

mod tool_calls;

/// What one version answered.
#[derive(Debug, Clone, Copy)]
pub struct Said<'s> {
    /// The text.
    pub text: &'s str,
    /// The tools it called.
    pub tool_calls: &'s [ToolCall<'s>],
}

/// One call of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolCall<'s> {
    /// The tool.
    pub name: &'s str,
    /// Its arguments as JSON text.
    pub arguments: &'s str,
}

/// How the texts of two answers are compared. Tool calls, where there are any, are compared first and alone: the text beside
/// them is talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// The same text, but for case, spacing and typography.
    Exact,
    /// The share of JSON leaves that are the same.
    Json,
    /// As JSON where both are an object or an array, else as text.
    Auto,
}

/// How far two answers agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// From 0, nothing in common, to 1, the same.
    pub score: f64,
    /// What was found, for a person to read; the first differences, where there are any.
    pub why: String,
}

/// Compares what two versions answered to the same call.
pub fn compare(stable: &Said<'_>, candidate: &Said<'_>, how: How) -> Agreement {
    if !stable.tool_calls.is_empty() || !candidate.tool_calls.is_empty() {
        return tool_calls::compare(stable.tool_calls, candidate.tool_calls);
    }
    match how {
        How::Exact => exact::compare(stable.text, candidate.text),
        How::Json => json::compare(stable.text, candidate.text),
        How::Auto => json::compare_structures(stable.text, candidate.text)
            .unwrap_or_else(|| exact::compare(stable.text, candidate.text)),
    }
}

impl Agreement {
    /// All the same.
    fn whole(why: &str) -> Self {
        Self { score: 1.0, why: why.to_owned() }
    }

    /// Nothing the same.
    fn none(why: String) -> Self {
        Self { score: 0.0, why }
    }
}

#[cfg(test)]
mod tests;
