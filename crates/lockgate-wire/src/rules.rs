//! Writes a fixed text as an answer, in the form that the client of each API expects.
//!
//! The deterministic tier answers when no model can: its answer must pass through every client that a model's answer passes
//! through, so every member is there that a provider's own answer has. It uses no tokens and says so.

mod messages;
mod responses;

use serde_json::{Value, json};

use crate::api::Api;

/// A fixed text as an answer.
#[derive(Debug, Clone, Copy)]
pub struct FixedText<'t> {
    /// The id of the answer, in the form that the API's ids have.
    pub id: &'t str,
    /// Seconds since 1970.
    pub created: i64,
    /// The model that the client asked for.
    pub model: &'t str,
    /// What is said.
    pub text: &'t str,
}

impl FixedText<'_> {
    /// The body of a plain answer; `None` for an API whose answers are not made of text.
    pub fn plain(&self, api: Api) -> Option<Vec<u8>> {
        match api {
            Api::Chat => Some(self.chat()),
            Api::Responses => Some(responses::plain(self)),
            Api::Messages => Some(messages::plain(self)),
            Api::Embeddings | Api::CountTokens => None,
        }
    }

    /// A whole stream, its terminal event included. `with_usage` adds the chunk for a chat client that asked for it; the
    /// other APIs always tell it.
    pub fn stream(&self, api: Api, with_usage: bool) -> Option<Vec<u8>> {
        match api {
            Api::Chat => Some(self.events(with_usage)),
            Api::Responses => Some(responses::stream(self)),
            Api::Messages => Some(messages::stream(self)),
            Api::Embeddings | Api::CountTokens => None,
        }
    }

    fn chat(&self) -> Vec<u8> {
        let message = json!({ "role": "assistant", "content": self.text, "refusal": null });
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" });
        let mut answer = self.head("chat.completion", vec![choice]);
        answer["usage"] = no_usage();
        answer.to_string().into_bytes()
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

/// One event of an API that names its events; the name is the event's own type.
fn named_event(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
