//! Makes one copy of a call: asks the candidate's first tier, records how it did, and compares what it said.
//!
//! The copy says that it is one, in a header and in the body's `metadata` where there is any, and carries no tool that could
//! act unless the version allows it; nor does it leave a response at a provider that keeps them. Only the first tier is asked: what is
//! on trial is the candidate, not its way out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use lockgate_config::live::Table;
use lockgate_config::value::{Price, Tier, Version};
use lockgate_core::duration_levels::{level, never};
use lockgate_core::route::Mode;
use lockgate_core::sums::score_step;
use lockgate_store::row::ShadowSample;
use lockgate_text::agreement::{self, Agreement, How, Said, ToolCall};
use lockgate_wire::answer::AnswerSummary;
use lockgate_wire::api::Api;
use lockgate_wire::body::Body;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::events::Next;
use crate::gateway::Gateway;
use crate::headers::SHADOW;
use crate::observation::used;
use crate::purse::price_of;
use crate::record::Observed;
use crate::shadow::{Planned, Waiting, not_made, unread};
use crate::tally;
use crate::tier::{self, Question, TierAnswer, Told, from_rules, rules_of};
use crate::trouble::TargetError;

/// What is set aside for the tokens that a copy writes, until it is known how many they were.
const TOKENS_OUT_EXPECTED: u64 = 1_000;
/// Bytes per token where nobody has counted: on the low side for prose, so that the guess is not too cheap.
const BYTES_PER_TOKEN: u64 = 3;
/// Most members that a provider takes in `metadata`; a fuller one is left as it is.
const METADATA_MEMBERS_MAX: usize = 16;
/// Longest piece of an answer that is kept for a person.
const SAMPLE_BYTES_MAX: usize = 4096;

/// What a copy came to.
struct Outcome {
    result: Result<AnswerSummary, Failed>,
    took: Duration,
    first_content: Option<Duration>,
    /// Whether the provider may ask money for it: not for a connection that did not come about, nor for an error.
    is_billed: bool,
}

enum Failed {
    Wrong,
    TooSlow,
}

/// Counts towards coverage when it is dropped, also when the copy is cut by a stop.
struct Coverage<'c> {
    gateway: &'c Gateway,
    waiting: &'c Waiting,
    compared: bool,
}

/// Makes a copy, unless its time or its money has run out or the trial has ended.
pub(crate) async fn make(gateway: &Gateway, waiting: Waiting) {
    let planned = &waiting.planned;
    let drops = gateway.shadows.drops();
    if Instant::now() >= waiting.deadline {
        return not_made(gateway, &waiting.slot, &drops.late);
    }
    let table = gateway.live.table();
    let Some(version) = still_tried(&table, planned) else {
        return not_made(gateway, &waiting.slot, &drops.withdrawn);
    };
    let Some(tier) = version.chain.first() else { return };
    let price = price_of(&planned.feature, version.id.revision);
    let expected = price.nano_usd(planned.bytes.len() as u64 / BYTES_PER_TOKEN, TOKENS_OUT_EXPECTED);
    let reserved_at = gateway.clock.now();
    if !gateway.purses.reserve(&planned.feature, reserved_at, expected) {
        return not_made(gateway, &waiting.slot, &drops.unpaid);
    }
    let mut coverage = Coverage { gateway, waiting: &waiting, compared: false };
    coverage.observe([Observed::Assigned]);
    let outcome = ask(gateway, &waiting, &version, table).await;
    coverage.record(&outcome, tier.price);
    if !outcome.is_billed {
        gateway.purses.settle(&planned.feature.name, reserved_at, expected, 0);
    }
    let Ok(answer) = outcome.result else { return };
    if let Some(usage) = answer.usage {
        let cost = price.nano_usd(usage.prompt_tokens, usage.completion_tokens);
        gateway.purses.settle(&planned.feature.name, reserved_at, expected, cost);
    }
    if let Some(agreement) = compare(planned, &answer, version.shadow_tools) {
        coverage.compared = true;
        coverage.observe(score_step(agreement.score).map(Observed::Agreement));
        if agreement.score < 1.0 {
            gateway.shadows.keep(sample(gateway, planned, agreement, &answer));
        }
    }
}

/// The candidate, if the table in force still mirrors to it.
fn still_tried(table: &Table, planned: &Planned) -> Option<Arc<Version>> {
    let trial = table.routes.get(&planned.feature.name)?.trial.as_ref()?;
    let is_mirrored = matches!(trial.mode, Mode::Shadow { .. });
    if !is_mirrored || trial.candidate.revision != planned.candidate.revision {
        return None;
    }
    table.config.features.get(&planned.feature.name)?.version_of(planned.candidate.revision).cloned()
}

async fn ask(gateway: &Gateway, waiting: &Waiting, version: &Version, table: Arc<Table>) -> Outcome {
    let planned = &waiting.planned;
    let started = Instant::now();
    let mut first_content = None;
    // It could be read when the user's call was answered, so it can be read now.
    let body = Body::read(&planned.bytes).ok();
    let mut headers = planned.headers.clone();
    headers.insert(SHADOW, HeaderValue::from_static("true"));
    // They name the user's own call; under the same name a provider would answer the copy from what it kept of that one.
    headers.remove("idempotency-key");
    headers.remove("x-client-request-id");
    let question = Question {
        id: planned.request_id,
        api: planned.api,
        headers,
        bytes: &planned.bytes,
        metadata: body.as_ref().and_then(marked_metadata),
        body: body.as_ref(),
        wants_stream: planned.wants_stream,
        wants_usage: false,
        strips_tools: !version.shadow_tools,
        is_strict: false,
        deadline: waiting.deadline,
        allowed: planned.feature.shadow.deadline,
        is_hurried: false,
        kept_bytes_max: planned.kept_bytes_max,
    };
    let Some(tier) = version.chain.first() else {
        return Outcome { result: Err(Failed::Wrong), took: Duration::ZERO, first_content, is_billed: false };
    };
    let tier = &as_copied(tier, planned.api, version.shadow_tools);
    let asked = put_to(gateway, &question, tier, table).await;
    // What was given up may go on at the provider's, and be billed.
    let is_billed = asked.as_ref().map_or_else(TargetError::is_timeout, |_| true);
    let result = match asked {
        Ok(answer) => {
            let mut on_content = || first_content = Some(started.elapsed());
            match timeout_at(waiting.deadline, read(answer, tier.times.idle, &mut on_content)).await {
                Ok(read) => read,
                Err(_) => Err(Failed::TooSlow),
            }
        }
        Err(error) => Err(failed(&error)),
    };
    Outcome { result, took: started.elapsed(), first_content, is_billed }
}

/// The tier as a copy asks it. Providers keep a response unless they are told not to, and nobody would ever ask for that of a copy, nor
/// delete it. Chat completions are kept only by who asks for it, who may have `metadata` only then; so these stay as they are.
fn as_copied(tier: &Tier, api: Option<Api>, may_act: bool) -> Cow<'_, Tier> {
    let mut tier = Cow::Borrowed(tier);
    if api == Some(Api::Responses) && !may_act {
        tier.to_mut().parameters.insert("store".to_owned(), false.into());
    }
    tier
}

/// A copy passes no breaker and opens none: what happens to it must not change what users get.
async fn put_to(
    gateway: &Gateway,
    question: &Question<'_>,
    tier: &Tier,
    table: Arc<Table>,
) -> Result<TierAnswer, TargetError> {
    let not_spoken = || TargetError::NotSpoken { target: tier.target.name.clone() };
    if let Some(rules) = rules_of(tier) {
        return from_rules(rules, &gateway.clock, question, false).ok_or_else(not_spoken);
    }
    let endpoint = tier.target.kind.endpoint().ok_or_else(not_spoken)?;
    let put = tier::put(question, tier, endpoint)?;
    tier::ask(&gateway.upstream, &gateway.clock, question, tier, endpoint, put, table).await
}

fn failed(error: &TargetError) -> Failed {
    if error.is_timeout() { Failed::TooSlow } else { Failed::Wrong }
}

/// The body's own metadata and a mark; `None` where the body has none or there is no room.
fn marked_metadata(body: &Body<'_>) -> Option<Value> {
    let mut metadata: Value = serde_json::from_str(body.get("metadata")?).ok()?;
    let members = metadata.as_object_mut().filter(|members| members.len() < METADATA_MEMBERS_MAX)?;
    members.insert("lockgate_shadow".to_owned(), "true".into());
    Some(metadata)
}

/// Reads an answer to its end. An error of the caller's own is the candidate's here: stable answered the same call.
async fn read(
    answer: TierAnswer,
    idle: Duration,
    on_content: &mut impl FnMut(),
) -> Result<AnswerSummary, Failed> {
    if !answer.head.status.is_success() {
        return Err(Failed::Wrong);
    }
    let mut opened = match answer.told {
        Told::Whole { summary: Some(summary), .. } => return Ok(*summary),
        Told::Whole { bytes, summary: None } => return Ok(unread(&bytes)),
        // An answer that is too long to be kept is one that cannot be compared.
        Told::Long { .. } => return Ok(AnswerSummary { is_cut: true, ..AnswerSummary::default() }),
        Told::Stream(opened) => *opened,
    };
    opened.pieces.clear();
    if opened.stream.summary().is_none() {
        return Ok(AnswerSummary { is_cut: true, ..AnswerSummary::default() });
    }
    let mut told_content = false;
    loop {
        if !told_content && opened.stream.has_content() {
            told_content = true;
            on_content();
        }
        if opened.is_over || opened.stream.is_done() {
            break;
        }
        match timeout_at(Instant::now() + idle, opened.stream.next()).await {
            Err(_) => return Err(Failed::TooSlow),
            Ok(Err(_)) => return Err(Failed::Wrong),
            Ok(Ok(Next::End(_))) => break,
            Ok(Ok(Next::Pieces(_))) => {}
        }
    }
    opened.stream.summary().cloned().ok_or(Failed::Wrong)
}

/// How far the two answers agree; `None` where that cannot be said: one of them is not whole, or stable called tools that the
/// candidate was not given, or they say nothing that could be compared.
fn compare(planned: &Planned, candidate: &AnswerSummary, had_tools: bool) -> Option<Agreement> {
    if planned.api.is_some_and(|api| !api.is_conversation()) {
        return None;
    }
    let stable = planned.stable.as_deref().filter(|stable| !stable.is_cut)?;
    if candidate.is_cut || (!had_tools && !stable.tool_calls.is_empty()) {
        return None;
    }
    let (stable_calls, candidate_calls) = (tool_calls(stable), tool_calls(candidate));
    Some(agreement::compare(
        &Said { text: said(stable), tool_calls: &stable_calls },
        &Said { text: said(candidate), tool_calls: &candidate_calls },
        How::Auto,
    ))
}

fn said(answer: &AnswerSummary) -> &str {
    if answer.text.is_empty() { answer.refusal.as_deref().unwrap_or_default() } else { &answer.text }
}

fn tool_calls(answer: &AnswerSummary) -> Vec<ToolCall<'_>> {
    answer.tool_calls.iter().map(|call| ToolCall { name: &call.name, arguments: &call.arguments }).collect()
}

impl Coverage<'_> {
    fn observe(&self, observed: impl IntoIterator<Item = Observed>) {
        let bucket = self.gateway.live.table().config.signals.bucket;
        self.waiting.slot.observe(self.gateway.clock.now(), bucket, observed);
    }

    fn record(&self, outcome: &Outcome, price: Option<Price>) {
        let (error, timeout) = match outcome.result {
            Ok(_) => (false, false),
            Err(Failed::Wrong) => (true, false),
            Err(Failed::TooSlow) => (true, true),
        };
        // Behind a copy there is no lower tier: without an answer there is none at all.
        let finished = Observed::Finished { error, timeout, fallback: false, degraded: error };
        let answer = outcome.result.as_ref().ok();
        let usage = answer.and_then(|answer| answer.usage);
        let latency = match outcome.result {
            Ok(_) => Some(Observed::Latency(level(outcome.took))),
            Err(Failed::TooSlow) => Some(Observed::Latency(never())),
            Err(Failed::Wrong) => None,
        };
        let first_content = outcome.first_content.filter(|_| answer.is_some());
        let cost = usage
            .zip(price)
            .map(|(usage, price)| price.nano_usd(usage.prompt_tokens, usage.completion_tokens));
        let observed = [
            Some(finished),
            latency,
            first_content.map(|took| Observed::FirstToken(level(took))),
            answer.and_then(AnswerSummary::is_refusal).map(|refused| Observed::Answered { refused }),
            usage.map(used),
            cost.map(Observed::CostNanoUsd),
        ];
        let bucket = self.gateway.live.table().config.signals.bucket;
        let when = (self.gateway.clock.now(), bucket);
        let of = self.waiting.planned.copied_from;
        tally::end_copy(&self.gateway.sessions, of, &self.waiting.slot, when, observed);
    }
}

impl Drop for Coverage<'_> {
    fn drop(&mut self) {
        self.observe([Observed::Coverage { compared: self.compared }]);
    }
}

fn sample(
    gateway: &Gateway,
    planned: &Planned,
    agreement: Agreement,
    candidate: &AnswerSummary,
) -> ShadowSample {
    ShadowSample {
        request_id: planned.request_id,
        ts: gateway.clock.now(),
        feature: planned.feature.name.clone(),
        candidate: planned.candidate.clone(),
        agreement: agreement.score,
        why: agreement.why,
        stable_text: planned.stable.as_deref().map(readable).unwrap_or_default(),
        candidate_text: readable(candidate),
    }
}

/// An answer for a person: its text and what it called, cut where it gets long.
fn readable(answer: &AnswerSummary) -> String {
    let mut text = said(answer).to_owned();
    for call in &answer.tool_calls {
        text.push_str(&format!("\n{}({})", call.name, call.arguments));
    }
    text.truncate(text.floor_char_boundary(SAMPLE_BYTES_MAX));
    text
}
