//! One row's equations solved block by block.

use super::equations::{Equations, Source};
use super::gradients::{Banded, Row};
use super::lines::padded;
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::kernel::Isa;

/// Coordinates solved at once. Wider blocks come nearer to the solution in a pass and cost more: k w
/// operations an entry and w^3 / 3.
const WIDTH: usize = 64;

/// Block coordinate descent for a [`Row`]: each block of 64 coordinates in turn gets the values that
/// are best beside the others (Rendle, Krichene, Zhang and Koren, "iALS++: Speeding up matrix
/// factorization with subspace optimization", 2021). Where T is tridiagonal blocks are coupled by the
/// entries alone and by one element on each side, so that a pass comes nearer to the solution than in
/// the factors' own basis.
///
/// For k entries k d (64 + 5) operations and 64^2 d / 3.
#[derive(Clone)]
pub struct Blocks {
    isa: Isa,
    n: usize,
    whole: Equations,
    /// For the last block, where it is narrower.
    last: Equations,
    scores: Vec<f32>,
    pulls: Vec<f32>,
    change: Vec<f32>,
}

/// What the rows of a half-step share: the diagonal blocks of T.
#[derive(Debug, Clone)]
pub struct BlockStarts(Vec<Vec<f32>>);

impl BlockStarts {
    /// Of `banded`, made of `unknowns` unknowns.
    #[must_use]
    pub fn new(banded: &Banded, unknowns: usize) -> BlockStarts {
        let n = banded.side();
        let block = |first: usize| banded.block(first, WIDTH.min(n - first), unknowns);
        BlockStarts((0..n).step_by(WIDTH).map(block).collect())
    }
}

impl Blocks {
    /// Memory for `d` unknowns; grows by 8 bytes an entry.
    #[must_use]
    pub fn new(d: usize) -> Blocks {
        Blocks::with(Isa::active(), d)
    }

    pub(super) fn with(isa: Isa, d: usize) -> Blocks {
        let n = padded(d);
        let last = if n.is_multiple_of(WIDTH) { WIDTH } else { n % WIDTH };
        Blocks {
            isa,
            n,
            whole: Equations::with(isa, WIDTH),
            last: Equations::with(isa, last),
            scores: vec![],
            pulls: vec![],
            change: vec![],
        }
    }

    /// Improves `x` (of [`padded`]`(d)`) by one pass over its blocks. False, with `x` half improved,
    /// if a block has lost its digits in float32.
    ///
    /// # Panics
    /// If there is no entry, lengths differ or a column names no row of `z`.
    #[must_use]
    pub fn improve(
        &mut self,
        row: Row<'_>,
        banded: &Banded,
        starts: &BlockStarts,
        x: &mut [f32],
    ) -> bool {
        let (n, z) = (self.n, row.z.as_ptr());
        row.check(n);
        assert!(x.len() == n && banded.side() == n, "another number of unknowns");
        self.scores.resize(row.columns.len(), 0.0);
        self.pulls.resize(row.columns.len(), 0.0);
        dispatch!(self.isa, scores(z, n, n, row.columns, x.as_ptr(), &mut self.scores));
        for (start, first) in starts.0.iter().zip((0..n).step_by(WIDTH)) {
            let width = WIDTH.min(n - first);
            if !self.solve_block(row, banded, start, first, x) {
                return false;
            }
            let part = z.wrapping_add(first);
            let (change, pulls) = (self.change.as_ptr(), &mut self.pulls);
            dispatch!(self.isa, scores(part, n, width, row.columns, change, pulls));
            self.scores.iter_mut().zip(&self.pulls).for_each(|(s, change)| *s += change);
        }
        true
    }

    fn solve_block(
        &mut self,
        row: Row<'_>,
        banded: &Banded,
        start: &[f32],
        first: usize,
        x: &mut [f32],
    ) -> bool {
        let width = WIDTH.min(self.n - first);
        let left = self.scores.iter().zip(row.a).zip(row.b).map(|((s, a), b)| b - a * s);
        self.pulls.iter_mut().zip(left).for_each(|(to, v)| *to = v);
        let equations = if width == WIDTH { &mut self.whole } else { &mut self.last };
        let source = Source { factors: row.z, stride: self.n, first };
        equations.start_from(start, source, row.columns, row.a, &self.pulls);
        equations.add_to_diagonal(row.ridge);
        for (i, r) in equations.right_hand_side_mut()[..width].iter_mut().enumerate() {
            *r -= banded.times_at(first + i, row.ridge, x);
        }
        self.change.resize(width, 0.0);
        if !equations.solve(&mut self.change) {
            return false;
        }
        x[first..].iter_mut().zip(&self.change).for_each(|(x, change)| *x += change);
        true
    }
}
