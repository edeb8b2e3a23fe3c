//! "Did you mean": the known word nearest to one that is not known.

/// Longest word that is compared: a name is not longer.
const WORD_BYTES_MAX: usize = lockgate_core::name::NAME_BYTES_MAX;

/// The known word that differs from `word` in the fewest letters, if it is near enough to have been meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A third of the letters may be wrong: `eror` is `error`, but `cost` is not `csat`.
    let tolerated = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        // The work grows with the product of the lengths; words whose lengths differ by more cannot be near.
        .filter(|known| known.len().abs_diff(word.len()) <= tolerated && word.len() <= WORD_BYTES_MAX)
        .map(|known| (distance(word, known), known))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// A hint that names the nearest known word, all of them when none is near, or says that there are none.
pub fn hint<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => Some("none is declared in this file".to_owned()),
        None => Some(format!("known here: {}", known.join(", "))),
    }
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let known = ["error", "latency", "csat", "timeout"];
        assert_eq!(nearest("eror", known), Some("error"));
        assert_eq!(nearest("latecny", known), Some("latency"));
        assert_eq!(nearest("time_out", known), Some("timeout"));
        assert_eq!(nearest("cost", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }

    #[test]
    fn a_hint_names_everything_when_nothing_is_near() {
        assert_eq!(hint("zzz", ["a1", "b1"]).as_deref(), Some("known here: a1, b1"));
        assert_eq!(hint("zzz", []).as_deref(), Some("none is declared in this file"));
    }
}
