//! Slices of the traffic: what a caller is labelled with, and which slices a rollout may touch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::name::LabelName;

/// Most values that one label may take before the rest is counted as [`OTHER`]: memory and the error budget are finite.
pub const LABEL_VALUES_MAX: usize = 64;
/// The value that stands for all values beyond [`LABEL_VALUES_MAX`].
pub const OTHER: &str = "other";

/// The labels of one caller in canonical form: `geo=eu,tier=premium`, sorted by label; empty for a caller with none.
///
/// One shared text, so that it can key a map without being copied.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Segment(Arc<str>);

impl Segment {
    /// A caller with no labels.
    pub fn none() -> Self {
        Self(Arc::from(""))
    }

    /// From labels and values. Values are taken as they are; the caller checks them (see [`is_label_value`]).
    pub fn from_labels(labels: &BTreeMap<LabelName, String>) -> Self {
        let mut text = String::new();
        for (label, value) in labels {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(label.as_str());
            text.push('=');
            text.push_str(value);
        }
        Self(text.into())
    }

    /// The value of one label.
    pub fn get(&self, label: &str) -> Option<&str> {
        self.labels().find(|(name, _)| *name == label).map(|(_, value)| value)
    }

    /// Label and value, sorted by label.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(',').filter_map(|pair| pair.split_once('='))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text may be a label's value: 1 to 64 letters, digits, `.`, `_`, `-`.
pub fn is_label_value(text: &str) -> bool {
    LabelName::new(text).is_ok()
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "everyone" } else { &self.0 })
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.into()))
    }
}

/// One label's value, as a slice of the traffic: `tier=premium`, whatever the other labels are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slice {
    /// The label.
    pub label: LabelName,
    /// Its value.
    pub value: String,
}

impl Slice {
    /// Whether callers of this segment are in it.
    pub fn holds(&self, segment: &Segment) -> bool {
        segment.get(self.label.as_str()) == Some(self.value.as_str())
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.label, self.value)
    }
}

/// Labels a caller must have, each with the values that will do: `{tier: [internal, free], geo: [eu]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matcher(pub BTreeMap<LabelName, BTreeSet<String>>);

impl Matcher {
    /// Whether every label named here has one of its values.
    pub fn matches(&self, segment: &Segment) -> bool {
        self.0
            .iter()
            .all(|(label, values)| segment.get(label.as_str()).is_some_and(|value| values.contains(value)))
    }
}

impl Matcher {
    /// Whether it matches whatever the other does: it asks for no label that the other does not ask for as strictly.
    fn covers(&self, other: &Self) -> bool {
        let mut labels = self.0.iter();
        labels.all(|(label, values)| other.0.get(label).is_some_and(|theirs| theirs.is_subset(values)))
    }

    /// What both match. A label named by both keeps the values that both list, possibly none, which matches nobody.
    fn and(&self, other: &Self) -> Self {
        let mut both = self.0.clone();
        for (label, values) in &other.0 {
            both.entry(label.clone())
                .and_modify(|mine| mine.retain(|value| values.contains(value)))
                .or_insert_with(|| values.clone());
        }
        Self(both)
    }
}

/// Whom a rollout may touch: any of the matchers; with none, everyone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confine(pub Vec<Matcher>);

impl Confine {
    /// No confinement.
    pub fn everyone() -> Self {
        Self(Vec::new())
    }

    /// Whom both admit, where neither admits everyone: every pair of matchers, label by label.
    pub(crate) fn intersect(&self, other: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|mine| other.0.iter().map(move |theirs| (mine, theirs)));
        Self(pairs.map(|(mine, theirs)| mine.and(theirs)).collect())
    }

    /// Whether it is sure to admit everybody whom the other admits. Where a matcher of the other is only covered by several
    /// of its own together, it says no.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.0.is_empty()
            || !other.0.is_empty()
                && other.0.iter().all(|theirs| self.0.iter().any(|mine| mine.covers(theirs)))
    }

    /// Whether a caller of this segment may be touched.
    pub fn admits(&self, segment: &Segment) -> bool {
        self.0.is_empty() || self.0.iter().any(|matcher| matcher.matches(segment))
    }
}

impl fmt::Display for Confine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("everyone");
        }
        for (i, matcher) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" or ")?;
            }
            for (j, (label, values)) in matcher.0.iter().enumerate() {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                write!(f, "{}{label}={}", if j > 0 { "," } else { "" }, values.join("|"))?;
            }
        }
        Ok(())
    }
}
