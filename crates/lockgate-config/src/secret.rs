//! A text that cannot be printed.

use std::fmt;

/// A key or token. It has no `Display`, its `Debug` shows nothing of it, it does not serialise, and it is compared in
/// constant time.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a text out of the reach of logs.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a presented text is this secret; takes as long for a near miss as for a far one.
    pub fn matches(&self, presented: &str) -> bool {
        let (mine, theirs) = (self.0.as_bytes(), presented.as_bytes());
        let differences = mine.iter().zip(theirs).fold(0, |acc, (a, b)| acc | (a ^ b));
        mine.len() == theirs.len() && differences == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let secret = Secret::new("sk-very-private".into());
        assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("private"));
    }

    #[test]
    fn only_the_same_text_matches() {
        let secret = Secret::new("token".into());
        assert!(secret.matches("token"));
        assert!(
            !secret.matches("tokem")
                && !secret.matches("toke")
                && !secret.matches("")
                && !secret.matches("tokens")
        );
    }
}
