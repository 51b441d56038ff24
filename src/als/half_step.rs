//! All rows of one side against the fixed factors of the other, in parallel.

use rayon::prelude::*;

use super::csr::Csr;
use super::gramian::Gramian;
use super::objective::Objective;
use super::solve::{Fixed, Scratch, solve_row};
use crate::error::TrainError;

/// Rows handed out at a time: small, so that one with many entries delays nobody.
const BLOCK: usize = 64;

/// Asked between blocks of rows; true stops the work.
pub(super) type Interrupt<'a> = &'a (dyn Fn() -> bool + Sync);

/// What a solved row adds to the loss, given its columns, values and vector.
pub(super) type Gain = fn(&Fixed<'_>, &[u32], &[f32], &[f32]) -> f64;

/// The side that is being solved.
pub(super) struct HalfStep<'a> {
    pub(super) objective: Objective,
    /// The fixed side's factors, row-major.
    pub(super) factors: &'a [f32],
    pub(super) d: usize,
    pub(super) gramian: &'a Gramian,
    /// "user" or "item", for messages.
    pub(super) side: &'static str,
    pub(super) interrupt: Interrupt<'a>,
}

impl HalfStep<'_> {
    /// Solves each row of `rows` into `out` (row-major) and sums what they add to the loss, in the
    /// order of the rows whatever the threads.
    pub(super) fn run(&self, rows: &Csr, out: &mut [f32], gain: Gain) -> Result<f64, TrainError> {
        let matrix = self.gramian.scaled(self.objective.unobserved);
        let fixed = Fixed {
            objective: self.objective,
            factors: self.factors,
            d: self.d,
            gramian: self.gramian,
            matrix: &matrix,
        };
        let sums: Vec<Result<f64, TrainError>> = out
            .par_chunks_mut(BLOCK * self.d)
            .enumerate()
            .map_init(
                || Scratch::new(self.d),
                |scratch, (block, out)| self.block(scratch, &fixed, rows, block * BLOCK, out, gain),
            )
            .collect();
        sums.into_iter().sum()
    }

    fn block(
        &self,
        scratch: &mut Scratch,
        fixed: &Fixed<'_>,
        rows: &Csr,
        first: usize,
        out: &mut [f32],
        gain: Gain,
    ) -> Result<f64, TrainError> {
        if (self.interrupt)() {
            return Err(TrainError::Cancelled);
        }
        let mut sum = 0f64;
        for (row, x) in (first..).zip(out.chunks_exact_mut(self.d)) {
            let (columns, values) = rows.row(row);
            if row + 1 < rows.n_rows() {
                scratch.equations.prefetch(self.factors, rows.row(row + 1).0);
            }
            solve_row(scratch, fixed, columns, values, x).map_err(|_| TrainError::Singular {
                side: self.side,
                row,
                regularization: self.objective.regularization,
            })?;
            sum += gain(fixed, columns, values, x);
        }
        Ok(sum)
    }
}
