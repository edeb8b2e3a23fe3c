//! The names people give to things, and the ids Lockgate gives to them.
//!
//! A name is checked when it is made, so that code which holds one needs not ask again: it can stand in a header, a URL, a log
//! line and a metric label without being escaped.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Longest name in bytes: short enough for a header and a terminal column, long enough for `team.product.feature-v12`.
pub const NAME_BYTES_MAX: usize = 64;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name is empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("`{0}` is longer than {NAME_BYTES_MAX} characters")]
    TooLong(String),
    /// A character other than a letter, a digit, `.`, `_` or `-`.
    #[error("`{name}` contains `{found}`; names are letters, digits, `.`, `_` and `-`")]
    Character {
        /// The whole text.
        name: String,
        /// The first character that does not belong.
        found: char,
    },
}

fn check_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(text.chars().take(NAME_BYTES_MAX).collect()));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(found) => Err(NameError::Character { name: text.to_owned(), found }),
        None => Ok(()),
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text: 1 to [`NAME_BYTES_MAX`] letters, digits, `.`, `_`, `-`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check_name(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type!(
    /// One AI capability as its users know it; clients name it as the `model` of a call.
    FeatureName
);
name_type!(
    /// One version of a feature: the unit that is rolled out.
    VersionName
);
name_type!(
    /// One upstream.
    TargetName
);
name_type!(
    /// The path of a rollout.
    PlanName
);
name_type!(
    /// A label by which traffic is sliced, for example `tier`.
    LabelName
);
name_type!(
    /// A signal that a configuration declares beside the built-in ones, for example `resolved`.
    DeclaredSignal
);

/// The digest of everything a version is made of: the first 128 bits of a SHA-256, written as 32 hex digits.
///
/// Two versions with the same revision behave the same as far as Lockgate can make them; a version whose prompt file changed
/// has another revision under the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision([u8; 16]);

impl Revision {
    /// Digests the canonical text of a version.
    pub fn of(canonical: &[u8]) -> Self {
        let digest = Sha256::digest(canonical);
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(first)
    }

    /// The first 12 hex digits, for people.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let bytes = text.as_bytes();
        if bytes.len() != 32 || !bytes.iter().all(u8::is_ascii_hexdigit) {
            return Err(RevisionError(text.chars().take(40).collect()));
        }
        let mut out = [0; 16];
        for (byte, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
            *byte = digit(pair[0]) << 4 | digit(pair[1]);
        }
        Ok(Self(out))
    }
}

/// A text that is not a revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a revision: 32 hex digits are expected")]
pub struct RevisionError(String);

impl Serialize for Revision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A version with its digest: what an event names, so that a later change of a prompt file cannot rewrite history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VersionRef {
    /// The name in the configuration.
    pub name: VersionName,
    /// What it was made of at that moment.
    pub revision: Revision,
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.revision.short())
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id_type!(
    /// One rollout, UUIDv7.
    RolloutId
);
id_type!(
    /// One call of a client, UUIDv7; told in `x-lockgate-request-id`.
    RequestId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_only_what_needs_no_escaping() {
        assert!(FeatureName::new("support-reply_v1.2").is_ok());
        assert_eq!(FeatureName::new(""), Err(NameError::Empty));
        assert!(matches!(FeatureName::new("a b"), Err(NameError::Character { found: ' ', .. })));
        assert!(matches!(FeatureName::new(&"x".repeat(65)), Err(NameError::TooLong(_))));
        assert!(FeatureName::new(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn a_revision_survives_being_written_and_read() {
        let revision = Revision::of(b"anything");
        assert_eq!(revision.to_string().parse(), Ok(revision));
        assert!("abc".parse::<Revision>().is_err());
        assert!("zz".repeat(16).parse::<Revision>().is_err());
    }
}
