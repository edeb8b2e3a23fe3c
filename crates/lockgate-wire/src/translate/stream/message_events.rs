//! The events of a streamed message, as far as a chat completion can say them.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lenient::{Number, Object, Text};
use crate::translate::answer::usage::MessageUsage;

/// The data of any event; which members it has depends on its type.
#[derive(Deserialize)]
pub(super) struct Data<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) message: Object<Start<'a>>,
    #[serde(default)]
    pub(super) index: Number,
    #[serde(borrow, default)]
    pub(super) content_block: Object<BlockStart<'a>>,
    #[serde(borrow, default)]
    pub(super) delta: Object<Delta<'a>>,
    #[serde(default)]
    pub(super) usage: Object<MessageUsage>,
}

#[derive(Deserialize)]
pub(super) struct Start<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) model: Text<'a>,
    #[serde(default)]
    pub(super) usage: Object<MessageUsage>,
}

#[derive(Deserialize)]
pub(super) struct BlockStart<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) thinking: Text<'a>,
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) thinking: Text<'a>,
    #[serde(borrow, default)]
    pub(super) partial_json: Text<'a>,
    #[serde(borrow, default)]
    pub(super) stop_reason: Text<'a>,
}
