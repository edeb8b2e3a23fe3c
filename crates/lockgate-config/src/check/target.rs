//! Targets: of known kinds, with patterns that can be matched. How one is reached over the network is checked in `endpoint`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockgate_core::name::TargetName;

use crate::check::Check;
use crate::check::endpoint::{ANTHROPIC_PATHS, OPENAI_PATHS, Speaks};
use crate::file::{AGENT, ANTHROPIC, ANTHROPIC_SPEAKS, OPENAI, OPENAI_SPEAKS, RULE, RULES};
use crate::place::{Fields, Place};
use crate::value::{Endpoint, RuleAnswer, Rules, Target, TargetKind};

/// Largest compiled pattern. A thousand words in an alternation fit.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The targets that are right, and the names of all.
#[derive(Default)]
pub(super) struct Targets {
    pub values: BTreeMap<TargetName, Arc<Target>>,
    /// Also of those that are not right: a tier that names one has made no mistake of its own.
    pub names: BTreeSet<String>,
    /// Those that say themselves how long the first content of a stream may take.
    pub with_first_content: BTreeSet<TargetName>,
}

impl Check<'_> {
    pub(super) fn targets(&mut self, file: &Fields<'_>) -> Targets {
        let mut targets = Targets::default();
        for (name, place) in file.named("targets") {
            targets.names.insert(name.to_owned());
            let says_first_content = place.get("first_content_timeout").is_some();
            let kind = self.target_kind(place);
            if let (Ok(name), Some(kind)) = (TargetName::new(name), kind) {
                if says_first_content {
                    targets.with_first_content.insert(name.clone());
                }
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
                let speaks = Speaks { usual: &OPENAI_PATHS, shape: &OPENAI_SPEAKS };
                let endpoint = self.endpoint(&fields, Some(speaks));
                let asks_usage = fields.flag("asks_usage")?;
                Some(TargetKind::OpenAi(Endpoint { asks_usage, ..endpoint? }))
            }
            "anthropic" => {
                let fields = place.fields(&ANTHROPIC);
                let speaks = Speaks { usual: &ANTHROPIC_PATHS, shape: &ANTHROPIC_SPEAKS };
                let endpoint = self.endpoint(&fields, Some(speaks));
                let max_tokens = fields.whole("max_tokens")? as u64;
                Some(TargetKind::Anthropic(Endpoint { max_tokens, ..endpoint? }))
            }
            "agent" => self.endpoint(&place.fields(&AGENT), None).map(TargetKind::Agent),
            "rules" => self.rules(&place.fields(&RULES)).map(TargetKind::Rules),
            _ => None,
        }
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
