//! The recorded exchanges: those kept beside this file, and more where the machine has them.

use std::path::{Path, PathBuf};

use lockgate_sim::replay::Recording;

use crate::script::folder;

/// Names a folder with `api_transcripts.jsonl`, of which every recorded exchange of these APIs is then replayed too.
const MORE: &str = "LOCKGATE_EVAL_DATA";
/// Names of APIs in the files that are not replayed: Lockgate does not speak them.
const NOT_SPOKEN: [&str; 3] = ["anthropic.complete", "gemini.generate", "openai.completions"];

/// The file that is kept in the repository.
pub fn kept_file() -> PathBuf {
    folder().join("recorded.jsonl")
}

/// The exchanges that are kept in the repository.
pub fn kept() -> Vec<Recording> {
    read(&kept_file())
}

/// Those and all that the machine has beside them.
pub fn all() -> Vec<Recording> {
    let mut all = kept();
    if let Some(folder) = std::env::var_os(MORE) {
        all.extend(read(&Path::new(&folder).join("api_transcripts.jsonl")));
    }
    all
}

fn read(path: &Path) -> Vec<Recording> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let recordings = text.lines().map(|line| Recording::from_line(line).unwrap());
    recordings.filter(|recording| !NOT_SPOKEN.contains(&recording.api.as_str())).collect()
}
