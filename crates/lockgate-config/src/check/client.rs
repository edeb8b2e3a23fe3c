//! Clients: keys that differ, labels and features that exist.

use std::collections::{BTreeMap, HashMap};

use lockgate_core::name::{FeatureName, LabelName};

use crate::check::Check;
use crate::check::feature::written_labels;
use crate::file::CLIENT;
use crate::nearest;
use crate::place::{Fields, Place};
use crate::value::Client;

impl Check<'_> {
    pub(super) fn clients(&mut self, file: &Fields<'_>) -> Vec<Client> {
        let labels = written_labels(file);
        let features: Vec<&str> = file.named("features").iter().map(|(name, _)| *name).collect();
        let mut clients: Vec<(Client, Place<'_>)> = Vec::new();
        for (name, place) in file.named("clients") {
            let fields = place.fields(&CLIENT);
            let segments = self.fixed_labels(&fields, &labels);
            let features = self.allowed_features(&fields, &features);
            if let Some(key_at) = fields.get("key")
                && let Some(key) = self.secret(&key_at)
            {
                clients.push((Client { name: name.to_owned(), key, segments, features }, key_at));
            }
        }
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for (client, key_at) in &clients {
            if let Some(other) = owners.insert(client.key.expose(), &client.name) {
                let message = format!("it is the same key as that of client `{other}`");
                self.problem(key_at, message, "give every client a key of its own");
            }
        }
        clients.into_iter().map(|(client, _)| client).collect()
    }

    /// The labels that a key fixes. A label that no feature has would fix nothing, and nobody would notice.
    fn fixed_labels(
        &mut self,
        fields: &Fields<'_>,
        labels: &BTreeMap<String, Option<Vec<String>>>,
    ) -> BTreeMap<LabelName, String> {
        let mut fixed = BTreeMap::new();
        for (name, place) in fields.named("segments") {
            let Some(value) = place.node.text() else { continue };
            match labels.get(name) {
                None => {
                    let hint = nearest::hint(name, labels.keys().map(String::as_str));
                    let hint = hint.unwrap_or_else(|| format!("add `segments: [{name}]` to a feature"));
                    self.problem(&place, "no feature has this label", hint);
                }
                Some(Some(values)) if !values.iter().any(|known| known == value) => {
                    let hint = nearest::hint(value, values.iter().map(String::as_str)).unwrap_or_default();
                    self.problem(&place, format!("{} is not a value of this label", place.node), hint);
                }
                Some(_) => {
                    fixed.extend(LabelName::new(name).ok().map(|label| (label, value.to_owned())));
                }
            }
        }
        fixed
    }

    fn allowed_features(&mut self, fields: &Fields<'_>, known: &[&str]) -> Vec<FeatureName> {
        let mut allowed = Vec::new();
        for place in fields.items("features") {
            let Some(name) = place.node.text() else { continue };
            if known.contains(&name) {
                allowed.extend(FeatureName::new(name));
            } else {
                let hint = nearest::hint(name, known.iter().copied()).unwrap_or_default();
                self.problem(&place, format!("{} is not a feature", place.node), hint);
            }
        }
        allowed
    }
}
