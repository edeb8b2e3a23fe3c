//! Which result belongs to which call, under ids that the target takes.
//!
//! Both APIs want every call of a turn answered before the next turn of the assistant, and every result to
//! name such a call. The ids themselves mean nothing, but each API is particular about them: Anthropic's
//! takes few characters and no id twice in a conversation, `OpenAI`'s takes forty characters at most. Servers
//! are known that count their calls from nought in each turn, so an id is changed where it must be, and its
//! result with it.

use std::collections::{HashMap, HashSet};

use super::fields::Read;
use super::path::Path;

/// The calls of a conversation, in its order.
#[derive(Debug)]
pub(super) struct Calls {
    fitted: fn(&str) -> String,
    taken: HashSet<String>,
    open: HashMap<String, Open>,
    count: usize,
}

/// A call without a result yet.
#[derive(Debug)]
struct Open {
    /// The id that the target is told.
    id: String,
    order: usize,
    at: String,
}

impl Calls {
    /// `fitted` makes an id one that the target takes.
    pub(super) fn new(fitted: fn(&str) -> String) -> Self {
        Self { fitted, taken: HashSet::new(), open: HashMap::new(), count: 0 }
    }

    /// The id of a new call for the target. `at` is where its own stands.
    pub(super) fn call(&mut self, id: &str, at: &Path<'_>) -> Read<String> {
        if self.open.contains_key(id) {
            return Err(at.wrong("another call of this turn has the same id: each needs its own"));
        }
        let fitted = (self.fitted)(id);
        let mut told = fitted.clone();
        while self.taken.contains(&told) {
            self.count += 1;
            told = (self.fitted)(&format!("{}_{fitted}", self.count));
        }
        self.taken.insert(told.clone());
        let open = Open { id: told.clone(), order: self.taken.len(), at: at.to_string() };
        self.open.insert(id.to_owned(), open);
        Ok(told)
    }

    /// The id for the target of the call that a result names.
    pub(super) fn result(&mut self, id: &str, at: &Path<'_>) -> Read<String> {
        let open = self.open.remove(id);
        open.map(|open| open.id).ok_or_else(|| {
            at.wrong("expected the id of a call in the assistant's turn before it that has no result yet")
        })
    }

    /// No call may be left without its result: the next turn of the assistant begins, or the conversation
    /// ends.
    pub(super) fn close(&mut self) -> Read<()> {
        let first = self.open.drain().map(|(_, open)| open).min_by_key(|open| open.order);
        match first {
            None => Ok(()),
            Some(open) => Err(crate::translate::Untranslatable {
                param: open.at,
                problem: "no result follows for this call: each needs one before the assistant speaks again"
                    .to_owned(),
            }),
        }
    }
}
