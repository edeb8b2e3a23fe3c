//! `cargo xtask calibrate`: measures what the decisions cost and find, and writes docs/reference/calibration.md.
//!
//! The measurements are the crate `lockgate-calibrate`, built for speed. The packages that it compares with are installed here,
//! under `target/references`, from their registry and in pinned versions; nobody who uses Lockgate needs them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::output::say;
use crate::process::{find, run};
use crate::sdk::apt_get;

const FOLDER: &str = "target/references";
const REFERENCES: &str = "crates/lockgate-calibrate/references";
const PAGE: &str = "docs/reference/calibration.md";

/// Installs the references, unless told not to, and measures.
pub fn calibrate(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let is_whole = !arguments.iter().any(|argument| matches!(*argument, "--quick" | "--only"));
    let mut rest: Vec<&str> = arguments.to_vec();
    let without = rest.iter().position(|argument| *argument == "--without-references");
    if let Some(place) = without {
        rest.remove(place);
    }
    let folder = root.join(FOLDER);
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(root)
        .args(["run", "--release", "--quiet", "-p", "lockgate-calibrate", "--"])
        .args(&rest);
    if without.is_none() {
        install(root, &folder).context("the reference packages could not be installed")?;
        command.arg("--python").arg(folder.join("bin/python"));
        command.arg("--script").arg(root.join(REFERENCES).join("play.py"));
        command.arg("--scratch").arg(&folder);
    }
    if is_whole && without.is_none() {
        command.arg("--write").arg(root.join(PAGE));
    }
    run(&mut command)
}

fn install(root: &Path, folder: &Path) -> anyhow::Result<()> {
    let is_there = || {
        Command::new(folder.join("bin/python"))
            .args(["-c", "import confseq.betting, confseq.boundaries, ville"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if is_there() {
        return Ok(());
    }
    say(&format!("installing the Python packages confseq and ville into {}", folder.display()));
    if find("python3").is_none() {
        apt_get(&["python3", "python3-venv"])?;
    }
    // `confseq` is compiled here: it needs a compiler, Python's headers and those of Boost.
    if !Path::new("/usr/include/boost").exists() || find("c++").is_none() {
        apt_get(&["g++", "libboost-dev", "python3-dev"])?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let pip = |file: &str, more: &[&str]| {
        let mut command = Command::new(folder.join("bin/pip"));
        command.args(["install", "--quiet", "--disable-pip-version-check", "--no-input"]).args(more);
        command.arg("--requirement").arg(root.join(REFERENCES).join(file));
        // The build finds its tools in the environment, and not beside it.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder.join("bin")).chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(paths) {
            command.env("PATH", path);
        }
        command
    };
    run(&mut pip("build.txt", &[]))?;
    let told = Command::new(folder.join("bin/python"))
        .args(["-m", "pybind11", "--cmakedir"])
        .output()
        .context("pybind11 does not say where it is")?;
    let pybind = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    run(pip("requirements.txt", &["--no-build-isolation"]).env("CMAKE_PREFIX_PATH", pybind))?;
    if !is_there() {
        bail!("they are installed in {} but cannot be imported", folder.display());
    }
    Ok(())
}
