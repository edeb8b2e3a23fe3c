//! What the file points to: secrets in the environment or in files; prompts and certificates in files.

use std::io::Read as _;
use std::path::Path;

use crate::check::Check;
use crate::place::Place;
use crate::secret::Secret;

/// Largest file that holds a secret: a key is shorter than a page.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Largest prompt file: more than the longest context that a model reads.
const PROMPT_BYTES_MAX: u64 = 4 << 20;

impl Check<'_> {
    /// The secret that a reference leads to. Messages name the reference and never what was found there.
    pub(super) fn secret(&mut self, place: &Place<'_>) -> Option<Secret> {
        let (from, name, text) = match place.named().next()? {
            ("env", name_at) => {
                let name = name_at.node.text()?;
                let text = (self.env)(name).ok_or_else(|| "it is not set".to_owned());
                ("environment variable", name, text)
            }
            ("file", name_at) => {
                let name = name_at.node.text()?;
                let text = self.read(name, SECRET_BYTES_MAX);
                ("file", name, text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            _ => return None,
        };
        let wrong = match text {
            Ok(text) if text.is_empty() => "it is empty".to_owned(),
            // All our secrets travel in headers.
            Ok(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                "it holds a space, a line break or a letter that no header can carry".to_owned()
            }
            Ok(text) => return Some(Secret::new(text)),
            Err(wrong) => wrong,
        };
        let hint = format!("put the secret into {from} `{name}` before starting");
        self.problem(place, format!("no secret can be had from {from} `{name}`: {wrong}"), hint);
        None
    }

    /// A prompt: the text of a file, or one written in place.
    pub(super) fn prompt(&mut self, place: &Place<'_>) -> Option<String> {
        let text_at = place.get("text");
        let (at, text) = match (&text_at, place.node.text()) {
            (Some(text_at), _) => (text_at, text_at.node.text()?.to_owned()),
            (None, Some(file)) => {
                let path = self.base.join(file);
                match self.read(file, PROMPT_BYTES_MAX) {
                    Ok(text) => (place, text),
                    Err(wrong) => {
                        let hint = format!(
                            "it is looked for at {}; a prompt in place is written {{ text: \"...\" }}",
                            path.display()
                        );
                        self.problem(place, format!("{} cannot be read: {wrong}", place.node), hint);
                        return None;
                    }
                }
            }
            (None, None) => return None,
        };
        if text.trim().is_empty() {
            self.problem(at, "the prompt is empty", "write a prompt, or take `system` away");
            return None;
        }
        Some(text)
    }

    pub(super) fn read(&mut self, file: &str, bytes_max: u64) -> Result<String, String> {
        let path = self.base.join(file);
        let text = read(&path, bytes_max);
        self.files.insert(path);
        text
    }
}

fn read(path: &Path, bytes_max: u64) -> Result<String, String> {
    // Asked before it is opened: opening a pipe waits for whoever writes to it.
    if !std::fs::metadata(path).map_err(|error| reason(&error))?.is_file() {
        return Err("it is not a plain file".into());
    }
    let file = std::fs::File::open(path).map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("it is larger than {} KiB", bytes_max >> 10));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}

/// The cause in words, without the number that the operating system gives it.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "this process may not read it".into(),
        kind => kind.to_string(),
    }
}
