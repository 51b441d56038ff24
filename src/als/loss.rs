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

use super::solve::Fixed;
use crate::kernel::float::dot;

/// What the entries of one user and its regularisation add.
pub(super) fn of_row(fixed: &Fixed<'_>, columns: &[u32], values: &[f32], x: &[f32]) -> f64 {
    let mut sum = of_ridge(fixed, values.len(), x);
    for (&column, &r) in columns.iter().zip(values) {
        let (a, b) = fixed.objective.weigh(r);
        let s = f64::from(dot(x, &fixed.factors[column as usize * fixed.d..][..fixed.d]));
        sum += (f64::from(a) * s - 2.0 * f64::from(b)) * s;
    }
    sum
}

/// What the regularisation of one row adds.
pub(super) fn of_ridge(fixed: &Fixed<'_>, entries: usize, x: &[f32]) -> f64 {
    f64::from(fixed.ridge(entries)) * f64::from(dot(x, x))
}
