//! Installs what the tests call Lockgate with, and what stands behind it: official SDKs and a small real model, from their
//! registries, under `target/sdk`.
//!
//! Everything is pinned beside the tests that use it, down to what the packages need themselves: a new release of an SDK must
//! not change what an unchanged tree does. What is there already is left alone, so that a second run needs no network. What
//! cannot be had fails the run; nothing is skipped, because a test that was not run looks like one that passed.

mod node;
mod python;
mod stamp;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::output::say;
use crate::process::{find, output_of, run};
use python::Dependencies;

const PACKAGES: &str = "crates/lockgate/tests/sdk/packages";
/// Said with every failure to install.
const HELP: &str = "the tests call Lockgate with official SDKs, which come from the registries of Python and npm once; \
    let this machine reach them (or name mirrors: UV_DEFAULT_INDEX and PIP_INDEX_URL, npm_config_registry) and run \
    `cargo xtask test` again. What is installed already is kept";

/// Installs what is missing.
pub fn install(root: &Path) -> anyhow::Result<()> {
    install_all(root).context(HELP)
}

fn install_all(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/sdk");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let packages = root.join(PACKAGES);
    let python = |name: &str, file: &Path, dependencies| {
        python::install(&folder, name, file, dependencies)
            .with_context(|| format!("Python packages `{name}`"))
    };
    python("python", &packages.join("python.txt"), Dependencies::Checked)?;
    python("agents", &packages.join("agents.txt"), Dependencies::Checked)?;
    python("model", &packages.join("model.txt"), Dependencies::LeftOut)?;
    node::install(&folder, &packages).context("npm packages")
}

/// Makes sure that a program is there, and installs it where that is allowed.
fn need(program: &str, packages: &[&str]) -> anyhow::Result<()> {
    if find(program).is_none() {
        apt_get(packages)?;
    }
    Ok(())
}

/// Installs packages of the system, where that is allowed.
pub fn apt_get(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    let is_root = output_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if find("apt-get").is_none() || !is_root {
        bail!("`{list}` is needed; please install it and run this again");
    }
    say(&format!("installing {list}"));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(apt().args(["update", "-qq"]))?;
    run(apt().args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages))
}
