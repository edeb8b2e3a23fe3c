//! Reads what a chat completion and the chunks of its stream are made of; the two differ in one name (`message`, `delta`).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{self, Items};
use super::usage::{ChatUsage, Tokens};
use crate::lenient::{Number, Object, Text};
use crate::translate::BadAnswer;

/// A chat completion or a chunk.
#[derive(Deserialize)]
pub(in crate::translate) struct Chat<'a> {
    #[serde(borrow, default)]
    pub(in crate::translate) id: Text<'a>,
    #[serde(borrow, default)]
    pub(in crate::translate) model: Text<'a>,
    #[serde(borrow, default)]
    choices: Items<'a>,
    #[serde(default)]
    usage: Object<ChatUsage>,
    /// Groq's streams tell their usage here.
    #[serde(default)]
    x_groq: Object<XGroq>,
    #[serde(borrow)]
    pub(in crate::translate) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct XGroq {
    #[serde(default)]
    usage: Object<ChatUsage>,
}

/// One choice.
#[derive(Deserialize)]
pub(in crate::translate) struct Choice<'a> {
    #[serde(default)]
    index: Number,
    #[serde(borrow, default)]
    delta: Object<Said<'a>>,
    #[serde(borrow, default)]
    message: Object<Said<'a>>,
    #[serde(borrow, default)]
    pub(in crate::translate) finish_reason: Text<'a>,
}

/// What a choice says.
#[derive(Deserialize)]
pub(in crate::translate) struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Text<'a>,
    #[serde(borrow, default)]
    reasoning_content: Text<'a>,
    /// What `OpenRouter`, Groq and newer vLLM call it.
    #[serde(borrow, default)]
    reasoning: Text<'a>,
    #[serde(borrow, default)]
    tool_calls: Items<'a>,
    /// What tools were called before they were called tools.
    #[serde(borrow, default)]
    function_call: Object<Function<'a>>,
}

/// A call of a tool, or a piece of one.
#[derive(Deserialize)]
pub(in crate::translate) struct Call<'a> {
    #[serde(default)]
    pub(in crate::translate) index: Number,
    #[serde(borrow, default)]
    pub(in crate::translate) id: Text<'a>,
    #[serde(borrow, default)]
    function: Object<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// What kind of words a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) enum Kind {
    /// What was thought before it was said.
    Thinking,
    /// What is said.
    Text,
    /// What is said in place of an answer.
    Refusal,
}

/// One part of a content that is a list.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    refusal: Text<'a>,
    /// Mistral's reasoning models answer with such parts.
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
}

impl<'a> Chat<'a> {
    /// The first choice, if this has it; others cannot be said in a message.
    pub(in crate::translate) fn choice(&self) -> Result<Option<Choice<'a>>, BadAnswer> {
        for (at, raw) in self.choices.0.iter().enumerate() {
            let choice: Choice<'a> = json::part(raw)?;
            if choice.index.0.unwrap_or(at as u64) == 0 {
                return Ok(Some(choice));
            }
        }
        Ok(None)
    }

    /// What was used, where it is told.
    pub(in crate::translate) fn tokens(&self) -> Option<Tokens> {
        let groq = || self.x_groq.0.as_ref().and_then(|x_groq| x_groq.usage.0.as_ref());
        self.usage.0.as_ref().or_else(groq).and_then(Tokens::of_chat)
    }
}

impl<'a> Choice<'a> {
    /// What it says. Some servers send an empty `message` beside the `delta`.
    pub(in crate::translate) fn said(&self) -> Option<&Said<'a>> {
        self.delta.0.as_ref().or(self.message.0.as_ref())
    }
}

impl<'a> Said<'a> {
    /// Tells the words, in the order in which a message has them; none is empty.
    pub(in crate::translate) fn each_piece(
        &self,
        mut tell: impl FnMut(Kind, &str) -> Result<(), BadAnswer>,
    ) -> Result<(), BadAnswer> {
        let mut tell = |kind, text: &str| if text.is_empty() { Ok(()) } else { tell(kind, text) };
        tell(Kind::Thinking, self.reasoning_content.some().or(self.reasoning.some()).unwrap_or_default())?;
        if let Some(content) = self.content {
            if content.get().starts_with('"') {
                tell(Kind::Text, &json::text(content)?)?;
            } else {
                for raw in json::items(content)?.0 {
                    json::part::<Part<'_>>(raw)?.tell(&mut tell)?;
                }
            }
        }
        tell(Kind::Refusal, self.refusal.some().unwrap_or_default())
    }

    /// The calls of tools.
    pub(in crate::translate) fn calls(&self) -> Result<Vec<Call<'a>>, BadAnswer> {
        let mut calls = self.tool_calls.0.iter().map(|raw| json::part(raw)).collect::<Result<Vec<_>, _>>()?;
        if let Some(Function { name, arguments }) = &self.function_call.0 {
            let function = Object(Some(Function { name: name.clone(), arguments: *arguments }));
            calls.push(Call { index: Number(Some(0)), id: Text(None), function });
        }
        Ok(calls)
    }
}

impl Part<'_> {
    fn tell(&self, tell: &mut impl FnMut(Kind, &str) -> Result<(), BadAnswer>) -> Result<(), BadAnswer> {
        match self.kind.some() {
            Some("text") => tell(Kind::Text, self.text.0.as_deref().ok_or(BadAnswer)?),
            Some("refusal") => tell(Kind::Refusal, self.refusal.0.as_deref().ok_or(BadAnswer)?),
            Some("thinking") => {
                let thinking = self.thinking.ok_or(BadAnswer)?;
                if thinking.get().starts_with('"') {
                    return tell(Kind::Thinking, &json::text(thinking)?);
                }
                for raw in json::items(thinking)?.0 {
                    let part: Part<'_> = json::part(raw)?;
                    tell(Kind::Thinking, part.text.0.as_deref().unwrap_or_default())?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Call<'_> {
    /// The tool, where this piece names it.
    pub(in crate::translate) fn name(&self) -> Option<&str> {
        self.function.0.as_ref().and_then(|function| function.name.some())
    }

    /// The arguments, as JSON text, or a piece of it. Some servers send the object itself.
    pub(in crate::translate) fn arguments(&self) -> Result<Cow<'_, str>, BadAnswer> {
        match self.function.0.as_ref().and_then(|function| function.arguments) {
            None => Ok(Cow::Borrowed("")),
            Some(raw) if raw.get().starts_with('{') => Ok(Cow::Borrowed(raw.get())),
            Some(raw) => json::text(raw),
        }
    }
}

/// By which a message is named whose server gave it no id.
pub(in crate::translate) fn made_up_answer_id(created: i64) -> String {
    format!("msg_{created:x}")
}

/// By which a call is named whose server gave it no id: results are told by it, so it differs from answer to answer.
pub(in crate::translate) fn made_up_id(answer_id: &str, created: i64, at: usize) -> String {
    if answer_id.is_empty() { format!("call_{created}_{at}") } else { format!("call_{answer_id}_{at}") }
}
