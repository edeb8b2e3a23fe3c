//! Decides which version a user gets.
//!
//! The same user stays on the same version on every replica, with nothing shared: the answer is a hash of the rollout's salt
//! and the sticky key, compared with the candidate's share. Raising the share only adds users, because a user's point on the
//! line never moves.
//!
//! The hash is frozen and its vectors are published in `docs/reference/assignment.md`, so that any language can say the same.
//! Kill switches, pauses and segments are settled by [`crate::route`] before and around this.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::share::Share;

/// What the hash input starts with; a later hash would change this word and leave running rollouts alone.
const DOMAIN: &[u8] = b"lockgate-assign-1";

/// The rollout's own random text. It lives as long as the rollout, restarts included, and another rollout has another one,
/// so that the first users of one canary are not the first users of the next.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Salt(String);

impl Salt {
    /// From 128 random bits, which the caller draws.
    pub fn from_random(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self::from_random).map_err(serde::de::Error::custom)
    }
}

/// Where a key lies on the line of 2^32 points: the first four bytes, big-endian, of
/// SHA-256(`lockgate-assign-1` 0x00 salt 0x00 key), all in UTF-8.
///
/// SHA-256 and not a faster hash, because every language has it and nobody gets it subtly wrong.
pub fn point(salt: &Salt, key: &str) -> u32 {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update([0]);
    hash.update(salt.0.as_bytes());
    hash.update([0]);
    hash.update(key.as_bytes());
    let digest = hash.finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// Whether this key is on the candidate at this share.
pub fn is_candidate(salt: &Salt, key: &str, share: Share) -> bool {
    share.contains(point(salt, key))
}
