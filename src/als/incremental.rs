//! A model that follows its data between two trainings: rows solved anew, added and removed, and the
//! start of a training that continues.

use super::csr::Csr;
use super::edit::{grown, kept, reserved, same_count};
use super::model::Model;
use crate::error::TrainError;

impl Model {
    /// Solves some users anew from their rows (one for each of `users`, n_items columns), the items
    /// staying as they are, and stores them. Numbers from `n_users` on are new users; a gap between
    /// gets zero vectors. Of a number given twice the last row counts.
    ///
    /// Takes the time of [`fold_in`](Self::fold_in). On an error the model is as it was.
    ///
    /// # Errors
    /// If there are not as many users as rows, the rows have another number of columns, a weight is
    /// refused, a row has no finite solution, or memory does not hold so many users.
    pub fn partial_fit_users(&mut self, users: &[u32], rows: &Csr) -> Result<(), TrainError> {
        same_count(users, rows)?;
        let vectors = self.fold_in(rows)?;
        self.n_users = put(&mut self.user_factors, self.factors, users, &vectors, "the users")?;
        Ok(())
    }

    /// Solves some items anew from their rows (one for each of `items`, n_users columns), as
    /// [`partial_fit_users`](Self::partial_fit_users). The users' vectors stay what they were, until
    /// they are solved anew or the training goes on.
    ///
    /// # Errors
    /// As [`partial_fit_users`](Self::partial_fit_users).
    pub fn partial_fit_items(&mut self, items: &[u32], rows: &Csr) -> Result<(), TrainError> {
        same_count(items, rows)?;
        let vectors = self.fold_in_items(rows)?;
        self.n_items = put(&mut self.item_factors, self.factors, items, &vectors, "the items")?;
        Ok(())
    }

    /// Takes users out; those after them move up. One at least stays.
    ///
    /// # Errors
    /// If there is no such user, or none would be left. The model is then as it was.
    pub fn remove_users(&mut self, users: &[u32]) -> Result<(), TrainError> {
        self.n_users = take(&mut self.user_factors, self.factors, users, "a user to remove")?;
        Ok(())
    }

    /// Takes items out; those after them move up. One at least stays. The other vectors stay what
    /// they were, until the training goes on.
    ///
    /// # Errors
    /// If there is no such item, or none would be left. The model is then as it was.
    pub fn remove_items(&mut self, items: &[u32]) -> Result<(), TrainError> {
        self.n_items = take(&mut self.item_factors, self.factors, items, "an item to remove")?;
        Ok(())
    }

    /// The items' vectors to continue a training from (`Start::Items`) on data of `n_items` items:
    /// this model's, and zeros for new items, which the first epoch solves as it would from any
    /// start.
    ///
    /// # Errors
    /// If there are fewer items than the model has: which ones are gone cannot be known.
    pub fn items_to_continue(&self, n_items: usize) -> Result<Vec<f32>, TrainError> {
        if n_items < self.n_items {
            return Err(TrainError::Matrix {
                what: "the number of items to continue with".into(),
                got: n_items.to_string(),
                expected: format!(
                    "at least {}, the model's: take the others out first (remove_items)",
                    self.n_items
                ),
            });
        }
        let mut start = reserved("the items", n_items * self.factors)?;
        start.extend_from_slice(&self.item_factors);
        start.resize(n_items * self.factors, 0.0);
        Ok(start)
    }
}

/// Stores vectors under numbers; how many rows there are then.
fn put(
    factors: &mut Vec<f32>,
    d: usize,
    numbers: &[u32],
    vectors: &[f32],
    what: &str,
) -> Result<usize, TrainError> {
    let n = grown(factors.len() / d, numbers);
    let values = n.saturating_mul(d);
    if values > factors.len() {
        let mut larger = reserved(what, values)?;
        larger.extend_from_slice(factors);
        larger.resize(values, 0.0);
        *factors = larger;
    }
    for (&number, vector) in numbers.iter().zip(vectors.chunks_exact(d)) {
        factors[number as usize * d..][..d].copy_from_slice(vector);
    }
    Ok(n)
}

fn take(
    factors: &mut Vec<f32>,
    d: usize,
    numbers: &[u32],
    what: &str,
) -> Result<usize, TrainError> {
    let kept = kept(what, factors.len() / d, numbers)?;
    if kept.is_empty() {
        return Err(TrainError::Matrix {
            what: format!("the number left without {what}"),
            got: "0".into(),
            expected: "at least 1".into(),
        });
    }
    let rows = kept.iter().flat_map(|&row| &factors[row as usize * d..][..d]);
    *factors = rows.copied().collect();
    Ok(kept.len())
}
