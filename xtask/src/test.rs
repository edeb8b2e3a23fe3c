//! `cargo xtask test`: installs what the tests need, runs all of them, and prints one summary line.
//!
//! `cargo-nextest` runs them when it is there (faster, and a hanging test is named); otherwise plain `cargo test` does, and
//! its many result lines are added up here.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::output::{heading, say};
use crate::process::{cargo, find, run as run_program};
use crate::sdk;

/// Installs, builds, runs. Further words are handed to the test runner, such as the name of a test.
pub fn run(root: &Path, filters: &[&str]) -> anyhow::Result<()> {
    heading("official SDKs");
    sdk::install(root)?;
    heading("tests");
    if find("cargo-nextest").is_some() {
        run_program(
            cargo(root).args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]).args(filters),
        )
    } else {
        plain(root, filters)
    }
}

fn plain(root: &Path, filters: &[&str]) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut child = cargo(root)
        .args(["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-fail-fast"])
        .args(filters)
        .stdout(Stdio::piped())
        .spawn()
        .context("`cargo test` could not be started")?;
    let mut counts = Counts::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.context("`cargo test` printed no text")?;
            say(&line);
            counts.add(&line);
        }
    }
    let status = child.wait()?;
    say(&counts.summary(start.elapsed()));
    if !status.success() {
        bail!("tests failed");
    }
    Ok(())
}

/// Tests by how they ended.
#[derive(Default, Debug, PartialEq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    /// Takes in a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; ...`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split(';') {
            let Some((n, word)) = count.trim().split_once(' ') else { continue };
            let n = n.parse().unwrap_or(0);
            match word {
                "passed" => self.passed += n,
                "failed" => self.failed += n,
                "ignored" | "filtered out" => self.skipped += n,
                _ => {}
            }
        }
    }

    /// In nextest's form, so that one pattern finds it whichever runner ran.
    fn summary(&self, took: Duration) -> String {
        let Self { passed, failed, skipped } = self;
        let failed_part = if *failed > 0 { format!(", {failed} failed") } else { String::new() };
        format!(
            "     Summary [{:>8.3}s] {} tests run: {passed} passed{failed_part}, {skipped} skipped",
            took.as_secs_f64(),
            passed + failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_many_binaries_are_added_up() {
        let mut counts = Counts::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test result: unreadable",
        ] {
            counts.add(line);
        }
        assert_eq!(counts, Counts { passed: 4, failed: 2, skipped: 3 });
        assert_eq!(
            counts.summary(Duration::from_millis(1_500)),
            "     Summary [   1.500s] 6 tests run: 4 passed, 2 failed, 3 skipped"
        );
    }
}
