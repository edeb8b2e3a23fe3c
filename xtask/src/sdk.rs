//! Installs the official SDKs that the tests call Lockgate with, from their registries, under `target/sdk`.
//!
//! Everything is pinned in `crates/lockgate/tests/sdk`: a new release of an SDK must not change what an unchanged tree does.
//! What is there already in the right version is left alone, so that a second run needs no network.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::output::say;
use crate::process::{find, output_of, run};

/// The Python package `openai`; the same as in `requirements.txt`.
const PYTHON_OPENAI: &str = "3.54.0";
/// The npm package `openai`.
const NODE_OPENAI: &str = "6.49.0";
const REQUIREMENTS: &str = "crates/lockgate/tests/sdk/requirements.txt";

/// Installs what is missing.
pub fn install(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/sdk");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    python(root, &folder.join("python")).context("the Python SDK could not be installed")?;
    node(&folder.join("node")).context("the Node SDK could not be installed")
}

fn python(root: &Path, folder: &Path) -> anyhow::Result<()> {
    if installed_python(folder).as_deref() == Some(PYTHON_OPENAI) {
        return Ok(());
    }
    say(&format!("installing the Python package openai {PYTHON_OPENAI} into {}", folder.display()));
    need("python3", &["python3", "python3-venv"])?;
    // Half an environment, left by a run that was interrupted, is not mended but made again.
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let make = || run(Command::new("python3").args(["-m", "venv"]).arg(folder));
    if make().is_err() {
        // Debian ships `python3` without the part that makes environments.
        apt_get(&["python3-venv"])?;
        make()?;
    }
    run(Command::new(folder.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"])
        .arg(root.join(REQUIREMENTS)))
}

fn installed_python(folder: &Path) -> Option<String> {
    let python = folder.join("bin/python");
    if !python.is_file() {
        return None;
    }
    let script = "import openai; print(openai.__version__)";
    let output = Command::new(python).args(["-c", script]).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn node(folder: &Path) -> anyhow::Result<()> {
    if find("node").is_some() && installed_node(folder).as_deref() == Some(NODE_OPENAI) {
        return Ok(());
    }
    say(&format!("installing the npm package openai {NODE_OPENAI} into {}", folder.display()));
    need("node", &["nodejs", "npm"])?;
    need("npm", &["npm"])?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix"])
        .arg(folder)
        .arg(format!("openai@{NODE_OPENAI}")))
}

fn installed_node(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("node_modules/openai/package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    package.get("version")?.as_str().map(str::to_owned)
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
