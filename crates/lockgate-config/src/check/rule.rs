//! Gates and triggers: one rule each, of a kind that its signal can be judged by.

use std::time::Duration;

use lockgate_core::plan::{Action, Blame, Gate, Mode, Need, PhaseKind, Rule, Trigger};
use lockgate_core::share::percent;
use lockgate_core::signal::{Measure, Signal};

use crate::check::Check;
use crate::check::plan::Declared;
use crate::file::{GATE, TRIGGER};
use crate::nearest;
use crate::place::{Fields, Place};
use crate::shape;

/// How much worse than stable a candidate must be before it is blamed for a broken limit: beyond the differences that two
/// equal halves of the traffic show.
const OVER_STABLE: f64 = 1.25;

/// The parts that may be slower, by the key's percentile.
const SLOWER: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.1), ("p95", 0.05), ("p99", 0.01), ("p999", 0.001)];

const GATE_RULES: [&str; 11] = [
    "below",
    "above",
    "within",
    "ratio_below",
    "p50_below",
    "p90_below",
    "p95_below",
    "p99_below",
    "p999_below",
    "never",
    "shift_below",
];
const TRIGGER_RULES: [&str; 13] = [
    "above",
    "below",
    "drops",
    "ratio_above",
    "times_stable",
    "rises",
    "p50_above",
    "p90_above",
    "p95_above",
    "p99_above",
    "p999_above",
    "never",
    "shift_above",
];

impl Check<'_> {
    pub(super) fn gate(&mut self, place: &Place<'_>, phase: PhaseKind, declared: &Declared) -> Option<Gate> {
        let fields = place.clone().fields(&GATE);
        let signal = self.signal(&fields, declared);
        let key = self.one_rule(&fields, &GATE_RULES);
        let rule = key.and_then(|key| self.gate_rule(&fields, key, signal.as_ref()));
        let (signal, rule) = (signal?, rule?);
        self.check_fits(&fields, &signal, &rule);
        self.check_seen(&fields, &signal, phase);
        let need = if fields.text("need")? == "if_reported" { Need::IfReported } else { Need::Always };
        // What fails without statistics needs no part of alpha.
        let is_hard = rule == Rule::Never && !fields.has("weight");
        let weight = if is_hard { 0.0 } else { fields.number("weight")? };
        Some(Gate { signal, rule, need, weight })
    }

    pub(super) fn trigger(&mut self, place: &Place<'_>, declared: &Declared) -> Option<Trigger> {
        let fields = place.clone().fields(&TRIGGER);
        let signal = self.signal(&fields, declared);
        let key = self.one_rule(&fields, &TRIGGER_RULES);
        let rule = key.and_then(|key| self.trigger_rule(&fields, key));
        let (signal, rule) = (signal?, rule?);
        self.check_fits(&fields, &signal, &rule);
        if matches!(signal, Signal::Agreement | Signal::Coverage) {
            let hint = "make it a gate of a shadow phase";
            self.problem(
                &fields.place,
                format!("`{signal}` is only seen in shadow phases, a trigger is watched in all"),
                hint,
            );
        }
        let action = action(&fields)?;
        let mode = self.mode(&fields, &rule)?;
        let over = fields.duration("over")?;
        let unweighted = Trigger { signal, rule, over, mode, action, weight: 0.0 };
        Some(Trigger { weight: self.trigger_weight(&fields, &unweighted)?, ..unweighted })
    }

    /// How the window is read. Rules without statistics have no choice.
    fn mode(&mut self, fields: &Fields<'_>, rule: &Rule) -> Option<Mode> {
        let mode = match fields.text("mode")?.as_str() {
            "evidence" => Mode::Evidence,
            "literal" => Mode::Literal,
            _ => return None,
        };
        let message = match (mode, rule) {
            (Mode::Evidence, _) => None,
            (Mode::Literal, Rule::ShiftUnder { .. }) => {
                Some("a spread of sizes has no window that could be taken at its word")
            }
            (Mode::Literal, rule) => {
                is_hard(rule).then_some("this rule has no statistics: it is taken at its word anyway")
            }
        };
        if let (Some(place), Some(message)) = (fields.get("mode"), message) {
            self.problem(&place, message, "take it away");
        }
        Some(mode)
    }

    /// What acts without evidence needs no part of alpha; evidence without a part would never be enough.
    fn trigger_weight(&mut self, fields: &Fields<'_>, trigger: &Trigger) -> Option<f64> {
        let weight = fields.number("weight")?;
        if !spends_alpha(trigger) {
            return Some(if fields.has("weight") { weight } else { 0.0 });
        }
        if weight <= 0.0 {
            let place = fields.get("weight")?;
            self.problem(&place, "a trigger without weight never fires", "write 0.5, or leave `weight` away");
        }
        Some(weight)
    }

    /// A built-in signal, or one that a feature declares, by its name alone or as `rate:NAME`, `score:NAME`.
    fn signal(&mut self, fields: &Fields<'_>, declared: &Declared) -> Option<Signal> {
        let place = fields.get("signal")?;
        let text = place.node.text()?;
        let parsed = text.parse::<Signal>().ok();
        let Declared::Only(declared) = declared else {
            if parsed.is_none() {
                let built_in: Vec<String> = Signal::built_in().iter().map(Signal::to_string).collect();
                let hint = match nearest::nearest(text, built_in.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "a signal that a feature declares is rate:NAME or score:NAME here; built in are {}",
                        built_in.join(", ")
                    ),
                };
                self.problem(&place, format!("{} is not a signal", place.node), hint);
            }
            return parsed;
        };
        if let Some(signal) = parsed
            && (Signal::built_in().contains(&signal) || declared.contains(&signal))
        {
            return Some(signal);
        }
        let named: Vec<&Signal> =
            declared.iter().filter(|signal| declared_name(signal) == Some(text)).collect();
        match named.as_slice() {
            [one] => return Some((*one).clone()),
            [] => {
                let built_in: Vec<String> = Signal::built_in().iter().map(Signal::to_string).collect();
                let known =
                    built_in.iter().map(String::as_str).chain(declared.iter().filter_map(declared_name));
                let hint = nearest::hint(text, known).unwrap_or_default();
                self.problem(&place, format!("{} is not a signal", place.node), hint);
            }
            _ => {
                let message = format!("{} is a rate in one feature and a score in another", place.node);
                self.problem(&place, message, format!("write rate:{text} or score:{text}"));
            }
        }
        None
    }

    fn one_rule<'k>(&mut self, fields: &Fields<'_>, rules: &[&'k str]) -> Option<&'k str> {
        let written: Vec<&str> = rules.iter().copied().filter(|key| fields.has(key)).collect();
        match written.as_slice() {
            [one] => Some(one),
            [] => {
                let hint = format!("add one of {}", rules.join(", "));
                self.problem(&fields.place, "it says what is looked at, but not what must hold", hint);
                None
            }
            more => {
                let message = format!("it has more than one rule: {}", more.join(", "));
                self.problem(&fields.place, message, "write one gate or trigger for each");
                None
            }
        }
    }

    fn gate_rule(&mut self, fields: &Fields<'_>, key: &str, signal: Option<&Signal>) -> Option<Rule> {
        for (companion, of) in [("fail_beyond", "within"), ("ratio_fail", "ratio_below")] {
            self.check_companion(fields, companion, key == of, &format!("`{of}`"));
        }
        self.check_companion(fields, "blame", is_limit(key, "below"), "`below` and `p.._below`");
        if let Some(rule) = self.slow_rule(fields, key) {
            return rule;
        }
        match key {
            "below" => Some(Rule::RateUnder { limit: self.part(fields, key)?, blame: blame(fields)? }),
            "above" => Some(Rule::MeanOver { limit: self.part(fields, key)? }),
            "within" => self.within(fields, signal),
            "never" => self.never(fields),
            "shift_below" => Some(Rule::ShiftUnder { ratio: self.times(fields, key)? }),
            _ => {
                let pass = self.times(fields, key)?;
                let fail = if fields.has("ratio_fail") { fields.number("ratio_fail")? } else { pass };
                self.check_margin(fields, "ratio_fail", fail <= pass, &pass.to_string());
                Some(Rule::RatioUnder { fail, pass })
            }
        }
    }

    /// Of what sessions cost less is better, of everything else that has this rule, more.
    fn within(&mut self, fields: &Fields<'_>, signal: Option<&Signal>) -> Option<Rule> {
        let pass = self.part(fields, "within")?;
        let fail = if fields.has("fail_beyond") { self.part(fields, "fail_beyond")? } else { pass };
        self.check_margin(fields, "fail_beyond", fail <= pass, &percent(pass));
        Some(match signal {
            Some(Signal::SessionCost) => Rule::RiseUnder { fail, pass },
            _ => Rule::DropUnder { fail, pass },
        })
    }

    fn never(&mut self, fields: &Fields<'_>) -> Option<Rule> {
        if !fields.flag("never")? {
            let place = fields.get("never")?;
            self.problem(&place, "`never: false` demands nothing", "write never: true, or another rule");
        }
        Some(Rule::Never)
    }

    fn trigger_rule(&mut self, fields: &Fields<'_>, key: &str) -> Option<Rule> {
        self.check_companion(fields, "blame", is_limit(key, "above"), "`above` and `p.._above`");
        if let Some(rule) = self.slow_rule(fields, key) {
            return rule;
        }
        match key {
            "above" => Some(Rule::RateUnder { limit: self.part(fields, key)?, blame: blame(fields)? }),
            "below" => Some(Rule::MeanOver { limit: self.part(fields, key)? }),
            "drops" => {
                let drop = self.part(fields, key)?;
                Some(Rule::DropUnder { fail: drop, pass: drop })
            }
            "ratio_above" => {
                let ratio = self.times(fields, key)?;
                Some(Rule::RatioUnder { fail: ratio, pass: ratio })
            }
            "rises" => {
                let rise = self.part(fields, key)?;
                Some(Rule::RiseUnder { fail: rise, pass: rise })
            }
            "never" => self.never(fields),
            "shift_above" => Some(Rule::ShiftUnder { ratio: self.times(fields, key)? }),
            _ => Some(Rule::SpendUnder { times: self.times(fields, key)? }),
        }
    }

    /// The rule of a key like `p99_below`; `None` for another key.
    fn slow_rule(&mut self, fields: &Fields<'_>, key: &str) -> Option<Option<Rule>> {
        let (percentile, _) = key.split_once('_')?;
        let (_, part) = SLOWER.iter().find(|(name, _)| *name == percentile)?;
        let rule = |limit: Duration, blame| Rule::SlowUnder { limit, part: *part, blame };
        Some(fields.duration(key).and_then(|limit| Some(rule(limit, blame(fields)?))))
    }

    /// A part strictly between nothing and everything: neither can be proven or broken.
    fn part(&mut self, fields: &Fields<'_>, key: &str) -> Option<f64> {
        let part = fields.share(key)?;
        if part > 0.0 && part < 1.0 {
            return Some(part);
        }
        let place = fields.get(key)?;
        self.problem(
            &place,
            format!("{} can never be shown by counting", place.node),
            "write a limit between 0 % and 100 %",
        );
        None
    }

    fn times(&mut self, fields: &Fields<'_>, key: &str) -> Option<f64> {
        let times = fields.number(key)?;
        if times > 1.0 {
            return Some(times);
        }
        let place = fields.get(key)?;
        self.problem(
            &place,
            format!("{} times stable leaves no room for chance", place.node),
            "write more than 1: 1.5",
        );
        None
    }

    fn check_margin(&mut self, fields: &Fields<'_>, key: &str, holds: bool, pass: &str) {
        if !holds && let Some(place) = fields.get(key) {
            let message = format!("{} is past the {pass} at which the gate passes", place.node);
            self.problem(&place, message, format!("write {pass} or less: what fails must not also pass"));
        }
    }

    fn check_companion(&mut self, fields: &Fields<'_>, key: &str, belongs: bool, to: &str) {
        if !belongs && let Some(place) = fields.get(key) {
            self.problem(&place, format!("`{key}` goes with {to} only"), "take it away");
        }
    }

    /// A signal must be counted in a way that the rule can judge, and be better in the direction that the rule takes for better.
    fn check_fits(&mut self, fields: &Fields<'_>, signal: &Signal, rule: &Rule) {
        let (fits, judges) = match rule {
            Rule::RateUnder { .. } | Rule::RatioUnder { .. } => {
                (is_bad_rate(signal), "rates of what should be rare")
            }
            Rule::SlowUnder { .. } => (signal.measure() == Measure::Durations, "times"),
            Rule::MeanOver { .. } | Rule::DropUnder { .. } => {
                (is_good(signal), "scores, and rates of which more is better")
            }
            Rule::SpendUnder { .. } => (
                signal.measure() == Measure::Amount && !says_who(signal),
                "what calls take: tokens and money",
            ),
            Rule::RiseUnder { .. } => (*signal == Signal::SessionCost, "what sessions cost"),
            Rule::Never => (is_bad_rate(signal), "rates of what must not happen"),
            Rule::ShiftUnder { .. } => (signal.measure() == Measure::Sizes, "sizes"),
        };
        if !fits {
            let place = fields.get("signal").unwrap_or_else(|| fields.place.clone());
            self.problem(
                &place,
                format!("`{signal}` cannot be judged by this rule, which is for {judges}"),
                rules_for(signal),
            );
        }
    }

    /// A gate on what cannot be seen in its phase would wait until the deadline.
    fn check_seen(&mut self, fields: &Fields<'_>, signal: &Signal, phase: PhaseKind) {
        let of_shadow = matches!(signal, Signal::Agreement | Signal::Coverage);
        // A copy is answered by the first tier alone, belongs to no session, and nobody can report on it.
        let of_users = signal.is_feedback()
            || matches!(
                signal,
                Signal::Fallback
                    | Signal::Degraded
                    | Signal::SessionCost
                    | Signal::Cancelled
                    | Signal::Rejected
            );
        let (message, hint) = match phase {
            PhaseKind::Shadow { .. } if of_users => (
                "is seen only where users are answered, which a shadow phase does not do",
                "put it into a phase with a share",
            ),
            PhaseKind::Canary { .. } if of_shadow => {
                ("compares copies, of which a phase with a share has none", "put it into a shadow phase")
            }
            _ => return,
        };
        let place = fields.get("signal").unwrap_or_else(|| fields.place.clone());
        self.problem(&place, format!("`{signal}` {message}"), hint);
    }
}

/// Whether a key sets a limit that a provider's incident may break: `below`, `p99_below`.
fn is_limit(key: &str, word: &str) -> bool {
    key == word || key.starts_with('p') && key.ends_with(word)
}

fn blame(fields: &Fields<'_>) -> Option<Blame> {
    match fields.get("blame") {
        None => Some(Blame::OverStable { ratio: OVER_STABLE }),
        Some(place) => match place.node.text() {
            Some(_) => Some(Blame::Always),
            None => shape::number(place.node).map(|ratio| Blame::OverStable { ratio }),
        },
    }
}

fn declared_name(signal: &Signal) -> Option<&str> {
    match signal {
        Signal::DeclaredRate(name) | Signal::DeclaredScore(name) => Some(name.as_str()),
        _ => None,
    }
}

/// Rates of which less is better. A declared rate may be either.
fn is_bad_rate(signal: &Signal) -> bool {
    signal.measure() == Measure::Rate
        && !matches!(signal, Signal::Coverage | Signal::TaskSuccess | Signal::CacheHit)
}

/// Scores, and rates of which more is better. A declared rate may be either.
fn is_good(signal: &Signal) -> bool {
    signal.measure() == Measure::Score
        || matches!(
            signal,
            Signal::Coverage | Signal::TaskSuccess | Signal::CacheHit | Signal::DeclaredRate(_)
        )
}

/// Counts of who was served, on which the split of the traffic is checked.
fn says_who(signal: &Signal) -> bool {
    matches!(signal, Signal::Assigned | Signal::Sessions | Signal::Visitors)
}

/// Rules on plain sums and counts.
pub(crate) fn is_hard(rule: &Rule) -> bool {
    matches!(rule, Rule::SpendUnder { .. } | Rule::Never)
}

/// Whether a trigger may take a harmless candidate back or freeze it by a chance that alpha bounds.
pub(super) fn spends_alpha(trigger: &Trigger) -> bool {
    !is_hard(&trigger.rule) && trigger.mode == Mode::Evidence && trigger.action != Action::Alert
}

fn action(fields: &Fields<'_>) -> Option<Action> {
    match fields.text("do")?.as_str() {
        "roll_back" => Some(Action::RollBack),
        "freeze" => Some(Action::Freeze),
        "alert" => Some(Action::Alert),
        _ => None,
    }
}

fn rules_for(signal: &Signal) -> String {
    let rules = match signal.measure() {
        _ if says_who(signal) => {
            return "it says who was served, not how well: choose another signal".into();
        }
        _ if *signal == Signal::SessionCost => {
            "within or shift_below in a gate, rises or shift_above in a trigger"
        }
        Measure::Durations => "p99_below in a gate, p99_above in a trigger",
        Measure::Amount => "times_stable, in a trigger",
        Measure::Sizes => "shift_below in a gate, shift_above in a trigger",
        Measure::Rate | Measure::Score if is_good(signal) => {
            "above or within in a gate, below or drops in a trigger"
        }
        Measure::Rate | Measure::Score => {
            "below, ratio_below or never in a gate, above, ratio_above or never in a trigger"
        }
    };
    format!("for `{signal}`, write {rules}")
}
