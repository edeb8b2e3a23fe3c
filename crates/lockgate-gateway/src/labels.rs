//! Keeps the number of values of a free label finite.
//!
//! Every label value is counted apart, so a client that sends a random one each time would cost memory and error budget
//! without end. The first [`LABEL_VALUES_MAX`] values of a label are known by name; the rest is `other`.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use lockgate_core::name::{FeatureName, LabelName};
use lockgate_core::segment::{LABEL_VALUES_MAX, OTHER};

use crate::counts::Counter;

/// The values seen so far of labels that may take any.
#[derive(Debug, Default)]
pub(crate) struct LabelValues {
    seen: RwLock<HashMap<(FeatureName, LabelName), HashSet<String>>>,
    pub(crate) folded: Counter,
}

impl LabelValues {
    /// The value itself if it is among the first of its label, else `other`.
    pub(crate) fn bounded(&self, feature: &FeatureName, label: &LabelName, value: String) -> String {
        let key = (feature.clone(), label.clone());
        if let Some(values) = self.seen.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            if values.contains(&value) {
                return value;
            }
            if values.len() >= LABEL_VALUES_MAX {
                return self.fold();
            }
        }
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let values = seen.entry(key).or_default();
        if values.len() >= LABEL_VALUES_MAX && !values.contains(&value) {
            return self.fold();
        }
        values.insert(value.clone());
        value
    }

    fn fold(&self) -> String {
        self.folded.add(1);
        OTHER.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_fifth_value_of_a_label_is_other_and_counted() {
        let labels = LabelValues::default();
        let (feature, label) = (FeatureName::new("f").unwrap(), LabelName::new("geo").unwrap());
        for i in 0..LABEL_VALUES_MAX {
            assert_eq!(labels.bounded(&feature, &label, format!("v{i}")), format!("v{i}"));
        }
        assert_eq!(labels.bounded(&feature, &label, "one-more".into()), OTHER);
        assert_eq!(labels.bounded(&feature, &label, "v0".into()), "v0");
        assert_eq!(labels.folded.value(), 1);
    }
}
