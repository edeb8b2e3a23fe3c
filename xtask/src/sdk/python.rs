//! Python packages, one environment for each set of them.
//!
//! `uv` installs them: it takes seconds for what takes `pip` minutes. It is a Python package itself, pinned like the others.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::{apt_get, need, stamp};
use crate::output::say;
use crate::process::run;

const UV: &str = "uv==0.13.9";

/// What packages say they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependencies {
    /// Is in the list too, and it is an error if it is not.
    Checked,
    /// Is not installed.
    LeftOut,
}

/// Installs the packages of a list into the environment `name`, unless they are there.
pub fn install(folder: &Path, name: &str, list: &Path, dependencies: Dependencies) -> anyhow::Result<()> {
    let asked = std::fs::read_to_string(list).with_context(|| list.display().to_string())?;
    let environment = folder.join(name);
    let python = environment.join("bin/python");
    if python.is_file() && stamp::is_installed(&environment, &asked) {
        return Ok(());
    }
    let uv = uv(folder)?;
    say(&format!("installing the Python packages of {} into {}", list.display(), environment.display()));
    stamp::clear(&environment)?;
    run(quiet(&uv).args(["venv", "--python", "python3"]).arg(&environment))?;
    let mut command = quiet(&uv);
    // Compiled once here, and not by each of the tests, of which none may write.
    command.args(["pip", "install", "--compile-bytecode", "--python"]).arg(&python);
    if dependencies == Dependencies::LeftOut {
        command.arg("--no-deps");
    }
    run(command.arg("--requirement").arg(list))?;
    if dependencies == Dependencies::Checked {
        run(quiet(&uv).args(["pip", "check", "--python"]).arg(&python))?;
    }
    stamp::write(&environment, &asked)
}

fn quiet(uv: &Path) -> Command {
    let mut command = Command::new(uv);
    // The system's Python is used; another one would be fetched from a place that nobody agreed to.
    command.arg("--quiet").env("UV_PYTHON_DOWNLOADS", "never");
    command
}

/// Where `uv` is, after it was installed if need be.
fn uv(folder: &Path) -> anyhow::Result<PathBuf> {
    let environment = folder.join("uv");
    let uv = environment.join("bin/uv");
    if uv.is_file() && stamp::is_installed(&environment, UV) {
        return Ok(uv);
    }
    say(&format!("installing {UV} into {}", environment.display()));
    need("python3", &["python3", "python3-venv"])?;
    stamp::clear(&environment)?;
    let make = || run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
    if make().is_err() {
        // Debian ships `python3` without the part that makes environments.
        apt_get(&["python3-venv"])?;
        make()?;
    }
    run(Command::new(environment.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        UV,
    ]))?;
    stamp::write(&environment, UV)?;
    Ok(uv)
}
