//! Interactions from a stream of rows.

use crate::als::Csr;
use crate::error::{IdsError, ReadError, TrainError};
use crate::index::IdRef;

use super::Interactions;
use super::interner::Interner;

/// Collects (user, item, weight) rows into [`Interactions`].
///
/// Users and items are numbered in order of first appearance; rows of the same pair are summed in
/// the order in which they came. Holds 12 to 24 bytes a row and each distinct id once, and 8 bytes
/// a row more while [`finish`](Self::finish) sorts.
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
        InteractionsBuilder { users, items, rows: vec![], columns: vec![], weights: vec![] }
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
    /// If an id is -1, the weight is not finite, or there are 2^32 - 1 users or items already.
    pub fn push(&mut self, user: IdRef<'_>, item: IdRef<'_>, weight: f32) -> Result<(), ReadError> {
        if user == IdRef::Int(-1) || item == IdRef::Int(-1) {
            return Err(IdsError::Reserved { row: self.len() }.into());
        }
        self.check_weight(&user, &item, weight)?;
        let (row, column) = (self.users.id(user)?, self.items.id(item)?);
        self.push_numbers(row, column, weight);
        Ok(())
    }

    /// One row of an untyped file: ids are integers only if every one of their side is a canonical
    /// int64 other than -1.
    ///
    /// # Errors
    /// If the weight is not finite, or there are 2^32 - 1 users or items already.
    pub fn push_text(&mut self, user: &str, item: &str, weight: f32) -> Result<(), ReadError> {
        self.check_weight(&user, &item, weight)?;
        let (row, column) = (self.users.token(user)?, self.items.token(item)?);
        self.push_numbers(row, column, weight);
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
    /// If the sum of a pair's weights leaves float32.
    pub fn finish(self) -> Result<Interactions, TrainError> {
        let (n_users, n_items) = (self.users.len(), self.items.len());
        let (users, items) = (self.users.finish(), self.items.finish());
        let matrix =
            Csr::from_triplets(n_users, n_items, &self.rows, &self.columns, &self.weights)?;
        Ok(Interactions { matrix, users, items })
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
        self.rows.push(row);
        self.columns.push(column);
        self.weights.push(weight);
    }
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
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() {
        let mut builder = InteractionsBuilder::new();
        builder.push(IdRef::Int(1), IdRef::Int(2), 1.0).unwrap();
        let text = builder.push_text("ann", "x", f32::NAN).unwrap_err().to_string();
        assert!(text.starts_with("row 1 (user ann, item x) has weight NaN"), "{text}");
        let minus = builder.push(IdRef::Int(3), IdRef::Int(-1), 1.0).unwrap_err();
        assert!(matches!(minus, ReadError::Ids(IdsError::Reserved { row: 1 })));
        builder.push(IdRef::Int(1), IdRef::Int(2), f32::MAX).unwrap();
        builder.push(IdRef::Int(1), IdRef::Int(2), f32::MAX).unwrap();
        assert!(matches!(builder.finish(), Err(TrainError::NonFinite { .. })));
    }
}
