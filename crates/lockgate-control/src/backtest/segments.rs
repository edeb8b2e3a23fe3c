//! The segments of a file, each made once and known by a number from then on.
//!
//! Labels obey the rules of live traffic: names and values are names, a label has only so many values before the rest are
//! `other`, and there are only so many kinds of callers before the rest share one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lockgate_core::name::LabelName;
use lockgate_core::segment::{LABEL_VALUES_MAX, OTHER, Segment, is_label_value};
use serde_json::Value;

/// Most kinds of callers that are told apart, as many as a gateway counts at once.
const SEGMENTS_MAX: usize = 1024;
/// Most labels of one caller.
const LABELS_MAX: usize = 16;
/// Most ways of writing segments that are remembered, so that most lines need no second look.
const WRITTEN_MAX: usize = 4096;

/// The number of a segment.
pub(super) type SegmentIndex = u32;

/// All segments seen so far; number 0 is a caller without labels.
#[derive(Debug)]
pub(super) struct Segments {
    known: Vec<Segment>,
    index: HashMap<Segment, SegmentIndex>,
    /// By how they were written, to the byte.
    written: HashMap<Box<str>, SegmentIndex>,
    values: BTreeMap<LabelName, BTreeSet<String>>,
}

impl Segments {
    pub(super) fn new() -> Self {
        let none = Segment::none();
        Self {
            known: vec![none.clone()],
            index: HashMap::from([(none, 0)]),
            written: HashMap::new(),
            values: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, index: SegmentIndex) -> &Segment {
        &self.known[index as usize]
    }

    /// The number of a segment as it is written in a line, or what is wrong with it.
    pub(super) fn read(&mut self, written: &str) -> Result<SegmentIndex, String> {
        if let Some(index) = self.written.get(written) {
            return Ok(*index);
        }
        let labels = self.labels(written)?;
        let index = self.number(labels);
        if self.written.len() < WRITTEN_MAX {
            self.written.insert(written.into(), index);
        }
        Ok(index)
    }

    fn labels(&mut self, written: &str) -> Result<BTreeMap<LabelName, String>, String> {
        let members = match serde_json::from_str(written) {
            Ok(Value::Object(members)) => members,
            Ok(Value::Null) => return Ok(BTreeMap::new()),
            _ => return Err("`segment` is not an object of labels, as in {\"tier\": \"premium\"}".into()),
        };
        if members.len() > LABELS_MAX {
            return Err(format!("`segment` has {} labels, at most {LABELS_MAX} can be used", members.len()));
        }
        let mut labels = BTreeMap::new();
        for (label, value) in members {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            let name = LabelName::new(&label).map_err(|error| format!("label: {error}"))?;
            if !is_label_value(&value) {
                return Err(format!("`{label}` is `{value}`; values are letters, digits, `.`, `_` and `-`"));
            }
            labels.insert(name, value);
        }
        Ok(labels)
    }

    fn number(&mut self, mut labels: BTreeMap<LabelName, String>) -> SegmentIndex {
        for (label, value) in &mut labels {
            if self.values.len() >= SEGMENTS_MAX && !self.values.contains_key(label) {
                OTHER.clone_into(value);
                continue;
            }
            let values = self.values.entry(label.clone()).or_default();
            if values.len() < LABEL_VALUES_MAX {
                values.insert(value.clone());
            } else if !values.contains(value) {
                OTHER.clone_into(value);
            }
        }
        let mut segment = Segment::from_labels(&labels);
        if self.known.len() >= SEGMENTS_MAX && !self.index.contains_key(&segment) {
            labels.values_mut().for_each(|value| OTHER.clone_into(value));
            segment = Segment::from_labels(&labels);
            if !self.index.contains_key(&segment) && self.known.len() >= SEGMENTS_MAX + LABELS_MAX {
                // Even what is left has too many shapes: these callers count in the whole only.
                return 0;
            }
        }
        let next = self.known.len() as SegmentIndex;
        let index = *self.index.entry(segment.clone()).or_insert(next);
        if index == next {
            self.known.push(segment);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_labels_are_one_segment_however_they_are_written() {
        let mut segments = Segments::new();
        let one = segments.read(r#"{"tier": "premium", "geo": "eu"}"#).unwrap();
        let same = segments.read(r#"{"geo":"eu","tier":"premium","use":null}"#).unwrap();
        assert_eq!(one, same);
        assert_eq!(segments.get(one).as_str(), "geo=eu,tier=premium");
        assert_eq!((segments.read("{}"), segments.read("null")), (Ok(0), Ok(0)));
    }

    #[test]
    fn what_is_no_label_is_named() {
        let mut segments = Segments::new();
        for wrong in [r#"{"tier": "a b"}"#, r#"{"a b": "x"}"#, r#"{"tier": ""}"#, r#"{"t": {}}"#, "7", "[]"] {
            assert!(segments.read(wrong).is_err(), "{wrong}");
        }
        assert!(segments.read(r#"{"paying": true, "level": 3}"#).is_ok());
    }

    #[test]
    fn values_and_segments_without_end_are_folded_together() {
        let mut segments = Segments::new();
        for value in 0..500 {
            segments.read(&format!(r#"{{"tier": "t{value}"}}"#)).unwrap();
        }
        assert_eq!(segments.known.len(), 1 + LABEL_VALUES_MAX + 1);
        for label in 0..20_000 {
            segments.read(&format!(r#"{{"l{label}": "x"}}"#)).unwrap();
        }
        assert!(segments.known.len() <= SEGMENTS_MAX + LABELS_MAX);
    }
}
