//! Why an item is recommended: a score as a sum over what the user has.

use super::csr::Csr;
use super::fold_in::FoldIn;
use super::model::Model;
use super::repair;
use super::solve::Fixed;
use crate::error::TrainError;

/// A score and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The score: the sum of all contributions.
    pub score: f64,
    /// The user's items that pull, with what each adds to the score; largest first, equal ones by
    /// number. None for an item without a vector, about which nothing is known.
    pub contributions: Vec<(u32, f64)>,
}

impl<F: AsRef<[f32]>> FoldIn<F> {
    /// Takes apart the score of `item` for a user with these entries.
    ///
    /// The user's vector is x = A^-1 sum b_j y_j (`docs/objective.md`), so the score y_i . x is the
    /// sum over the entries of b_j (y_i' A^-1 y_j), as Hu, Koren and Volinsky (2008, section 5)
    /// write it. Everything is float64. The score is that of the exact vector: what
    /// [`solve`](Self::solve) gives, but for float32's rounding, and but for what an inexact solver
    /// leaves.
    ///
    /// The first call takes n_items d^2 / 2 operations, each n d^2 / 2 + d^3 / 3 for n entries.
    ///
    /// # Errors
    /// If the lists differ in length, an item is out of range, a weight is refused, or there is no
    /// finite solution.
    pub fn explain(
        &self,
        items: &[u32],
        weights: &[f32],
        item: u32,
    ) -> Result<Explanation, TrainError> {
        self.check_entries(items, weights)?;
        self.check_item(item)?;
        let fixed = self.fixed();
        if vector(&fixed, item).iter().all(|&x| x == 0.0) {
            return Ok(Explanation { score: 0.0, contributions: Vec::new() });
        }
        let pulled = influence(&fixed, items, weights, item)?;
        let mut contributions = Vec::new();
        for (&other, &r) in items.iter().zip(weights) {
            let (_, pull) = fixed.objective.weigh(r);
            if pull != 0.0 {
                contributions.push((other, f64::from(pull) * dot(&pulled, vector(&fixed, other))));
            }
        }
        let score = contributions.iter().map(|c| c.1).sum();
        contributions.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(Explanation { score, contributions })
    }
}

impl Model {
    /// Takes apart the score of `item` for a user with the entries of the first row of `user`
    /// (1 x n_items); see [`FoldIn::explain`], which serves better where it is done often.
    ///
    /// # Errors
    /// If there is not one row of n_items columns, no such item, a weight is refused, or there is
    /// no finite solution.
    pub fn explain(&self, user: &Csr, item: u32) -> Result<Explanation, TrainError> {
        if (user.n_rows(), user.n_cols()) != (1, self.n_items) {
            return Err(TrainError::Matrix {
                what: "the shape of the user's row".into(),
                got: format!("{} x {}", user.n_rows(), user.n_cols()),
                expected: format!("1 x {}", self.n_items),
            });
        }
        let (items, weights) = user.row(0);
        FoldIn::new(&self.item_factors[..], &self.params)?.explain(items, weights, item)
    }
}

/// A^-1 y of an item.
fn influence(
    fixed: &Fixed<'_>,
    items: &[u32],
    weights: &[f32],
    item: u32,
) -> Result<Vec<f64>, TrainError> {
    let target: Vec<f64> = vector(fixed, item).iter().map(|&v| f64::from(v)).collect();
    repair::solve_for(fixed, items, weights, &target).ok_or(TrainError::Singular {
        side: "user",
        row: 0,
        id: None,
        regularization: fixed.objective.regularization,
    })
}

fn vector<'a>(fixed: &Fixed<'a>, item: u32) -> &'a [f32] {
    &fixed.factors[item as usize * fixed.d..][..fixed.d]
}

fn dot(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum()
}
