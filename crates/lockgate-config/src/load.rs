//! From a file or a text to checked configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockgate_core::name::{NAME_BYTES_MAX, PlanName};
use lockgate_core::plan::{Plan, standard_name};

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

/// The plans of a file.
#[derive(Debug)]
pub struct Plans {
    /// Those that the file itself writes, in the order of their names.
    pub written: Vec<PlanName>,
    /// All that may be asked for by name: those, and `standard`.
    pub plans: BTreeMap<PlanName, Arc<Plan>>,
}

/// Reads and checks a file. Prompts, secrets and the store that it names are relative to its directory; the environment is
/// asked through `env`.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    checked(&read(path)?, base, env, Some(path))
}

/// Reads the plans of a file: those of a whole configuration, or the one plan that the file is, which then bears the file's
/// name. Nothing else in the file is checked, so that neither secrets nor prompts need be there.
pub fn load_plans(path: &Path) -> Result<Plans, Problems> {
    let text = read(path)?;
    let mut found = Found::default();
    let plans = read_node(&text, &mut found).and_then(|root| check::plans(&root, name_of(path), &mut found));
    finish(plans, found, Some(path)).map(|(plans, _)| plans)
}

/// A file's name without its ending, with `-` for whatever cannot stand in a name.
fn name_of(path: &Path) -> PlanName {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let name: String =
        stem.chars().take(NAME_BYTES_MAX).map(|letter| if fits(letter) { letter } else { '-' }).collect();
    PlanName::new(&name).unwrap_or_else(|_| standard_name())
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

fn read(path: &Path) -> Result<String, Problems> {
    let text = || -> Result<String, String> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| check::reason(&error))?;
        // One byte more than is allowed, so that what is too large is seen to be.
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| check::reason(&error))?;
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
    };
    text().map_err(|message| {
        let mut found = Found::default();
        found.problem(Problem::of_file(
            message,
            "name the file with -c; `lockgate schema` prints what it may hold",
        ));
        found.into_problems(Some(path))
    })
}
