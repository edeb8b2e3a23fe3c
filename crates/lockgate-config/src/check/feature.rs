//! Features: a stable version that exists, labels and feedback that can be told apart, one way to be called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockgate_core::name::{DeclaredSignal, FeatureName, LabelName, VersionName};
use lockgate_core::segment::LABEL_VALUES_MAX;
use lockgate_core::signal::Signal;
use lockgate_wire::api::Api;
use lockgate_wire::translate::Way;

use crate::check::target::Targets;
use crate::check::{Check, sub};
use crate::file::{FEATURE, SCORE, SEGMENT, SHADOW, SOURCE};
use crate::nearest;
use crate::node::Value;
use crate::place::{Fields, Place};
use crate::shape;
use crate::value::{
    Feature, Feedback, Label, LabelSource, Price, ShadowBounds, Sticky, Surface, TargetKind, Version,
};

/// Headers that carry secrets, which must not become labels: labels are counted, stored and shown.
const SECRET_HEADERS: [&str; 4] = ["authorization", "x-api-key", "cookie", "proxy-authorization"];

impl Check<'_> {
    pub(super) fn features(
        &mut self,
        file: &Fields<'_>,
        targets: &Targets,
        prices: &BTreeMap<String, Price>,
    ) -> BTreeMap<FeatureName, Arc<Feature>> {
        let mut features = BTreeMap::new();
        for (name, place) in file.named("features") {
            let feature = self.feature(name, &place.fields(&FEATURE), targets, prices);
            features.extend(feature.map(|feature| (feature.name.clone(), Arc::new(feature))));
        }
        features
    }

    fn feature(
        &mut self,
        name: &str,
        fields: &Fields<'_>,
        targets: &Targets,
        prices: &BTreeMap<String, Price>,
    ) -> Option<Feature> {
        let written = fields.named("versions");
        let stable = self.stable(fields, &written);
        let labels = self.labels(fields);
        let feedback = self.feedback(fields);
        let versions: BTreeMap<VersionName, Arc<Version>> = written
            .iter()
            .filter_map(|(name, place)| self.version(name, place.clone(), targets, prices))
            .collect();
        let surface = self.surface(fields, &versions);
        self.note_same_versions(fields, &versions);
        self.note_no_net(fields, &versions);
        self.note_unanswered(fields, &versions);
        Some(Feature {
            name: FeatureName::new(name).ok()?,
            owner: fields.text("owner"),
            surface: surface?,
            stable: stable?,
            versions,
            labels,
            sticky: if fields.text("sticky")? == "session" { Sticky::Session } else { Sticky::User },
            shadow: shadow(&sub(fields, "shadow", &SHADOW))?,
            strict_translation: fields.text("translation")?.as_str() == "strict",
            feedback,
            csat_range: fields.range("csat")?,
        })
    }

    fn stable(&mut self, fields: &Fields<'_>, written: &[(&str, Place<'_>)]) -> Option<VersionName> {
        let place = fields.get("stable")?;
        let name = place.node.text()?;
        if !written.iter().any(|(version, _)| *version == name) && fields.has("versions") {
            let hint = nearest::hint(name, written.iter().map(|(version, _)| *version));
            let hint = hint.unwrap_or_else(|| format!("write {name} under `versions`"));
            self.problem(&place, format!("there is no version {}", place.node), hint);
        }
        VersionName::new(name).ok()
    }

    fn labels(&mut self, fields: &Fields<'_>) -> BTreeMap<LabelName, Label> {
        let mut labels = BTreeMap::new();
        for place in fields.items("segments") {
            let read = match &place.node.value {
                Value::Map(_) => self.label(&place.clone().fields(&SEGMENT)),
                Value::Text(name) => {
                    let plain = Label { from: Vec::new(), values: Vec::new(), default: None };
                    LabelName::new(name).ok().map(|name| (name, plain))
                }
                _ => None,
            };
            if let Some((name, label)) = read
                && labels.insert(name.clone(), label).is_some()
            {
                self.problem(&place, format!("the label `{name}` is there twice"), "keep one of the two");
            }
        }
        labels
    }

    fn label(&mut self, fields: &Fields<'_>) -> Option<(LabelName, Label)> {
        let values: Vec<String> =
            fields.items("values").iter().filter_map(|value| value.node.text().map(str::to_owned)).collect();
        let default = fields.text("default");
        if let (Some(values_at), true) = (fields.get("values"), values.len() > LABEL_VALUES_MAX) {
            let message = format!(
                "{} values are more than the {LABEL_VALUES_MAX} that are counted apart",
                values.len()
            );
            self.problem(&values_at, message, "use a label with fewer values");
        }
        if let (Some(place), Some(default)) = (fields.get("default"), &default)
            && !values.is_empty()
            && !values.contains(default)
        {
            let hint = nearest::hint(default, values.iter().map(String::as_str)).unwrap_or_default();
            self.problem(&place, format!("{} is not among `values`", place.node), hint);
        }
        let from = fields.items("from").into_iter().filter_map(|place| self.source(place)).collect();
        Some((LabelName::new(&fields.text("name")?).ok()?, Label { from, values, default }))
    }

    fn source(&mut self, place: Place<'_>) -> Option<LabelSource> {
        let fields = place.fields(&SOURCE);
        match (fields.get("header"), fields.text("metadata")) {
            (Some(header_at), None) => {
                let name = header_at.node.text()?.to_ascii_lowercase();
                if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                    self.problem(
                        &header_at,
                        format!("{} is not a header's name", header_at.node),
                        "write a name like x-tenant",
                    );
                    return None;
                }
                if SECRET_HEADERS.contains(&name.as_str()) {
                    let hint = "labels are stored and shown; fix the label at the client's key instead: clients.NAME.segments";
                    self.problem(&header_at, format!("`{name}` carries a secret"), hint);
                    return None;
                }
                Some(LabelSource::Header(name))
            }
            (None, Some(metadata)) => Some(LabelSource::Metadata(metadata)),
            (None, None) if fields.has("metadata") => None,
            _ => {
                let hint = "write { header: x-tenant } or { metadata: tenant }";
                self.problem(
                    &fields.place,
                    "a label is read from a header or from metadata, one of the two",
                    hint,
                );
                None
            }
        }
    }

    fn feedback(&mut self, fields: &Fields<'_>) -> BTreeMap<DeclaredSignal, Feedback> {
        let mut feedback = BTreeMap::new();
        for (name, place) in fields.named("feedback") {
            let is_built_in =
                name == "thumbs" || Signal::built_in().iter().any(|signal| signal.to_string() == name);
            if is_built_in {
                self.problem(&place, format!("`{name}` is built in"), "choose another name");
                continue;
            }
            let (Ok(name), Some(signal)) = (DeclaredSignal::new(name), declared(name, &place)) else {
                continue;
            };
            let range = match &signal {
                Signal::DeclaredScore(_) => place.clone().fields(&SCORE).range("score"),
                _ => Some((0.0, 1.0)),
            };
            feedback.extend(range.map(|range| (name, Feedback { signal, range })));
        }
        feedback
    }

    /// All versions of a feature must be callable in the same way: the client does not know which one answers.
    fn surface(
        &mut self,
        fields: &Fields<'_>,
        versions: &BTreeMap<VersionName, Arc<Version>>,
    ) -> Option<Surface> {
        let tiers = || versions.values().flat_map(|version| &version.chain);
        let agent = tiers().find(|tier| matches!(tier.target.kind, TargetKind::Agent(_)));
        let chat =
            tiers().find(|tier| matches!(tier.target.kind, TargetKind::OpenAi(_) | TargetKind::Anthropic(_)));
        match (chat, agent) {
            (Some(chat), Some(agent)) => {
                let message = format!(
                    "its tiers are called in different ways: `{}` is a model's target, `{}` an agent",
                    chat.target.name, agent.target.name
                );
                self.problem(
                    &fields.place,
                    message,
                    "use targets of one kind in all versions; `rules` goes with both",
                );
                None
            }
            (None, Some(_)) => Some(Surface::Agent),
            _ => Some(Surface::Model),
        }
    }

    fn note_same_versions(&mut self, fields: &Fields<'_>, versions: &BTreeMap<VersionName, Arc<Version>>) {
        let mut first = BTreeMap::new();
        for (name, version) in versions {
            if let Some(other) = first.insert(version.id.revision.to_string(), name)
                && let Some(versions_at) = fields.get("versions")
                && let Some(place) = versions_at.get(name.as_str())
            {
                let message = format!("it is made of the same as `{other}`");
                self.warning(&place, message, "a rollout from one to the other changes nothing");
            }
        }
    }

    /// A candidate without the net that others have fails users as soon as its targets do.
    fn note_no_net(&mut self, fields: &Fields<'_>, versions: &BTreeMap<VersionName, Arc<Version>>) {
        let Some((netted, _)) = versions.iter().find(|(_, version)| has_net(version)) else { return };
        for (name, _) in versions.iter().filter(|(_, version)| !has_net(version)) {
            if let Some(place) = chain_of(fields, name) {
                let message = format!("when its targets fail there is no answer; `{netted}` always has one");
                self.warning(&place, message, "end the chain with a `rules` target, as the other does");
            }
        }
    }

    /// The client does not know which version answers: what one of them understands, all should.
    fn note_unanswered(&mut self, fields: &Fields<'_>, versions: &BTreeMap<VersionName, Arc<Version>>) {
        let answered: BTreeMap<&VersionName, BTreeSet<Api>> = versions
            .iter()
            .map(|(name, version)| (name, answered(version)))
            .filter(|(_, apis)| !apis.is_empty())
            .collect();
        for (name, apis) in &answered {
            let by_another = |api: &Api| answered.iter().find(|(_, others)| others.contains(api));
            let missing: Vec<(Api, &VersionName)> = (Api::ALL.into_iter())
                .filter(|api| *api != Api::CountTokens && !apis.contains(api))
                .filter_map(|api| by_another(&api).map(|(other, _)| (api, *other)))
                .collect();
            if let (Some((_, other)), Some(place)) = (missing.first(), chain_of(fields, name)) {
                let words: Vec<&str> = missing.iter().map(|(api, _)| api.as_str()).collect();
                let message = format!(
                    "calls of {} are answered by `{other}` and not by this version",
                    words.join(" and ")
                );
                let hint = "if nobody makes them, leave them out of what the target `speaks`";
                self.warning(&place, message, hint);
            }
        }
    }
}

fn chain_of<'n>(fields: &Fields<'n>, version: &VersionName) -> Option<Place<'n>> {
    fields.get("versions")?.get(version.as_str())?.get("chain")
}

/// Whether it answers even when all its targets fail.
fn has_net(version: &Version) -> bool {
    version.chain.iter().any(|tier| matches!(tier.target.kind, TargetKind::Rules(_)))
}

/// The APIs that a version's targets answer, by themselves or in translation. Rules are no answer to what a model is for.
fn answered(version: &Version) -> BTreeSet<Api> {
    let spoken = version.chain.iter().filter_map(|tier| tier.target.kind.endpoint());
    let mut apis: BTreeSet<Api> = spoken.flat_map(|endpoint| endpoint.paths.keys().copied()).collect();
    let translated: Vec<Api> = (Api::ALL.into_iter())
        .filter(|asked| apis.iter().any(|spoken| Way::between(*asked, *spoken).is_some()))
        .collect();
    apis.extend(translated);
    apis
}

fn shadow(fields: &Fields<'_>) -> Option<ShadowBounds> {
    Some(ShadowBounds {
        concurrency: fields.whole("concurrency")?,
        queue: fields.whole("queue")?,
        deadline: fields.duration("deadline")?,
        daily_usd: fields.number("daily_usd")?,
    })
}

/// The signal that a feedback entry declares.
fn declared(name: &str, place: &Place<'_>) -> Option<Signal> {
    let name = DeclaredSignal::new(name).ok()?;
    match &place.node.value {
        Value::Text(_) => Some(Signal::DeclaredRate(name)),
        Value::Map(_) => {
            place.get("score").and_then(|range| shape::range(range.node)).map(|_| Signal::DeclaredScore(name))
        }
        _ => None,
    }
}

/// Every signal that any feature declares.
pub(super) fn written_feedback(file: &Fields<'_>) -> BTreeSet<Signal> {
    let features = file.named("features").into_iter().map(|(_, place)| place.fields(&FEATURE));
    features
        .flat_map(|feature| feature.named("feedback"))
        .filter_map(|(name, place)| declared(name, &place))
        .collect()
}

/// Every label that any feature has; with its values, if every feature that has it lists them.
pub(super) fn written_labels(file: &Fields<'_>) -> BTreeMap<String, Option<Vec<String>>> {
    let mut labels: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    let features = file.named("features").into_iter().map(|(_, place)| place.fields(&FEATURE));
    for place in features.flat_map(|feature| feature.items("segments")) {
        let Some(name) = place.get("name").map_or(place.node.text(), |name| name.node.text()) else {
            continue;
        };
        let texts = |values: Place<'_>| -> Vec<String> {
            values.items().iter().filter_map(|value| value.node.text().map(str::to_owned)).collect()
        };
        let values = place.get("values").map(texts).filter(|values| !values.is_empty());
        labels
            .entry(name.to_owned())
            .and_modify(|known| match (known.as_mut(), &values) {
                (Some(known), Some(values)) => known.extend(values.iter().cloned()),
                _ => *known = None,
            })
            .or_insert(values);
    }
    labels
}
