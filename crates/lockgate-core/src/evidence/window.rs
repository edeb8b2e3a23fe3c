//! Sums over a trailing window, bounded in memory.
//!
//! Whole numbers only, added when a bucket comes and taken away when it leaves, so that the window says the same after a year
//! as after an hour.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sums::BucketStart;

/// Most pieces that a window is kept in. An hour of ten-second buckets is exact; a day moves on in steps of two minutes.
const PIECES_MAX: i64 = 720;

/// `K` sums over a trailing window.
#[derive(Debug, Clone)]
pub(super) struct Trailing<const K: usize> {
    over_ms: i64,
    piece_ms: i64,
    pieces: VecDeque<(i64, [u128; K])>,
    total: [u128; K],
}

impl<const K: usize> Trailing<K> {
    /// Over so long, of buckets of this width.
    pub(super) fn new(over: Duration, bucket: Duration) -> Self {
        let width_ms = (bucket.as_millis() as i64).max(1);
        let over_ms = i64::try_from(over.as_millis()).unwrap_or(i64::MAX / 4).clamp(width_ms, i64::MAX / 4);
        let buckets = (over_ms / width_ms).max(1);
        let buckets_per_piece = buckets.div_euclid(PIECES_MAX) + i64::from(buckets % PIECES_MAX != 0);
        let piece_ms = width_ms.saturating_mul(buckets_per_piece.max(1));
        Self { over_ms, piece_ms, pieces: VecDeque::new(), total: [0; K] }
    }

    /// How wide the pieces are.
    pub(super) fn piece_ms(&self) -> i64 {
        self.piece_ms
    }

    /// How long it is.
    pub(super) fn over_ms(&self) -> i64 {
        self.over_ms
    }

    /// Lets go of what is older than the window that ends with this bucket.
    pub(super) fn move_on(&mut self, start: BucketStart) {
        let now = self.piece(start);
        while let Some((oldest, sums)) = self.pieces.front()
            && *oldest <= now.saturating_sub(self.over_ms)
        {
            for (total, sum) in self.total.iter_mut().zip(sums) {
                *total = total.wrapping_sub(*sum);
            }
            self.pieces.pop_front();
        }
    }

    /// Adds one bucket's.
    pub(super) fn add(&mut self, start: BucketStart, sums: [u128; K]) {
        if sums == [0; K] {
            return;
        }
        let now = self.piece(start);
        for (total, sum) in self.total.iter_mut().zip(sums) {
            *total = total.wrapping_add(sum);
        }
        match self.pieces.back_mut() {
            Some((piece, mine)) if *piece == now => {
                for (mine, sum) in mine.iter_mut().zip(sums) {
                    *mine = mine.wrapping_add(sum);
                }
            }
            _ => self.pieces.push_back((now, sums)),
        }
    }

    /// What is in the window.
    pub(super) fn total(&self) -> [u128; K] {
        self.total
    }

    /// Its pieces, oldest first.
    pub(super) fn pieces(&self) -> impl DoubleEndedIterator<Item = &(i64, [u128; K])> {
        self.pieces.iter()
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.total = [0; K];
    }

    fn piece(&self, start: BucketStart) -> i64 {
        start.0.div_euclid(self.piece_ms) * self.piece_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: Duration = Duration::from_secs(10);

    #[test]
    fn a_window_holds_as_many_buckets_as_fit_and_forgets_the_rest() {
        let mut window = Trailing::<1>::new(Duration::from_secs(30), BUCKET);
        let mut seen = Vec::new();
        for bucket in 0..6 {
            let start = BucketStart(bucket * 10_000);
            window.move_on(start);
            window.add(start, [1]);
            seen.push(window.total()[0]);
        }
        assert_eq!(seen, [1, 2, 3, 3, 3, 3]);
        window.move_on(BucketStart(1_000_000));
        assert!(window.is_empty());
    }

    #[test]
    fn a_month_is_kept_in_no_more_pieces_than_an_hour() {
        let mut window = Trailing::<1>::new(Duration::from_secs(30 * 86_400), BUCKET);
        for bucket in 0..300_000 {
            let start = BucketStart(bucket * 10_000);
            window.move_on(start);
            window.add(start, [1]);
        }
        assert!(window.pieces().count() as i64 <= PIECES_MAX + 1);
        assert!((258_000..261_000).contains(&(window.total()[0] as i64)), "{:?}", window.total());
    }
}
