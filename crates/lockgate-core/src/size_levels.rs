//! A fixed ladder of whole numbers: each of the first hundred apart, then each step 1 % above the last.
//!
//! For what is counted in units of its own: tokens, nano-dollars. Like [`crate::duration_levels`] it is made with integers and
//! part of the stored format.

use std::sync::LazyLock;

/// The ladder's highest edge: a session of ten thousand dollars, in nano-dollars.
const HIGHEST: u64 = 10_000_000_000_000;

/// Upper edges; level `i` holds numbers in `(edge[i-1], edge[i]]`, level 0 only 0.
static EDGES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut edges = vec![0];
    let mut edge = 0_u64;
    while edge < HIGHEST {
        edge = (edge + (edge / 100).max(1)).min(HIGHEST);
        edges.push(edge);
    }
    edges
});

/// A step of the ladder.
pub type Level = u16;

/// The number of levels.
pub fn count() -> usize {
    EDGES.len()
}

/// The level of a number; above the ladder it is the last.
pub fn level(number: u64) -> Level {
    EDGES.partition_point(|edge| *edge < number).min(EDGES.len() - 1) as Level
}

/// The number that a level stands for: its middle.
pub fn value(level: Level) -> f64 {
    let at = usize::from(level).min(EDGES.len() - 1);
    let upper = EDGES[at];
    let lower = if at == 0 { 0 } else { EDGES[at - 1] + 1 };
    0.5 * (lower as f64 + upper as f64)
}

/// The largest number of a level.
pub fn upper_edge(level: Level) -> u64 {
    EDGES[usize::from(level).min(EDGES.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_within_half_a_per_cent_of_its_level() {
        for number in [0_u64, 1, 7, 99, 100, 101, 250, 12_345, 999_999, 5_000_000_000, HIGHEST] {
            let stands_for = value(level(number));
            assert!((stands_for - number as f64).abs() <= 0.0051 * number as f64, "{number} {stands_for}");
        }
        assert_eq!(level(u64::MAX), level(HIGHEST));
        assert!(count() < 3000);
    }
}
