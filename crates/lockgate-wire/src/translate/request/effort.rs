//! How hard a model is asked to think: a word in one API, a number of tokens in the other.

/// The words and the tokens that they stand for. The first is the least that Anthropic takes; each next one
/// doubles, so that the highest still leaves room for an answer within the limits that people commonly set. A
/// budget between two is the lower.
const EFFORTS: [(&str, u64); 3] = [("low", 1024), ("medium", 2048), ("high", 4096)];

/// The tokens that a word stands for; `None` for a word that has no such meaning in both.
pub(super) fn budget(effort: &str) -> Option<u64> {
    EFFORTS.iter().find(|(word, _)| *word == effort).map(|(_, tokens)| *tokens)
}

/// The word for a number of tokens.
pub(super) fn word(budget: u64) -> &'static str {
    EFFORTS.iter().rev().find(|(_, tokens)| budget >= *tokens).map_or(EFFORTS[0].0, |(word, _)| *word)
}

/// A word of Anthropic's `effort` that a chat model takes too.
pub(super) fn shared(effort: &str) -> Option<&'static str> {
    EFFORTS.iter().map(|(word, _)| *word).find(|word| *word == effort)
}
