//! The names of rows: integers or strings, in memory.

use std::collections::HashMap;
use std::fmt;

use crate::error::IdsError;
use crate::progress;

/// One id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id {
    /// Any int64 except -1, which marks a missing result.
    Int(i64),
    /// Any string.
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Int(i) => write!(f, "{i}"),
            Id::Text(t) => f.write_str(t),
        }
    }
}

impl From<i64> for Id {
    fn from(id: i64) -> Id {
        Id::Int(id)
    }
}

impl From<&str> for Id {
    fn from(id: &str) -> Id {
        Id::Text(id.to_string())
    }
}

impl Id {
    /// The same id, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> IdRef<'_> {
        match self {
            Id::Int(i) => IdRef::Int(*i),
            Id::Text(t) => IdRef::Text(t),
        }
    }
}

/// One id, borrowed: what readers and writers pass a row, so that no string is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdRef<'a> {
    /// Any int64 except -1, which marks a missing result.
    Int(i64),
    /// Any string.
    Text(&'a str),
}

impl fmt::Display for IdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdRef::Int(i) => write!(f, "{i}"),
            IdRef::Text(t) => f.write_str(t),
        }
    }
}

impl From<i64> for IdRef<'_> {
    fn from(id: i64) -> Self {
        IdRef::Int(id)
    }
}

impl<'a> From<&'a str> for IdRef<'a> {
    fn from(id: &'a str) -> Self {
        IdRef::Text(id)
    }
}

/// The ids of rows 0, 1, 2, ... in the caller's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// Row i has id i; the number of rows.
    Sequential(usize),
    /// An integer a row.
    Int(Vec<i64>),
    /// A string a row.
    Text(Vec<String>),
}

impl Ids {
    /// Ids from text, as a CSV file holds them: integers only if every one is a canonical int64
    /// (no leading zeros, no plus sign, not -1), otherwise strings.
    #[must_use]
    pub fn from_text(texts: Vec<String>) -> Ids {
        match texts.iter().map(|t| canonical_int(t)).collect::<Option<Vec<i64>>>() {
            Some(ints) => Ids::Int(ints),
            None => Ids::Text(texts),
        }
    }

    /// The ids of the rows that are left without some, in their order.
    #[must_use]
    pub fn without(&self, rows: &[u32]) -> Ids {
        let mut stays = vec![true; self.len()];
        rows.iter()
            .for_each(|&row| stays.get_mut(row as usize).into_iter().for_each(|s| *s = false));
        let kept = |row: &usize| stays[*row];
        match self {
            Ids::Sequential(n) => Ids::Sequential((0..*n).filter(kept).count()),
            Ids::Int(ids) => Ids::Int((0..ids.len()).filter(kept).map(|row| ids[row]).collect()),
            Ids::Text(ids) => {
                Ids::Text((0..ids.len()).filter(kept).map(|row| ids[row].clone()).collect())
            }
        }
    }

    /// The same ids if they are `n`; else the numbers of `n` rows, since new ones have no id.
    #[must_use]
    pub fn resized(&self, n: usize) -> Ids {
        if self.len() == n { self.clone() } else { Ids::Sequential(n) }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Ids::Sequential(n) => *n,
            Ids::Int(v) => v.len(),
            Ids::Text(v) => v.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of a row.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    #[must_use]
    pub fn get(&self, row: usize) -> Id {
        match self {
            Ids::Sequential(n) => {
                assert!(row < *n, "row {row} of {n}");
                Id::Int(row as i64)
            }
            Ids::Int(v) => Id::Int(v[row]),
            Ids::Text(v) => Id::Text(v[row].clone()),
        }
    }

    /// The id of a row, borrowed.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    #[must_use]
    pub fn get_ref(&self, row: usize) -> IdRef<'_> {
        match self {
            Ids::Sequential(n) => {
                assert!(row < *n, "row {row} of {n}");
                IdRef::Int(row as i64)
            }
            Ids::Int(v) => IdRef::Int(v[row]),
            Ids::Text(v) => IdRef::Text(&v[row]),
        }
    }

    /// That there are `rows` ids, none twice and none -1.
    ///
    /// # Errors
    /// Says which of these does not hold, and where.
    pub fn check(&self, rows: usize) -> Result<(), IdsError> {
        if self.len() != rows {
            return Err(IdsError::Count { got: self.len(), expected: rows });
        }
        match self {
            Ids::Sequential(_) => Ok(()),
            Ids::Int(v) => match v.iter().position(|&i| i == -1) {
                Some(row) => Err(IdsError::Reserved { row }),
                None => unique(v),
            },
            Ids::Text(v) => match v.iter().position(String::is_empty) {
                Some(row) => Err(IdsError::Empty { row }),
                None => unique(v),
            },
        }
    }
}

/// The integer that `text` writes in the one canonical way, -1 excepted.
#[must_use]
pub fn canonical_int(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    let mut digits = text.strip_prefix('-').unwrap_or(text).bytes();
    let first = digits.next()?;
    let canonical = first != b'+' && (first != b'0' || text == "0");
    (canonical && value != -1).then_some(value)
}

fn unique<T: std::hash::Hash + Eq + fmt::Display>(ids: &[T]) -> Result<(), IdsError> {
    let mut seen = HashMap::with_capacity(ids.len());
    for (second, id) in progress::checked(ids.iter(), 1 << 14).enumerate() {
        if let Some(first) = seen.insert(id, second) {
            return Err(IdsError::Duplicate { id: id.to_string(), first, second });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_integers_only_if_every_one_is_canonical() {
        let ids = |v: &[&str]| Ids::from_text(v.iter().map(|s| s.to_string()).collect());
        assert_eq!(ids(&["1", "-7", "0"]), Ids::Int(vec![1, -7, 0]));
        for odd in ["01", "+1", "-0", "-1", "1.0", "", " 1", "9223372036854775808"] {
            assert!(matches!(ids(&["1", odd]), Ids::Text(_)), "{odd}");
        }
    }

    #[test]
    fn doubles_and_minus_one_are_refused() {
        assert!(Ids::Int(vec![1, 2]).check(2).is_ok());
        assert_eq!(Ids::Int(vec![1]).check(2), Err(IdsError::Count { got: 1, expected: 2 }));
        assert_eq!(Ids::Int(vec![1, -1]).check(2), Err(IdsError::Reserved { row: 1 }));
        let twice = Ids::Text(vec!["a".into(), "b".into(), "a".into()]).check(3);
        assert_eq!(twice, Err(IdsError::Duplicate { id: "a".into(), first: 0, second: 2 }));
    }
}
