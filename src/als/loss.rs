//! The objective's value, written once.
//!
//! ```text
//! alpha0 sum over all pairs (x . y)^2 + sum over entries [a (x . y)^2 - 2 b x . y]
//!     + sum over users lambda_u |x|^2 + sum over items lambda_i |y|^2
//! ```
//!
//! The first sum has users x items terms, but equals the inner product of the two Gramians, which
//! the half-steps need anyway. The second is taken while a user's items are still in cache. Terms
//! are float32, their sums float64.

use super::objective::Objective;
use super::solve::Fixed;
use crate::kernel::dense::scores;
use crate::kernel::float::dot;

/// Which terms a half-step sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// None: nobody asks.
    None,
    /// The regularisation of its rows.
    Ridge,
    /// That and the entries.
    RidgeAndEntries,
}

/// What the entries of one row add, `x` and the factors being in one basis.
pub(super) fn of_entries(
    objective: &Objective,
    factors: &[f32],
    columns: &[u32],
    values: &[f32],
    x: &[f32],
    buffer: &mut Vec<f32>,
) -> f64 {
    buffer.resize(columns.len(), 0.0);
    scores(factors, columns, x, buffer);
    let terms = values.iter().zip(buffer.iter()).map(|(&r, &s)| {
        let ((a, b), s) = (objective.weigh(r), f64::from(s));
        (f64::from(a) * s - 2.0 * f64::from(b)) * s
    });
    terms.sum()
}

/// What the regularisation of one row adds.
pub(super) fn of_ridge(fixed: &Fixed<'_>, entries: usize, x: &[f32]) -> f64 {
    f64::from(fixed.ridge(entries)) * f64::from(dot(x, x))
}
