//! A broken split is found, a sound one is left alone, and the sums behind it are exact.

use lockgate_stats::mismatch::{LOG_NEEDED, log_e};

/// ln B(a+x, b+y) - ln B(a, b), factor by factor: the recurrence of the gamma function, without any series.
fn log_beta_ratio(a: f64, b: f64, x: u64, y: u64) -> f64 {
    let rise = |from: f64, count: u64| (0..count).map(|i| (from + i as f64).ln()).sum::<f64>();
    rise(a, x) + rise(b, y) - rise(a + b, x + y)
}

#[test]
fn it_is_the_beta_mixture_to_ten_digits() {
    for share in [0.01, 0.05, 0.3, 0.5, 0.9] {
        let all = 5.0 / f64::min(share, 1.0 - share);
        for (own, other) in [(0, 1), (1, 0), (3, 200), (90, 4), (700, 2_300), (0, 30_000)] {
            let expected = log_beta_ratio(all * share, all * (1.0 - share), own, other)
                - own as f64 * share.ln()
                - other as f64 * (1.0 - share).ln();
            let got = log_e(own, other, share, 1);
            assert!((got - expected).abs() < 1e-10 * expected.abs().max(1.0), "{got} {expected}");
        }
    }
}

#[test]
fn a_broken_split_is_found_and_a_sound_one_is_not() {
    assert!((LOG_NEEDED - 1000f64.ln()).abs() < 1e-12);
    let is_broken = |candidate, stable, share, copies| log_e(candidate, stable, share, copies) >= LOG_NEEDED;
    for n in [100u64, 10_000, 1_000_000, 100_000_000] {
        assert!(!is_broken(n / 100, n - n / 100, 0.01, 1), "{n} callers, split as planned");
        // Three standard deviations are met too often, by someone who looks all the time, to be called
        // broken.
        let off = (3.0 * (n as f64 * 0.01 * 0.99).sqrt()) as u64;
        assert!(!is_broken(n / 100 + off, n - n / 100 - off, 0.01, 1), "{n} callers, a little off");
    }
    // One of four replicas still has the old table, a quarter of the candidate's callers are missing.
    assert!(is_broken(300, 39_700, 0.01, 1));
    // Half of them came twice as often: found, unless every caller may have been counted twice.
    assert!(is_broken(200, 9_800, 0.01, 1) && !is_broken(200, 9_800, 0.01, 16));
    assert!(is_broken(5_250, 4_750, 0.5, 1) && !is_broken(5_100, 4_900, 0.5, 1));
    // Nobody at all came where a tenth should have.
    assert!(is_broken(0, 150, 0.1, 1) && is_broken(0, 1_500, 0.01, 1));
}

#[test]
fn it_stays_a_number_for_counts_and_shares_of_any_size() {
    let most = u64::MAX;
    for share in [f64::NAN, -1.0, 0.0, 1e-9, 0.01, 0.5, 1.0, 2.0, f64::INFINITY] {
        for (candidate, stable) in [(0, 0), (0, most), (most, 0), (most, most), (1, most)] {
            for copies in [0, 1, 64, most] {
                let log_e = log_e(candidate, stable, share, copies);
                assert!(log_e.is_finite(), "{share} {candidate} {stable} {copies}: {log_e}");
            }
        }
    }
    assert!(log_e(0, 0, 0.01, 1).abs() < 1e-12);
    // Rounding does not pile up into evidence.
    let n = 1u64 << 60;
    assert!(log_e(n / 4, n - n / 4, 0.25, 1) < 0.0);
}
