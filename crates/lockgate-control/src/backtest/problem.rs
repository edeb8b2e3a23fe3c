//! What is wrong with a file of outcomes: every kind with its count, and the first few lines of each.
//!
//! A file may be wrong in a million places. What a person can use is which kinds there are, where each begins, and how many
//! more there are, so that is all that is kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Lines that are named per kind: enough to see whether they have something in common.
const NAMED_MAX: usize = 5;
/// Longest reason in characters; a line can be a megabyte long.
const WHY_CHARS_MAX: usize = 160;

/// One way in which outcomes can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A line is no JSON object.
    NotJson,
    /// A line holds NaN, an infinity, or a number too large to be one.
    NotFinite,
    /// A line is longer than any outcome.
    TooLong,
    /// `ts` is missing or no moment.
    BadTime,
    /// `arm` is neither `stable` nor `candidate`.
    BadArm,
    /// A key holds what it cannot hold: text for a number, 7 for yes or no.
    BadValue,
    /// A time, an amount of money or a number of tokens below 0.
    Negative,
    /// A score outside 0..1.
    ScoreOutside,
    /// A segment that is not made of names.
    BadSegment,
    /// A moment far before one that was read already.
    JumpsBack,
    /// One arm has no outcome in the whole file.
    MissingArm,
    /// There is no outcome that can be used.
    NoOutcomes,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "no JSON object",
            Self::NotFinite => "not a finite number",
            Self::TooLong => "line too long",
            Self::BadTime => "no usable time",
            Self::BadArm => "unknown arm",
            Self::BadValue => "value does not fit its key",
            Self::Negative => "negative",
            Self::ScoreOutside => "score outside 0..1",
            Self::BadSegment => "unusable segment",
            Self::JumpsBack => "time jumps back",
            Self::MissingArm => "an arm is missing",
            Self::NoOutcomes => "no outcomes",
        })
    }
}

/// Why one line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: ProblemKind,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn new(kind: ProblemKind, why: impl fmt::Display) -> Self {
        Self { kind, why: why.to_string().chars().take(WHY_CHARS_MAX).collect() }
    }
}

/// One kind of problem with the lines that show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which.
    pub kind: ProblemKind,
    /// How many lines; for what concerns the whole file, 1.
    pub count: u64,
    /// The first few of them.
    pub first: Vec<Named>,
}

/// One place where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The line, counted from 1; absent for what concerns the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong there.
    pub why: String,
}

/// All that is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(BTreeMap<ProblemKind, Problem>);

impl Problems {
    /// Notes one more; returns whether it is the first of its kind.
    pub(super) fn add(&mut self, line: Option<u64>, fault: Fault) -> bool {
        let Fault { kind, why } = fault;
        let problem = self.0.entry(kind).or_insert_with(|| Problem { kind, count: 0, first: Vec::new() });
        problem.count += 1;
        if problem.first.len() < NAMED_MAX {
            problem.first.push(Named { line, why });
        }
        problem.count == 1
    }

    pub(super) fn of(&self, kind: ProblemKind) -> Option<&Problem> {
        self.0.get(&kind)
    }

    pub(super) fn all(&self) -> Vec<Problem> {
        self.0.values().cloned().collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind)?;
        for (i, Named { line, why }) in self.first.iter().enumerate() {
            f.write_str(if i > 0 { "; " } else { "" })?;
            match line {
                Some(line) => write!(f, "line {line}: {why}")?,
                None => f.write_str(why)?,
            }
        }
        match self.count.saturating_sub(self.first.len() as u64) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
