//! Unpacks a plain answer that a target packed although it was asked not to. Unread, nobody could tell whether it is whole.

use std::io::Read as _;

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

/// How an answer may be packed, as far as it is undone here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Deflate,
}

impl Packing {
    /// The packing of a `content-encoding`; `None` for one that nobody here undoes.
    pub(crate) fn named(encoding: &[u8]) -> Option<Self> {
        match encoding.to_ascii_lowercase().trim_ascii() {
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// The unpacked bytes; `None` when they are cut off, damaged, or more than `bytes_max`.
    pub(crate) fn undone(self, packed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = bytes_max as u64 + 1;
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(packed).take(limit).read_to_end(&mut bytes),
            Self::Deflate => ZlibDecoder::new(packed).take(limit).read_to_end(&mut bytes),
        };
        read.ok().filter(|_| bytes.len() <= bytes_max).map(|_| bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_whole_is_unpacked_and_nothing_else() {
        let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packing.write_all(&[b'a'; 10_000]).unwrap();
        let packed = packing.finish().unwrap();
        let gzip = Packing::named(b"GZip").unwrap();
        assert_eq!(gzip.undone(&packed, 10_000), Some(vec![b'a'; 10_000]));
        assert_eq!(gzip.undone(&packed, 9_999), None, "a small answer that unpacks into a flood");
        assert_eq!(gzip.undone(&packed[..packed.len() - 6], 10_000), None, "cut off");
        assert_eq!(gzip.undone(b"no gzip", 10_000), None);
        assert_eq!(Packing::named(b"br"), None);
    }
}
