//! Files under `docs/reference` that the executable prints itself, so that they cannot say something else than it does.
//!
//! Pages that are written from the same tables by hand-made headings (`configuration.md`) are held by tests of the crate that
//! owns the tables.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::output::say;
use crate::process::{cargo, output_of};

/// A file and the arguments with which the executable prints it.
const GENERATED: [(&str, &[&str]); 1] = [("docs/reference/lockgate.schema.json", &["schema"])];

/// Fails when a generated file differs from what the executable prints now.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (path, arguments) in GENERATED {
        let printed = print(root, arguments)?;
        let kept = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        if kept.trim_end() != printed.trim_end() {
            stale.push(path);
        }
    }
    if !stale.is_empty() {
        bail!("not current: {}; run `cargo xtask generate`", stale.join(", "));
    }
    Ok(())
}

/// Writes the generated files again.
pub fn write(root: &Path) -> anyhow::Result<()> {
    for (path, arguments) in GENERATED {
        let printed = print(root, arguments)?;
        let file = root.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(&file, format!("{}\n", printed.trim_end())).with_context(|| path.to_owned())?;
        say(&format!("wrote {path}"));
    }
    Ok(())
}

fn print(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    output_of(cargo(root).args(["run", "--quiet", "--locked", "--package", "lockgate", "--"]).args(arguments))
}
