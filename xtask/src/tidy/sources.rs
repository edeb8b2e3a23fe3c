//! How files are written: opening, length, words that have no place, whitespace.
//!
//! The forbidden words are put together from halves here, so that this file does not break its own rules.

use super::{File, Problem};

/// Longest Rust file in lines. One that needs more holds two things, or stands below with the reason why it does not.
const LINES_MAX: usize = 600;

/// Longer files, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// What has no place in Rust code, and what to do instead.
const NOT_IN_RUST: [(&str, &str); 5] = [
    (concat!("TO", "DO"), "do it, or say in the documentation that it is not there"),
    (concat!("FIX", "ME"), "mend it, or write a test that asserts what it does today"),
    (concat!("db", "g!("), "use tracing"),
    (
        concat!("#[al", "low("),
        "use #[expect(.., reason = \"..\")], which complains when it is no longer needed",
    ),
    (concat!("#[ig", "nore"), "a test that is not run holds nothing"),
];

/// What has no place in any file: what only exists on one machine.
const NOT_ANYWHERE: [(&str, &str); 3] = [
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("sha", "red/"), "a folder that the repository does not have"),
];

/// How a clock is read; the pure crates are handed the time instead.
const CLOCKS: [&str; 3] = ["Instant::now", "SystemTime", "Timestamp::now"];
const PURE: [&str; 4] =
    ["crates/lockgate-stats/", "crates/lockgate-core/", "crates/lockgate-text/", "crates/lockgate-wire/"];

/// Every broken rule in one file.
pub fn problems(file: &File) -> Vec<Problem> {
    if file.path.contains("/vendor/") {
        return Vec::new();
    }
    let mut found = Found { path: &file.path, problems: Vec::new() };
    let is_rust = file.path.ends_with(".rs");
    if is_rust {
        whole_file(file, &mut found);
    }
    for (i, line) in file.text.lines().enumerate() {
        let number = Some(i + 1);
        if line.ends_with([' ', '\t']) {
            found.add(number, "ends in white space".into());
        }
        if line.contains('\t') {
            found.add(number, "has a tab; indent with spaces".into());
        }
        for (word, why) in NOT_ANYWHERE {
            if line.contains(word) {
                found.add(number, format!("`{word}`: {why}"));
            }
        }
        if is_rust {
            rust_line(file, line, number, &mut found);
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        found.add(None, "does not end in a line break".into());
    }
    found.problems
}

/// Exceptions that nothing needs any more.
pub fn stale_exceptions(files: &[File]) -> Vec<Problem> {
    let is_long = |path: &str| files.iter().any(|file| file.path == path && is_too_long(file));
    let stale = LONG_FILES.iter().filter(|(path, _)| !is_long(path));
    stale
        .map(|(path, _)| Problem {
            path: (*path).to_owned(),
            line: None,
            what: "is not too long any more; take it out of LONG_FILES".into(),
        })
        .collect()
}

fn whole_file(file: &File, found: &mut Found<'_>) {
    if !file.text.starts_with("//!") {
        found.add(Some(1), "opens with `//!`: what the file is for, why so, what it leaves to others".into());
    }
    // In `tests/` a `name.rs` would be a test of its own, so that helpers of several tests have no other place.
    let is_helper_of_tests = file.path.split('/').nth(2) == Some("tests");
    if file.path.ends_with("/mod.rs") && !is_helper_of_tests {
        found.add(None, "a module lives in `name.rs` beside `name/`, not in `mod.rs`".into());
    }
    if is_too_long(file) && !LONG_FILES.iter().any(|(path, _)| *path == file.path) {
        found.add(
            None,
            format!("has {} lines; {LINES_MAX} are enough for one thing", file.text.lines().count()),
        );
    }
}

fn is_too_long(file: &File) -> bool {
    file.text.lines().count() > LINES_MAX
}

fn rust_line(file: &File, line: &str, number: Option<usize>, found: &mut Found<'_>) {
    for (word, instead) in NOT_IN_RUST {
        if contains_word(line, word) {
            found.add(number, format!("`{word}` has no place here: {instead}"));
        }
    }
    let is_comment = line.trim_start().starts_with("//");
    // Examples measure how long things take.
    let is_pure =
        PURE.iter().any(|folder| file.path.starts_with(folder)) && !file.path.contains("/examples/");
    if !is_comment && is_pure {
        for clock in CLOCKS {
            if contains_word(line, clock) {
                found.add(number, format!("`{clock}`: a pure crate is handed the time"));
            }
        }
    }
}

/// Whether a line has a word that is not part of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    let is_joined = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let ends_open = word.ends_with(|c: char| c.is_ascii_alphanumeric());
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next().filter(|_| ends_open);
        !is_joined(before) && !is_joined(after)
    })
}

struct Found<'f> {
    path: &'f str,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, line: Option<usize>, what: String) {
        self.problems.push(Problem { path: self.path.to_owned(), line, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines in which something is wrong; 0 stands for the whole file.
    fn check(path: &str, text: &str, expected: &[usize]) {
        let file = File { path: path.into(), text: text.into() };
        let found = problems(&file);
        let lines: Vec<usize> = found.iter().map(|problem| problem.line.unwrap_or(0)).collect();
        assert_eq!(lines, expected, "{found:?}");
    }

    #[test]
    fn a_rust_file_says_first_what_it_is_for() {
        check("crates/x/src/a.rs", "//! Is for this.\n", &[]);
        check("crates/x/src/a.rs", "use std::io;\n", &[1]);
        check("crates/x/src/a/mod.rs", "//! Is.\n", &[0]);
        check("crates/x/tests/story/mod.rs", "//! Is.\n", &[]);
        check("README.md", "# Readme\n", &[]);
    }

    #[test]
    fn a_long_file_is_found_and_white_space_too() {
        check("crates/x/src/a.rs", &"//! Long.\n".repeat(600), &[]);
        check("crates/x/src/a.rs", &"//! Long.\n".repeat(601), &[0]);
        check("a.md", "one \n\ttwo\nthree", &[1, 2, 0]);
    }

    #[test]
    fn words_are_found_but_not_inside_longer_ones() {
        let word = concat!("TO", "DO");
        check("crates/x/src/a.rs", &format!("//! Is.\n// {word}: later\n"), &[2]);
        check("crates/x/src/a.rs", &format!("//! Is.\n// MAS{word}N\n"), &[]);
        check("crates/x/src/a.rs", concat!("//! Is.\n#[al", "low(dead_code)]\n"), &[2]);
        check("crates/x/src/a.rs", concat!("//! Is.\n#[ig", "nore]\n"), &[2]);
        check("docs/a.md", concat!("See /wo", "rk/main.\n"), &[1]);
    }

    #[test]
    fn only_pure_crates_must_not_read_clocks() {
        let text = "//! Is.\n// SystemTime is not read here.\nlet now = Instant::now();\n";
        check("crates/lockgate-core/src/a.rs", text, &[3]);
        check("crates/lockgate-gateway/src/a.rs", text, &[]);
        check("crates/lockgate-wire/src/a.rs", "//! Is.\nfn f(t: MySystemTime) {}\n", &[]);
    }

    #[test]
    fn vendored_files_are_left_as_they_came() {
        check("crates/x/assets/vendor/htmx.js", "a\t \nb", &[]);
    }
}
