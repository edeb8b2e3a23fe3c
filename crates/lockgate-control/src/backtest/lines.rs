//! Walks through a file of outcomes, line by line and in bounded memory, and looks through it once beforehand.

use std::io::{self, BufRead, Read as _, Seek, SeekFrom};

/// Where outcomes come from. Read twice, so it must be possible to go back to its beginning.
pub trait Source: BufRead + Seek {}

impl<S: BufRead + Seek> Source for S {}

/// Longest line: a hundred times what an outcome takes.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What is looked through at once.
const CHUNK_BYTES: usize = 1 << 18;
/// What is kept of one chunk for the next, so that nothing is cut in two: longer than any pattern with its blanks.
const OVERLAP_BYTES: usize = 128;

/// One line of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'l> {
    /// Without its end.
    Whole(&'l [u8]),
    /// Longer than any outcome; skipped.
    TooLong,
}

/// Hands over every line with its number, counted from 1; those with nothing in them are passed over.
pub(super) fn each(source: &mut dyn Source, mut take: impl FnMut(u64, Line<'_>)) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut number = 0;
    loop {
        buffer.clear();
        let mut limited = (&mut *source).take(LINE_BYTES_MAX as u64 + 1);
        if limited.read_until(b'\n', &mut buffer)? == 0 {
            return Ok(());
        }
        number += 1;
        if buffer.len() > LINE_BYTES_MAX && buffer.last() != Some(&b'\n') {
            source.skip_until(b'\n')?;
            take(number, Line::TooLong);
            continue;
        }
        let line = if number == 1 { buffer.strip_prefix("\u{feff}".as_bytes()) } else { None };
        let line = line.unwrap_or(&buffer).trim_ascii();
        if !line.is_empty() {
            take(number, Line::Whole(line));
        }
    }
}

/// What a file holds anywhere, as far as a glance can tell. Taken before the first decision, because how the error budget is
/// shared out depends on it, and because a comparison with nobody is not to be waited for until the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) has_segments: bool,
    pub(super) has_stable: bool,
    pub(super) has_candidate: bool,
}

/// Looks through the file and goes back to its beginning.
pub(super) fn glance(source: &mut dyn Source) -> io::Result<Glance> {
    let mut found = Glance::default();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + OVERLAP_BYTES);
    while !(found.has_segments && found.has_stable && found.has_candidate) {
        let kept = chunk.len().saturating_sub(OVERLAP_BYTES);
        chunk.drain(..kept);
        let read = (&mut *source).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if read == 0 {
            break;
        }
        found.has_segments = found.has_segments || any(&chunk, b"\"segment\"", |_, after| has_labels(after));
        found.has_stable = found.has_stable || any(&chunk, b"\"stable\"", |before, _| is_arm(before));
        found.has_candidate =
            found.has_candidate || any(&chunk, b"\"candidate\"", |before, _| is_arm(before));
    }
    source.seek(SeekFrom::Start(0))?;
    Ok(found)
}

/// Whether a pattern occurs so that what is before and after it will do.
fn any(chunk: &[u8], pattern: &[u8], will_do: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    chunk
        .windows(pattern.len())
        .enumerate()
        .any(|(at, window)| window == pattern && will_do(&chunk[..at], &chunk[at + pattern.len()..]))
}

/// Whether a value that is not empty follows: `: {"tier": ..`.
fn has_labels(after: &[u8]) -> bool {
    let value = after.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
    let Some(members) = value.and_then(|value| value.strip_prefix(b"{")) else { return false };
    !members.trim_ascii_start().starts_with(b"}")
}

/// Whether `"arm":` stands before.
fn is_arm(before: &[u8]) -> bool {
    let key = before.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
    key.is_some_and(|key| key.ends_with(b"\"arm\""))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn at(text: &str) -> Glance {
        glance(&mut Cursor::new(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_glance_sees_arms_and_segments_and_not_their_look_alikes() {
        let arms = Glance { has_stable: true, has_candidate: true, has_segments: false };
        assert_eq!(at(r#"{"arm":"stable"} {"arm" : "candidate", "segment": { }}"#), arms);
        assert_eq!(at(r#"{"user":"stable","session":"candidate","segment":null}"#), Glance::default());
        assert!(at(r#"{"segment" : {"tier":"a"}}"#).has_segments);
    }

    #[test]
    fn what_lies_across_two_chunks_is_seen() {
        for blanks in CHUNK_BYTES - 40..CHUNK_BYTES {
            let text = format!("{}{}", " ".repeat(blanks), r#"{"arm": "candidate", "segment": {"a": "b"}}"#);
            assert_eq!(
                at(&text),
                Glance { has_segments: true, has_candidate: true, has_stable: false },
                "{blanks}"
            );
        }
    }

    #[test]
    fn lines_are_numbered_and_endless_ones_are_passed_over() {
        let text = format!("\u{feff}a\r\n\n  \n{}\nb", "x".repeat(2 * LINE_BYTES_MAX));
        let mut seen = Vec::new();
        each(&mut Cursor::new(text.as_bytes()), |number, line| {
            seen.push((
                number,
                match line {
                    Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                    Line::TooLong => "too long".into(),
                },
            ));
        })
        .unwrap();
        assert_eq!(seen, [(1, "a".into()), (4, "too long".into()), (5, "b".to_owned())]);
    }
}
