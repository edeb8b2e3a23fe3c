//! What the demo is made of: its configuration, its clockwork, and what is wrong with each candidate.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockgate_config::value::Config;
use lockgate_core::plan::{Plan, standard_name};
use lockgate_sim::provider::behaviour::{Behaviour, Faults};
use lockgate_sim::users::Habits;

use crate::cli::Scenario;
use crate::complaint::Complaint;

/// The feature that everybody calls.
pub const FEATURE: &str = "support-reply";
/// By this much waiting times are divided: the standard plan's seven days of shadow become eight seconds.
pub const FASTER: u32 = 75_600;
/// Width of a bucket, in place of the 10 s that a configuration has unless it says otherwise.
pub const BUCKET: Duration = Duration::from_millis(500);
/// How long after its end a bucket is read.
pub const WATERMARK: Duration = Duration::from_millis(250);

/// Calls per second while every call is answered twice.
pub const SHADOW_RATE: f64 = 1_000.0;
/// Calls per second in the canary: a hundredth of them must bring the evidence that 0.5 % of errors is not reached, some
/// 900 calls at least, in half a minute.
pub const CANARY_RATE: f64 = 5_500.0;
/// Calls per second afterwards, for a look around.
pub const KEPT_RATE: f64 = 50.0;

/// The version that users have at the beginning.
pub const STABLE: &str = "v1";

/// The configuration as a person would write it, with the provider's address.
pub fn yaml(provider: &str) -> String {
    format!(
        r#"
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0 }}
store: "sqlite::memory:"
targets:
  provider: {{ kind: openai, base_url: "{provider}", timeout: 60s }}
features:
  {FEATURE}:
    owner: demo
    stable: {STABLE}
    segments: [tier]
    shadow: {{ concurrency: 256, queue: 4096, deadline: 30s, daily_usd: 1000 }}
    versions:
      v1: {{ kind: model, chain: [{{ target: provider, model: reply-1 }}] }}
      v2: {{ kind: model, chain: [{{ target: provider, model: reply-2 }}] }}
      v3: {{ kind: model, chain: [{{ target: provider, model: reply-3 }}] }}
prices:
  reply-1: {{ input_per_million: 0.4, output_per_million: 1.6 }}
  reply-2: {{ input_per_million: 0.4, output_per_million: 1.6 }}
  reply-3: {{ input_per_million: 0.4, output_per_million: 1.6 }}
signals: {{ bucket: 500ms, flush: 100ms, watermark: 250ms, retention: 1h }}
"#
    )
}

/// The checked configuration, its waiting times compressed.
pub fn config(provider: &str) -> Result<Config, Complaint> {
    let mut config = lockgate_config::parse(&yaml(provider), Path::new(""), &|_| None)?.config;
    let standard = standard_name();
    let plan = config.plans.get(&standard).map(|plan| faster(plan));
    if let Some(plan) = plan {
        config.plans.insert(standard, Arc::new(plan));
    }
    Ok(config)
}

/// The same plan with shorter waiting times, and nothing else changed. Deadlines stay: they are not reached in a demo, and
/// the evidence does not come in faster only because the calendar does.
fn faster(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for phase in &mut plan.phases {
        phase.dwell /= FASTER;
    }
    plan
}

/// Who calls.
pub fn habits() -> Habits {
    Habits {
        feature: FEATURE.into(),
        people: 200_000,
        tools_part: 0.2,
        stream_part: 0.1,
        rated_part: 0.35,
        in_flight_max: 400,
        calls_max: 5_000_000,
    }
}

/// The version and the model that a scenario rolls out.
pub fn candidate(scenario: Scenario) -> (&'static str, &'static str) {
    match scenario {
        Scenario::Good => ("v2", "reply-2"),
        Scenario::Errors | Scenario::Slow | Scenario::Disliked => ("v3", "reply-3"),
    }
}

/// What a candidate is like. Faults hit the calls that carry tools, a fifth of all: copies carry none, so that the shadow
/// phase does not see them, as it would not in life, and users must.
pub fn behaviour(scenario: Scenario) -> Behaviour {
    let faults_with_tools = match scenario {
        Scenario::Good => Faults::default(),
        Scenario::Errors => Faults { error_rate: 0.10, ..Faults::default() },
        Scenario::Slow => {
            Faults { slow_rate: 0.30, slow_by: Duration::from_millis(6_500), ..Faults::default() }
        }
        Scenario::Disliked => Faults { poor_rate: 0.60, ..Faults::default() },
    };
    Behaviour { faults_with_tools, ..Behaviour::GOOD }
}

/// What is wrong with a candidate, for people.
pub fn says(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Good => "a good candidate: as fast, as sound and as well liked as stable",
        Scenario::Errors => {
            "a bad candidate: one in ten of its calls with tools fails, 2 % of all; copies carry no tools"
        }
        Scenario::Slow => {
            "a bad candidate: three in ten of its calls with tools take 6.5 s longer, 6 % of all"
        }
        Scenario::Disliked => {
            "a bad candidate: users dislike six in ten of its answers to calls with tools, 12 % of all"
        }
    }
}

/// How a scenario should end.
pub fn expected_state(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Good => "completed",
        Scenario::Errors | Scenario::Slow | Scenario::Disliked => "rolled_back",
    }
}

/// Where something can be looked at.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_times_differ_from_the_standard_plan() {
        let config = config("http://127.0.0.1:9/v1").unwrap();
        let mut plan = (**config.plans.get(&standard_name()).unwrap()).clone();
        assert_ne!(plan, Plan::standard());
        for (phase, standard) in plan.phases.iter_mut().zip(Plan::standard().phases) {
            assert_eq!(phase.dwell, standard.dwell / FASTER);
            phase.dwell = standard.dwell;
        }
        assert_eq!(plan, Plan::standard());
    }

    #[test]
    fn the_clockwork_is_the_configuration_s() {
        let config = config("http://127.0.0.1:9/v1").unwrap();
        assert_eq!((config.signals.bucket, config.signals.watermark), (BUCKET, WATERMARK));
    }
}
