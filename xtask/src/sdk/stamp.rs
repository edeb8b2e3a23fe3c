//! What was installed into a folder, written there last of all.
//!
//! A folder without its stamp, or with another one, was left by a run that was interrupted or by an older tree. It is not
//! mended but made again.

use std::path::Path;

use anyhow::Context as _;

const NAME: &str = "installed.txt";

/// Whether the folder holds exactly what is asked for.
pub fn is_installed(folder: &Path, asked: &str) -> bool {
    std::fs::read_to_string(folder.join(NAME)).is_ok_and(|installed| installed == asked)
}

/// Says that the folder holds what was asked for.
pub fn write(folder: &Path, asked: &str) -> anyhow::Result<()> {
    let path = folder.join(NAME);
    std::fs::write(&path, asked).with_context(|| path.display().to_string())
}

/// Takes away what an earlier run left.
pub fn clear(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_with_the_very_same_packages_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("lockgate-stamp-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(!is_installed(&folder, "a==1"), "nothing was installed yet");
        write(&folder, "a==1").unwrap();
        assert!(is_installed(&folder, "a==1"));
        assert!(!is_installed(&folder, "a==2"));
        clear(&folder).unwrap();
        assert!(!is_installed(&folder, "a==1"));
        clear(&folder).unwrap();
    }
}
