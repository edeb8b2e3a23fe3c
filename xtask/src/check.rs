//! `cargo xtask check`: everything that the build checks, in one place.
//!
//! All steps run, also after one has failed, so that one run tells everything.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::output::{Step, heading, summary};
use crate::process::{cargo, find, output_of, run as run_program};
use crate::{generated, tidy};

/// Pinned, so that a new release of the tool cannot fail an unchanged tree.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// A check of the workspace at a path.
type Check = fn(&Path) -> anyhow::Result<()>;

/// Runs all checks.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let checks: [(&'static str, Check); 6] = [
        ("tidy", tidy::run),
        ("format", format),
        ("clippy", clippy),
        ("documentation", documentation),
        ("generated files", generated::check),
        ("dependencies", dependencies),
    ];
    let mut steps = Vec::new();
    for (name, check) in checks {
        heading(name);
        let start = Instant::now();
        steps.push(Step { name, outcome: check(root), took: start.elapsed() });
    }
    summary(steps)
}

fn format(root: &Path) -> anyhow::Result<()> {
    run_program(cargo(root).args(["fmt", "--all", "--check"]))
}

fn clippy(root: &Path) -> anyhow::Result<()> {
    run_program(cargo(root).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn documentation(root: &Path) -> anyhow::Result<()> {
    run_program(cargo(root).env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--workspace",
        "--no-deps",
        "--locked",
    ]))
}

/// Licences, sources and banned crates as `deny.toml` says. Advisories are left out: their database is not in a package
/// registry, and a check that needs another network fails for reasons that are not the tree's.
fn dependencies(root: &Path) -> anyhow::Result<()> {
    let tools = root.join("target/tools");
    let deny = match find("cargo-deny").filter(|found| is_pinned(found)) {
        Some(found) => found,
        None => tools.join("bin/cargo-deny"),
    };
    if !is_pinned(&deny) {
        run_program(
            cargo(root)
                .args(["install", "--locked", "--force", "--version", CARGO_DENY_VERSION, "--root"])
                .arg(&tools)
                .arg("cargo-deny"),
        )?;
    }
    run_program(Command::new(&deny).current_dir(root).args([
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn is_pinned(deny: &Path) -> bool {
    let told = deny.is_file().then(|| output_of(Command::new(deny).arg("--version")).ok()).flatten();
    told.is_some_and(|version| version.split_whitespace().nth(1) == Some(CARGO_DENY_VERSION))
}
