//! From raw weights to those that are trained on.

use std::fmt;
use std::str::FromStr;

use crate::als::Csr;
use crate::error::{Entry, TrainError};
use crate::memory;
use crate::progress;

/// BM25's k1: how far a weight may grow before it counts as much as it can.
const K1: f64 = 100.0;
/// BM25's b: how much a user's total counts against each of their weights.
const B: f64 = 0.8;

/// How raw weights (play counts, seconds, stars) become the r of the objective.
///
/// A negative weight says that the user disliked the item. [`Raw`](Weighting::Raw) and
/// [`Log1p`](Weighting::Log1p) keep its sign; [`Bm25`](Weighting::Bm25) counts occurrences and
/// refuses it, [`Normalized`](Weighting::Normalized) keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
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
    /// w / (a b)^beta, with a the number of items that the user has and b the number of users who
    /// have the item: busy users and frequent items count less. At beta = 1/2 this is the normalised
    /// adjacency matrix of the graph of users and items.
    ///
    /// All are then scaled by one number, so that the mean size of a weight stays what it was and
    /// the other parameters keep their meaning. Written "normalized" (beta = 0.5) or, for another
    /// beta, "normalized:0.3".
    Normalized {
        /// The exponent, 0 to 1; 0 leaves weights as they are.
        beta: f32,
    },
}

/// The beta of "normalized" alone.
const BETA: f32 = 0.5;

impl Weighting {
    /// Every weighting, those with a parameter once.
    pub const ALL: [Weighting; 4] =
        [Weighting::Raw, Weighting::Log1p, Weighting::Bm25, Weighting::Normalized { beta: BETA }];

    /// The name that users type, without a parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Weighting::Raw => "raw",
            Weighting::Log1p => "log1p",
            Weighting::Bm25 => "bm25",
            Weighting::Normalized { .. } => "normalized",
        }
    }
}

impl fmt::Display for Weighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weighting::Normalized { beta } if *beta != BETA => write!(f, "normalized:{beta}"),
            _ => f.write_str(self.name()),
        }
    }
}

impl FromStr for Weighting {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Weighting, TrainError> {
        let with_beta = || {
            let beta: f32 = name.strip_prefix("normalized:")?.parse().ok()?;
            (0.0..=1.0).contains(&beta).then_some(Weighting::Normalized { beta })
        };
        let named = Weighting::ALL.into_iter().find(|w| w.name() == name);
        named.or_else(with_beta).ok_or_else(|| TrainError::Parameter {
            name: "weighting",
            got: format!("{name:?}"),
            expected: "\"raw\", \"log1p\", \"bm25\", \"normalized\" or \"normalized:BETA\" with \
                       beta from 0 to 1"
                .into(),
        })
    }
}

/// A weighting with what it learnt from the training data, so that a user who comes later is
/// weighted by the same measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WeightModel {
    pub weighting: Weighting,
    /// What an item's weights are multiplied with: BM25's second factor, or b^-beta times the common
    /// scale; empty for the other weightings.
    pub item_factors: Vec<f32>,
    /// BM25's mean of the users' totals; 0 for the other weightings.
    pub mean_total: f64,
}

impl WeightModel {
    pub fn fit(weighting: Weighting, matrix: &Csr) -> Result<WeightModel, TrainError> {
        let (item_factors, mean_total) = match weighting {
            Weighting::Raw | Weighting::Log1p => (Vec::new(), 0.0),
            Weighting::Bm25 => (inverse_frequencies(matrix), mean_total(matrix)?),
            Weighting::Normalized { beta } => (normalizing(matrix, check(beta)?), 0.0),
        };
        Ok(WeightModel { weighting, item_factors, mean_total })
    }

    pub fn apply(&self, matrix: Csr) -> Result<Csr, TrainError> {
        let mut values = memory::copied(matrix.values());
        for user in progress::checked(0..matrix.n_rows(), 256) {
            let range = matrix.indptr()[user] as usize..matrix.indptr()[user + 1] as usize;
            self.row(user, &matrix.indices()[range.clone()], &mut values[range])?;
        }
        Csr::from_parts(
            matrix.n_cols(),
            memory::copied(matrix.indptr()),
            memory::copied(matrix.indices()),
            values,
        )
    }

    /// Weights one user's row in place.
    pub fn row(&self, user: usize, items: &[u32], weights: &mut [f32]) -> Result<(), TrainError> {
        match self.weighting {
            Weighting::Raw => {}
            Weighting::Log1p => weights.iter_mut().for_each(|w| *w = log1p(*w)),
            Weighting::Bm25 => self.bm25(user, items, weights)?,
            Weighting::Normalized { beta } => {
                let own = inverse_power(weights.len() as f64, f64::from(beta));
                for (weight, &item) in weights.iter_mut().zip(items) {
                    let factor = self.item_factors.get(item as usize).copied().unwrap_or(0.0);
                    *weight = (f64::from(*weight) * own * f64::from(factor)) as f32;
                }
            }
        }
        Ok(())
    }

    fn bm25(&self, user: usize, items: &[u32], weights: &mut [f32]) -> Result<(), TrainError> {
        let total = total(user, items, weights)?;
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

/// How many users have each item.
fn frequencies(matrix: &Csr) -> Vec<u32> {
    let mut users = vec![0u32; matrix.n_cols()];
    matrix.indices().iter().for_each(|&item| users[item as usize] += 1);
    users
}

fn check(beta: f32) -> Result<f64, TrainError> {
    match (0.0..=1.0).contains(&beta) {
        true => Ok(f64::from(beta)),
        false => Err(TrainError::Parameter {
            name: "beta",
            got: beta.to_string(),
            expected: "0 to 1".into(),
        }),
    }
}

fn inverse_power(n: f64, beta: f64) -> f64 {
    n.max(1.0).powf(-beta)
}

/// b^-beta for each item, times what keeps the mean size of a weight.
fn normalizing(matrix: &Csr, beta: f64) -> Vec<f32> {
    let users = frequencies(matrix);
    let factors: Vec<f64> = users.iter().map(|&n| inverse_power(f64::from(n), beta)).collect();
    let (mut before, mut after) = (0f64, 0f64);
    for user in progress::checked(0..matrix.n_rows(), 256) {
        let (items, weights) = matrix.row(user);
        let own = inverse_power(items.len() as f64, beta);
        for (&item, &weight) in items.iter().zip(weights) {
            let size = f64::from(weight).abs();
            before += size;
            after += size * own * factors[item as usize];
        }
    }
    let scale = if after > 0.0 { before / after } else { 1.0 };
    factors.iter().map(|factor| (factor * scale) as f32).collect()
}

fn mean_total(matrix: &Csr) -> Result<f64, TrainError> {
    let totals = (0..matrix.n_rows()).map(|user| {
        let (items, weights) = matrix.row(user);
        total(user, items, weights)
    });
    Ok(totals.sum::<Result<f64, TrainError>>()? / matrix.n_rows().max(1) as f64)
}

fn inverse_frequencies(matrix: &Csr) -> Vec<f32> {
    let users = frequencies(matrix);
    let all = matrix.n_rows() as f64;
    let factor = |n: f64| ((all - n + 1.0) / n).ln_1p() as f32;
    users.iter().map(|&n| factor(f64::from(n) + 0.5)).collect()
}

/// The sum of a row whose weights are counts.
fn total(row: usize, items: &[u32], weights: &[f32]) -> Result<f64, TrainError> {
    match weights.iter().position(|w| *w < 0.0) {
        Some(at) => Err(TrainError::Weight {
            entry: Entry::Place { row, column: items[at] as usize },
            value: weights[at],
            weighted: None,
            expected: "0 or more by the weighting \"bm25\", which counts occurrences: choose \
                       \"log1p\" or \"raw\", or drop the entry"
                .into(),
        }),
        None => Ok(weights.iter().map(|&w| f64::from(w)).sum()),
    }
}
