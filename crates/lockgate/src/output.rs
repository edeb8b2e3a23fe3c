//! Everything that the executable prints goes through here.
//!
//! Text for people is made by the modules below, each from the JSON that a program would get, so that the two cannot tell
//! different stories; this file only brings it to the terminal. A reader that goes away, as in `| head`, is no error.

pub mod audit;
pub mod backtest;
pub mod drill;
pub mod estimate;
pub mod explanation;
pub mod gate;
pub mod plan;
pub mod receipt;
pub mod rollout;
pub mod status;

pub mod words;

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

use crate::complaint::Complaint;

/// A text for people.
///
/// What a file or a client wrote may stand in it: no character of it may steer the terminal.
pub fn say(text: &str) {
    let text = harmless(text);
    // Nothing can be done about a terminal that has gone, and nobody is left to tell.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Text without characters that steer a terminal or turn the direction of writing.
fn harmless(text: &str) -> std::borrow::Cow<'_, str> {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match text.contains(steers) {
        true => text.replace(steers, "\u{fffd}").into(),
        false => text.into(),
    }
}

/// JSON for programs, laid out so that people can read it too.
pub fn json(value: &Value) {
    say(&format!("{value:#}"));
}

/// JSON for programs that read a line at a time.
pub fn json_line(value: &Value) {
    say(&value.to_string());
}

/// Why a command failed.
pub fn complain(complaint: &Complaint) {
    let mut text = format!("error: {}", complaint.sentence);
    if let Some(hint) = &complaint.hint {
        let _ = write!(text, "\n hint: {hint}");
    }
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A text that changes: redrawn in place on a terminal, printed anew elsewhere, and only when it has changed.
#[derive(Debug)]
pub struct Screen {
    is_terminal: bool,
    shown: String,
}

impl Screen {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal(), shown: String::new() }
    }

    /// Whether texts are redrawn in place.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Shows a text in place of the one before.
    pub fn show(&mut self, text: &str) {
        if text == self.shown {
            return;
        }
        if self.is_terminal {
            let mut drawn = String::new();
            self.lift(&mut drawn);
            // Lines that are too long for the terminal are cut at its edge instead of wrapped, or lines could not be counted.
            let _ = write!(drawn, "\x1b[?7l{text}\x1b[?7h");
            say(&drawn);
        } else {
            say(text);
        }
        text.clone_into(&mut self.shown);
    }

    /// Leaves what is shown standing; the next text comes below it.
    pub fn settle(&mut self) {
        self.shown.clear();
    }

    /// A text that stays, above the one that changes.
    pub fn say_above(&mut self, text: &str) {
        let below = std::mem::take(&mut self.shown);
        let mut drawn = String::new();
        if self.is_terminal && !below.is_empty() {
            self.shown.clone_from(&below);
            self.lift(&mut drawn);
            self.shown.clear();
        }
        drawn.push_str(text);
        say(&drawn);
        if self.is_terminal && !below.is_empty() {
            self.show(&below);
        }
    }

    /// Moves the cursor to the first line of what is shown and clears from there down.
    fn lift(&self, drawn: &mut String) {
        let lines = self.shown.lines().count();
        if lines > 0 {
            let _ = write!(drawn, "\x1b[{lines}A\x1b[J");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(harmless("a\tb\nc"), "a\tb\nc");
        assert_eq!(harmless("red \u{1b}[31m and \u{202e}turned"), "red \u{fffd}[31m and \u{fffd}turned");
    }
}
