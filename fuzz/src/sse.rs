//! Events of a stream: the same at every cut, and the same that a slow reading of the standard finds.

use lockgate_wire::sse::{Cutter, Events, Seen};

use crate::cuts;
use crate::seeds::Row;

/// An event as `(name, data)`.
type Told = (Vec<u8>, Vec<u8>);

pub fn run(data: &[u8]) {
    let whole = read(&[data]);
    assert_eq!(whole, by_the_standard(data), "not what the standard says");
    let ends = ends_of(&[data]);
    cuts::each(data, |pieces| {
        assert_eq!(read(pieces), whole, "other events when cut into {} pieces", pieces.len());
        // A LF that comes apart from its CR is an end of its own; the event itself ended before it.
        let is_half = |end: &usize| data[..*end].ends_with(b"\r") && data[*end..].starts_with(b"\n");
        let cut: Vec<usize> = ends_of(pieces).into_iter().filter(|end| !is_half(end)).collect();
        assert_eq!(cut, ends, "other ends when cut into {} pieces", pieces.len());
    });
}

pub fn seeds(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().filter_map(Row::stream).collect()
}

fn read(pieces: &[&[u8]]) -> Vec<Told> {
    let mut told = Vec::new();
    let mut events = Events::default();
    let mut see = |seen: Seen<'_>| match seen {
        Seen::Event(event) => told.push((event.name.to_vec(), event.data.into_owned())),
        Seen::TooLong | Seen::Skipped(_) => panic!("no input is that long"),
    };
    pieces.iter().for_each(|piece| events.push(piece, &mut see));
    events.finish(&mut see);
    told
}

fn ends_of(pieces: &[&[u8]]) -> Vec<usize> {
    let mut cutter = Cutter::default();
    let mut ends = Vec::new();
    let mut passed = 0;
    for piece in pieces {
        let mut rest: &[u8] = piece;
        while let Some(end) = cutter.cut(rest) {
            passed += end;
            ends.push(passed);
            rest = &rest[end..];
        }
        passed += rest.len();
    }
    ends
}

/// The lines one after the other, as the standard tells it, but for the last event, which needs no blank line here.
fn by_the_standard(data: &[u8]) -> Vec<Told> {
    let mut rest = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let mut told = Vec::new();
    let (mut name, mut lines) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let line = &rest[..end.unwrap_or(rest.len())];
        if let (true, Some(_)) = (line.is_empty(), end) {
            told.extend(lines.take().map(|data| (std::mem::take(&mut name), as_text(&data))));
            name.clear();
        } else {
            field(line, &mut name, &mut lines);
        }
        let Some(end) = end else { break };
        let is_both = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + if is_both { 2 } else { 1 }..];
    }
    told.extend(lines.map(|data| (name, as_text(&data))));
    told
}

/// A stream is UTF-8, and what is not is read as U+FFFD.
fn as_text(data: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(data).into_owned().into_bytes()
}

fn field(line: &[u8], name: &mut Vec<u8>, lines: &mut Option<Vec<u8>>) {
    let colon = line.iter().position(|byte| *byte == b':');
    let (field, value) = line.split_at(colon.unwrap_or(line.len()));
    let value = value.strip_prefix(b":").unwrap_or(value);
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match (field, lines) {
        (b"event", _) => *name = value.to_vec(),
        (b"data", Some(lines)) => {
            lines.push(b'\n');
            lines.extend_from_slice(value);
        }
        (b"data", lines @ None) => *lines = Some(value.to_vec()),
        _ => {}
    }
}
