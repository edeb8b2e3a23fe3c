//! Edited bodies: still JSON, edited where it was asked, and everywhere else the bytes that came.

use lockgate_wire::api::Api;
use lockgate_wire::body::Body;
use lockgate_wire::splice::{Edits, rewrite};
use serde_json::{Map, Value, json};

use crate::members::{self, Member};
use crate::seeds::Row;

const MODEL: &str = "a \"model\"";
const SYSTEM: &str = "Be\nkind.";

/// An input is which edits are made, in one byte, which API's body it is, in another, and a body.
pub fn run(data: &[u8]) {
    let Some((&[which, api], body)) = data.split_first_chunk() else { return };
    let Ok(body) = Body::read(body) else { return };
    let Some(before) = members::of(body.text()) else { return };
    let is_asked = |bit: u8| which & (1 << bit) != 0;
    let parameters = parameters(is_asked(4), is_asked(5));
    let edits = Edits {
        api: Api::ALL[usize::from(api) % Api::ALL.len()],
        model: is_asked(0).then_some(MODEL),
        system: is_asked(1).then_some(SYSTEM),
        parameters: &parameters,
        ask_usage: is_asked(2),
        strip_tools: is_asked(3),
    };
    let edited = rewrite(&body, &edits);
    let Some(after) = std::str::from_utf8(&edited).ok().and_then(members::of) else {
        panic!("no JSON object any more: {}", String::from_utf8_lossy(&edited));
    };
    if which & 0b11_1111 == 0 && !may_lose_thoughts(&edits, body.text()) {
        assert_eq!(edited.as_ref(), body.text().as_bytes(), "changed without being asked");
    }
    if !may_lose_thoughts(&edits, body.text()) {
        assert_eq!(unedited(&after, &edits), unedited(&before, &edits), "what is not edited changed");
    }
    check_edited(&after, &edits);
    // A system message is put in each time; all else is there already.
    let Ok(again) = Body::read(&edited) else { panic!("not readable once edited") };
    let others = Edits { system: None, ..edits };
    assert_eq!(rewrite(&again, &others), edited, "edited again it changes again");
}

pub fn seeds(rows: &[Row]) -> Vec<Vec<u8>> {
    let which = [0b00_0001, 0b01_1110, 0b11_1111];
    let inputs = rows.iter().filter_map(|row| {
        let api = u8::try_from(Api::ALL.iter().position(|api| *api == row.api)?).ok()?;
        let body = row.request()?;
        Some(which.map(|which| [&[which, api], body.as_slice()].concat()))
    });
    inputs.flatten().collect()
}

fn parameters(with_plain: bool, with_those_edited_too: bool) -> Map<String, Value> {
    let mut parameters = Map::new();
    if with_plain {
        parameters.insert("temperature".into(), json!(0.5));
        parameters.insert("ad\"ded".into(), json!({ "x": [1, null] }));
    }
    if with_those_edited_too {
        parameters.insert("model".into(), json!("overruled"));
        parameters.insert("tools".into(), json!([{}]));
        parameters.insert("stream_options".into(), json!({ "kept": 1, "include_usage": false }));
    }
    parameters
}

fn is_edited(name: &str, edits: &Edits<'_>) -> bool {
    edits.parameters.contains_key(name)
        || (edits.model.is_some() && name == "model")
        || (edits.system.is_some() && system_place(edits.api) == Some(name))
        || (edits.ask_usage && edits.api == Api::Chat && name == "stream_options")
        || (edits.strip_tools && tools(edits.api).contains(&name))
}

/// What lets an answer of an API act.
fn tools(api: Api) -> &'static [&'static str] {
    match api {
        Api::Chat => &["tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"],
        Api::Responses => &["tools", "tool_choice", "parallel_tool_calls", "max_tool_calls"],
        Api::Messages | Api::CountTokens => &["tools", "tool_choice", "mcp_servers", "container"],
        Api::Embeddings => &[],
    }
}

/// Where an API has a place for a system message.
fn system_place(api: Api) -> Option<&'static str> {
    match api {
        Api::Chat => Some("messages"),
        Api::Responses => Some("instructions"),
        Api::Messages | Api::CountTokens => Some("system"),
        Api::Embeddings => None,
    }
}

/// Thoughts without a signature are taken out of messages unasked.
fn may_lose_thoughts(edits: &Edits<'_>, body: &str) -> bool {
    matches!(edits.api, Api::Messages | Api::CountTokens) && body.contains("\"signature\"")
}

fn unedited<'m>(members: &'m [Member], edits: &Edits<'_>) -> Vec<&'m Member> {
    members.iter().filter(|member| !is_edited(&member.name, edits)).collect()
}

fn check_edited(after: &[Member], edits: &Edits<'_>) {
    let value = |name: &str| {
        let text = members::last(after, name)?;
        serde_json::from_str::<Value>(text).ok()
    };
    for (name, wanted) in edits.parameters {
        let is_overruled = matches!(name.as_str(), "model" | "tools" | "stream_options");
        assert!(is_overruled || value(name).as_ref() == Some(wanted), "`{name}` is not what was set");
    }
    if edits.model.is_some() {
        assert_eq!(value("model"), Some(json!(MODEL)));
    }
    if edits.strip_tools {
        assert!(
            after.iter().all(|member| !tools(edits.api).contains(&member.name.as_str())),
            "a tool is left"
        );
    }
    if edits.ask_usage
        && edits.api == Api::Chat
        && let Some(options @ Value::Object(_)) = value("stream_options")
    {
        assert_eq!(options["include_usage"], true, "{options}");
    }
    // Something of a type that its place does not take is left alone; the target will say what is wrong with it.
    let place = edits.system.and_then(|_| system_place(edits.api));
    match place.and_then(value) {
        Some(Value::Array(items)) if edits.api != Api::Responses => {
            let said = items.first().map(|item| item.get("content").or(item.get("text")));
            assert_eq!(said, Some(Some(&json!(SYSTEM))));
        }
        Some(Value::String(text)) if edits.api != Api::Chat => assert!(text.starts_with(SYSTEM), "{text}"),
        _ => {}
    }
}
