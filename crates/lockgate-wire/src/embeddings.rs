//! Reads an embeddings answer: how much there is of it and what it used. The vectors themselves are of no interest here.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::answer::{AnswerError, AnswerSummary, label};
use crate::chat::UsageFields;
use crate::lenient::{List, Object, Text, read_object};

/// A plain answer, or an error in its place.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    model: Text<'a>,
    #[serde(default)]
    data: List<IgnoredAny>,
    #[serde(default)]
    usage: Object<UsageFields>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Reads the body of an answer, or of an error.
pub(crate) fn read_plain(body: &[u8], summary: &mut AnswerSummary) -> Result<(), serde_json::Error> {
    let answer = read_object::<Answer<'_>>(body)?;
    label(&mut summary.id, &answer.id);
    label(&mut summary.model, &answer.model);
    // Asked for no vectors, a list of none is what was asked for.
    summary.has_content = answer.data.0.is_some();
    summary.usage = answer.usage.0.as_ref().and_then(UsageFields::usage);
    summary.error = answer.error.and_then(|error| AnswerError::read(error.get()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::answer::Usage;
    use crate::api::Api;

    fn read(answer: &Value) -> AnswerSummary {
        crate::reader::read_plain(Api::Embeddings, answer.to_string().as_bytes())
    }

    #[test]
    fn an_answer_has_content_when_there_is_a_list_of_vectors_were_it_empty() {
        for (data, expected) in [
            (json!([{ "object": "embedding", "index": 0, "embedding": [0.1, 0.2] }]), true),
            (json!([{ "embedding": "AAAA" }]), true),
            (json!([]), true),
            (json!(null), false),
            (json!({ "0": [] }), false),
        ] {
            let summary = read(
                &json!({ "data": data, "model": "m", "usage": { "prompt_tokens": 8, "total_tokens": 8 } }),
            );
            assert_eq!(summary.has_content, expected, "{data}");
            assert_eq!(summary.usage, Some(Usage { prompt_tokens: 8, ..Usage::default() }));
            assert_eq!(summary.model.as_deref(), Some("m"));
        }
    }

    #[test]
    fn errors_and_what_is_no_json_are_told() {
        let summary = read(&json!({ "error": { "message": "m", "code": "c" } }));
        assert_eq!(summary.error.and_then(|error| error.code).as_deref(), Some("c"));
        assert!(crate::reader::read_plain(Api::Embeddings, b"<html>").is_unreadable);
    }
}
