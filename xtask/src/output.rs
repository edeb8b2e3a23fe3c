//! The one place that prints.

use std::time::Duration;

/// Prints a line.
#[expect(clippy::print_stdout, reason = "telling people what happened is what this program is for")]
pub fn say(line: &str) {
    println!("{line}");
}

/// Prints the heading of a step.
pub fn heading(step: &str) {
    say(&format!("\n== {step}"));
}

/// How one step went.
pub struct Step {
    /// What it is called.
    pub name: &'static str,
    /// Whether it went well, and if not, why.
    pub outcome: anyhow::Result<()>,
    /// How long it took.
    pub took: Duration,
}

/// Prints every step with its outcome, and fails if one of them failed.
pub fn summary(steps: Vec<Step>) -> anyhow::Result<()> {
    heading("summary");
    let mut failed = Vec::new();
    for Step { name, outcome, took } in steps {
        let seconds = took.as_secs_f64();
        match outcome {
            Ok(()) => say(&format!("  ok      {seconds:>7.1} s  {name}")),
            Err(error) => {
                say(&format!("  FAILED  {seconds:>7.1} s  {name}: {error:#}"));
                failed.push(name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("failed: {}", failed.join(", "))) }
}
