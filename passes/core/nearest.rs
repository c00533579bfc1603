//! Suggestions for mistyped names.

/// The candidate most like `name`, if one is near enough to be a slip of the fingers.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = name.chars().count() / 3 + 1;
    let ranked = candidates.map(|c| (distance(name, c), c));
    ranked.filter(|(d, _)| *d <= limit).min().map(|(_, c)| c)
}

/// How many single characters must be added, dropped or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_found_and_a_stranger_is_not() {
        let names = ["dead-code", "identities", "fold-constants"];
        assert_eq!(nearest("ded-code", names.into_iter()), Some("dead-code"));
        assert_eq!(nearest("fold-constant", names.into_iter()), Some("fold-constants"));
        assert_eq!(nearest("quantize", names.into_iter()), None);
    }
}
