//! Events that are longer than any input of a fuzzer, cut in ways that matter: told to be too long, once, and by name.

use lockgate_wire::sse::{EVENT_BYTES_MAX, Events, Seen};

#[test]
fn an_event_that_is_too_long_is_told_the_same_at_every_cut() {
    let mut stream = b"event: first\ndata: 1\n\nevent: long\ndata: ".to_vec();
    let begun = stream.len();
    stream.resize(begun + EVENT_BYTES_MAX, b'x');
    stream.extend_from_slice(b"\r\n\r\nevent: last\ndata: 2\n\n");
    let expected = ["first 1", "too long", "skipped long", "last 2"];
    assert_eq!(told([stream.as_slice()]), expected);
    for at in [begun - 20, begun - 10, begun, begun + 1, begun + 300, stream.len() - 30, stream.len() - 25] {
        let (first, rest) = stream.split_at(at);
        assert_eq!(told([first, rest]), expected, "cut at {at} of {}", stream.len());
    }
    for length in [1, 1_000, 65_536] {
        assert_eq!(told(stream.chunks(length)), expected, "cut into pieces of {length}");
    }
}

fn told<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    let mut told = Vec::new();
    let mut events = Events::default();
    for piece in pieces {
        events.push(piece, |seen| {
            told.push(match seen {
                Seen::Event(event) => format!("{} {}", event.name.escape_ascii(), event.data.escape_ascii()),
                Seen::TooLong => "too long".to_owned(),
                Seen::Skipped(name) => format!("skipped {}", name.escape_ascii()),
            });
        });
    }
    told
}
