//! Hashes for maps that every call looks into.
//!
//! Keys that callers choose are hashed with a secret key once, where they come in; the maps behind take that hash as it is.
//! Keys that the configuration chooses, or that are few by a bound, need no secret: no choice of them makes a map slow.

use std::hash::{BuildHasherDefault, Hasher};

/// For keys that are hashes already.
pub(crate) type HashAsIs = BuildHasherDefault<AsIs>;
/// For keys that nobody outside can choose freely.
pub(crate) type HashFast = BuildHasherDefault<Fast>;

/// Takes a hash as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AsIs(u64);

/// Multiplies and rotates, word by word, as the hash of rustc's own maps does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fast(u64);

/// Odd, with its bits spread: the golden ratio in 64 bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Fast {
    fn take(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for Fast {
    fn finish(&self) -> u64 {
        // The upper bits are the mixed ones, and maps look at the lower ones too.
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.take(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.take(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.take(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.take(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.take(number as u64);
    }
}
