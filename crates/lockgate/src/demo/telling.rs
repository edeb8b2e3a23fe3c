//! How the stories are told: redrawn in place on a terminal, in blocks elsewhere, as JSON lines for programs.

use std::time::Duration;

use lockgate_sim::users::Tally;
use serde_json::Value;

use super::script::{self, BUCKET, FASTER, FEATURE};
use super::story::{self, Ending};
use super::world::World;
use crate::cli::Scenario;
use crate::output::words::{columns, count, cut, span};
use crate::output::{self, Screen, audit, rollout};

/// Where nothing can be redrawn, a picture is printed this often.
const PICTURE_EVERY: Duration = Duration::from_secs(2);

/// Longest line of a picture: the widest table, and narrow enough for most windows.
const LINE_CHARS_MAX: usize = 110;

/// Tells what happens.
pub struct Teller {
    as_json: bool,
    screen: Screen,
    last_picture: Option<Duration>,
    last_tally: Option<(Duration, u64)>,
    rate: f64,
}

impl Teller {
    /// For people, or for programs.
    pub fn new(as_json: bool) -> Self {
        Self { as_json, screen: Screen::new(), last_picture: None, last_tally: None, rate: 0.0 }
    }

    /// What is real, what is invented, what is compressed.
    pub fn opening(&mut self, seed: u64) {
        if self.as_json {
            return;
        }
        output::say(&format!(
            "Lockgate demo, seed {seed}. The provider and its users are invented; the gateway, the controller, the store and\n\
             every socket between them are real. Another --seed gives another run.\n\
             Waiting times are divided by {}: the standard plan's 7 days of shadow become {}. Signals are counted in\n\
             buckets of {} ms instead of 10 s. Gates, triggers and limits are the standard plan's, untouched.",
            count(u64::from(FASTER)),
            span(7.0 * 86_400.0 / f64::from(FASTER)),
            BUCKET.as_millis(),
        ));
    }

    /// A story begins.
    pub fn chapter(&mut self, scenario: Scenario, candidate: &str) {
        self.last_picture = None;
        self.last_tally = None;
        if !self.as_json {
            output::say(&format!("\n== {candidate}: {}\n", script::says(scenario)));
        }
    }

    /// Something was decided.
    pub fn event(&mut self, entry: &Value, at: Duration) {
        if self.as_json {
            output::json_line(entry);
            return;
        }
        let kind = entry.get("event").and_then(Value::as_str).unwrap_or_default();
        // A promotion names every gate that passed; each gets a line of its own.
        let says = audit::event(entry).replace("; ", &format!("\n{:27}", ""));
        let line = format!("{:>7}  {:<16}  {says}", span(at.as_secs_f64()), kind.replace('_', " "));
        self.screen.say_above(&line);
        self.last_picture = None;
    }

    /// How things stand.
    pub fn look(&mut self, rollout: &Value, tally: &Tally, at: Duration) {
        self.measure(tally, at);
        let is_due = self.last_picture.is_none_or(|last| at.saturating_sub(last) >= PICTURE_EVERY);
        if self.as_json || !(is_due || self.screen.is_terminal()) {
            return;
        }
        self.last_picture = Some(at);
        self.screen.show(&self.picture(rollout, tally, at));
    }

    fn measure(&mut self, tally: &Tally, at: Duration) {
        let (then, calls) = self.last_tally.unwrap_or_default();
        let elapsed = at.saturating_sub(then).as_secs_f64();
        if elapsed >= 1.0 || self.last_tally.is_none() {
            self.rate = (tally.calls() - calls) as f64 / elapsed.max(0.25);
            self.last_tally = Some((at, tally.calls()));
        }
    }

    fn picture(&self, rollout: &Value, tally: &Tally, at: Duration) -> String {
        let candidate = tally.candidate;
        let mut lines = vec![
            String::new(),
            format!("{:>7}  {}", span(at.as_secs_f64()), rollout::headline(rollout)),
            format!("         {}", rollout::path(rollout)),
            format!(
                "         users: {} calls, {:.0} per second; at the candidate {} calls, of which {} wrong, {} thumbs down",
                count(tally.calls()),
                self.rate,
                count(candidate.calls),
                count(candidate.wrong),
                count(candidate.thumbs_down),
            ),
        ];
        let waiting = rollout.get("waiting_for").and_then(Value::as_array);
        let waiting: Vec<&str> = waiting.into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(first) = waiting.first() {
            let more =
                if waiting.len() > 1 { format!(" (and {} more)", waiting.len() - 1) } else { String::new() };
            lines.push(format!("         waits for {first}{more}"));
        }
        for (title, key) in [("gate", "gates"), ("trigger", "triggers")] {
            let verdicts = rollout.get(key).and_then(Value::as_array).into_iter().flatten();
            let verdicts: Vec<Value> =
                verdicts.filter(|verdict| rollout::has_data(verdict)).cloned().collect();
            if !verdicts.is_empty() {
                lines.push(String::new());
                let table = rollout::verdict_table(title, &verdicts);
                lines.extend(table.lines().map(|line| format!("  {line}")));
            }
        }
        lines.iter().map(|line| cut(line, LINE_CHARS_MAX)).collect::<Vec<_>>().join("\n")
    }

    /// A story is over.
    pub fn ending(&mut self, ending: &Ending) {
        self.screen.settle();
        if !self.as_json && !ending.is_as_expected() {
            output::say(&format!(
                "\nThis did not end as it should: {} instead of {}. {}",
                ending.state,
                script::expected_state(ending.scenario),
                ending.why,
            ));
        }
    }

    /// What it all cost whom.
    pub fn closing(&mut self, endings: &[Ending], tally: &Tally, summary: &Value) {
        if self.as_json {
            output::json_line(summary);
            return;
        }
        output::say("\n== What it cost whom\n");
        let rows: Vec<Vec<String>> = endings.iter().map(cost).collect();
        output::say(&columns(&rows));
        output::say(&format!(
            "\nIn all {} calls of users, {} of them unanswered, {} people crowded out; {} pieces of feedback, {} lost.",
            count(tally.calls()),
            count(tally.unanswered),
            count(tally.crowded_out),
            count(tally.feedback_taken),
            count(tally.feedback_lost),
        ));
        let chain = summary.get("audit").map(audit::verification).unwrap_or_default();
        output::say(&format!("The audit log is {chain}."));
    }

    /// Where to look, and with what.
    pub fn look_around(&mut self, world: &World) {
        if self.as_json {
            return;
        }
        let (clients, admin) = (script::url(world.instance.listen), script::url(world.instance.admin));
        output::say(&format!(
            "\n== Still running, until ctrl-c\n\n\
             clients  {clients}/v1\n\
             admin    {admin}\n\
             provider {}\n\n\
             curl {clients}/v1/chat/completions -i -H 'content-type: application/json' -H 'x-lockgate-user: you' \\\n     \
             -d '{{\"model\":\"{FEATURE}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Where is my order?\"}}]}}'\n\
             export LOCKGATE_URL={admin} LOCKGATE_GATEWAY_URL={clients}\n\
             lockgate rollout status {FEATURE}\n\
             lockgate rollout explain {FEATURE}\n\
             lockgate audit log\n\
             lockgate rollout start {FEATURE} --candidate v3 --again\n\
             lockgate rollout watch {FEATURE}\n\
             lockgate kill {FEATURE} --why 'a try'",
            world.provider.base_url(),
        ));
    }
}

fn cost(ending: &Ending) -> Vec<String> {
    let met = ending.met;
    let harm = match ending.scenario {
        Scenario::Good | Scenario::Errors => format!("{} calls went wrong", count(met.wrong)),
        Scenario::Slow => format!("{} answers were slow", count(met.slow)),
        Scenario::Disliked => format!("{} thumbs went down", count(met.thumbs_down)),
    };
    let zero = ending
        .evidence_to_zero
        .map_or_else(String::new, |span_| format!("{} from evidence to zero", span(span_.as_secs_f64())));
    vec![
        story::word(ending.scenario).to_owned(),
        format!(
            "{} {} in {}",
            ending.candidate,
            ending.state.replace('_', " "),
            span(ending.took.as_secs_f64())
        ),
        format!("{} users reached in {} calls", count(ending.users), count(met.calls)),
        harm,
        zero,
    ]
}
