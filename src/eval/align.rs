//! A test's users and items as those of a training, by their ids.

use crate::als::Csr;
use crate::error::TrainError;
use crate::index::{Id, Ids};
use crate::recommend::{Interactions, numbers, numbers_among};

/// A test in the numbers of a training, and what had no number there.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// Users x items of the training.
    pub matrix: Csr,
    /// Users of the test that the training does not know.
    pub unknown_users: usize,
    /// Items of the test that the training does not know.
    pub unknown_items: usize,
    /// Entries that are left out because of either.
    pub entries_dropped: usize,
    /// Users of the test, known or not.
    pub n_users: usize,
    /// Items of the test, known or not.
    pub n_items: usize,
    /// A user whom the training does not know, to show how the ids differ.
    pub unknown_user: Option<Id>,
    /// An item that the training does not know.
    pub unknown_item: Option<Id>,
}

impl Aligned {
    /// A test whose users and items are those of the training.
    fn same(test: &Interactions) -> Aligned {
        Aligned {
            matrix: test.matrix.clone(),
            unknown_users: 0,
            unknown_items: 0,
            entries_dropped: 0,
            n_users: test.users.len(),
            n_items: test.items.len(),
            unknown_user: None,
            unknown_item: None,
        }
    }

    /// Entries of the test, dropped ones included.
    #[must_use]
    pub fn n_entries(&self) -> usize {
        self.matrix.nnz() + self.entries_dropped
    }
}

/// Finds the test's users and items in a training of `shape` (users, items) by their ids. An id
/// that is not found is looked for in its other spelling, since a file whose ids all are integers
/// may be part of a set whose ids are not.
///
/// # Errors
/// If `user` or `item` give a number that `shape` does not have.
pub fn align(
    test: &Interactions,
    shape: (usize, usize),
    user: impl Fn(&Id) -> Option<u32>,
    item: impl Fn(&Id) -> Option<u32>,
) -> Result<Aligned, TrainError> {
    aligned(test, shape, &numbers(&test.users, user), &numbers(&test.items, item))
}

fn aligned(
    test: &Interactions,
    shape: (usize, usize),
    users: &[Option<u32>],
    items: &[Option<u32>],
) -> Result<Aligned, TrainError> {
    let (mut rows, mut columns, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (row, user) in users.iter().enumerate() {
        let Some(user) = user else { continue };
        let entries = test.matrix.row(row);
        for (&column, &weight) in entries.0.iter().zip(entries.1) {
            if let Some(item) = items[column as usize] {
                rows.push(*user);
                columns.push(item);
                weights.push(weight);
            }
        }
    }
    let unknown = |numbers: &[Option<u32>]| numbers.iter().filter(|n| n.is_none()).count();
    let first = |ids: &Ids, numbers: &[Option<u32>]| {
        numbers.iter().position(Option::is_none).map(|row| ids.get(row))
    };
    Ok(Aligned {
        matrix: Csr::from_triplets(shape.0, shape.1, &rows, &columns, &weights)?,
        unknown_users: unknown(users),
        unknown_items: unknown(items),
        entries_dropped: test.matrix.nnz() - rows.len(),
        n_users: users.len(),
        n_items: items.len(),
        unknown_user: first(&test.users, users),
        unknown_item: first(&test.items, items),
    })
}

/// [`align`] with the users and items of other interactions. Rows and columns without ids of their
/// own, as a matrix has them, must be as many.
///
/// # Errors
/// If both have no ids and differ in shape.
pub fn align_to(test: &Interactions, train: &Interactions) -> Result<Aligned, TrainError> {
    let shape = (train.matrix.n_rows(), train.matrix.n_cols());
    for (what, ours, theirs) in
        [("users", &test.users, &train.users), ("items", &test.items, &train.items)]
    {
        if let (Ids::Sequential(got), Ids::Sequential(expected)) = (ours, theirs)
            && got != expected
        {
            return Err(TrainError::Matrix {
                what: format!("the number of {what} in the test"),
                got: got.to_string(),
                expected: format!("{expected}, as in the training: matrices have no ids to go by"),
            });
        }
    }
    if test.users == train.users && test.items == train.items {
        return Ok(Aligned::same(test));
    }
    let users = numbers_among(&test.users, &train.users);
    let items = numbers_among(&test.items, &train.items);
    aligned(test, shape, &users, &items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::IdColumn;

    fn named(users: &[&str], items: IdColumn) -> Interactions {
        let users = IdColumn::Text(users.iter().map(|u| u.to_string()).collect());
        Interactions::from_columns(users, items, None, None).unwrap()
    }

    #[test]
    fn ids_are_matched_and_what_is_unknown_is_counted() {
        let train = named(&["a", "b", "7"], IdColumn::Int(vec![1, 2, 3]));
        let test = named(&["b", "c", "a"], IdColumn::Int(vec![3, 1, 9]));
        let aligned = align_to(&test, &train).unwrap();
        assert_eq!((aligned.matrix.n_rows(), aligned.matrix.n_cols()), (3, 3));
        assert_eq!(aligned.matrix.row(1).0, [2]);
        assert_eq!((aligned.matrix.nnz(), aligned.entries_dropped), (1, 2));
        assert_eq!((aligned.unknown_users, aligned.unknown_items), (1, 1));
        let ints = IdColumn::Int(vec![7]);
        let items = IdColumn::Text(vec!["2".into()]);
        let respelt = Interactions::from_columns(ints, items, None, None).unwrap();
        assert_eq!(align_to(&respelt, &train).unwrap().matrix.row(2).0, [1]);
        assert_eq!(align_to(&train, &train).unwrap().matrix, train.matrix);
    }

    #[test]
    fn matrices_of_another_shape_are_refused() {
        let matrix = |users| Csr::from_triplets(users, 2, &[0], &[1], &[1.0]).unwrap();
        let [two, three] = [2, 3].map(|n| Interactions::from_matrix(matrix(n)));
        let text = align_to(&two, &three).unwrap_err().to_string();
        assert!(text.contains("users in the test is 2, expected 3"), "{text}");
    }
}
