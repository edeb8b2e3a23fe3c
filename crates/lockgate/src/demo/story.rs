//! One story: a candidate is rolled out, and what becomes of it.

use std::time::Duration;

use jiff::Timestamp;
use lockgate_core::sums::BucketStart;
use lockgate_sim::users::{ArmTally, Tally};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::script::{self, BUCKET, FEATURE, WATERMARK};
use super::telling::Teller;
use super::world::World;
use crate::cli::Scenario;
use crate::complaint::Complaint;
use crate::output::rollout::state;
use crate::output::words::moment;

/// How often it is looked how things stand: as often as a bucket closes, and once between.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A story that has not ended by then has gone wrong.
const STORY_MAX: Duration = Duration::from_secs(120);
/// Most entries of the log between two looks.
const EVENTS_MAX: usize = 100;

/// How a story ended.
#[derive(Debug)]
pub struct Ending {
    /// Which story.
    pub scenario: Scenario,
    /// The candidate.
    pub candidate: &'static str,
    /// Where the rollout ended.
    pub state: String,
    /// Why, when it did not go through.
    pub why: String,
    /// From its start to its end.
    pub took: Duration,
    /// Different users whom the candidate answered.
    pub users: u64,
    /// What users met at the candidate.
    pub met: ArmTally,
    /// From the end of the last bucket that the decision rests on to the last call that the candidate got, as the provider
    /// saw it.
    pub evidence_to_zero: Option<Duration>,
}

impl Ending {
    /// Whether it ended as it should.
    pub fn is_as_expected(&self) -> bool {
        self.state == script::expected_state(self.scenario)
    }

    /// For programs.
    pub fn as_value(&self) -> Value {
        json!({
            "scenario": word(self.scenario),
            "candidate": self.candidate,
            "state": self.state,
            "why": self.why,
            "as_expected": self.is_as_expected(),
            "seconds": self.took.as_secs_f64(),
            "users_reached": self.users,
            "calls": self.met.calls,
            "wrong": self.met.wrong,
            "slow": self.met.slow,
            "thumbs_down": self.met.thumbs_down,
            "seconds_from_evidence_to_zero": self.evidence_to_zero.map(|span| span.as_secs_f64()),
        })
    }
}

/// The scenario as it is written on the command line.
pub fn word(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Good => "good",
        Scenario::Errors => "errors",
        Scenario::Slow => "slow",
        Scenario::Disliked => "disliked",
    }
}

/// Rolls a candidate out and follows it to its end.
pub async fn tell(world: &World, scenario: Scenario, teller: &mut Teller) -> Result<Ending, Complaint> {
    let (candidate, model) = script::candidate(scenario);
    world.provider.set(model, script::behaviour(scenario));
    teller.chapter(scenario, candidate);
    let met_before = world.users.tally();
    let mut log = Log::at_its_end(world).await?;
    world.users.set_rate(script::SHADOW_RATE);
    let began = Instant::now();
    let start = json!({ "feature": FEATURE, "candidate": candidate });
    world.client.post("/api/v1/rollouts", &start).await?;

    let mut looks = tokio::time::interval(LOOK_EVERY);
    let rollout = loop {
        looks.tick().await;
        let rollout = world.client.get(&format!("/api/v1/rollouts/{FEATURE}")).await?;
        for event in log.news(world).await? {
            teller.event(&event, began.elapsed());
        }
        let tally = world.users.tally();
        teller.look(&rollout, &since(&tally, &met_before), began.elapsed());
        match state(&rollout).unwrap_or_default() {
            "canary" => world.users.set_rate(script::CANARY_RATE),
            "completed" | "rolled_back" | "paused" | "frozen" => break rollout,
            _ if began.elapsed() > STORY_MAX => break rollout,
            _ => {}
        }
        if began.elapsed() > STORY_MAX {
            break rollout;
        }
    };
    let took = began.elapsed();
    let met = since(&world.users.tally(), &met_before);
    let reach = rollout.get("reach").and_then(|reach| reach.get("users")).and_then(Value::as_u64);
    let ending = Ending {
        scenario,
        candidate,
        state: state(&rollout).unwrap_or_default().to_owned(),
        why: rollout.get("why").and_then(Value::as_str).unwrap_or_default().to_owned(),
        took,
        users: reach.unwrap_or(0),
        met: met.candidate,
        evidence_to_zero: log.rollback_started.and_then(|decided| to_zero(world, model, decided)),
    };
    teller.ending(&ending);
    Ok(ending)
}

/// How long after its evidence was complete a rollback had taken effect.
fn to_zero(world: &World, model: &str, decided: Timestamp) -> Option<Duration> {
    let read = decided.checked_sub(WATERMARK).ok()?;
    let complete = BucketStart::containing(read, BUCKET.as_millis() as i64).timestamp();
    let last = world.provider.count(model).last_call?;
    Duration::try_from(last.duration_since(complete)).ok()
}

/// What was met since another tally was taken.
fn since(now: &Tally, before: &Tally) -> Tally {
    let arm = |now: &ArmTally, before: &ArmTally| ArmTally {
        calls: now.calls - before.calls,
        wrong: now.wrong - before.wrong,
        thumbs_down: now.thumbs_down - before.thumbs_down,
        slow: now.slow - before.slow,
    };
    Tally {
        stable: arm(&now.stable, &before.stable),
        candidate: arm(&now.candidate, &before.candidate),
        unanswered: now.unanswered - before.unanswered,
        crowded_out: now.crowded_out - before.crowded_out,
        feedback_taken: now.feedback_taken - before.feedback_taken,
        feedback_lost: now.feedback_lost - before.feedback_lost,
    }
}

/// Where the log has been read to.
struct Log {
    after: u64,
    rollback_started: Option<Timestamp>,
}

impl Log {
    async fn at_its_end(world: &World) -> Result<Self, Complaint> {
        let mut log = Self { after: 0, rollback_started: None };
        while !log.news(world).await?.is_empty() {}
        log.rollback_started = None;
        Ok(log)
    }

    /// What was appended since it was last read.
    async fn news(&mut self, world: &World) -> Result<Vec<Value>, Complaint> {
        let path = format!("/api/v1/audit/log?feature={FEATURE}&after={}&limit={EVENTS_MAX}", self.after);
        let mut page = world.client.get(&path).await?;
        let entries = match page.get_mut("entries").map(Value::take) {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        for entry in &entries {
            self.after = entry.get("seq").and_then(Value::as_u64).unwrap_or(self.after).max(self.after);
            if entry.get("event").and_then(Value::as_str) == Some("rollback_started") {
                self.rollback_started = moment(entry, "ts");
            }
        }
        Ok(entries)
    }
}
