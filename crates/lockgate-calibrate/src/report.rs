//! What was found, as rows of a table.

use std::fmt::Write as _;

/// How much work a measurement may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// What the published table is made with: minutes.
    Full,
    /// Enough to notice a mistake: seconds.
    Quick,
}

impl Effort {
    /// So many runs, or a part of them.
    pub fn runs(self, full: u64, quick: u64) -> u64 {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// One figure and the bar it is held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The family of measurements.
    pub case: &'static str,
    /// What was measured.
    pub what: String,
    /// What was found.
    pub figure: String,
    /// What it must be; empty for what is only told.
    pub bar: String,
    /// Whether it is.
    pub holds: Option<bool>,
}

impl Finding {
    /// One that is held against a bar.
    pub fn held(
        case: &'static str,
        what: impl Into<String>,
        figure: String,
        bar: impl Into<String>,
        holds: bool,
    ) -> Self {
        Self { case, what: what.into(), figure, bar: bar.into(), holds: Some(holds) }
    }

    /// One that is only told.
    pub fn told(case: &'static str, what: impl Into<String>, figure: String) -> Self {
        Self { case, what: what.into(), figure, bar: String::new(), holds: None }
    }
}

/// A share of runs: `3 of 5000 (0.06 %, at most 0.16 %)`.
pub fn share(hits: u64, runs: u64) -> String {
    let part = |share: f64| format!("{:.2} %", share * 100.0);
    format!(
        "{hits} of {runs} ({}, at most {})",
        part(hits as f64 / runs.max(1) as f64),
        part(crate::upper_bound(hits, runs))
    )
}

/// The findings as a Markdown table.
pub fn table(findings: &[Finding]) -> String {
    let mut text =
        String::from("| case | measured | figure | bar | holds |\n| --- | --- | --- | --- | --- |\n");
    for finding in findings {
        let holds = match finding.holds {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {holds} |",
            finding.case, finding.what, finding.figure, finding.bar
        );
    }
    text
}
