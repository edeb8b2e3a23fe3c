//! A fixed ladder of durations, each step 1 % above the last.
//!
//! Latencies are counted per level. Counts of levels add up over replicas and time without loss, give any percentile to
//! 1 %, and say how many calls were slower than a limit. The ladder is made with integers, so that it is the same
//! everywhere; it is part of the stored format and must not change.

use std::sync::LazyLock;
use std::time::Duration;

/// The ladder's lowest edge: nothing that crosses a network is faster.
const LOWEST_MICROS: u64 = 100;
/// The ladder's highest edge, one hour: no call lives longer.
const HIGHEST_MICROS: u64 = 3_600_000_000;

/// Upper edges in microseconds; level `i` holds durations in `(edge[i-1], edge[i]]`.
static EDGES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut edges = vec![LOWEST_MICROS];
    let mut edge = LOWEST_MICROS;
    while edge < HIGHEST_MICROS {
        edge = (edge + (edge / 100).max(1)).min(HIGHEST_MICROS);
        edges.push(edge);
    }
    edges
});

/// A step of the ladder.
pub type Level = u16;

/// The level of a call that never ended: timed out, or given up before anything came. Slower than every limit.
pub fn never() -> Level {
    EDGES.len() as Level
}

/// The number of levels, [`never()`] included.
pub fn count() -> usize {
    EDGES.len() + 1
}

/// The level of a duration; above one hour it is [`never()`].
pub fn level(duration: Duration) -> Level {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    EDGES.partition_point(|edge| *edge < micros) as Level
}

/// The upper edge of a level; `None` for [`never()`].
pub fn upper_edge(level: Level) -> Option<Duration> {
    EDGES.get(usize::from(level)).map(|micros| Duration::from_micros(*micros))
}

/// The first level that counts as slower than `limit`. A limit inside a level counts that whole level as slower: the doubt,
/// at most 1 % of the limit, goes against the version.
pub fn first_slower(limit: Duration) -> Level {
    let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    EDGES.partition_point(|edge| *edge <= micros) as Level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_at_most_two_percent_and_upwards() {
        // Integer steps from 100 us are 1 % within rounding down; the ladder must stay strictly rising.
        assert!(EDGES.windows(2).all(|pair| pair[0] < pair[1] && pair[1] * 100 <= pair[0] * 101));
        assert!(count() < usize::from(Level::MAX));
    }

    #[test]
    fn a_duration_lies_at_or_under_the_upper_edge_of_its_level() {
        for micros in [0, 99, 100, 101, 5_000, 1_234_567, 3_600_000_000] {
            let duration = Duration::from_micros(micros);
            assert!(upper_edge(level(duration)).is_some_and(|edge| edge >= duration));
        }
        assert_eq!(level(Duration::from_secs(3601)), never());
        assert_eq!(upper_edge(never()), None);
    }

    #[test]
    fn what_is_slower_than_a_limit_counts_as_slower() {
        let limit = Duration::from_secs(5);
        for slower_ms in [5_001, 5_060, 9_000] {
            assert!(level(Duration::from_millis(slower_ms)) >= first_slower(limit), "{slower_ms}");
        }
        assert!(level(Duration::from_millis(4_900)) < first_slower(limit));
        assert!(never() >= first_slower(limit));
    }
}
