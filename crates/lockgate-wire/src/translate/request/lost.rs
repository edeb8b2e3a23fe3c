//! A turn of the user's of which the other form can say nothing.
//!
//! It must not vanish: the assistant's turns around it would become one, and at the end a model would go on
//! from its own words as if nobody had asked. So what is asked last is refused, and an earlier turn keeps its
//! place under a text that names what stood there.

use serde_json::Value;

use super::path::Path;
use crate::translate::Untranslatable;

#[derive(Debug)]
pub(super) struct Lost {
    param: String,
}

impl Lost {
    /// What a content whose parts were all left out was meant to say; `None` where it said nothing anyway.
    pub(super) fn of(content: &Value, at: &Path<'_>) -> Option<Self> {
        content.as_array()?.iter().enumerate().find_map(|(index, part)| {
            let kind = part["type"].as_str().filter(|kind| *kind != "text")?;
            Some(Self { param: at.item(index).member(kind).to_string() })
        })
    }

    /// For the turn that is to be answered.
    pub(super) fn refusal(self) -> Untranslatable {
        let problem = "expected something that the target's API can say, since the last turn of the user says nothing else";
        Untranslatable { param: self.param, problem: problem.to_owned() }
    }

    /// For a turn that was answered already.
    pub(super) fn placeholder(&self) -> String {
        let kind = self.param.rsplit('.').next().unwrap_or_default();
        format!("[left out: {kind}]")
    }
}
