//! What a provider says went wrong, in every shape that providers say it in.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{label, shortened};
use crate::body::string_text;
use crate::lenient::{List, Object, Text, read_object};

/// What a provider says went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerError {
    /// For people.
    pub message: String,
    /// The provider's class of error.
    pub kind: Option<String>,
    /// The provider's code.
    pub code: Option<String>,
}

/// The members of an error that are read.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    code: Text<'a>,
    /// Google's class of error.
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    details: Object<Details<'a>>,
}

/// Where Anthropic says which of several errors of a class it is.
#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    error_code: Text<'a>,
}

impl AnswerError {
    /// An error of which only the text is known.
    pub(crate) fn unnamed(text: &str) -> Self {
        Self { message: shortened(text), ..Self::default() }
    }

    /// Reads the value of an `error` member; `None` when it says that there is none.
    pub(crate) fn read(value: &str) -> Option<Self> {
        if matches!(value, "null" | "false") {
            return None;
        }
        let Ok(fields) = read_object::<Fields<'_>>(value.as_bytes()) else {
            let text = string_text(value);
            return Some(Self::unnamed(text.as_deref().unwrap_or(value)));
        };
        let mut error =
            Self { message: shortened(fields.message.some().unwrap_or(value)), ..Self::default() };
        label(&mut error.kind, &fields.kind);
        // Elsewhere a `status` is a number and says no more than the answer's own.
        if fields
            .status
            .some()
            .is_some_and(|status| status.starts_with(|first: char| first.is_ascii_alphabetic()))
        {
            label(&mut error.kind, &fields.status);
        }
        label(&mut error.code, &fields.code);
        if let Some(details) = &fields.details.0 {
            label(&mut error.code, &details.error_code);
        }
        Some(error)
    }

    /// Reads an error that stands by itself, where an answer was expected: Mistral and older servers put its members at the
    /// top, frameworks of servers tell a `detail`, and Google puts the usual object into a list.
    pub(crate) fn read_bare(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Bare<'a> {
            #[serde(borrow, default)]
            object: Text<'a>,
            #[serde(borrow)]
            message: Option<&'a RawValue>,
            #[serde(borrow)]
            detail: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Listed<'a> {
            #[serde(borrow)]
            error: Option<&'a RawValue>,
        }
        let text = std::str::from_utf8(body).ok()?.trim_ascii();
        if let Ok(List(Some(items))) = serde_json::from_str::<List<Object<Listed<'_>>>>(text) {
            return items.iter().find_map(|item| Self::read(item.0.as_ref()?.error?.get()));
        }
        let bare = read_object::<Bare<'_>>(text.as_bytes()).ok()?;
        let is_said = bare.message.is_some_and(|message| message.get().starts_with('"'));
        match bare.detail {
            _ if is_said || bare.object.some() == Some("error") => Self::read(text),
            Some(detail) if detail.get().starts_with(['"', '[', '{']) => Self::read(detail.get()),
            Some(_) | None => None,
        }
    }
}
