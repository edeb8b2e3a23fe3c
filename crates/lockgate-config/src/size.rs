//! Sizes as people write them: `65536`, `64KiB`, `32MiB`.

/// Reads a number of bytes, or a number with a binary unit.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let factor: u64 = match text[digits..].trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Writes a size so that [`parse`] reads it back, in the largest unit that leaves a whole number.
pub fn write(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_units() {
        assert_eq!(parse("65536"), Some(65_536));
        assert_eq!(parse("64KiB"), Some(65_536));
        assert_eq!(parse("32 MiB"), Some(32 << 20));
        for text in ["", "MiB", "1.5MiB", "1MB", "-1", "99999999999GiB"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_written_size_reads_back_the_same() {
        for bytes in [0, 1, 1000, 1024, 1536, 65_536, 32 << 20, u64::MAX] {
            assert_eq!(parse(&write(bytes)), Some(bytes));
        }
        assert_eq!(write(32 << 20), "32MiB");
    }
}
