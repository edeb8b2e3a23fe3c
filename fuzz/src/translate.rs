//! Translations: what comes out can be read as what it claims to be, and says nothing that was not said.

use std::collections::BTreeSet;

use lockgate_wire::api::Api;
use lockgate_wire::body::Body;
use lockgate_wire::reader::{StreamReader, read_plain};
use lockgate_wire::sse::{Cutter, Events, Seen};
use lockgate_wire::translate::{self, DROPPED_MAX, RequestSettings, StreamTranslator, Wanted, Way};
use serde_json::Value;

const CREATED: i64 = 1_700_000_000;
const SETTINGS: RequestSettings = RequestSettings { max_tokens: 4_096 };
const KEPT: usize = 1 << 20;

/// What the caller speaks.
fn asked(way: Way) -> Api {
    match way {
        Way::ChatToMessages => Api::Chat,
        Way::MessagesToChat => Api::Messages,
    }
}

fn back(way: Way) -> Way {
    match way {
        Way::ChatToMessages => Way::MessagesToChat,
        Way::MessagesToChat => Way::ChatToMessages,
    }
}

/// What is sent is one of the target's requests.
pub fn request(way: Way, data: &[u8]) {
    let Ok(body) = Body::read(data) else { return };
    match translate::request(way, body.text(), SETTINGS) {
        Err(error) => assert!(!error.param.is_empty() && !error.problem.is_empty(), "{error:?}"),
        Ok(translated) => {
            let text = String::from_utf8_lossy(&translated.body);
            let sent = Body::read(&translated.body).unwrap_or_else(|error| panic!("{error}: {text}"));
            sent.check(way.spoken()).unwrap_or_else(|error| panic!("{error}: {text}"));
            let dropped = &translated.dropped;
            let names: BTreeSet<&String> = dropped.iter().collect();
            // Whatever came out may be asked of a gateway like this one.
            let _ = translate::request(back(way), sent.text(), SETTINGS);
            assert!(dropped.len() <= DROPPED_MAX && names.len() == dropped.len(), "{dropped:?}");
        }
    }
}

/// What the caller is told is one of the caller's answers, or one of its errors.
pub fn answer(way: Way, data: &[u8]) {
    for thinking in [false, true] {
        let wanted = Wanted { usage_chunk: true, thinking };
        let Ok(told) = translate::answer(way, data, CREATED, wanted) else { continue };
        let answer = read_plain(asked(way), &told);
        let text = String::from_utf8_lossy(&told);
        assert!(!answer.is_unreadable && answer.error.is_none(), "{answer:?}: {text}");
        let source = read_plain(way.spoken(), data);
        // A translation may be read as far as it goes where a reader has given up, at an escape that is no character for example.
        let is_said = source.has_content || source.is_unreadable;
        assert!(is_said || !answer.has_content, "nobody said {text}");
        let may_differ = source.is_unreadable || source.refusal.is_some();
        assert!(may_differ || is_part(&answer.text, &source.text), "{source:?} became {text}");
    }
    for status in [400, 401, 429, 500, 529, 999] {
        let told = translate::error(way, status, data);
        let error = read_plain(asked(way), &told).error;
        assert!(error.is_some_and(|error| !error.message.is_empty()), "{}", String::from_utf8_lossy(&told));
    }
}

/// What the caller is told are whole events of the caller's API; its terminal event comes with the target's and not without.
pub fn stream(way: Way, data: &[u8]) {
    for is_wanted in [false, true] {
        let mut translator =
            StreamTranslator::new(way, CREATED, Wanted { usage_chunk: is_wanted, thinking: is_wanted });
        let mut source = StreamReader::new(way.spoken(), KEPT);
        let mut told = StreamReader::new(asked(way), KEPT);
        let mut cutter = Cutter::default();
        let mut rest = data;
        let mut out = Vec::new();
        while let Some(end) = cutter.cut(rest) {
            let (event, after) = rest.split_at(end);
            rest = after;
            if has_two_names(event) {
                return;
            }
            source.push(event);
            out.clear();
            let is_good = translator.push(event, &mut out).is_ok();
            assert!(out.is_empty() || out.ends_with(b"\n\n"), "{}", String::from_utf8_lossy(&out));
            told.push(&out);
            if !is_good {
                break;
            }
            assert!(!told.is_done() || source.is_done(), "an end that was not said");
            let is_said = source.has_content() || source.answer().is_unreadable;
            assert!(is_said || !told.has_content(), "nobody said {:?}", told.answer());
            let is_whole = source.error().is_none() && !source.answer().is_unreadable;
            assert!(!is_whole || told.is_done() == source.is_done(), "the end was not told");
        }
        let (source, told) = (source.answer(), told.answer());
        assert!(!told.is_unreadable, "{told:?}");
        let may_differ = source.is_unreadable || source.refusal.is_some();
        assert!(may_differ || is_part(&told.text, &source.text), "{source:?} became {told:?}");
    }
}

/// Whether a text is left when others are taken out: what cannot be said in the other form may be, but nothing is added.
fn is_part(text: &str, of: &str) -> bool {
    let mut all = of.chars();
    text.chars().all(|one| all.any(|other| other == one))
}

/// Whether an event's name says otherwise than its type. Clients go by the one or the other; so may readers.
fn has_two_names(event: &[u8]) -> bool {
    let mut has_two = false;
    Events::default().push(event, |seen| {
        let Seen::Event(event) = seen else { return };
        let kind = serde_json::from_slice::<Value>(&event.data).ok();
        let kind = kind.as_ref().and_then(|data| data["type"].as_str());
        has_two |= !event.name.is_empty() && kind.is_some_and(|kind| kind.as_bytes() != event.name);
    });
    has_two
}
