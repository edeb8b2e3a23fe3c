//! The project's own rules, held by machine: which crate may use which, how a source file opens, how long it may be, which
//! words have no place, whether links lead somewhere.
//!
//! Reading files is done here; the rules themselves are pure functions in the modules below, with the cases that they must
//! find beside them.

mod links;
mod manifests;
mod sources;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::output::say;
use crate::process::{cargo, host, output_of};

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the workspace, with `/` between folders.
    pub path: String,
    /// The line, counted from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.what),
            None => write!(f, "{}: {}", self.path, self.what),
        }
    }
}

/// A file that the rules look at.
#[derive(Debug, Clone)]
pub struct File {
    /// Relative to the workspace, with `/` between folders.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Applies all rules.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let files = text_files(root)?;
    // Crates that only other platforms need would be downloaded for nothing.
    let metadata = output_of(
        cargo(root)
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", &host()?]),
    )?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("`cargo metadata`")?;

    let mut problems = manifests::problems(&metadata);
    problems.extend(files.iter().flat_map(sources::problems));
    problems.extend(sources::stale_exceptions(&files));
    problems.extend(links::problems(&files, |path| root.join(path).exists()));

    for problem in &problems {
        say(&problem.to_string());
    }
    if !problems.is_empty() {
        bail!("{} places are not tidy", problems.len());
    }
    say(&format!("{} files are tidy", files.len()));
    Ok(())
}

/// Endings of the files that people write by hand.
const TEXT: [&str; 11] = ["rs", "md", "toml", "yaml", "yml", "html", "css", "js", "mjs", "py", "sh"];
/// Folders that hold what machines wrote.
const NOT_OURS: [&str; 4] = ["target", "node_modules", "__pycache__", ".git"];

fn text_files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(root.join(&folder)).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if is_text(&path) {
                let text =
                    std::fs::read_to_string(root.join(&path)).with_context(|| path.display().to_string())?;
                let path = path.to_string_lossy().replace('\\', "/");
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn is_text(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    TEXT.contains(&ending) || path.starts_with(".ci")
}
