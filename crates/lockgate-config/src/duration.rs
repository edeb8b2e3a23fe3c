//! Times as people write them: `500ms`, `30s`, `5m`, `48h`, `7d`, `1h30m`.
//!
//! A number without a unit is refused: nobody can tell seconds from milliseconds by looking at it.

use std::time::Duration;

/// Units from the longest to the shortest, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Ten years. Longer than any rollout, short enough that adding it to the present is always a date.
pub const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Reads `30s`, `48h`, `1h30m`; `None` without a unit, with units out of order, or beyond [`LONGEST`].
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut units = UNITS.iter();
    let mut total_ms = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[digits..digits + letters];
        // Each unit once and the longer first: the search goes on where the last one stopped.
        let (_, ms) = units.find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.checked_mul(*ms)?)?;
        rest = &rest[digits + letters..];
    }
    Some(Duration::from_millis(total_ms)).filter(|duration| *duration <= LONGEST)
}

/// Writes a time so that [`parse`] reads it back, in the fewest units: `7d`, `36h`, `1m30s`. Below a millisecond is cut off.
pub fn write(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return "0s".into();
    }
    if let Some((name, ms)) = UNITS.iter().find(|(_, ms)| rest.is_multiple_of(u128::from(*ms)))
        && rest / u128::from(*ms) < 100
    {
        return format!("{}{name}", rest / u128::from(*ms));
    }
    let mut text = String::new();
    for (name, ms) in UNITS {
        let count = rest / u128::from(ms);
        rest %= u128::from(ms);
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("48h", 172_800_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
            (" 2s ", 2000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn a_time_without_unit_out_of_order_or_out_of_range_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "30m1h",
            "1h1h",
            "5 min",
            "99999999d",
            "1µs",
            "18446744073709551615d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_in_the_fewest_units() {
        for text in ["7d", "36h", "1m30s", "500ms", "48h", "0s", "90s"] {
            let canonical = write(parse(text).unwrap());
            assert_eq!(parse(&canonical), parse(text), "{text} became {canonical}");
        }
        assert_eq!(write(Duration::from_secs(14 * 86_400)), "14d");
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back_the_same(ms in 0u64..300_000_000_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&write(duration)), Some(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
