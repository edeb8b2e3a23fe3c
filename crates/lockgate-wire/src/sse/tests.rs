//! Cutting events: any chunk boundary gives the same events.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Events as `name|data`, `TOO LONG` for one that was given up.
fn events(pieces: &[&[u8]]) -> Vec<String> {
    let mut events = Events::default();
    let mut all = Vec::new();
    let mut note = |seen: Seen<'_>| {
        all.push(match seen {
            Seen::Event(event) => {
                format!("{}|{}", String::from_utf8_lossy(event.name), String::from_utf8_lossy(&event.data))
            }
            Seen::TooLong => "TOO LONG".to_owned(),
            Seen::Skipped(name) => format!("SKIPPED {}", String::from_utf8_lossy(name)),
        });
    };
    for piece in pieces {
        events.push(piece, &mut note);
    }
    events.finish(&mut note);
    all
}

#[test]
fn events_are_read_as_the_standard_says() {
    for (stream, expected) in [
        ("data: a\n\ndata: b\n\n", vec!["|a", "|b"]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", vec!["|a", "|b"]),
        ("data: a\r\rdata: b\r\r", vec!["|a", "|b"]),
        ("data: a\n\r\ndata: b\r\n\n", vec!["|a", "|b"]),
        ("\u{feff}data: a\n\n", vec!["|a"]),
        (": note\n\ndata: a\n: note\ndata: b\n\n", vec!["|a\nb"]),
        ("event: error\nid: 1\ndata:a\ndata:  b\n\n", vec!["error|a\n b"]),
        ("data\n\n", vec!["|"]),
        ("event: ping\n\n\n\n", vec![]),
        ("data: a", vec!["|a"]),
        ("", vec![]),
    ] {
        assert_eq!(events(&[stream.as_bytes()]), expected, "{stream:?}");
    }
}

#[test]
fn an_event_that_is_too_long_is_told_once_and_the_next_is_read() {
    let long = vec![b'x'; EVENT_BYTES_MAX / 2];
    let whole = [b"data: ", &*long, &*long, b"\n\n"].concat();
    assert_eq!(events(&[&whole, b"data: a\n\n"]), ["TOO LONG", "SKIPPED ", "|a"]);
    assert_eq!(
        events(&[b"data: ", &long, &long, b"x", &long, b"\n", b"\n", b"data: a\n\n"]),
        ["TOO LONG", "SKIPPED ", "|a"]
    );
}

#[test]
fn the_name_of_an_event_that_is_too_long_is_told_at_its_end() {
    let long = vec![b'x'; EVENT_BYTES_MAX];
    let whole = [b"event: last\ndata: ", &*long, b"\n\n"].concat();
    assert_eq!(events(&[&whole]), ["TOO LONG", "SKIPPED last"]);
    let pieces: Vec<&[u8]> = whole.chunks(10_000).collect();
    assert_eq!(events(&pieces), ["TOO LONG", "SKIPPED last"]);
    // One that is cut off has no end.
    assert_eq!(events(&[&whole[..whole.len() - 1]]), ["TOO LONG"]);
}

#[test]
fn a_million_pieces_of_one_byte_are_read_in_linear_time() {
    let long = [b"data: ", &*vec![b'x'; 1_000_000], b"\n\n"].concat();
    let mut events = Events::default();
    let mut bytes = 0;
    for byte in &long {
        events.push(std::slice::from_ref(byte), |seen| {
            if let Seen::Event(event) = seen {
                bytes += event.data.len();
            }
        });
    }
    assert_eq!(bytes, 1_000_000);
}

fn any_stream() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "data: ?[a-z€😀]{0,6}",
        Just("event: error".to_owned()),
        Just(": note".to_owned()),
        Just(String::new()),
        Just(String::new()),
        any::<String>(),
    ];
    let end = prop::sample::select(vec!["\n", "\n", "\r\n", "\r"]);
    (prop::bool::ANY, vec((line, end), 0..24)).prop_map(|(has_mark, lines)| {
        let lines: String = lines.into_iter().map(|(line, end)| line + end).collect();
        if has_mark { format!("\u{feff}{lines}") } else { lines }
    })
}

/// Cuts bytes at the given places, wherever those fall.
pub(crate) fn cut<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_events(stream in any_stream(), cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let whole = events(&[stream.as_bytes()]);
        prop_assert_eq!(&events(&cut(stream.as_bytes(), &cuts)), &whole);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        prop_assert_eq!(&events(&bytes), &whole);
    }
}
