//! Numbers for ids, in order of first appearance, without a string a row.

use std::collections::HashMap;

use crate::error::TrainError;
use crate::index::canonical_int;
use crate::index::{IdRef, Ids};
use crate::memory;

/// Integers from 0 below this are looked up in a plain table of 4 bytes each, which grows with the
/// largest one seen: at most 16 MiB. Catalogues are mostly numbered so, and the table is several
/// times faster than hashing.
const DENSE: i64 = 1 << 22;

/// No number given yet. Also the reason why there are at most `u32::MAX` ids.
const NONE: u32 = u32::MAX;

/// Gives each distinct id the next number.
///
/// Stays with integers as long as every id is one; the first string turns those seen so far into
/// their canonical text, which loses nothing.
pub(super) struct Interner {
    /// "users" or "items", for errors.
    what: &'static str,
    names: Names,
}

enum Names {
    Int(IntNames),
    Text(TextNames),
}

#[derive(Default)]
struct IntNames {
    order: Vec<i64>,
    dense: Vec<u32>,
    sparse: HashMap<i64, u32>,
}

#[derive(Default)]
struct TextNames {
    /// Holds every distinct string once; `Ids` are made from it by number at the end.
    numbers: HashMap<String, u32>,
    /// The last string asked for: files are mostly sorted by user, and comparing is cheaper than
    /// hashing.
    last: String,
    last_number: Option<u32>,
}

impl Interner {
    pub(super) fn new(what: &'static str) -> Interner {
        Interner { what, names: Names::Int(IntNames::default()) }
    }

    /// How many distinct ids there are.
    pub(super) fn len(&self) -> usize {
        match &self.names {
            Names::Int(names) => names.order.len(),
            Names::Text(names) => names.numbers.len(),
        }
    }

    /// The number of an id that has a type.
    pub(super) fn id(&mut self, id: IdRef<'_>) -> Result<u32, TrainError> {
        match (id, &mut self.names) {
            (IdRef::Int(id), Names::Int(names)) => names.number(id),
            (IdRef::Int(id), Names::Text(names)) => names.number(&id.to_string()),
            (IdRef::Text(id), _) => self.text().number(id),
        }
        .ok_or_else(|| too_many(self.what))
    }

    /// The number of an id from an untyped file: an integer if it is a canonical one.
    pub(super) fn token(&mut self, token: &str) -> Result<u32, TrainError> {
        match &mut self.names {
            Names::Int(names) => match canonical_int(token) {
                Some(id) => names.number(id),
                None => self.text().number(token),
            },
            Names::Text(names) => names.number(token),
        }
        .ok_or_else(|| too_many(self.what))
    }

    /// The ids by number.
    pub(super) fn finish(self) -> Ids {
        match self.names {
            Names::Int(names) => Ids::Int(names.order),
            Names::Text(names) => Ids::Text(names.finish()),
        }
    }

    fn text(&mut self) -> &mut TextNames {
        if let Names::Int(names) = &self.names {
            self.names = Names::Text(TextNames::from_ints(&names.order));
        }
        match &mut self.names {
            Names::Text(names) => names,
            Names::Int(_) => unreachable!("replaced above"),
        }
    }
}

impl IntNames {
    fn number(&mut self, id: i64) -> Option<u32> {
        if (0..DENSE).contains(&id) { self.dense(id) } else { self.sparse(id) }
    }

    fn dense(&mut self, id: i64) -> Option<u32> {
        let at = id as usize;
        if at >= self.dense.len() {
            let len = (at + 1).next_power_of_two();
            let more = len - self.dense.len();
            memory::reserve(&mut self.dense, more);
            self.dense.resize(len, NONE);
        }
        if self.dense[at] == NONE {
            self.dense[at] = next_number(self.order.len())?;
            memory::push(&mut self.order, id);
        }
        Some(self.dense[at])
    }

    fn sparse(&mut self, id: i64) -> Option<u32> {
        if let Some(&number) = self.sparse.get(&id) {
            return Some(number);
        }
        let number = next_number(self.order.len())?;
        memory::reserve_one(&mut self.sparse);
        self.sparse.insert(id, number);
        memory::push(&mut self.order, id);
        Some(number)
    }
}

impl TextNames {
    fn from_ints(ids: &[i64]) -> TextNames {
        let numbers = ids.iter().zip(0..).map(|(id, number)| (id.to_string(), number)).collect();
        TextNames { numbers, ..TextNames::default() }
    }

    fn number(&mut self, id: &str) -> Option<u32> {
        if self.last_number.is_some() && self.last == id {
            return self.last_number;
        }
        let number = match self.numbers.get(id) {
            Some(&number) => number,
            None => {
                let number = next_number(self.numbers.len())?;
                memory::reserve_one(&mut self.numbers);
                self.numbers.insert(id.to_string(), number);
                number
            }
        };
        self.last.clear();
        self.last.push_str(id);
        self.last_number = Some(number);
        self.last_number
    }

    fn finish(self) -> Vec<String> {
        let mut order = memory::filled(String::new(), self.numbers.len());
        for (id, number) in self.numbers {
            order[number as usize] = id;
        }
        order
    }
}

fn next_number(len: usize) -> Option<u32> {
    u32::try_from(len).ok().filter(|&number| number != NONE)
}

fn too_many(what: &str) -> TrainError {
    TrainError::Matrix {
        what: format!("the number of distinct {what}"),
        got: format!("more than {NONE}"),
        expected: format!("at most {NONE}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tokens: &[&str]) -> (Vec<u32>, Ids) {
        let mut interner = Interner::new("users");
        let numbers = tokens.iter().map(|t| interner.token(t).unwrap()).collect();
        (numbers, interner.finish())
    }

    #[test]
    fn numbers_follow_first_appearance() {
        let (got, ids) = numbers(&["7", "-3", "5000000000", "7", "-3", "0", "5000000000"]);
        assert_eq!(got, [0, 1, 2, 0, 1, 3, 2]);
        assert_eq!(ids, Ids::Int(vec![7, -3, 5_000_000_000, 0]));
    }

    #[test]
    fn the_first_string_turns_all_into_strings_and_keeps_their_numbers() {
        assert_eq!(numbers(&["7", "x", "", "7", ""]).0, [0, 1, 2, 0, 2]);
        let mut interner = Interner::new("users");
        assert_eq!(interner.token("7").unwrap(), 0);
        assert_eq!(interner.token("").unwrap(), 1);
        let (got, ids) = numbers(&["7", "5000000000", "07", "7", "", "5000000000", "07", "07"]);
        assert_eq!(got, [0, 1, 2, 0, 3, 1, 2, 2]);
        assert_eq!(ids, Ids::from_text(["7", "5000000000", "07", ""].map(String::from).to_vec()));
    }

    #[test]
    fn typed_strings_stay_strings_and_meet_their_integers() {
        let mut interner = Interner::new("items");
        assert_eq!(interner.id(IdRef::Text("")).unwrap(), 0);
        assert_eq!(interner.id(IdRef::Text("12")).unwrap(), 1);
        assert_eq!(interner.id(IdRef::Int(12)).unwrap(), 1);
        assert_eq!(interner.len(), 2);
        assert_eq!(interner.finish(), Ids::Text(vec!["".into(), "12".into()]));
    }

    #[test]
    fn the_table_of_small_integers_meets_the_hash_table_of_large_ones() {
        let mut interner = Interner::new("items");
        for (number, id) in (DENSE - 3..DENSE + 3).enumerate() {
            assert_eq!(interner.id(IdRef::Int(id)).unwrap(), number as u32);
        }
        assert_eq!(interner.id(IdRef::Int(DENSE)).unwrap(), 3);
        assert_eq!(interner.id(IdRef::Int(DENSE - 1)).unwrap(), 2);
    }
}
