//! Names that look like one that nothing bears.

/// Names longer than this are compared by what they contain alone: an edit distance takes the
/// product of both lengths.
const LONGEST: usize = 64;

/// The kinds of likeness, the likeliest first: equal but for case, containing what is wanted, a few
/// letters away.
const SAME: usize = 0;
const CONTAINS: usize = 1;
const SPELLING: usize = 2;

/// The `n` names likeliest to be meant by `wanted`, the likeliest first, each once. Holds the names
/// that look like it at all.
pub(super) fn nearest(wanted: &str, names: impl Iterator<Item = String>, n: usize) -> Vec<String> {
    let wanted = wanted.trim().to_lowercase();
    let letters: Vec<char> = wanted.chars().collect();
    if letters.is_empty() {
        return Vec::new();
    }
    let mut likely: Vec<((usize, usize), String)> =
        names.filter_map(|name| Some((unlikeness(&wanted, &letters, &name)?, name))).collect();
    likely.sort();
    likely.dedup();
    // Beside a name that differs by one letter those that differ by three are noise.
    if let Some((best, _)) = likely.first() {
        let (kind, least) = *best;
        likely.retain(|((k, far), _)| *k == kind && (kind == CONTAINS || *far == least));
    }
    likely.into_iter().take(n).map(|(_, name)| name).collect()
}

/// How unlike a name is: first the kind of likeness, then how far within it. `None` if there is no
/// likeness.
fn unlikeness(wanted: &str, letters: &[char], name: &str) -> Option<(usize, usize)> {
    let lower = name.trim().to_lowercase();
    let length = lower.chars().count();
    if lower == wanted {
        return Some((SAME, 0));
    }
    // One letter stands in nearly every name and says nothing.
    if letters.len() > 1 && lower.contains(wanted) {
        return Some((CONTAINS, length));
    }
    let most = letters.len() / 3;
    if length > LONGEST || letters.len() > LONGEST || length.abs_diff(letters.len()) > most {
        return None;
    }
    let distance = edit_distance(letters, &lower.chars().collect::<Vec<char>>());
    (distance <= most).then_some((SPELLING, distance))
}

/// How many letters to insert, drop, replace or swap with their neighbour to turn one name into
/// the other (optimal string alignment).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(wanted: &str) -> Vec<String> {
        let names = ["Radiohead", "Radio Dept.", "The Radio Dept.", "Motörhead", "Portishead", "X"];
        nearest(wanted, names.into_iter().map(String::from), 3)
    }

    #[test]
    fn case_comes_first_then_parts_then_spelling() {
        assert_eq!(ask("RADIOHEAD"), ["Radiohead"]);
        assert_eq!(ask("radio"), ["Radiohead", "Radio Dept.", "The Radio Dept."]);
        assert_eq!(ask("Raidohead"), ["Radiohead"]);
        assert_eq!(ask("motorhead"), ["Motörhead"]);
        assert_eq!(ask("Portished"), ["Portishead"]);
    }

    #[test]
    fn nothing_is_made_up() {
        for wanted in ["", " ", "o", "Zappa"] {
            assert!(ask(wanted).is_empty(), "{wanted:?}");
        }
        assert_eq!(ask("x"), ["X"]);
        let long = "a".repeat(100_000);
        assert!(ask(&long).is_empty());
    }

    #[test]
    fn distances_count_letters() {
        let distance = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|s| s.chars().collect::<Vec<char>>());
            edit_distance(&a, &b)
        };
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("björk", "bjork"), 1);
    }
}
