//! What is wrong with a file, said so that its author can put it right: where, what, and what to write instead.
//!
//! Problems are collected, never returned one at a time: whoever made ten mistakes is told of ten.

use std::fmt;
use std::path::{Path, PathBuf};

/// Most problems that are kept and printed. More than this come from one cause, such as a wrong indentation.
const PROBLEMS_MAX: usize = 100;

/// One mistake, or one thing that deserves a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the configuration: `features.support-reply.stable`; empty when it is about the file as a whole.
    pub path: String,
    /// The line in the file, counted from 1, where there is one.
    pub line: Option<u64>,
    /// What is wrong. Never contains a secret.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Everything that is wrong with a file, in the order of its lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file, when it was read from one.
    pub file: Option<PathBuf>,
    /// The problems that are kept.
    pub list: Vec<Problem>,
    /// How many more there were.
    pub more: usize,
}

impl Problem {
    /// About the file as a whole.
    pub(crate) fn of_file(message: String, hint: &str) -> Self {
        Self { path: String::new(), line: None, message, hint: Some(hint.to_owned()) }
    }

    /// One or two lines for people: `lockgate.yaml:12: path: message`, and the hint.
    pub fn display<'p>(&'p self, file: Option<&'p Path>) -> impl fmt::Display + 'p {
        fmt::from_fn(move |f| {
            match (file, self.line) {
                (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
                (Some(file), None) => write!(f, "{}: ", file.display())?,
                (None, Some(line)) => write!(f, "line {line}: ")?,
                (None, None) => {}
            }
            if !self.path.is_empty() {
                write!(f, "{}: ", self.path)?;
            }
            f.write_str(&self.message)?;
            self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
        })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { "\n" } else { "" }, problem.display(self.file.as_deref()))?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What has been found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    more: usize,
}

impl Found {
    /// Notes a mistake.
    pub(crate) fn problem(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Notes what deserves a second look.
    pub(crate) fn warning(&mut self, warning: Problem) {
        if self.warnings.len() < PROBLEMS_MAX {
            self.warnings.push(warning);
        }
    }

    /// Whether a mistake has been noted.
    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// What deserves a second look, in the order of lines.
    pub(crate) fn into_warnings(mut self) -> Vec<Problem> {
        self.warnings.sort_by_key(|warning| warning.line);
        self.warnings
    }

    /// The mistakes, in the order of lines.
    pub(crate) fn into_problems(mut self, file: Option<&Path>) -> Problems {
        if self.problems.is_empty() {
            let hint = "compare it with what `lockgate schema` prints";
            self.problems.push(Problem::of_file("it cannot be read".into(), hint));
        }
        self.problems.sort_by_key(|problem| problem.line);
        Problems { file: file.map(Path::to_owned), list: self.problems, more: self.more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: u64) -> Problem {
        Problem {
            path: "features.support-reply.plan.phases[1].share".into(),
            line: Some(line),
            message: "1.5 is not a share".into(),
            hint: Some("write 1% or 0.01".into()),
        }
    }

    #[test]
    fn a_problem_names_file_line_path_and_hint() {
        let mut found = Found::default();
        found.problem(problem(12));
        let problems = found.into_problems(Some(Path::new("lockgate.yaml")));
        assert_eq!(
            problems.to_string(),
            "lockgate.yaml:12: features.support-reply.plan.phases[1].share: 1.5 is not a share\n  hint: write 1% or 0.01"
        );
    }

    #[test]
    fn problems_come_in_the_order_of_lines_and_beyond_the_bound_are_counted() {
        let mut found = Found::default();
        (0..150).rev().for_each(|line| found.problem(problem(line)));
        let problems = found.into_problems(None);
        assert!(problems.list.windows(2).all(|pair| pair[0].line <= pair[1].line));
        assert!(problems.to_string().ends_with("and 50 more"));
    }
}
