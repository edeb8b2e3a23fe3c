//! How long a call may take, when a target is left alone, and how often a call is tried again: numbers that must fit each
//! other.

use std::time::Duration;

use lockgate_core::{breaker, retry};

use crate::check::target::Targets;
use crate::check::{Check, sub};
use crate::duration;
use crate::file::{BREAKER, RETRIES};
use crate::node::Value;
use crate::place::Fields;
use crate::value::{Endpoint, Target, Times};

impl Check<'_> {
    /// A target's times, but for its speed: not everything that is waited for comes in tokens.
    pub(super) fn target_times(&mut self, fields: &Fields<'_>) -> Option<Times> {
        let answer = fields.duration("timeout")?;
        let times = Times {
            connect: fields.duration("connect_timeout")?,
            answer,
            first_content: fields.duration("first_content_timeout").unwrap_or(answer),
            idle: fields.duration("idle_timeout")?,
            stream: fields.duration("stream_timeout"),
            tokens_per_second: None,
            sla: fields.duration("sla"),
        };
        self.note_sla(fields, &times);
        Some(times)
    }

    /// A tier's times: its target's, but for what it says itself.
    pub(super) fn tier_times(
        &mut self,
        fields: &Fields<'_>,
        target: &Target,
        endpoint: &Endpoint,
        targets: &Targets,
    ) -> Times {
        let usual = endpoint.times.clone();
        let answer = fields.duration("timeout");
        let first_content = fields.duration("first_content_timeout");
        let first_content = match (first_content, answer) {
            (Some(first_content), _) => first_content,
            (None, Some(answer)) if !targets.with_first_content.contains(&target.name) => answer,
            _ => usual.first_content,
        };
        let times = Times {
            answer: answer.unwrap_or(usual.answer),
            first_content,
            idle: fields.duration("idle_timeout").unwrap_or(usual.idle),
            stream: fields.duration("stream_timeout").or(usual.stream),
            sla: fields.duration("sla").or(usual.sla),
            ..usual
        };
        self.note_sla(fields, &times);
        times
    }

    /// What takes longer than it may fails anyway.
    fn note_sla(&mut self, fields: &Fields<'_>, times: &Times) {
        if let Some(place) = fields.get("sla")
            && times.sla.is_some_and(|sla| sla >= times.answer && sla >= times.first_content)
        {
            let message = "no call lives to miss it: the time-outs are not longer";
            let least = duration::write(times.answer.max(times.first_content));
            self.warning(&place, message, format!("write less than {least}, or take it away"));
        }
    }

    pub(super) fn breaker(&mut self, fields: &Fields<'_>) -> Option<breaker::Settings> {
        let fields = sub(fields, "breaker", &BREAKER);
        let settings = breaker::Settings {
            consecutive: count(&fields, "consecutive")?,
            rate: fields.share("rate")?,
            calls_min: count(&fields, "calls_min")?,
            window: fields.duration("window")?,
            open: fields.duration("open")?,
            open_max: fields.duration("open_max")?,
            probes: count(&fields, "probes")?,
            recovery: fields.duration("recovery")?,
        };
        if let Some(place) = fields.get("rate").filter(|_| settings.rate <= 0.0) {
            self.problem(&place, "a rate of nothing is always reached", "write 50%");
            return None;
        }
        self.at_least(&fields, "open_max", settings.open_max, settings.open, "`open`");
        Some(settings)
    }

    pub(super) fn retries(&mut self, fields: &Fields<'_>) -> Option<retry::Settings> {
        let written = fields.get("retries");
        let detailed = match written.as_ref().map(|place| &place.node.value) {
            Some(Value::Map(_)) | None => sub(fields, "retries", &RETRIES),
            Some(_) => {
                let retries = u32::try_from(fields.whole("retries")?).ok()?;
                return Some(retry::Settings { retries, ..retry::Settings::default() });
            }
        };
        let settings = retry::Settings {
            retries: count(&detailed, "retries")?,
            base: detailed.duration("base")?,
            max: detailed.duration("max")?,
            budget: detailed.share("budget")?,
        };
        self.at_least(&detailed, "max", settings.max, settings.base, "`base`");
        Some(settings)
    }

    fn at_least(&mut self, fields: &Fields<'_>, key: &str, given: Duration, least: Duration, what: &str) {
        if given < least {
            let place = fields.get(key).unwrap_or_else(|| fields.place.clone());
            let hint = format!("write {key}: {} or more", duration::write(least));
            self.problem(&place, format!("`{key}` is shorter than {what}"), hint);
        }
    }
}

fn count(fields: &Fields<'_>, key: &str) -> Option<u32> {
    u32::try_from(fields.whole(key)?).ok()
}
