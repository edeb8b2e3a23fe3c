//! Numbers for what is left to chance: pauses, and which calls are in a share.
//!
//! They need to be spread evenly and differ between calls, and nothing more: nobody gains anything by guessing one. So a call's id,
//! whose last bits are random, is mixed with a count, and no generator is shared between calls.

use lockgate_core::name::RequestId;

/// A number in [0, 1) for the `count`th decision of a call.
pub(crate) fn draw(id: RequestId, count: u32) -> f64 {
    // The finaliser of SplitMix64 (Steele, Lea and Flood 2014), over the id's random half.
    let seed = id.0.as_u128() as u64;
    let mut mixed = seed.wrapping_add(u64::from(count).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_evenly_and_differ_between_calls_and_counts() {
        let id = RequestId(uuid::Uuid::now_v7());
        let draws: Vec<f64> = (0..10_000).map(|count| draw(id, count)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert_ne!(draw(RequestId(uuid::Uuid::now_v7()), 0), draw(RequestId(uuid::Uuid::now_v7()), 0));
    }
}
