//! What a new rollout draws by lot: its id and its salt.

use jiff::Timestamp;
use lockgate_core::assign::Salt;
use lockgate_core::name::RolloutId;
use uuid::{NoContext, Uuid};

/// An id that sorts by the moment of the start.
pub(crate) fn rollout_id(now: Timestamp) -> RolloutId {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = now.subsec_nanosecond().unsigned_abs();
    RolloutId(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos)))
}

/// 128 random bits. A UUID has six that are not random; the other one's stand in for them.
pub(crate) fn salt() -> Salt {
    Salt::from_random(Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bit_of_a_salt_stands_still() {
        let salts: Vec<u128> = (0..200).map(|_| u128::from_str_radix(salt().as_str(), 16).unwrap()).collect();
        assert_eq!(salts.iter().fold(0, |bits, salt| bits | salt), u128::MAX);
        assert_eq!(salts.iter().fold(u128::MAX, |bits, salt| bits & salt), 0);
    }

    #[test]
    fn ids_sort_by_time() {
        let at = |seconds| rollout_id(Timestamp::from_second(seconds).unwrap());
        assert!(at(1_790_000_000) < at(1_790_000_001));
    }
}
