//! Counts over the last while, in a fixed amount of memory.
//!
//! Time is cut into buckets of equal length and the ring holds the latest of them, so the counts cover the window to within one
//! bucket. A clock that jumps forwards empties it; one that jumps back a little goes on in the latest bucket, and one that jumps
//! back by a window or more begins anew, so that nothing waits for the old time to come round again.

use std::time::Duration;

use jiff::Timestamp;

/// Buckets in a window: what leaves it leaves in steps of a twentieth, too small to be seen in a rate.
pub(crate) const BUCKETS: usize = 20;

/// One bucket beside the window's own, for counts that must cover at least a whole window.
const HELD: usize = BUCKETS + 1;

/// `N` counts over a rolling window.
#[derive(Debug, Clone)]
pub(crate) struct Rolling<const N: usize> {
    bucket_ms: i64,
    /// The number of the latest bucket since 1970.
    latest: i64,
    counts: [[u32; N]; HELD],
}

impl<const N: usize> Default for Rolling<N> {
    fn default() -> Self {
        Self { bucket_ms: 1, latest: i64::MIN, counts: [[0; N]; HELD] }
    }
}

impl<const N: usize> Rolling<N> {
    /// Counts one more of `which` in a window that long.
    pub(crate) fn count(&mut self, window: Duration, now: Timestamp, which: usize) {
        let bucket_ms = bucket_ms(window);
        let number = now.as_millisecond().div_euclid(bucket_ms);
        let ahead = number.saturating_sub(self.latest);
        if bucket_ms != self.bucket_ms || ahead.unsigned_abs() >= HELD as u64 {
            *self = Self { bucket_ms, latest: number, counts: [[0; N]; HELD] };
        }
        for number in self.latest + 1..=number {
            self.counts[slot(number)] = [0; N];
        }
        self.latest = self.latest.max(number);
        if let Some(count) = self.counts[slot(self.latest)].get_mut(which) {
            *count = count.saturating_add(1);
        }
    }

    /// What happened within the window, and nothing older.
    pub(crate) fn within(&self, window: Duration, now: Timestamp) -> [u64; N] {
        self.newest(BUCKETS, window, now)
    }

    /// All that happened within the window, and up to a bucket's length more.
    pub(crate) fn at_least(&self, window: Duration, now: Timestamp) -> [u64; N] {
        self.newest(HELD, window, now)
    }

    fn newest(&self, buckets: usize, window: Duration, now: Timestamp) -> [u64; N] {
        let mut sums = [0; N];
        let bucket_ms = bucket_ms(window);
        let number = now.as_millisecond().div_euclid(bucket_ms);
        let ahead = number.saturating_sub(self.latest);
        if bucket_ms != self.bucket_ms || ahead.unsigned_abs() >= HELD as u64 {
            return sums;
        }
        // After a small jump back the latest bucket stands for the present one.
        let present = number.max(self.latest);
        for number in present - buckets as i64 + 1..=self.latest {
            for (sum, count) in sums.iter_mut().zip(self.counts[slot(number)]) {
                *sum += u64::from(count);
            }
        }
        sums
    }
}

fn slot(number: i64) -> usize {
    number.rem_euclid(HELD as i64) as usize
}

fn bucket_ms(window: Duration) -> i64 {
    let ms = window.as_millis() / BUCKETS as u128;
    i64::try_from(ms).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
    }

    fn counted(times: &[i64]) -> Rolling<1> {
        let mut rolling = Rolling::default();
        times.iter().for_each(|&ms| rolling.count(WINDOW, at(ms), 0));
        rolling
    }

    #[test]
    fn what_is_older_than_the_window_has_left_it() {
        let rolling = counted(&[0, 4_000, 9_999]);
        assert_eq!(rolling.within(WINDOW, at(9_999)), [3]);
        assert_eq!(rolling.within(WINDOW, at(10_000)), [2]);
        assert_eq!(rolling.within(WINDOW, at(30_000)), [0]);
        assert_eq!(Rolling::<1>::default().within(WINDOW, at(0)), [0]);
    }

    #[test]
    fn a_small_jump_back_goes_on_and_a_large_one_begins_anew() {
        let mut rolling = counted(&[0, 5_000]);
        rolling.count(WINDOW, at(3_000), 0);
        assert_eq!(rolling.within(WINDOW, at(3_000)), [3]);
        rolling.count(WINDOW, at(-3_600_000), 0);
        assert_eq!(rolling.within(WINDOW, at(-3_600_000)), [1]);
        rolling.count(WINDOW, Timestamp::MAX, 0);
        rolling.count(WINDOW, Timestamp::MIN, 0);
        assert_eq!(rolling.within(WINDOW, Timestamp::MIN), [1]);
        rolling.count(Duration::MAX, at(0), 0);
        assert_eq!(rolling.within(WINDOW, at(0)), [0], "another window begins anew");
    }

    proptest! {
        #[test]
        fn the_counts_hold_the_window_to_within_a_bucket(mut times in prop::collection::vec(0i64..60_000, 1..200)) {
            times.sort_unstable();
            let now = times[times.len() - 1];
            let rolling = counted(&times);
            let since = |ms: i64| times.iter().filter(|&&time| time > now - ms).count() as u64;
            let (within, at_least) = (rolling.within(WINDOW, at(now))[0], rolling.at_least(WINDOW, at(now))[0]);
            prop_assert!(since(9_500) <= within && within <= since(10_000), "{within}");
            prop_assert!(since(10_000) <= at_least && at_least <= since(10_500), "{at_least}");
        }
    }
}
