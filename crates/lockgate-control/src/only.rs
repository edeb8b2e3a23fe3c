//! Reads whom a rollout may touch, as people write it: `tier=internal|free,geo=eu`, any of several.

use std::collections::{BTreeMap, BTreeSet};

use lockgate_config::value::Feature;
use lockgate_core::name::{LabelName, NameError};
use lockgate_core::segment::{Confine, Matcher, is_label_value};

/// Most matchers of one rollout: each is tried for every call.
const MATCHERS_MAX: usize = 16;
/// Longest matcher in bytes: more values than a label can take would fit.
const MATCHER_BYTES_MAX: usize = 8192;

/// Why a text does not say whom a rollout may touch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnlyError {
    /// Not `label=value`.
    #[error("`{0}` is not `label=value`, `label=value|value` or several of them with commas")]
    Form(String),
    /// Not a name.
    #[error("`{label}` cannot be a label: {source}")]
    Label {
        /// As it was written.
        label: String,
        /// Why not.
        #[source]
        source: NameError,
    },
    /// The feature's traffic is not sliced by it.
    #[error("the feature's traffic has no label `{label}`; it has {known}")]
    Unknown {
        /// As it was written.
        label: LabelName,
        /// The labels that there are.
        known: String,
    },
    /// The label never takes this value.
    #[error("`{label}` is never `{value}`; it is {known}")]
    Value {
        /// The label.
        label: LabelName,
        /// As it was written.
        value: String,
        /// The values it may take.
        known: String,
    },
    /// More than can be looked at for every call.
    #[error("at most {MATCHERS_MAX} alternatives of {MATCHER_BYTES_MAX} characters can be named")]
    TooMany,
}

/// Reads alternatives. None at all is everyone.
pub(crate) fn read(only: &[String], feature: &Feature) -> Result<Confine, OnlyError> {
    if only.len() > MATCHERS_MAX || only.iter().any(|text| text.len() > MATCHER_BYTES_MAX) {
        return Err(OnlyError::TooMany);
    }
    only.iter().map(|text| matcher(text, feature)).collect::<Result<_, _>>().map(Confine)
}

fn matcher(text: &str, feature: &Feature) -> Result<Matcher, OnlyError> {
    let shown = || OnlyError::Form(text.chars().take(80).collect());
    let mut labels: BTreeMap<LabelName, BTreeSet<String>> = BTreeMap::new();
    for pair in text.split(',').map(str::trim) {
        let (label, values) = pair.split_once('=').ok_or_else(shown)?;
        let label = LabelName::new(label.trim())
            .map_err(|source| OnlyError::Label { label: label.trim().chars().take(80).collect(), source })?;
        let declared = feature.labels.get(&label).ok_or_else(|| OnlyError::Unknown {
            label: label.clone(),
            known: listed(feature.labels.keys().map(LabelName::as_str)),
        })?;
        let values: BTreeSet<String> = values.split('|').map(|value| value.trim().to_owned()).collect();
        for value in &values {
            if !is_label_value(value) {
                return Err(shown());
            }
            if !declared.values.is_empty() && !declared.values.contains(value) {
                let known = listed(declared.values.iter().map(String::as_str));
                return Err(OnlyError::Value { label, value: value.clone(), known });
            }
        }
        if labels.insert(label, values).is_some() {
            return Err(shown());
        }
    }
    Ok(Matcher(labels))
}

/// `a, b, c`, or `none`.
pub(crate) fn listed<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let texts: Vec<String> = texts.map(|text| format!("`{text}`")).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}
