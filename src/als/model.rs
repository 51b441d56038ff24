//! What a training yields.

use super::csr::Csr;
use super::fold_in::FoldIn;
use super::params::Params;
use crate::error::TrainError;
use crate::kernel::float::dot;

/// A vector for every user and every item; a pair's score is their inner product.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Model {
    /// n_users x factors, row-major; zero for a user without entries.
    pub user_factors: Vec<f32>,
    /// n_items x factors, row-major; zero for an item without entries.
    pub item_factors: Vec<f32>,
    /// Users, the rows of the matrix.
    pub n_users: usize,
    /// Items, the columns of the matrix.
    pub n_items: usize,
    /// The length of a vector.
    pub factors: usize,
    /// The objective's value after each epoch; it never rises beyond rounding.
    pub loss_history: Vec<f64>,
    /// What the model was trained with.
    pub params: Params,
}

impl Model {
    /// A model of factors that came from elsewhere: row-major, `params.factors` a row.
    ///
    /// # Errors
    /// If a parameter is refused, the values do not fill whole rows, at least one, or one is not
    /// finite.
    pub fn from_factors(
        user_factors: Vec<f32>,
        item_factors: Vec<f32>,
        params: Params,
    ) -> Result<Model, TrainError> {
        params.check()?;
        let factors = params.factors;
        let n_users = whole_rows("users", &user_factors, factors)?;
        let n_items = whole_rows("items", &item_factors, factors)?;
        let loss_history = Vec::new();
        Ok(Model { user_factors, item_factors, n_users, n_items, factors, loss_history, params })
    }

    /// The vector of one user.
    ///
    /// # Panics
    /// If `user` is not below `n_users`.
    #[must_use]
    pub fn user(&self, user: usize) -> &[f32] {
        &self.user_factors[user * self.factors..][..self.factors]
    }

    /// The vector of one item.
    ///
    /// # Panics
    /// If `item` is not below `n_items`.
    #[must_use]
    pub fn item(&self, item: usize) -> &[f32] {
        &self.item_factors[item * self.factors..][..self.factors]
    }

    /// How well an item suits a user.
    ///
    /// # Panics
    /// If `user` or `item` is out of range.
    #[must_use]
    pub fn score(&self, user: usize, item: usize) -> f32 {
        dot(self.user(user), self.item(item))
    }

    /// Vectors for users from their rows alone (m x n_items), m x factors, row-major; see
    /// [`FoldIn`], which serves better where it is done often.
    ///
    /// # Errors
    /// If the rows have another number of columns, a weight is refused, or a row has no finite
    /// solution.
    pub fn fold_in(&self, rows: &Csr) -> Result<Vec<f32>, TrainError> {
        FoldIn::new(&self.item_factors[..], &self.params)?.fold_in(rows)
    }

    /// Vectors for items from their rows alone (m x n_users), as [`fold_in`](Self::fold_in).
    ///
    /// # Errors
    /// As [`fold_in`](Self::fold_in).
    pub fn fold_in_items(&self, rows: &Csr) -> Result<Vec<f32>, TrainError> {
        FoldIn::for_items(&self.user_factors[..], &self.params)?.fold_in(rows)
    }
}

/// How many finite rows of `d` there are, at least one.
pub(super) fn whole_rows(what: &str, factors: &[f32], d: usize) -> Result<usize, TrainError> {
    if factors.is_empty() || !factors.len().is_multiple_of(d) {
        return Err(TrainError::Matrix {
            what: format!("the number of values in the factors of the {what}"),
            got: factors.len().to_string(),
            expected: format!("a multiple of {d}, the number of factors, and not 0"),
        });
    }
    match factors.iter().position(|v| !v.is_finite()) {
        None => Ok(factors.len() / d),
        Some(at) => Err(TrainError::Matrix {
            what: format!("the factor of the {what} in row {}, column {}", at / d, at % d),
            got: factors[at].to_string(),
            expected: "a finite number".into(),
        }),
    }
}
