//! Parts of a whole as people write them: `1%`, `0.5 %`, `0.01`.
//!
//! A bare number above 1 is refused, and so is a bare 1: it may mean one per cent or everything, and a canary of everything
//! is not a canary.

/// Reads a part of a whole as a fraction between 0 and 1.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let (fraction, most) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim().parse::<f64>().ok()? / 100.0, 1.0),
        None => (text.parse::<f64>().ok()?, 1.0 - f64::EPSILON),
    };
    // NaN is in no range.
    (0.0..=most).contains(&fraction).then_some(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_with_and_without_the_sign() {
        assert_eq!(parse("1%"), Some(0.01));
        assert_eq!(parse(" 0.5 % "), Some(0.005));
        assert_eq!(parse("100%"), Some(1.0));
        assert_eq!(parse("0.25"), Some(0.25));
        assert_eq!(parse("0"), Some(0.0));
    }

    #[test]
    fn a_bare_number_from_one_upwards_is_refused() {
        for text in ["1", "1.0", "1.5", "50", "101%", "-1%", "NaN", "inf", "%", "", "one"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
