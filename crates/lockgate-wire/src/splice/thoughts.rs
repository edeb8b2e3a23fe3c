//! Takes thoughts without a signature out of a conversation.
//!
//! A client gives back what it was told, and a translated answer tells thoughts that nobody signed. Anthropic refuses a
//! conversation that has any. Nothing else is touched, and a body that has none of them is only searched.

use serde_json::value::RawValue;

use crate::body::{Body, string_text};

const SIGNATURE: &str = "\"signature\"";

/// The messages without the assistant's unsigned thoughts; `None` where there are none. A message that said nothing else goes too.
pub(super) fn without_unsigned(messages: &str) -> Option<String> {
    if !may_have_unsigned(messages) {
        return None;
    }
    edited(messages, edit_message).map(|list| list.text)
}

/// Whether an empty signature is written somewhere.
fn may_have_unsigned(text: &str) -> bool {
    text.match_indices(SIGNATURE).any(|(at, key)| {
        let value = text[at + key.len()..].trim_ascii_start().strip_prefix(':');
        value.is_some_and(|value| value.trim_ascii_start().starts_with("\"\""))
    })
}

enum Edit {
    Kept,
    Changed(String),
    LeftOut,
}

struct List {
    text: String,
    is_empty: bool,
}

fn edit_message(message: &str) -> Edit {
    if !may_have_unsigned(message) {
        return Edit::Kept;
    }
    let Ok(read) = Body::read_text(message) else { return Edit::Kept };
    let is_assistant = read.get("role").and_then(string_text).is_some_and(|role| role == "assistant");
    let Some(content) = read.get("content").filter(|_| is_assistant) else { return Edit::Kept };
    let edit_block = |block: &str| if is_unsigned(block) { Edit::LeftOut } else { Edit::Kept };
    match edited(content, edit_block) {
        None => Edit::Kept,
        Some(List { is_empty: true, .. }) => Edit::LeftOut,
        Some(List { text, .. }) => {
            let at = read.offset_of(content);
            Edit::Changed([&message[..at], &text, &message[at + content.len()..]].concat())
        }
    }
}

fn is_unsigned(block: &str) -> bool {
    let Ok(block) = Body::read_text(block) else { return false };
    let is_thinking = block.get("type").and_then(string_text).is_some_and(|kind| kind == "thinking");
    is_thinking && block.get("signature") == Some("\"\"")
}

/// The list with its items edited and the separators that it had; `None` where nothing is edited, and for what is no list.
fn edited(list: &str, edit: impl Fn(&str) -> Edit) -> Option<List> {
    let items: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    let edits: Vec<Edit> = items.iter().map(|item| edit(item.get())).collect();
    if edits.iter().all(|edit| matches!(edit, Edit::Kept)) {
        return None;
    }
    let start_of = |item: &RawValue| item.get().as_ptr() as usize - list.as_ptr() as usize;
    let mut passed = items.first().map_or(0, |item| start_of(item));
    let mut edited = List { text: list[..passed].to_owned(), is_empty: true };
    for (item, edit) in items.iter().zip(&edits) {
        let start = start_of(item);
        let text = match edit {
            Edit::Kept => Some(item.get()),
            Edit::Changed(text) => Some(text.as_str()),
            Edit::LeftOut => None,
        };
        if let Some(text) = text {
            // The separator before the first item that is left would begin with a comma.
            let separator = if edited.is_empty { "" } else { &list[passed..start] };
            edited.text.extend([separator, text]);
            edited.is_empty = false;
        }
        passed = start + item.get().len();
    }
    edited.text.push_str(&list[passed..]);
    Some(edited)
}
