//! What rows with few entries are solved with: the shared part of their equations, taken apart once.

use super::gramian::Gramian;
use super::method::Method;
use super::objective::Objective;
use super::tridiagonal::Tridiagonal;
use super::turns;
use crate::kernel::Aligned;
use crate::kernel::dense::{self, Banded, BlockStarts, Ladder, padded};
use crate::progress;

/// Rows rotated by one thread at a time.
const BLOCK: usize = 256;

/// alpha0 Y'Y + lambda I as Q (T + lambda I) Q', T tridiagonal, for every lambda that rows with few
/// entries have.
#[derive(Debug, Clone)]
pub(super) struct Whitening {
    d: usize,
    tridiagonal: Tridiagonal,
    /// By the number of entries, if that shows in lambda; else one. None where T + lambda I is too
    /// nearly singular.
    ladders: Vec<Option<Ladder>>,
    /// The most entries of a row that is solved in them.
    most_entries: usize,
    /// T, and its blocks, for methods that improve a vector.
    pub(super) banded: Banded,
    pub(super) starts: BlockStarts,
}

impl Whitening {
    /// For rows that face `others` rows, whose Gramian is given. 8 d^3 / 3 operations.
    pub(super) fn new(
        gramian: &Gramian,
        objective: &Objective,
        method: Method,
        others: usize,
        d: usize,
    ) -> Whitening {
        let tridiagonal = Tridiagonal::new(gramian.whole(objective.unobserved), d);
        let most_entries = method.most_entries(d);
        let counts = if objective.is_scaled() { most_entries } else { 0 };
        let ladder = |m| tridiagonal.ladder(f64::from(objective.ridge(m, others)));
        let ladders = progress::checked(0..=counts, 1).map(ladder).collect();
        let banded = tridiagonal.banded();
        let starts = BlockStarts::new(&banded, d);
        Whitening { d, tridiagonal, ladders, most_entries, banded, starts }
    }

    /// The factors of T + lambda I for a row with `entries` entries, if such a row is to be solved
    /// in them.
    pub(super) fn ladder(&self, entries: usize) -> Option<&Ladder> {
        if entries > self.most_entries {
            return None;
        }
        self.ladders[entries.min(self.ladders.len() - 1)].as_ref()
    }

    /// Rows of d times Q: rows of `padded(d)`, and a row of zeros.
    pub(super) fn rotate(&self, factors: &[f32]) -> Aligned<f32> {
        let (d, n) = (self.d, padded(self.d));
        let mut out = Aligned::zeroed((factors.len() / d + 1) * n);
        let parts = out.chunks_mut(BLOCK * n).zip(factors.chunks(BLOCK * d)).collect();
        turns::each(parts, Vec::new, |rows, (out, factors)| self.rotate_into(factors, rows, out));
        out
    }

    /// The same for a few rows, into the first of `out`; `padded_rows` is memory for them.
    pub(super) fn rotate_into(&self, factors: &[f32], padded_rows: &mut Vec<f32>, out: &mut [f32]) {
        let (d, n) = (self.d, padded(self.d));
        let used = factors.len() / d * n;
        padded_rows.clear();
        padded_rows.resize(used, 0.0);
        let rows = padded_rows.chunks_exact_mut(n).zip(factors.chunks_exact(d));
        rows.for_each(|(to, row)| to[..d].copy_from_slice(row));
        dense::multiply(padded_rows, &self.tridiagonal.basis, n, &mut out[..used]);
    }

    /// Rows of `padded(d)` times Q', into `out`, of the same size.
    pub(super) fn rotate_back(&self, rows: &[f32], out: &mut [f32]) {
        dense::multiply(rows, &self.tridiagonal.back, padded(self.d), out);
    }
}
