//! Goes on with an answer that broke off, at a target that can.
//!
//! A target that declares it (`resumes`) takes the beginning of an answer as the assistant's last message and writes on from there.
//! That is done for chat completions alone, whose chunks stand each for itself, and only where nothing but text was said: a tool
//! call cannot be gone on with, and half a word of reasoning is nobody's to finish.

use std::sync::Arc;

use bytes::Bytes;
use lockgate_config::health::Pass;
use lockgate_config::value::{Price, Times, Version};
use lockgate_core::breaker::Outcome;
use lockgate_wire::answer::AnswerSummary;
use lockgate_wire::api::Api;
use lockgate_wire::body::Body;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::assign::Assigned;
use crate::draw::draw;
use crate::gateway::Gateway;
use crate::tier::{self, Opened, Question, Told};

/// How often one answer is gone on with. A target that breaks off each time would write it in pieces for ever.
const TIMES_MAX: u32 = 2;

/// What it takes to go on with an answer.
pub(crate) struct Resume<'a> {
    gateway: &'a Gateway,
    assigned: &'a mut Assigned,
    question: &'a Question<'a>,
    times: u32,
    /// What was said before the stream that is under way.
    before: String,
}

/// An answer that goes on.
pub(crate) struct Resumed {
    pub(crate) opened: Opened,
    pub(crate) tier: usize,
    pub(crate) target: String,
    pub(crate) price: Option<Price>,
    pub(crate) times: Times,
    pub(crate) pass: Pass,
}

impl<'a> Resume<'a> {
    pub(crate) fn new(gateway: &'a Gateway, assigned: &'a mut Assigned, question: &'a Question<'a>) -> Self {
        Self { gateway, assigned, question, times: 0, before: String::new() }
    }

    /// The stream's summary together with what was said before it.
    pub(crate) fn whole(&self, summary: &AnswerSummary) -> Option<AnswerSummary> {
        (self.times > 0).then(|| {
            let text = [self.before.as_str(), &summary.text].concat();
            AnswerSummary { text, ..summary.clone() }
        })
    }

    /// Asks a target that can go on with what was said; `None` where there is none, or what was said cannot be gone on with.
    pub(crate) async fn go_on(&mut self, said: &AnswerSummary) -> Option<Resumed> {
        let is_text_alone = !said.text.is_empty() && said.tool_calls.is_empty() && said.refusal.is_none();
        if self.question.api != Some(Api::Chat)
            || !is_text_alone
            || said.is_cut
            || said.finish_reason.is_some()
            || self.times == TIMES_MAX
        {
            return None;
        }
        self.times += 1;
        self.before.push_str(&said.text);
        let bytes = begun(self.question.body?, &self.before)?;
        let body = Body::read(&bytes).ok()?;
        let mut headers = self.question.headers.clone();
        // They name the call as it was; this one has another body.
        headers.remove("idempotency-key");
        headers.remove("x-client-request-id");
        let question = Question {
            headers,
            bytes: &bytes,
            body: Some(&body),
            metadata: self.question.metadata.clone(),
            ..*self.question
        };
        let version = Arc::clone(&self.assigned.version);
        for index in self.assigned.first_tier..version.chain.len() {
            if let Some(resumed) = self.ask(&question, &version, index).await {
                return Some(resumed);
            }
        }
        None
    }

    async fn ask(&mut self, question: &Question<'_>, version: &Version, index: usize) -> Option<Resumed> {
        let tier = version.chain.get(index)?;
        let endpoint = tier.target.kind.endpoint().filter(|endpoint| endpoint.resumes)?;
        if Instant::now() >= question.deadline {
            return None;
        }
        let put = tier::put(question, tier, endpoint).ok()?;
        let table = self.assigned.held.start()?;
        let patient = self.gateway.live.health().of(&tier.target.name, endpoint);
        if !patient.may_retry(endpoint, self.gateway.clock.now()) {
            return None;
        }
        let draw = draw(question.id, self.times.wrapping_add(index as u32));
        let pass = patient.admit(endpoint, self.gateway.clock.now(), draw, true).ok()?;
        let (upstream, clock) = (&self.gateway.upstream, &self.gateway.clock);
        match tier::ask(upstream, clock, question, tier, endpoint, put, table).await {
            Ok(answer) => match answer.told {
                Told::Stream(opened) => Some(Resumed {
                    opened: *opened,
                    tier: index,
                    target: tier.target.name.to_string(),
                    price: tier.price,
                    times: tier.times.clone(),
                    pass,
                }),
                Told::Whole { .. } | Told::Long { .. } => {
                    pass.end(clock.now(), Outcome::Unknown, "unusable");
                    None
                }
            },
            Err(error) => {
                pass.end(clock.now(), error.outcome(), error.word());
                None
            }
        }
    }
}

/// The call again, with the beginning of its answer as the last message; `None` for a call of several answers at once.
fn begun(body: &Body<'_>, said: &str) -> Option<Bytes> {
    let mut call: Value = serde_json::from_str(body.text()).ok()?;
    if call.get("n").is_some_and(|n| *n != 1 && !n.is_null()) {
        return None;
    }
    call.get_mut("messages")?.as_array_mut()?.push(json!({ "role": "assistant", "content": said }));
    Some(call.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_begun_by_its_answer() {
        let body = Body::read(br#"{"n":1,"messages":[{"role":"user","content":"hi"}]}"#).unwrap();
        let begun_call: Value = serde_json::from_slice(&begun(&body, "he\"l").unwrap()).unwrap();
        assert_eq!(begun_call["messages"][1], json!({ "role": "assistant", "content": "he\"l" }));
        assert!(begun(&Body::read(br#"{"n":2,"messages":[]}"#).unwrap(), "x").is_none());
        assert!(begun(&Body::read(br#"{"messages":{}}"#).unwrap(), "x").is_none());
    }
}
