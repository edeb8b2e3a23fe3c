//! npm packages, exactly those of the lock file.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::{need, stamp};
use crate::output::say;
use crate::process::{find, run};

/// Installs the packages that `packages/package-lock.json` names, unless they are there.
pub fn install(folder: &Path, packages: &Path) -> anyhow::Result<()> {
    let lock = packages.join("package-lock.json");
    let asked = std::fs::read_to_string(&lock).with_context(|| lock.display().to_string())?;
    let folder = folder.join("node");
    if find("node").is_some() && stamp::is_installed(&folder, &asked) {
        return Ok(());
    }
    say(&format!("installing the npm packages of {} into {}", lock.display(), folder.display()));
    need("node", &["nodejs", "npm"])?;
    need("npm", &["npm"])?;
    stamp::clear(&folder)?;
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(packages.join(name), folder.join(name)).with_context(|| name.to_owned())?;
    }
    // `ci` takes what the lock file says or nothing; `install` would look for something newer.
    run(Command::new("npm").current_dir(&folder).args([
        "ci",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
    ]))?;
    stamp::write(&folder, &asked)
}
