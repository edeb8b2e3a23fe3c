//! Writes the chunks of a streamed chat completion.

use serde::Serialize;

use crate::translate::BadAnswer;
use crate::translate::answer::json;
use crate::translate::answer::usage::ToldInChat;

/// What every chunk of an answer repeats.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: i64,
    pub(super) include_usage: bool,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    /// `null` in all chunks but the last where it was asked for, and else no member at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<ToldInChat>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u64,
    delta: Said<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize, Default)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

#[derive(Serialize)]
struct Call<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl Chunks {
    /// The first chunk, which says who speaks.
    pub(super) fn start(&self, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        self.say(Said { role: Some("assistant"), content: Some(""), ..Said::default() }, out)
    }

    /// The last chunks: how it ended, what it used where that was asked for, and that there is no more.
    pub(super) fn end(
        &self,
        finish_reason: &'static str,
        usage: ToldInChat,
        out: &mut Vec<u8>,
    ) -> Result<(), BadAnswer> {
        let choice =
            Choice { index: 0, delta: Said::default(), logprobs: None, finish_reason: Some(finish_reason) };
        self.write(&[choice], None, out)?;
        if self.include_usage {
            self.write(&[], Some(usage), out)?;
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        Ok(())
    }

    /// The beginning of a call; its arguments follow.
    pub(super) fn start_call(
        &self,
        at: usize,
        id: &str,
        name: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), BadAnswer> {
        let function = Function { name: Some(name), arguments: "" };
        self.say_call(Call { index: at, id: Some(id), kind: Some("function"), function }, out)
    }

    /// Some words of what is said.
    pub(super) fn text(&self, text: &str, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        if text.is_empty() {
            return Ok(());
        }
        self.say(Said { content: Some(text), ..Said::default() }, out)
    }

    /// Some words of what is thought.
    pub(super) fn thinking(&self, text: &str, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        if text.is_empty() {
            return Ok(());
        }
        self.say(Said { reasoning_content: Some(text), ..Said::default() }, out)
    }

    /// A piece of the arguments of a call.
    pub(super) fn arguments(&self, at: usize, arguments: &str, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let function = Function { name: None, arguments };
        self.say_call(Call { index: at, id: None, kind: None, function }, out)
    }

    fn say_call(&self, call: Call<'_>, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        self.say(Said { tool_calls: Some([call]), ..Said::default() }, out)
    }

    fn say(&self, delta: Said<'_>, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        self.write(&[Choice { index: 0, delta, logprobs: None, finish_reason: None }], None, out)
    }

    fn write(
        &self,
        choices: &[Choice<'_>],
        usage: Option<ToldInChat>,
        out: &mut Vec<u8>,
    ) -> Result<(), BadAnswer> {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage: self.include_usage.then_some(usage),
        };
        out.extend_from_slice(b"data: ");
        json::write(out, &chunk)?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }
}
