//! From a file or a text to checked configuration.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lockgate_core::name::PlanName;
use lockgate_core::plan::Plan;

use crate::check;
use crate::node::{FILE_BYTES_MAX, Node};
use crate::problem::{Found, Problem, Problems};
use crate::value::Config;

/// Configuration that may be put in force.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What works, but deserves a second look.
    pub warnings: Vec<Problem>,
    /// The prompts and secrets that were read beside it: when one of them changes, the configuration does.
    pub files: BTreeSet<PathBuf>,
}

/// Reads and checks a file. Prompts, secrets and the store that it names are relative to its directory; the environment is
/// asked through `env`.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    match read(path) {
        Ok(text) => checked(&text, base, env, Some(path)),
        Err(message) => {
            let mut found = Found::default();
            found.problem(Problem::of_file(
                message,
                "name the file with -c; `lockgate schema` prints what it may hold",
            ));
            Err(found.into_problems(Some(path)))
        }
    }
}

/// Checks a text as [`load`] does a file; what it names is relative to `base_dir`.
pub fn parse(text: &str, base_dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    checked(text, base_dir, env, None)
}

/// Checks one plan that stands alone, written as below `plans.NAME`. Signals that it declares are written `rate:NAME` and
/// `score:NAME`.
pub fn parse_plan(text: &str, name: PlanName) -> Result<Plan, Problems> {
    let mut found = Found::default();
    let plan = read_node(text, &mut found).and_then(|root| check::plan(&root, name, &mut found));
    finish(plan, found, None).map(|(plan, _)| plan)
}

fn checked(
    text: &str,
    base: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    file: Option<&Path>,
) -> Result<Loaded, Problems> {
    let mut found = Found::default();
    let config = read_node(text, &mut found).and_then(|root| check::config(&root, base, env, &mut found));
    finish(config, found, file).map(|((config, files), warnings)| Loaded { config, warnings, files })
}

fn read_node(text: &str, found: &mut Found) -> Option<Node> {
    Node::read(text).map_err(|problem| found.problem(problem)).ok()
}

fn finish<T>(value: Option<T>, found: Found, file: Option<&Path>) -> Result<(T, Vec<Problem>), Problems> {
    match value {
        Some(value) if !found.has_problems() => Ok((value, found.into_warnings())),
        _ => Err(found.into_problems(file)),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| check::reason(&error))?;
    // One byte more than is allowed, so that what is too large is seen to be.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| check::reason(&error))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}
