//! One row: its equations, and the vector that solves them.

use super::gramian::Gramian;
use super::objective::Objective;
use super::repair;
use crate::kernel::dense::{Equations, padded};

/// Entries summed in float32 before the sum goes over to float64: a popular item may have millions,
/// and a float32 sum of that many loses the small ones.
const SEGMENT: usize = 1024;

/// The memory that solving a row takes; reused from row to row, so that none is allocated once the
/// first long row has been seen.
///
/// About 8 d^2 + 256 d bytes, and 12 d^2 more after a row of over 1024 entries.
#[derive(Clone)]
pub struct Scratch {
    pub(super) equations: Equations,
    a: Vec<f32>,
    b: Vec<f32>,
    /// Sums of a long row: the matrix, then the right-hand side.
    wide: Vec<f64>,
    narrow: Vec<f32>,
}

impl Scratch {
    /// Memory for rows of `factors` unknowns.
    #[must_use]
    pub fn new(factors: usize) -> Scratch {
        let equations = Equations::new(factors);
        Scratch { equations, a: vec![], b: vec![], wide: vec![], narrow: vec![] }
    }

    fn weigh(&mut self, objective: &Objective, values: &[f32]) {
        self.a.clear();
        self.b.clear();
        for &r in values {
            let (a, b) = objective.weigh(r);
            self.a.push(a);
            self.b.push(b);
        }
    }
}

/// What all rows of a half-step share: the factors of the fixed side.
pub(super) struct Fixed<'a> {
    pub(super) objective: Objective,
    /// Row-major, rows of d.
    pub(super) factors: &'a [f32],
    pub(super) d: usize,
    pub(super) gramian: &'a Gramian,
    /// The Gramian times alpha0 in float32.
    pub(super) matrix: &'a [f32],
}

impl Fixed<'_> {
    /// How many rows the fixed side has.
    pub(super) fn rows(&self) -> usize {
        self.factors.len() / self.d
    }

    /// The ridge of a row with `entries` entries.
    pub(super) fn ridge(&self, entries: usize) -> f32 {
        self.objective.ridge(entries, self.rows())
    }
}

/// The row has no finite solution.
#[derive(Debug)]
pub(super) struct NoSolution;

/// Solves one row into `x`: the zero vector if nothing pulls at it, otherwise in float32, and where
/// that loses its digits in float64.
pub(super) fn solve_row(
    scratch: &mut Scratch,
    fixed: &Fixed<'_>,
    columns: &[u32],
    values: &[f32],
    x: &mut [f32],
) -> Result<(), NoSolution> {
    if values.iter().all(|&r| fixed.objective.weigh(r).1 == 0.0) {
        x.fill(0.0);
        return Ok(());
    }
    if values.len() <= SEGMENT {
        scratch.weigh(&fixed.objective, values);
        let (a, b) = (&scratch.a[..], &scratch.b[..]);
        scratch.equations.start(fixed.matrix, fixed.factors, columns, a, b);
    } else {
        sum_long_row(scratch, fixed, columns, values);
    }
    scratch.equations.add_to_diagonal(fixed.ridge(values.len()));
    if scratch.equations.solve(x) || repair::solve(fixed, columns, values, x) {
        return Ok(());
    }
    Err(NoSolution)
}

fn sum_long_row(scratch: &mut Scratch, fixed: &Fixed<'_>, columns: &[u32], values: &[f32]) {
    let side = padded(fixed.d) * padded(fixed.d);
    scratch.wide.clear();
    scratch.wide.extend(fixed.matrix.iter().map(|&v| f64::from(v)));
    scratch.wide.resize(side + fixed.d, 0.0);
    for (columns, values) in columns.chunks(SEGMENT).zip(values.chunks(SEGMENT)) {
        scratch.weigh(&fixed.objective, values);
        scratch.equations.clear();
        scratch.equations.add(fixed.factors, columns, &scratch.a, &scratch.b);
        let parts = scratch.equations.matrix().iter().chain(scratch.equations.right_hand_side());
        scratch.wide.iter_mut().zip(parts).for_each(|(w, &v)| *w += f64::from(v));
    }
    scratch.narrow.clear();
    scratch.narrow.extend(scratch.wide.iter().map(|&v| v as f32));
    scratch.equations.set(&scratch.narrow[..side], &scratch.narrow[side..]);
}
