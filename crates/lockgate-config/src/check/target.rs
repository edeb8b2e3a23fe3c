//! Targets: URLs that can be called, patterns that can be matched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::Uri;
use lockgate_core::name::TargetName;

use crate::check::Check;
use crate::file::{AGENT, OPENAI, RULE, RULES};
use crate::place::{Fields, Place};
use crate::value::{Endpoint, RuleAnswer, Rules, Target, TargetKind};

/// Largest compiled pattern. A thousand words in an alternation fit.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The targets that are right, and the names of all.
pub(super) struct Targets {
    pub values: BTreeMap<TargetName, Arc<Target>>,
    /// Also of those that are not right: a tier that names one has made no mistake of its own.
    pub names: BTreeSet<String>,
}

impl Check<'_> {
    pub(super) fn targets(&mut self, file: &Fields<'_>) -> Targets {
        let mut targets = Targets { values: BTreeMap::new(), names: BTreeSet::new() };
        for (name, place) in file.named("targets") {
            targets.names.insert(name.to_owned());
            let kind = self.target_kind(place);
            if let (Ok(name), Some(kind)) = (TargetName::new(name), kind) {
                targets.values.insert(name.clone(), Arc::new(Target { name, kind }));
            }
        }
        targets
    }

    fn target_kind(&mut self, place: Place<'_>) -> Option<TargetKind> {
        let kind = place.get("kind")?;
        match kind.node.text()? {
            "openai" => {
                let fields = place.fields(&OPENAI);
                let endpoint = self.endpoint(&fields, fields.flag("asks_usage"));
                endpoint.map(TargetKind::OpenAi)
            }
            "agent" => self.endpoint(&place.fields(&AGENT), Some(false)).map(TargetKind::Agent),
            "rules" => self.rules(&place.fields(&RULES)).map(TargetKind::Rules),
            _ => None,
        }
    }

    fn endpoint(&mut self, fields: &Fields<'_>, asks_usage: Option<bool>) -> Option<Endpoint> {
        let base_url = fields.get("base_url").and_then(|place| self.base_url(&place));
        let api_key = match fields.get("api_key") {
            Some(place) => Some(self.secret(&place)?),
            None => None,
        };
        Some(Endpoint {
            base_url: base_url?,
            api_key,
            connect_timeout: fields.duration("connect_timeout")?,
            timeout: fields.duration("timeout")?,
            idle_timeout: fields.duration("idle_timeout")?,
            asks_usage: asks_usage?,
        })
    }

    fn base_url(&mut self, place: &Place<'_>) -> Option<Uri> {
        const EXAMPLE: &str = "write a URL like https://api.openai.com/v1";
        let text = place.node.text()?;
        let uri = text.trim_end_matches('/').parse::<Uri>().ok();
        let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        let Some((uri, authority)) = uri.and_then(|uri| Some((uri.clone(), uri.authority()?.clone()))) else {
            self.problem(place, format!("{} is not an http or https URL", place.node), EXAMPLE);
            return None;
        };
        if authority.as_str().contains('@') {
            let hint = "take them out of the URL and write api_key: { env: NAME }";
            self.problem(place, "a URL with a name or password ends up in logs", hint);
            return None;
        }
        if uri.query().is_some() || text.contains('#') {
            let hint = "end it with the path; a key belongs in api_key: { env: NAME }";
            self.problem(place, "a base URL has no query and no fragment", hint);
            return None;
        }
        if let Some(shorter) = text.trim_end_matches('/').strip_suffix("/chat/completions") {
            let message = "`/chat/completions` is put behind the base URL for every call";
            self.problem(place, message, format!("write {shorter}"));
            return None;
        }
        Some(uri)
    }

    fn rules(&mut self, fields: &Fields<'_>) -> Option<Rules> {
        let written = fields.items("rules");
        let rules: Vec<RuleAnswer> =
            written.iter().filter_map(|place| self.rule(&place.clone().fields(&RULE))).collect();
        let otherwise = fields.text("otherwise")?;
        (rules.len() == written.len()).then_some(Rules { rules, otherwise })
    }

    fn rule(&mut self, fields: &Fields<'_>) -> Option<RuleAnswer> {
        let place = fields.get("when")?;
        let answer = fields.text("answer");
        match regex::RegexBuilder::new(place.node.text()?).size_limit(PATTERN_BYTES_MAX).build() {
            Ok(when) => Some(RuleAnswer { when, answer: answer? }),
            Err(error) => {
                // A syntax error is drawn over several lines; the last one says what is wrong.
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let message = format!("{} is not a regular expression: {why}", place.node);
                self.problem(
                    &place,
                    message,
                    "look around and back references are not known; a `\\` needs single quotes in YAML",
                );
                None
            }
        }
    }
}
