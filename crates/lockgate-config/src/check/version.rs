//! Versions: chains that can answer, and the digest of everything a version is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockgate_core::name::{Revision, VersionName, VersionRef};
use lockgate_wire::api::Api;
use serde_json::{Map, Value, json};

use crate::check::target::Targets;
use crate::check::{Check, price};
use crate::file::{PRICE, TIER, VERSION};
use crate::nearest;
use crate::place::{Fields, Place};
use crate::value::{Endpoint, Price, Target, TargetKind, Tier, Times, Version, VersionKind};

/// Members of a request's body that Lockgate itself reads or writes.
const OWN_MEMBERS: [&str; 4] = ["model", "messages", "stream", "stream_options"];
/// What rules have no use for: they send nothing and answer at once.
const NOT_FOR_RULES: [&str; 11] = [
    "model",
    "system",
    "parameters",
    "price",
    "timeout",
    "first_content_timeout",
    "idle_timeout",
    "stream_timeout",
    "sla",
    "retries",
    "hold_back",
];
/// The paths, and the longest answer, of which a digest says nothing: what a target has when nothing is written. Frozen: a
/// rollout under way is found again by its digest after an update of Lockgate.
const OPENAI_UNSAID: [(Api, &str); 3] =
    [(Api::Chat, "/chat/completions"), (Api::Responses, "/responses"), (Api::Embeddings, "/embeddings")];
const ANTHROPIC_UNSAID: [(Api, &str); 2] =
    [(Api::Messages, "/v1/messages"), (Api::CountTokens, "/v1/messages/count_tokens")];
const MAX_TOKENS_UNSAID: u64 = 4096;
/// Longest chain. Each tier takes its time from the same deadline; a longer chain would never be reached.
const TIERS_MAX: usize = 16;

impl Check<'_> {
    pub(super) fn version(
        &mut self,
        name: &str,
        place: Place<'_>,
        targets: &Targets,
        prices: &BTreeMap<String, Price>,
    ) -> Option<(VersionName, Arc<Version>)> {
        let fields = place.fields(&VERSION);
        let chain_at = fields.get("chain")?;
        let written = chain_at.items();
        if matches!(chain_at.node.value, crate::node::Value::List(_))
            && !(1..=TIERS_MAX).contains(&written.len())
        {
            let message = format!("a chain has 1 to {TIERS_MAX} tiers, and this one has {}", written.len());
            self.problem(&chain_at, message, "write [ { target: NAME, model: NAME } ]");
        }
        let tiers: Vec<Tier> = written
            .iter()
            .filter_map(|tier| self.tier(&tier.clone().fields(&TIER), targets, prices))
            .collect();
        if tiers.len() != written.len() || tiers.is_empty() {
            return None;
        }
        self.note_unreachable(&written, &tiers);
        let kind = fields.text("kind")?;
        let kind = VersionKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let shadow_tools = fields.flag("shadow_tools")?;
        let name = VersionName::new(name).ok()?;
        let id = VersionRef { name: name.clone(), revision: revision(kind, &tiers, shadow_tools) };
        Some((name, Arc::new(Version { id, kind, chain: tiers, shadow_tools })))
    }

    fn tier(
        &mut self,
        fields: &Fields<'_>,
        targets: &Targets,
        prices: &BTreeMap<String, Price>,
    ) -> Option<Tier> {
        let system = fields.get("system").map(|place| self.prompt(&place));
        let parameters = self.parameters(fields);
        let target = self.tier_target(fields, targets)?;
        self.check_tier_fits(fields, &target);
        let model = fields.text("model");
        let own_price = fields.get("price").map(|place| price(&place.fields(&PRICE)));
        let price = match own_price {
            Some(written) => Some(written?),
            None => model.as_ref().and_then(|model| prices.get(model)).copied(),
        };
        let system = match system {
            Some(read) => Some(read?),
            None => None,
        };
        let (times, usual_retries) = match target.kind.endpoint() {
            Some(endpoint) => (self.tier_times(fields, &target, endpoint, targets), endpoint.retries.retries),
            None => (Times::INSTANT, 0),
        };
        let retries = fields.whole("retries").and_then(|retries| u32::try_from(retries).ok());
        let hold_back = u32::try_from(fields.whole("hold_back")?).ok()?;
        Some(Tier {
            target,
            model,
            system,
            parameters: parameters?,
            price,
            times,
            retries: retries.unwrap_or(usual_retries),
            hold_back,
        })
    }

    fn tier_target(&mut self, fields: &Fields<'_>, targets: &Targets) -> Option<Arc<Target>> {
        let place = fields.get("target")?;
        let name = place.node.text()?;
        if !targets.names.contains(name) {
            let hint = nearest::hint(name, targets.names.iter().map(String::as_str));
            let hint = hint.unwrap_or_else(|| format!("write {name} under `targets`"));
            self.problem(&place, format!("there is no target {}", place.node), hint);
        }
        targets.values.get(name).cloned()
    }

    /// What is written at a tier must reach its target: a prompt that is silently dropped would be rolled out as if it worked.
    fn check_tier_fits(&mut self, fields: &Fields<'_>, target: &Target) {
        let (kind, foreign): (&str, &[&str]) = match target.kind {
            TargetKind::OpenAi(_) | TargetKind::Anthropic(_) => {
                if !fields.has("model") {
                    let hint =
                        "add model: the client's own `model` is this feature's name, which no server knows";
                    self.problem(&fields.place, "a model's target needs a `model`", hint);
                }
                return;
            }
            TargetKind::Agent(_) => ("an agent", &["model", "system", "hold_back"]),
            TargetKind::Rules(_) => ("a rules target", &NOT_FOR_RULES),
        };
        for place in foreign.iter().filter_map(|key| fields.get(key)) {
            self.problem(&place, format!("{kind} has no use for it"), "take it away");
        }
    }

    fn parameters(&mut self, fields: &Fields<'_>) -> Option<Map<String, Value>> {
        let Some(place) = fields.get("parameters") else { return Some(Map::new()) };
        for (key, member) in place.named().filter(|(key, _)| OWN_MEMBERS.contains(key)) {
            let hint = if key == "model" { "write it beside `target`" } else { "take it away" };
            self.problem(
                &member,
                format!("`{key}` is not a parameter: Lockgate or the client sets it"),
                hint,
            );
        }
        if let Value::Object(members) = place.node.json() { Some(members) } else { None }
    }

    fn note_unreachable(&mut self, written: &[Place<'_>], tiers: &[Tier]) {
        let always = tiers.iter().position(|tier| matches!(tier.target.kind, TargetKind::Rules(_)));
        if let Some(place) = always.and_then(|i| written.get(i + 1)) {
            self.warning(
                place,
                "it is never reached: the rules before it always answer",
                "put the rules last",
            );
        }
    }
}

/// Digests what answers are made of. Prices, time-outs and keys are left out: they change no answer, and a rotated key must
/// not end a rollout.
fn revision(kind: VersionKind, tiers: &[Tier], shadow_tools: bool) -> Revision {
    let tiers: Vec<Value> = tiers.iter().map(canonical_tier).collect();
    let canonical = json!({ "kind": kind.as_str(), "chain": tiers, "shadow_tools": shadow_tools });
    Revision::of(canonical.to_string().as_bytes())
}

fn canonical_tier(tier: &Tier) -> Value {
    let target = match &tier.target.kind {
        TargetKind::OpenAi(endpoint) => canonical_endpoint("openai", endpoint, &OPENAI_UNSAID),
        TargetKind::Anthropic(endpoint) => canonical_endpoint("anthropic", endpoint, &ANTHROPIC_UNSAID),
        TargetKind::Agent(endpoint) => canonical_endpoint("agent", endpoint, &[]),
        TargetKind::Rules(rules) => {
            let pairs: Vec<Value> =
                rules.rules.iter().map(|rule| json!([rule.when.as_str(), rule.answer])).collect();
            json!({ "kind": "rules", "rules": pairs, "otherwise": rules.otherwise })
        }
    };
    json!({
        "target": target,
        "model": tier.model,
        "system": tier.system,
        "parameters": sorted(&Value::Object(tier.parameters.clone())),
    })
}

/// What of an endpoint chooses what answers: where it is, and the headers and query by which providers tell versions and
/// deployments apart. A member is there only where it is not as usual, so that a new key of the file changes no digest.
fn canonical_endpoint(kind: &str, endpoint: &Endpoint, unsaid: &[(Api, &str)]) -> Value {
    let mut canonical = json!({ "kind": kind, "base_url": endpoint.base_url.to_string() });
    let paths: Vec<(Api, &str)> = endpoint.paths.iter().map(|(api, path)| (*api, path.as_str())).collect();
    if paths != unsaid {
        let paths: BTreeMap<&str, &str> = paths.into_iter().map(|(api, path)| (api.as_str(), path)).collect();
        canonical["paths"] = json!(paths);
    }
    // A secret among them is a key.
    let headers: BTreeMap<&str, String> = endpoint
        .headers
        .iter()
        .filter(|(_, value)| !value.is_sensitive())
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    if !headers.is_empty() {
        canonical["headers"] = json!(headers);
    }
    if !endpoint.query.is_empty() {
        canonical["query"] = json!(endpoint.query);
    }
    if endpoint.max_tokens != MAX_TOKENS_UNSAID {
        canonical["max_tokens"] = json!(endpoint.max_tokens);
    }
    canonical
}

/// The same with all members in alphabetical order, because the order in which they are written means nothing.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let by_name: BTreeMap<&String, Value> =
                members.iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(by_name.into_iter().map(|(name, value)| (name.clone(), value)).collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        plain => plain.clone(),
    }
}
