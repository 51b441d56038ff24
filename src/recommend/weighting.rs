//! From raw weights to those that are trained on.

use std::fmt;
use std::str::FromStr;

use crate::als::Csr;
use crate::error::TrainError;

/// BM25's k1: how far a weight may grow before it counts as much as it can.
const K1: f64 = 100.0;
/// BM25's b: how much a user's total counts against each of their weights.
const B: f64 = 0.8;

/// How raw weights (play counts, seconds, stars) become the r of the objective.
///
/// A negative weight says that the user disliked the item. [`Raw`](Weighting::Raw) and
/// [`Log1p`](Weighting::Log1p) keep its sign; [`Bm25`](Weighting::Bm25) counts occurrences and
/// refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Weighting {
    /// As they stand.
    Raw,
    /// sign(w) ln(1 + |w|). The default, because play counts are heavy-tailed.
    #[default]
    Log1p,
    /// Okapi BM25 with k1 = 100 and b = 0.8 over the items a user has: frequent items and busy
    /// users count less.
    ///
    /// Users are the documents and items the terms: w (k1 + 1) / (w + k1 (1 - b + b L / mean L))
    /// times ln(1 + (N - n + 0.5) / (n + 0.5)), with L the user's total weight, N the users and n
    /// those who have the item. This form of the second factor is never negative, so that an item
    /// which nearly everybody has does not turn into one that is disliked.
    Bm25,
}

impl Weighting {
    /// Every weighting.
    pub const ALL: [Weighting; 3] = [Weighting::Raw, Weighting::Log1p, Weighting::Bm25];

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Weighting::Raw => "raw",
            Weighting::Log1p => "log1p",
            Weighting::Bm25 => "bm25",
        }
    }
}

impl fmt::Display for Weighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Weighting {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Weighting, TrainError> {
        Weighting::ALL.into_iter().find(|w| w.name() == name).ok_or_else(|| TrainError::Parameter {
            name: "weighting",
            got: format!("{name:?}"),
            expected: "\"raw\", \"log1p\" or \"bm25\"".into(),
        })
    }
}

/// A weighting with what it learnt from the training data, so that a user who comes later is
/// weighted by the same measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WeightModel {
    pub weighting: Weighting,
    /// BM25's second factor for each item; empty for the other weightings.
    pub item_factors: Vec<f32>,
    /// BM25's mean of the users' totals; 0 for the other weightings.
    pub mean_total: f64,
}

impl WeightModel {
    pub fn fit(weighting: Weighting, matrix: &Csr) -> Result<WeightModel, TrainError> {
        if weighting != Weighting::Bm25 {
            return Ok(WeightModel { weighting, item_factors: Vec::new(), mean_total: 0.0 });
        }
        let totals: f64 = (0..matrix.n_rows())
            .map(|user| total(user, matrix.row(user).1))
            .sum::<Result<f64, TrainError>>()?;
        let mean_total = totals / matrix.n_rows().max(1) as f64;
        Ok(WeightModel { weighting, item_factors: inverse_frequencies(matrix), mean_total })
    }

    pub fn apply(&self, matrix: Csr) -> Result<Csr, TrainError> {
        let mut values = matrix.values().to_vec();
        for user in 0..matrix.n_rows() {
            let range = matrix.indptr()[user] as usize..matrix.indptr()[user + 1] as usize;
            self.row(user, &matrix.indices()[range.clone()], &mut values[range])?;
        }
        Csr::from_parts(
            matrix.n_cols(),
            matrix.indptr().to_vec(),
            matrix.indices().to_vec(),
            values,
        )
    }

    /// Weights one user's row in place.
    pub fn row(&self, user: usize, items: &[u32], weights: &mut [f32]) -> Result<(), TrainError> {
        match self.weighting {
            Weighting::Raw => {}
            Weighting::Log1p => weights.iter_mut().for_each(|w| *w = log1p(*w)),
            Weighting::Bm25 => self.bm25(user, items, weights)?,
        }
        Ok(())
    }

    fn bm25(&self, user: usize, items: &[u32], weights: &mut [f32]) -> Result<(), TrainError> {
        let total = total(user, weights)?;
        // All weights may be zero; then they stay zero whatever the length.
        let share = if self.mean_total > 0.0 { total / self.mean_total } else { 1.0 };
        let saturation = K1 * (1.0 - B + B * share);
        for (weight, &item) in weights.iter_mut().zip(items) {
            let w = f64::from(*weight);
            let factor = self.item_factors.get(item as usize).copied().unwrap_or(0.0);
            *weight = (w * (K1 + 1.0) / (saturation + w) * f64::from(factor)) as f32;
        }
        Ok(())
    }
}

/// In float64, so that weights near zero and in the millions keep their last digits.
fn log1p(weight: f32) -> f32 {
    (f64::from(weight).abs().ln_1p() as f32).copysign(weight)
}

fn inverse_frequencies(matrix: &Csr) -> Vec<f32> {
    let mut users = vec![0u32; matrix.n_cols()];
    matrix.indices().iter().for_each(|&item| users[item as usize] += 1);
    let all = matrix.n_rows() as f64;
    let factor = |n: f64| ((all - n + 1.0) / n).ln_1p() as f32;
    users.iter().map(|&n| factor(f64::from(n) + 0.5)).collect()
}

fn total(user: usize, weights: &[f32]) -> Result<f64, TrainError> {
    match weights.iter().find(|w| **w < 0.0) {
        Some(weight) => Err(TrainError::Parameter {
            name: "weighting",
            got: format!("\"bm25\" with a weight of {weight} (row {user})"),
            expected: "weights of zero or more: use \"log1p\" or \"raw\"".into(),
        }),
        None => Ok(weights.iter().map(|&w| f64::from(w)).sum()),
    }
}
