//! Writes a fixed text as an answer, in the form that the client of each surface expects.
//!
//! The deterministic tier answers when no model can: its answer must pass through every client that a model's answer passes
//! through. It uses no tokens and says so.

use serde_json::{Value, json};

/// A fixed text as a chat completion.
#[derive(Debug, Clone, Copy)]
pub struct ChatText<'t> {
    /// The id of the answer, for example `chatcmpl-` and something unique.
    pub id: &'t str,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that the client asked for.
    pub model: &'t str,
    /// What is said.
    pub text: &'t str,
}

impl ChatText<'_> {
    /// The body of a plain answer.
    pub fn plain(&self) -> Vec<u8> {
        let message = json!({ "role": "assistant", "content": self.text, "refusal": null });
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" });
        let mut answer = self.head("chat.completion", vec![choice]);
        answer["usage"] = no_usage();
        answer.to_string().into_bytes()
    }

    /// A whole stream: role, text, end, `[DONE]`.
    pub fn stream(&self) -> Vec<u8> {
        self.events(false)
    }

    /// As [`Self::stream`], with the usage chunk for a client that asked for it.
    pub fn stream_with_usage(&self) -> Vec<u8> {
        self.events(true)
    }

    fn events(&self, with_usage: bool) -> Vec<u8> {
        let mut events = String::new();
        let deltas = [
            (json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null),
            (json!({ "content": self.text }), Value::Null),
            (json!({}), json!("stop")),
        ];
        for (delta, finish_reason) in deltas {
            let choice =
                json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason });
            let mut chunk = self.head("chat.completion.chunk", vec![choice]);
            if with_usage {
                chunk["usage"] = Value::Null;
            }
            events.push_str(&format!("data: {chunk}\n\n"));
        }
        if with_usage {
            let mut chunk = self.head("chat.completion.chunk", Vec::new());
            chunk["usage"] = no_usage();
            events.push_str(&format!("data: {chunk}\n\n"));
        }
        events.push_str("data: [DONE]\n\n");
        events.into_bytes()
    }

    fn head(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

/// A fixed text as the answer of a plain agent; `degraded` says that a better tier should have answered.
pub fn agent_answer(text: &str, degraded: bool) -> Vec<u8> {
    json!({ "answer": text, "source": "rules", "degraded": degraded }).to_string().into_bytes()
}

fn no_usage() -> Value {
    json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::read_plain;
    use crate::chat_stream::StreamReader;
    use crate::chat_usage_strip::UsageStrip;

    const ANSWER: ChatText<'_> = ChatText {
        id: "chatcmpl-1",
        created: 1_700_000_000,
        model: "support-reply",
        text: "A colleague\nwill \"look\".",
    };

    #[test]
    fn a_fixed_text_reads_like_a_model_s_answer() {
        let summary = read_plain(&ANSWER.plain());
        assert_eq!((summary.id.as_deref(), summary.model.as_deref()), (Some(ANSWER.id), Some(ANSWER.model)));
        assert_eq!((summary.text.as_str(), summary.finish_reason.as_deref()), (ANSWER.text, Some("stop")));
        assert_eq!(summary.usage, Some(crate::chat::Usage::default()));
    }

    #[test]
    fn a_fixed_text_streams_like_a_model_s_answer() {
        for (events, with_usage) in [(ANSWER.stream(), false), (ANSWER.stream_with_usage(), true)] {
            let mut reader = StreamReader::new(usize::MAX);
            reader.push(&events);
            let summary = reader.finish();
            assert!(summary.is_done && summary.is_every_choice_finished && !summary.answer.is_unreadable);
            assert_eq!(
                (summary.answer.text.as_str(), summary.answer.usage.is_some()),
                (ANSWER.text, with_usage)
            );
            assert_eq!(summary.events, if with_usage { 5 } else { 4 });
            let stripped = UsageStrip::default().push(&events).len();
            assert_eq!(stripped < events.len(), with_usage);
        }
    }

    #[test]
    fn a_plain_agent_is_told_where_the_answer_came_from() {
        assert_eq!(agent_answer("hi", true), br#"{"answer":"hi","source":"rules","degraded":true}"#);
    }
}
