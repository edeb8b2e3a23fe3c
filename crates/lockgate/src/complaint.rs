//! What a person is told when a command fails: one sentence, and what to do about it.

/// A failure, ready to be read.
///
/// Not an `Error` itself, so that any error can become one with `?`.
#[derive(Debug)]
pub struct Complaint {
    /// What failed, with its causes.
    pub sentence: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Complaint {
    /// With a hint.
    pub fn new(sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), hint: Some(hint.into()) }
    }
}

impl<E: std::error::Error> From<E> for Complaint {
    fn from(error: E) -> Self {
        Self { sentence: with_causes(&error), hint: None }
    }
}

/// An error and its causes in one line; a cause that the error has already printed is not repeated.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !sentence.contains(&text) {
            sentence.push_str(": ");
            sentence.push_str(&text);
        }
        cause = error.source();
    }
    sentence
}
