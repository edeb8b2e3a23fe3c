//! Compares texts as a reader would who does not look at typography.
//!
//! Set aside are: case, the length and kind of white space, straight or curly quotes, the kind of dash, invisible characters,
//! and quotes, emphasis marks and closing punctuation around the whole. A question mark stays: it changes what is said. So
//! does a leading minus or point. Accents written in two ways (composed or not) still count as different.

use std::iter::Peekable;

use super::Agreement;

/// Characters shown of either text at their first difference.
const SHOWN_CHARS: usize = 40;

/// Compares two texts.
pub fn compare(stable: &str, candidate: &str) -> Agreement {
    if stable == candidate {
        return Agreement::whole("the same text");
    }
    let (core_a, core_b) = (core(stable), core(candidate));
    let (mut a, mut b) = (normal(core_a), normal(core_b));
    let mut same_chars = 0_usize;
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Agreement::whole("the same text but for case, spacing or typography"),
            (x, y) if x == y => same_chars += 1,
            _ => break,
        }
    }
    // A few characters before the difference make it readable.
    let from = same_chars.saturating_sub(8);
    let shown = |text| normal(text).skip(from).take(SHOWN_CHARS).collect::<String>();
    Agreement::none(format!(
        "the texts differ after {same_chars} characters: stable `{}`, candidate `{}`",
        shown(core_a),
        shown(core_b)
    ))
}

/// A text without what surrounds it; the text itself where nothing else would be left.
fn core(text: &str) -> &str {
    let inner = text.trim_start_matches(opens).trim_end_matches(closes);
    if inner.is_empty() { text.trim() } else { inner }
}

fn opens(c: char) -> bool {
    c.is_whitespace() || is_invisible(c) || matches!(plain(c), '"' | '\'' | '`' | '*' | '_')
}

fn closes(c: char) -> bool {
    opens(c) || matches!(c, '.' | ',' | ';' | ':' | '!' | '…' | '。' | '！')
}

/// The characters that count: lower case, plain typography, single spaces.
fn normal(text: &str) -> impl Iterator<Item = char> {
    let lower = text.chars().filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).map(plain);
    Spaced { chars: lower.peekable() }
}

/// Turns each run of white space into one space.
struct Spaced<I: Iterator<Item = char>> {
    chars: Peekable<I>,
}

impl<I: Iterator<Item = char>> Iterator for Spaced<I> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let first = self.chars.next()?;
        if !first.is_whitespace() {
            return Some(first);
        }
        while self.chars.next_if(|c| c.is_whitespace()).is_some() {}
        Some(' ')
    }
}

fn plain(c: char) -> char {
    match c {
        '‘' | '’' | '‚' | '‛' | '′' => '\'',
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' => '"',
        '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => '-',
        other => other,
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}
