//! The rows that float32 cannot solve: once more in float64, with jitter if that must be.
//!
//! Float64 comes first because it gives the row's true solution; jitter changes the equations and
//! is left for matrices that are singular in themselves (no regularisation, and fewer entries or
//! items than factors), where it picks the solution of nearly least norm.

use super::gramian::add_outer;
use super::solve::Fixed;

/// A pivot below this share of the diagonal element it grew from has lost its digits in float64.
const LOST: f64 = 1e-13;

/// What is added to the diagonal, as shares of its mean, until the factorisation holds.
const JITTERS: [f64; 4] = [0.0, 1e-10, 1e-7, 1e-4];

/// Solves the row into `x`; false if no attempt gives a finite vector. Rare, so it allocates.
#[cold]
pub(super) fn solve(fixed: &Fixed<'_>, columns: &[u32], values: &[f32], x: &mut [f32]) -> bool {
    let (a, rhs) = equations(fixed, columns, values);
    let Some(solution) = attempts(fixed.d, &a, &rhs) else { return false };
    x.iter_mut().zip(&solution).for_each(|(to, &from)| *to = from as f32);
    true
}

/// The row's matrix against another right-hand side: A^-1 `rhs`; `None` if no attempt gives a
/// vector that is finite in float32.
pub(super) fn solve_for(
    fixed: &Fixed<'_>,
    columns: &[u32],
    values: &[f32],
    rhs: &[f64],
) -> Option<Vec<f64>> {
    attempts(fixed.d, &equations(fixed, columns, values).0, rhs)
}

fn attempts(d: usize, a: &[f64], rhs: &[f64]) -> Option<Vec<f64>> {
    let mean = a.iter().step_by(d + 1).sum::<f64>() / d as f64;
    JITTERS.iter().find_map(|share| {
        let mut solution = rhs.to_vec();
        let holds = factor_and_solve(a.to_vec(), share * mean, &mut solution);
        (holds && solution.iter().all(|&v| (v as f32).is_finite())).then_some(solution)
    })
}

/// The matrix (d x d, upper triangle) and the right-hand side.
fn equations(fixed: &Fixed<'_>, columns: &[u32], values: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (d, alpha0) = (fixed.d, f64::from(fixed.objective.unobserved));
    let mut a = fixed.gramian.exact(fixed.factors).to_vec();
    a.iter_mut().for_each(|v| *v *= alpha0);
    let ridge = f64::from(fixed.ridge(values.len()));
    a.iter_mut().step_by(d + 1).for_each(|v| *v += ridge);
    let mut rhs = vec![0f64; d];
    for (&column, &r) in columns.iter().zip(values) {
        let y = &fixed.factors[column as usize * d..][..d];
        let (weight, pull) = fixed.objective.weigh(r);
        add_outer(&mut a, y, f64::from(weight));
        rhs.iter_mut().zip(y).for_each(|(r, &y)| *r += f64::from(pull) * f64::from(y));
    }
    (a, rhs)
}

/// Factors `a` + `jitter` I = U' D^-1 U from its upper triangle and solves; false at a lost pivot.
fn factor_and_solve(mut a: Vec<f64>, jitter: f64, x: &mut [f64]) -> bool {
    let d = x.len();
    (0..d).for_each(|i| a[i * d + i] += jitter);
    let before: Vec<f64> = a.iter().step_by(d + 1).copied().collect();
    for k in 0..d {
        let (done, rest) = a.split_at_mut((k + 1) * d);
        let row = &done[k * d..];
        // Written so that NaN fails too.
        if !(row[k] > LOST * before[k] && row[k] < f64::INFINITY) {
            return false;
        }
        for i in k + 1..d {
            let step = row[i] / row[k];
            let below = &mut rest[(i - k - 1) * d + i..][..d - i];
            below.iter_mut().zip(&row[i..]).for_each(|(a, u)| *a -= step * u);
            x[i] -= step * x[k];
        }
    }
    for k in (0..d).rev() {
        let later: f64 = (k + 1..d).map(|j| a[k * d + j] * x[j]).sum();
        x[k] = (x[k] - later) / a[k * d + k];
    }
    true
}
