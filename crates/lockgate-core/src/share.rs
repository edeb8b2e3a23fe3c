//! A share of the traffic, exact to one part in 2^32.
//!
//! Kept as a count of points, not as a float, so that "is this user's point inside?" is one integer comparison that every
//! replica and every language answers alike.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of points on the line that users are spread over.
pub const POINTS: u64 = 1 << 32;

/// How many of the 2^32 points belong to the candidate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u64);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const FULL: Self = Self(POINTS);

    /// From a fraction between 0 and 1, rounded to the nearest point; `None` outside that range or when not a number.
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        (0.0..=1.0).contains(&fraction).then(|| Self((fraction * POINTS as f64).round() as u64))
    }

    /// Reads `1%`, `0.5 %` or `0.01`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('%') {
            Some(percent) => Self::from_fraction(percent.trim().parse::<f64>().ok()? / 100.0),
            None => Self::from_fraction(text.parse().ok()?),
        }
    }

    /// Between 0 and 1.
    pub fn fraction(self) -> f64 {
        self.0 as f64 / POINTS as f64
    }

    /// Whether a point on the line lies inside this share. Whoever is inside a share is inside every larger one.
    pub fn contains(self, point: u32) -> bool {
        u64::from(point) < self.0
    }
}

/// Writes a fraction as people write it: `1 %`, `0.1 %`, `50 %`.
pub fn percent(fraction: f64) -> String {
    let rounded = (fraction * 100.0 * 1e4).round() / 1e4;
    format!("{rounded} %")
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&percent(self.fraction()))
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Share {
    /// As a fraction with the fewest digits that read back as the same point count, so that 10 % is written `0.1`. Ten always
    /// do: 2^-32 is about 2.3e-10.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded = |digits| {
            let scale = 10f64.powi(digits);
            (self.fraction() * scale).round() / scale
        };
        let shortest = (0..10).map(rounded).find(|fraction| Self::from_fraction(*fraction) == Some(*self));
        serializer.serialize_f64(shortest.unwrap_or_else(|| rounded(10)))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fraction = f64::deserialize(deserializer)?;
        Self::from_fraction(fraction)
            .ok_or_else(|| serde::de::Error::custom(format!("{fraction} is not a share; write 0.01 for 1 %")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_read_as_people_write_them() {
        assert_eq!(Share::parse("1%"), Share::from_fraction(0.01));
        assert_eq!(Share::parse(" 0.1 % "), Share::from_fraction(0.001));
        assert_eq!(Share::parse("0.5"), Share::from_fraction(0.5));
        assert_eq!(Share::parse("100%"), Some(Share::FULL));
        for wrong in ["1.5", "-1%", "101%", "NaN", "one", "", "%"] {
            assert_eq!(Share::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Share::parse("1%").map(|s| s.to_string()).as_deref(), Some("1 %"));
    }

    #[test]
    fn a_share_is_stored_as_it_was_written() {
        for (written, stored) in
            [("10%", "0.1"), ("0.1%", "0.001"), ("1%", "0.01"), ("0%", "0.0"), ("100%", "1.0")]
        {
            assert_eq!(serde_json::to_string(&Share::parse(written).unwrap()).unwrap(), stored);
        }
    }

    proptest! {
        #[test]
        fn a_share_survives_being_stored(points in 0..=POINTS) {
            let share = Share(points);
            let text = serde_json::to_string(&share).unwrap();
            prop_assert_eq!(serde_json::from_str::<Share>(&text).unwrap(), share);
        }
    }
}
