//! What a count of rare events says about their probability.

/// The upper end of the one-sided 95 % interval of a probability after so many hits in so many runs (Clopper and Pearson 1934):
/// the probability at which so few hits or fewer have a chance of 5 %.
pub fn upper_bound(hits: u64, runs: u64) -> f64 {
    if runs == 0 || hits >= runs {
        return 1.0;
    }
    let (mut low, mut high) = (hits as f64 / runs as f64, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if at_most(hits, runs, middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

/// The chance of at most so many hits.
fn at_most(hits: u64, runs: u64, probability: f64) -> f64 {
    let odds = probability / (1.0 - probability);
    let mut log_term = runs as f64 * (-probability).ln_1p();
    let mut sum = log_term.exp();
    for hit in 0..hits {
        log_term += ((runs - hit) as f64 / (hit + 1) as f64 * odds).ln();
        sum += log_term.exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_end_is_the_rule_of_three_for_no_hits_and_agrees_with_tables() {
        assert!((upper_bound(0, 200) - 0.014_867).abs() < 1e-5);
        assert!((upper_bound(5, 5000) - 0.002_102).abs() < 2e-5, "{}", upper_bound(5, 5000));
        assert!((upper_bound(3, 3) - 1.0).abs() < 1e-12);
    }
}
