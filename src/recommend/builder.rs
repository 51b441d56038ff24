//! Interactions from a stream of rows.

use crate::als::Csr;
use crate::error::{IdsError, ReadError, TrainError};
use crate::index::IdRef;
use crate::memory;
use crate::progress;

use super::interner::Interner;
use super::{Interactions, TimeUnit};

/// Rows between two looks for an interruption: every reader pushes its rows here.
const ROWS: usize = 1 << 12;

/// Collects (user, item, weight) rows into [`Interactions`].
///
/// Users and items are numbered in order of first appearance; rows of the same pair are summed in
/// the order in which they came. Holds 12 to 24 bytes a row and each distinct id once, 8 bytes a row
/// more with times, and another 8 while [`finish`](Self::finish) sorts.
///
/// Ids come typed ([`push`](Self::push)) or as the text of an untyped file
/// ([`push_text`](Self::push_text)); a side whose every id is an integer keeps integers, any other
/// keeps strings.
pub struct InteractionsBuilder {
    users: Interner,
    items: Interner,
    rows: Vec<u32>,
    columns: Vec<u32>,
    weights: Vec<f32>,
    times: Vec<i64>,
    time_unit: TimeUnit,
}

impl Default for InteractionsBuilder {
    fn default() -> InteractionsBuilder {
        InteractionsBuilder::new()
    }
}

impl InteractionsBuilder {
    /// No rows yet.
    #[must_use]
    pub fn new() -> InteractionsBuilder {
        let (users, items) = (Interner::new("users"), Interner::new("items"));
        let (rows, columns, weights, times) = (vec![], vec![], vec![], vec![]);
        let time_unit = TimeUnit::Unknown;
        InteractionsBuilder { users, items, rows, columns, weights, times, time_unit }
    }

    /// Says in which unit the times are.
    pub fn set_time_unit(&mut self, unit: TimeUnit) {
        self.time_unit = unit;
    }

    /// How many rows were pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// One row whose ids have a type: a string stays a string, even if it reads as an integer.
    ///
    /// # Errors
    /// If an id is -1 or empty, the weight is not finite, or there are 2^32 - 1 users or items
    /// already.
    pub fn push(&mut self, user: IdRef<'_>, item: IdRef<'_>, weight: f32) -> Result<(), ReadError> {
        if user == IdRef::Int(-1) || item == IdRef::Int(-1) {
            return Err(IdsError::Reserved { row: self.len() }.into());
        }
        self.check_id(user, item)?;
        self.check_weight(&user, &item, weight)?;
        let (row, column) = (self.users.id(user)?, self.items.id(item)?);
        self.push_numbers(row, column, weight);
        Ok(())
    }

    /// [`push`](Self::push) with a time, in a unit that is the same for all rows.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_at(
        &mut self,
        user: IdRef<'_>,
        item: IdRef<'_>,
        weight: f32,
        time: i64,
    ) -> Result<(), ReadError> {
        self.push(user, item, weight)?;
        memory::push(&mut self.times, time);
        Ok(())
    }

    /// One row of an untyped file: ids are integers only if every one of their side is a canonical
    /// int64 other than -1.
    ///
    /// # Errors
    /// If an id is empty, the weight is not finite, or there are 2^32 - 1 users or items already.
    pub fn push_text(&mut self, user: &str, item: &str, weight: f32) -> Result<(), ReadError> {
        self.check_id(IdRef::Text(user), IdRef::Text(item))?;
        self.check_weight(&user, &item, weight)?;
        let (row, column) = (self.users.token(user)?, self.items.token(item)?);
        self.push_numbers(row, column, weight);
        Ok(())
    }

    /// [`push_text`](Self::push_text) with a time, in a unit that is the same for all rows.
    ///
    /// # Errors
    /// As [`push_text`](Self::push_text).
    pub fn push_text_at(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        time: i64,
    ) -> Result<(), ReadError> {
        self.push_text(user, item, weight)?;
        memory::push(&mut self.times, time);
        Ok(())
    }

    /// A user of an untyped file, who may have no items.
    ///
    /// # Errors
    /// If there are 2^32 - 1 users already.
    pub fn add_user_text(&mut self, user: &str) -> Result<(), ReadError> {
        self.users.token(user)?;
        Ok(())
    }

    /// The interactions. Takes time in proportion to the rows, times the logarithm of a user's
    /// history.
    ///
    /// # Errors
    /// If the sum of a pair's weights leaves float32, or some rows have a time and others none.
    pub fn finish(self) -> Result<Interactions, TrainError> {
        check_times(self.times.len(), self.rows.len())?;
        let (n_users, n_items) = (self.users.len(), self.items.len());
        let (users, items) = (self.users.finish(), self.items.finish());
        let matrix =
            Csr::from_triplets(n_users, n_items, &self.rows, &self.columns, &self.weights)?;
        let mut interactions = Interactions { users, items, ..Interactions::from_matrix(matrix) };
        if !self.times.is_empty() {
            let per_entry =
                |merge| merged(&interactions.matrix, &self.rows, &self.columns, &self.times, merge);
            let latest = per_entry(i64::max as fn(i64, i64) -> i64);
            let is_summed = self.rows.len() > interactions.matrix.nnz();
            let first = is_summed.then(|| per_entry(i64::min)).filter(|first| *first != latest);
            (interactions.times, interactions.first_times) = (Some(latest), first);
            interactions.time_unit = self.time_unit;
        }
        Ok(interactions)
    }

    /// An empty id is no id: text files cannot hold it, and it stands for no answer.
    fn check_id(&self, user: IdRef<'_>, item: IdRef<'_>) -> Result<(), ReadError> {
        match [user, item].contains(&IdRef::Text("")) {
            true => Err(IdsError::Empty { row: self.len() }.into()),
            false => Ok(()),
        }
    }

    fn check_weight(
        &self,
        user: &dyn std::fmt::Display,
        item: &dyn std::fmt::Display,
        value: f32,
    ) -> Result<(), ReadError> {
        if value.is_finite() {
            return Ok(());
        }
        let (user, item) = (user.to_string(), item.to_string());
        Err(ReadError::Weight { row: self.len(), user, item, value })
    }

    fn push_numbers(&mut self, row: u32, column: u32, weight: f32) {
        if self.rows.len().is_multiple_of(ROWS) {
            progress::check();
        }
        memory::push(&mut self.rows, row);
        memory::push(&mut self.columns, column);
        memory::push(&mut self.weights, weight);
    }
}

fn check_times(times: usize, rows: usize) -> Result<(), TrainError> {
    match times {
        0 => Ok(()),
        _ if times == rows => Ok(()),
        _ => Err(TrainError::Matrix {
            what: "the number of rows with a time".into(),
            got: times.to_string(),
            expected: format!("{rows}, all of them, or none"),
        }),
    }
}

/// The latest or the earliest time of each entry of the matrix that the rows became.
fn merged(
    matrix: &Csr,
    rows: &[u32],
    columns: &[u32],
    times: &[i64],
    merge: fn(i64, i64) -> i64,
) -> Vec<i64> {
    // The end that the other loses against.
    let start = if merge(0, 1) == 1 { i64::MIN } else { i64::MAX };
    let mut merged = vec![start; matrix.nnz()];
    let rows = rows.iter().zip(columns).zip(times);
    for ((&row, column), &time) in progress::checked(rows, ROWS) {
        let start = matrix.indptr()[row as usize] as usize;
        let at = start + matrix.row(row as usize).0.partition_point(|c| c < column);
        merged[at] = merge(merged[at], time);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ids;

    #[test]
    fn a_stream_of_text_becomes_a_matrix() {
        let mut builder = InteractionsBuilder::new();
        builder.push_text("u2", "20", 1.0).unwrap();
        builder.push_text("u1", "10", 2.0).unwrap();
        builder.add_user_text("u3").unwrap();
        builder.push_text("u2", "20", 4.0).unwrap();
        let data = builder.finish().unwrap();
        assert_eq!(data.users, Ids::Text(["u2", "u1", "u3"].map(String::from).to_vec()));
        assert_eq!(data.items, Ids::Int(vec![20, 10]));
        assert_eq!(data.matrix.row(0), (&[0u32][..], &[5.0f32][..]));
        assert_eq!(data.matrix.row(1), (&[1u32][..], &[2.0f32][..]));
        assert_eq!(data.matrix.row(2).0.len(), 0);
        assert_eq!(data.times, None);
    }

    #[test]
    fn times_are_all_or_none() {
        let mut builder = InteractionsBuilder::new();
        builder.push_text_at("u", "1", 1.0, 7).unwrap();
        builder.push_text("u", "2", 1.0).unwrap();
        let text = builder.finish().unwrap_err().to_string();
        assert_eq!(text, "the number of rows with a time is 1, expected 2, all of them, or none");
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() {
        let mut builder = InteractionsBuilder::new();
        builder.push(IdRef::Int(1), IdRef::Int(2), 1.0).unwrap();
        let text = builder.push_text("ann", "x", f32::NAN).unwrap_err().to_string();
        assert!(text.starts_with("row 1 (user ann, item x) has weight NaN"), "{text}");
        let minus = builder.push(IdRef::Int(3), IdRef::Int(-1), 1.0).unwrap_err();
        assert!(matches!(minus, ReadError::Ids(IdsError::Reserved { row: 1 })));
        for (user, item) in [("", "x"), ("ann", "")] {
            let empty = builder.push(IdRef::Text(user), IdRef::Text(item), 1.0).unwrap_err();
            assert!(matches!(empty, ReadError::Ids(IdsError::Empty { row: 1 })));
            assert!(builder.push_text(user, item, 1.0).is_err());
        }
        builder.push(IdRef::Int(1), IdRef::Int(2), f32::MAX).unwrap();
        builder.push(IdRef::Int(1), IdRef::Int(2), f32::MAX).unwrap();
        assert!(matches!(builder.finish(), Err(TrainError::NonFinite { .. })));
    }
}
