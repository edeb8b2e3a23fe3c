//! Where something stands in a request, as told to people: `messages[2].content[0].text`.
//!
//! A path is a chain of borrowed steps, written out only when there is something to tell: most of a request
//! is in order.

use std::fmt;

use crate::translate::Untranslatable;

/// Most characters of one name in a path. Names are the caller's and end up in headers and logs.
const NAME_CHARS_MAX: usize = 48;

#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'p> {
    before: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Body,
    Member(&'p str),
    Item(usize),
}

impl<'p> Path<'p> {
    /// The whole request.
    pub(super) const BODY: Path<'static> = Path { before: None, step: Step::Body };

    pub(super) fn member(&'p self, name: &'p str) -> Path<'p> {
        Path { before: Some(self), step: Step::Member(name) }
    }

    pub(super) fn item(&'p self, index: usize) -> Path<'p> {
        Path { before: Some(self), step: Step::Item(index) }
    }

    /// The member of the request that this is in.
    pub(super) fn top(&self) -> &'p str {
        let mut top = "";
        let mut path = Some(self);
        while let Some(Path { before, step }) = path {
            if let Step::Member(name) = step {
                top = name;
            }
            path = *before;
        }
        top
    }

    /// What is here is wrong.
    pub(super) fn wrong(&self, problem: impl Into<String>) -> Untranslatable {
        Untranslatable { param: self.to_string(), problem: problem.into() }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            before.fmt(f)?;
        }
        match self.step {
            Step::Body => Ok(()),
            Step::Item(index) => write!(f, "[{index}]"),
            Step::Member(name) => {
                if self.before.is_some_and(|before| !matches!(before.step, Step::Body)) {
                    f.write_str(".")?;
                }
                write_name(f, name)
            }
        }
    }
}

/// Writes what can stand in a header and is no sign of a path itself; all else as a question mark.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    use fmt::Write as _;
    for (index, character) in name.chars().enumerate() {
        if index == NAME_CHARS_MAX {
            return f.write_str("..");
        }
        let is_plain = character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '$' | ':' | '/');
        f.write_char(if is_plain { character } else { '?' })?;
    }
    Ok(())
}
