//! Gets an answer: asks the version's tiers in order until one gives what can be used.
//!
//! A tier is passed over while its target's breaker is open, or when it cannot be told what is asked. One that cannot be reached,
//! is too slow, breaks off before its first content, or answers with an error that is not the caller's own has failed: it is tried
//! again where that may help and the target's budget allows it, and then the next one is asked. All of it draws on the call's one
//! deadline; a deterministic tier answers even when that has passed, because it takes no time.
//!
//! What is the caller's own fault is told to the caller in the target's words, for no other tier would do better. A text that is
//! too long goes to a tier that declares a larger window, and a provider's filter is never walked around. Once content is on its way
//! to the client, nothing here can help any more: see `relay`.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use lockgate_config::health::{Pass, Patient};
use lockgate_config::live::Table;
use lockgate_config::value::{Endpoint, Price, Tier, Times, Version};
use lockgate_core::breaker::Outcome;
use lockgate_core::name::FeatureName;
use lockgate_core::retry;
use lockgate_wire::answer::AnswerError;
use lockgate_wire::api::Api;
use lockgate_wire::blame::Blame;
use lockgate_wire::error::Failure;
use tokio::time::{Instant, sleep};

use crate::assign::{self, Assigned};
use crate::caller::Caller;
use crate::draw::draw;
use crate::fault;
use crate::gateway::Gateway;
use crate::observation::Observation;
use crate::spoken;
use crate::tier::{self, Put, Question, TierAnswer, Told, from_rules, rules_of};
use crate::trouble::TargetError;

/// Most steps that are told of one call; a chain of many tiers that all fail is told by its beginning.
const STEPS_MAX: usize = 24;
/// How often a call is assigned anew because the table changed under it. Tables change by people's and rollouts' doing, not by the
/// hundred while a call is under way.
const REASSIGNED_MAX: u32 = 8;

/// An answer for the client, and where it is from.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) answer: TierAnswer,
    pub(crate) tier: usize,
    pub(crate) target: String,
    pub(crate) price: Option<Price>,
    pub(crate) kind: Kind,
    /// Whether it comes from a lower tier than it should.
    pub(crate) is_degraded: bool,
    /// For a stream: says how the target did, when it has ended.
    pub(crate) pass: Option<Pass>,
    pub(crate) times: Times,
}

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    /// The target says that the caller asked for what cannot be.
    CallersFault,
    /// No tier could be used, and this is the last error that a target told.
    LastResort,
}

/// What came of the tiers that were asked in vain.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// How often a target was asked, the one that answered included.
    pub(crate) attempts: u32,
    /// Which targets gave no answer, and why in a word.
    pub(crate) steps: Vec<(String, &'static str)>,
    last_error: Option<String>,
    /// The last error that a target told and that may be passed on.
    last_told: Option<Answer>,
    /// Why the call could not be said to a target that speaks another API.
    not_translatable: Option<Failure>,
    /// What a target said of the caller's own fault, where its words cannot be passed on as they are.
    last_rejected: Option<Failure>,
    not_spoken: bool,
    /// Whether a tier has failed, by no fault of the caller's.
    has_failed: bool,
    /// Set once a target found the call too long: the window that was not enough, as far as it is declared.
    too_long_for: Option<u64>,
}

/// What to do after an attempt.
enum After {
    Tell(Box<Answer>),
    Refuse(Failure),
    /// Ask the next tier.
    Next,
    /// Ask the same tier again.
    Again(Duration),
}

/// How long before the call's end the last network tier is given up, so that a deterministic tier answers in time: a part of the
/// whole, and no more than a network's round trip needs.
pub(crate) fn reserve(version: &Version, allowed: Duration) -> Duration {
    const MOST: Duration = Duration::from_millis(250);
    let has_rules = version.chain.iter().any(|tier| rules_of(tier).is_some());
    if has_rules { (allowed / 20).min(MOST) } else { Duration::ZERO }
}

/// Asks the tiers in order.
pub(crate) async fn from_chain(
    gateway: &Gateway,
    assigned: &mut Assigned,
    caller: &Caller,
    question: &Question<'_>,
    tried: &mut Tried,
    observation: &mut Observation,
) -> Result<Answer, Failure> {
    let mut reassigned = 0;
    let mut index = assigned.first_tier;
    let mut tries = 0;
    loop {
        let version = Arc::clone(&assigned.version);
        let Some(tier) = version.chain.get(index) else { break };
        let Some(table) = assigned.held.start() else {
            // The version was withdrawn while its tier before was asked, and whoever withdrew it was told that no call starts
            // on it any more. What is in force now answers; the outcome still belongs to the version first assigned, but for
            // the failures of the one that steps in. The headers tell that one, for it made the answer.
            reassigned += 1;
            if reassigned > REASSIGNED_MAX {
                return tried.fixed(gateway, assigned, question);
            }
            let (table, feature) = (gateway.live.table(), assigned.feature.name.clone());
            let anew = assign::version(table, &feature, caller, &question.id.to_string())?;
            // Where the call's conversation is does not change by it.
            *assigned = Assigned { pinned: assigned.pinned.take(), ..anew };
            if assigned.version.id != version.id {
                observation.replaced();
                index = assigned.first_tier;
                tries = 0;
            }
            // The same version may go straight to its deterministic tier now.
            index = index.max(assigned.first_tier);
            continue;
        };
        if let Some(rules) = rules_of(tier) {
            if let Some(failure) = tried.refusal(assigned, question) {
                return Err(failure);
            }
            let is_degraded = index > assigned.first_tier;
            let is_wanted = tried.too_long_for.is_none();
            let answer =
                is_wanted.then(|| from_rules(rules, &gateway.clock, question, is_degraded)).flatten();
            if let Some(answer) = answer {
                tried.attempts += 1;
                return Ok(Answer::new(answer, index, tier, assigned));
            }
            index += 1;
            continue;
        }
        let in_time = Instant::now() < question.deadline;
        let Some(endpoint) = tier.target.kind.endpoint().filter(|_| in_time) else {
            index += 1;
            continue;
        };
        let at = At { gateway, question, tier, endpoint, index };
        let result = match at.ready(assigned, tried, tries) {
            Err(error) => Err(error),
            Ok(ready) => {
                tried.attempts += 1;
                tries += 1;
                observation.asks(tier.price, question.bytes.len());
                at.ask(ready, table, assigned).await
            }
        };
        let after = match result {
            Ok(answer) => After::Tell(Box::new(answer)),
            Err(error) => at.after(error, tries, assigned, tried, observation),
        };
        match after {
            After::Tell(answer) => return Ok(*answer),
            After::Refuse(failure) => return Err(failure),
            After::Again(pause) => sleep(pause).await,
            After::Next => {
                index += 1;
                tries = 0;
            }
        }
    }
    tried.last_resort(question, assigned)
}

/// A tier that is asked over the network.
struct At<'a> {
    gateway: &'a Gateway,
    question: &'a Question<'a>,
    tier: &'a Tier,
    endpoint: &'a Endpoint,
    index: usize,
}

/// A tier that may be asked now.
struct Ready<'a> {
    put: Put<'a>,
    patient: Arc<Patient>,
    pass: Pass,
}

impl<'a> At<'a> {
    /// Whether the tier can be asked now.
    fn ready(&self, assigned: &Assigned, tried: &Tried, tries: u32) -> Result<Ready<'a>, TargetError> {
        let target = || self.tier.target.name.clone();
        if assigned.pinned.as_ref().is_some_and(|pinned| *pinned != self.tier.target.name) {
            return Err(TargetError::Elsewhere { target: target() });
        }
        if tried
            .too_long_for
            .is_some_and(|window| self.endpoint.context_window.is_none_or(|own| own <= window))
        {
            return Err(TargetError::TooLong { target: target() });
        }
        let put = tier::put(self.question, self.tier, self.endpoint)?;
        let patient = self.gateway.live.health().of(&self.tier.target.name, self.endpoint);
        let draw = draw(self.question.id, tried.attempts * 2);
        let pass = patient
            .admit(self.endpoint, self.gateway.clock.now(), draw, tries > 0)
            .map_err(|_| TargetError::CircuitOpen { target: target() })?;
        Ok(Ready { put, patient, pass })
    }

    async fn ask(
        &self,
        ready: Ready<'a>,
        table: Arc<Table>,
        assigned: &Assigned,
    ) -> Result<Answer, TargetError> {
        let Ready { put, patient, pass } = ready;
        let Self { gateway, question, tier, endpoint, index } = *self;
        let started = Instant::now();
        let asked = tier::ask(&gateway.upstream, &gateway.clock, question, tier, endpoint, put, table);
        let asked = match assigned.drill.filter(|_| index == 0) {
            Some(fault) => fault::in_front(fault, question, tier, asked).await,
            None => asked.await,
        };
        let now = gateway.clock.now();
        match asked {
            Ok(answer) => {
                let is_slow = tier.times.sla.is_some_and(|sla| started.elapsed() > sla);
                let mut answer = Answer::new(answer, index, tier, assigned);
                if assigned.drill.is_some() {
                    // What a rehearsal makes slow says nothing of the target.
                    drop(pass);
                } else if is_slow {
                    pass.end(now, Outcome::Failed, "slow");
                } else if matches!(answer.answer.told, Told::Stream(_)) && !pass.is_probe() {
                    answer.pass = Some(pass);
                } else {
                    pass.end(now, Outcome::Good, "good");
                }
                Ok(answer)
            }
            Err(error) => {
                // A rehearsed failure says nothing of the target.
                if assigned.drill.is_none() {
                    if let Some(asked) = error.retry_after() {
                        patient.rest(endpoint, now, asked);
                    }
                    pass.end(now, error.outcome(), error.word());
                }
                Err(error)
            }
        }
    }

    /// What follows from a failure.
    fn after(
        &self,
        error: TargetError,
        tries: u32,
        assigned: &Assigned,
        tried: &mut Tried,
        observation: &mut Observation,
    ) -> After {
        let fault = error.fault();
        match fault.blame {
            Blame::ContentFilter => return tried.tell(error, self, assigned),
            // Where a tier before has failed, this one may only be unable to take its place.
            Blame::Caller if !tried.has_failed => return tried.tell(error, self, assigned),
            Blame::Caller => tried.note(error, self, assigned),
            Blame::ContextLength => {
                tried.too_long_for = Some(self.endpoint.context_window.unwrap_or(0));
                tried.note(error, self, assigned);
            }
            Blame::Target | Blame::Limited => {
                if fault.is_retryable
                    && tries <= self.tier.retries
                    && let Some(pause) = self.pause(&error, tries, assigned, tried)
                {
                    tried.step(&error, self);
                    return After::Again(pause);
                }
                if !self.is_callers_hurry(&error) {
                    observation.tier_failed(self.index, &error);
                }
                tried.has_failed = true;
                tried.note(error, self, assigned);
            }
            Blame::Ours => {
                if !error.is_passed_over() || matches!(error, TargetError::CircuitOpen { .. }) {
                    observation.tier_failed(self.index, &error);
                    tried.has_failed = true;
                }
                tried.note(error, self, assigned);
            }
        }
        After::Next
    }

    /// Whether the call's time ran out because its caller gave it less than others have.
    fn is_callers_hurry(&self, error: &TargetError) -> bool {
        matches!(error, TargetError::OutOfTime { .. }) && self.question.is_hurried
    }

    /// The pause before the tier is asked again; `None` where there is no time or no budget for it, or where waiting as long as the
    /// target asks for would keep the call from a tier that is well.
    fn pause(&self, error: &TargetError, tries: u32, assigned: &Assigned, tried: &Tried) -> Option<Duration> {
        let is_last = self.index + 1 >= assigned.version.chain.len();
        if !is_last && error.retry_after().is_some_and(|asked| asked > self.endpoint.retries.max) {
            return None;
        }
        let draw = draw(self.question.id, tried.attempts * 2 + 1);
        let pause = retry::pause(&self.endpoint.retries, tries, error.retry_after(), draw);
        let is_in_time = Instant::now() + pause < self.question.deadline;
        let now = self.gateway.clock.now();
        let patient = || self.gateway.live.health().of(&self.tier.target.name, self.endpoint);
        (is_in_time && patient().may_retry(self.endpoint, now)).then_some(pause)
    }
}

impl Answer {
    fn new(answer: TierAnswer, index: usize, tier: &Tier, assigned: &Assigned) -> Self {
        Self {
            answer,
            tier: index,
            target: tier.target.name.to_string(),
            price: tier.price,
            kind: Kind::Good,
            // A conversation that goes on where it began is where it should be.
            is_degraded: index > 0
                && assigned.pinned.as_ref().is_none_or(|pinned| *pinned != tier.target.name),
            pass: None,
            times: tier.times.clone(),
        }
    }
}

impl Tried {
    fn step(&mut self, error: &TargetError, at: &At<'_>) {
        let cause = std::error::Error::source(error);
        tracing::debug!(call = %at.question.id, tier = at.index, %error, ?cause, "a tier gave no usable answer");
        if self.steps.len() < STEPS_MAX {
            self.steps.push((at.tier.target.name.to_string(), error.word()));
        }
    }

    fn note(&mut self, error: TargetError, at: &At<'_>, assigned: &Assigned) {
        self.step(&error, at);
        self.last_error = Some(error.to_string());
        let blame = error.fault().blame;
        let is_callers = blame == Blame::ContextLength;
        match error {
            TargetError::Status { status, answer, .. } if may_be_told(status, blame) => {
                let kind = if is_callers { Kind::CallersFault } else { Kind::LastResort };
                self.last_told = Some(Answer { kind, ..Answer::new(*answer, at.index, at.tier, assigned) });
            }
            TargetError::Told { error, .. } if is_callers => {
                self.last_rejected = Some(rejected(blame, *error))
            }
            TargetError::NotTranslatable { failure, .. } => self.not_translatable = Some(failure),
            TargetError::NotSpoken { .. } => self.not_spoken = true,
            _ => {}
        }
    }

    /// What is the caller's own fault, in the target's words.
    fn tell(&mut self, error: TargetError, at: &At<'_>, assigned: &Assigned) -> After {
        self.step(&error, at);
        match error {
            TargetError::Status { answer, .. } => After::Tell(Box::new(Answer {
                kind: Kind::CallersFault,
                ..Answer::new(*answer, at.index, at.tier, assigned)
            })),
            TargetError::Told { error, fault, .. } => After::Refuse(rejected(fault.blame, *error)),
            _ => After::Next,
        }
    }

    /// What keeps even a deterministic tier from answering: nobody could be asked, because of how the call was made.
    fn refusal(&mut self, assigned: &Assigned, question: &Question<'_>) -> Option<Failure> {
        if self.attempts > 0 || self.has_failed {
            return None;
        }
        if let Some(failure) = self.not_translatable.take() {
            return Some(failure);
        }
        let api = question.api.filter(|_| self.not_spoken)?;
        Some(not_spoken(api, &assigned.feature.name, &assigned.version))
    }

    /// The fixed answer of a version, whatever else there is in its chain.
    fn fixed(
        &mut self,
        gateway: &Gateway,
        assigned: &Assigned,
        question: &Question<'_>,
    ) -> Result<Answer, Failure> {
        for (index, tier) in assigned.version.chain.iter().enumerate() {
            let answer =
                rules_of(tier).and_then(|rules| from_rules(rules, &gateway.clock, question, index > 0));
            if let Some(answer) = answer {
                self.attempts += 1;
                return Ok(Answer::new(answer, index, tier, assigned));
            }
        }
        self.last_resort(question, assigned)
    }

    /// The last error that a target told, in its own words; else ours.
    fn last_resort(&mut self, question: &Question<'_>, assigned: &Assigned) -> Result<Answer, Failure> {
        if let Some(failure) = self.refusal(assigned, question) {
            return Err(failure);
        }
        if let Some(failure) = self.last_rejected.take() {
            return Err(failure);
        }
        if let Some(told) = self.last_told.take() {
            return Ok(told);
        }
        if Instant::now() >= question.deadline {
            return Err(Failure::DeadlinePassed { deadline_ms: question.allowed.as_millis() });
        }
        let last = self.last_error.take();
        Err(Failure::ChainExhausted {
            feature: assigned.feature.name.to_string(),
            attempts: self.attempts,
            last: last.unwrap_or_else(|| "the version that was to answer was withdrawn".to_owned()),
        })
    }
}

/// No target of a version speaks what was asked.
fn not_spoken(api: Api, feature: &FeatureName, version: &Version) -> Failure {
    let mut speaks: Vec<&str> = Vec::new();
    for tier in &version.chain {
        let Some(endpoint) = tier.target.kind.endpoint() else { continue };
        for known in Api::ALL {
            let is_spoken = spoken::spoken(Some(known), &tier.target, endpoint).is_some();
            if is_spoken && !speaks.contains(&known.as_str()) {
                speaks.push(known.as_str());
            }
        }
    }
    let speaks =
        if speaks.is_empty() { String::new() } else { format!("It is called by {}.", speaks.join(", ")) };
    Failure::NotSpoken { feature: feature.to_string(), api: api.as_str(), speaks }
}

/// A target's word about the caller's own fault, where it came in a form that cannot be passed on.
fn rejected(blame: Blame, error: AnswerError) -> Failure {
    let code = match blame {
        Blame::ContentFilter => "content_filter",
        Blame::ContextLength => "context_length_exceeded",
        _ => "rejected",
    };
    Failure::Rejected { code, message: error.message }
}

/// Whether a target's error may be passed on. What is ours to mend is nothing to tell, be it a key or a bill: a client would take it
/// for its own doing, and some providers repeat parts of the key. That there is no such model tells nothing of the kind.
fn may_be_told(status: StatusCode, blame: Blame) -> bool {
    blame != Blame::Ours || matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}
