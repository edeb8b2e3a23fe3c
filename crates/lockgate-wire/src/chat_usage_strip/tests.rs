//! Taking the usage chunk out: nothing else goes with it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::sse::tests::cut;

const USAGE: &str = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
const SAID: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"\"usage\""}}],"usage":null}"#;

fn stripped(pieces: &[&[u8]]) -> Vec<u8> {
    let mut strip = UsageStrip::default();
    let mut out: Vec<u8> = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&strip.push(piece));
    }
    out.extend(strip.finish());
    out
}

#[test]
fn only_the_usage_chunk_is_withheld() {
    for (event, is_withheld) in [
        (USAGE, true),
        ("event: chunk\ndata: {\"usage\":{},\ndata: \"choices\":[]}", true),
        (SAID, false),
        (r#"data: {"choices":[],"usage":null}"#, false),
        (r#"data: {"choices":[],"prompt_filter_results":[]}"#, false),
        (r#"data: {"usage":{"prompt_tokens":3}}"#, false),
        (r#"data: {"choices":[],"usage":{},"error":{"message":"m"}}"#, false),
        (r#"data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":3}}"#, false),
        (r#"data: {"choices":[],"usage":{}"#, false),
        ("data: [DONE]", false),
        (": \"usage\"", false),
    ] {
        let stream = |middle: &str| format!("{SAID}\n\n{middle}data: [DONE]\n\n");
        let event = format!("{event}\n\n");
        let expected = if is_withheld { stream("") } else { stream(&event) };
        let out = stripped(&[stream(&event).as_bytes()]);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

#[test]
fn a_chunk_without_the_usage_chunk_is_not_copied() {
    let mut strip = UsageStrip::default();
    let whole = format!("{SAID}\n\n{SAID}\n\n");
    assert!(matches!(strip.push(whole.as_bytes()), Cow::Borrowed(passed) if passed == whole.as_bytes()));
    let with_usage = format!("{SAID}\n\n{USAGE}\n\n");
    assert!(
        matches!(strip.push(with_usage.as_bytes()), Cow::Borrowed(passed) if passed.len() == SAID.len() + 2)
    );
}

#[test]
fn no_more_than_the_unfinished_event_is_held_back() {
    let mut strip = UsageStrip::default();
    assert_eq!(&*strip.push(format!("{SAID}\n\ndata: {{").as_bytes()), format!("{SAID}\n\n").as_bytes());
    assert_eq!(&*strip.push(b"}\n"), b"");
    assert_eq!(&*strip.push(b"\n: p"), b"data: {}\n\n");
    assert_eq!(strip.finish(), b": p");
}

#[test]
fn an_event_too_long_to_be_the_usage_chunk_passes_as_it_comes() {
    let mut strip = UsageStrip::default();
    let start = vec![b'x'; HELD_BYTES_MAX];
    assert_eq!(&*strip.push(&start), b"");
    assert_eq!(strip.push(b"y").len(), HELD_BYTES_MAX + 1);
    assert_eq!(&*strip.push(b"z\n\n"), b"z\n\n");
    assert_eq!(&*strip.push(format!("{USAGE}\n\n").as_bytes()), b"");
}

#[test]
fn a_usage_chunk_at_the_very_end_is_withheld_too() {
    assert_eq!(stripped(&[SAID.as_bytes(), b"\n\n", USAGE.as_bytes()]), format!("{SAID}\n\n").as_bytes());
}

proptest! {
    #[test]
    fn any_cutting_passes_all_but_the_usage_chunks(
        events in vec(
            (
                prop_oneof![
                    Just(USAGE.to_owned()),
                    Just(SAID.to_owned()),
                    Just("data: [DONE]".to_owned()),
                    Just(": ping".to_owned()),
                    Just("event: x\rid: 1\r\ndata: €".to_owned()),
                ],
                prop::sample::select(vec!["\n\n", "\r\n\r\n", "\r\r", "\n\r\n", "\n\r"]),
            ),
            0..10,
        ),
        tail in "[a-z:€ ]{0,8}",
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let all: String = events.iter().map(|(event, end)| format!("{event}{end}")).collect::<String>() + &tail;
        let kept: String = events
            .iter()
            .filter(|(event, _)| event != USAGE)
            .map(|(event, end)| format!("{event}{end}"))
            .collect::<String>() + &tail;
        let bytes: Vec<&[u8]> = all.as_bytes().chunks(1).collect();
        for pieces in [vec![all.as_bytes()], cut(all.as_bytes(), &cuts), bytes] {
            prop_assert_eq!(stripped(&pieces), kept.as_bytes());
        }
    }

    #[test]
    fn bytes_without_a_usage_chunk_pass_unchanged(bytes in vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r')], 0..200), cuts in vec(any::<prop::sample::Index>(), 0..8)) {
        prop_assert_eq!(&stripped(&cut(&bytes, &cuts)), &bytes);
    }
}
