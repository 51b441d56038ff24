//! One row's equations where it has fewer entries than unknowns.

use super::algorithm::{LANES, View};
use super::equations::Equations;
use super::lines::{Lines, padded};
use super::portable;
use super::whitened::Rungs;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::kernel::Isa;

/// A pivot of the tridiagonal matrix below this share of the diagonal is noise: what it was made of
/// are sums of float32 blocks.
const LOST: f64 = 1e-7;

/// Rows asked for ahead: a quarter of a second-level cache at 512 factors.
const AHEAD: usize = 128;

/// A positive definite tridiagonal matrix T = L D L', factored in float64 and kept in float32.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    step: Vec<f32>,
    scale: Vec<f32>,
}

impl Ladder {
    /// From T's `diagonal` (d) plus `ridge`, and the elements beside it (`beside[j]` is T[j][j + 1];
    /// d - 1 of them). None if a pivot is lost, or beyond float32.
    ///
    /// # Panics
    /// If the two lengths do not belong together.
    #[must_use]
    pub fn new(diagonal: &[f64], beside: &[f64], ridge: f64) -> Option<Ladder> {
        let d = diagonal.len();
        assert!(d > 0 && beside.len() + 1 == d, "{d} and {} elements", beside.len());
        let n = padded(d);
        let (mut step, mut scale) = (vec![0f32; n], vec![0f32; n]);
        let largest = diagonal.iter().fold(0f64, |m, v| m.max(v.abs())) + ridge;
        let mut pivot = f64::INFINITY;
        for j in 0..d {
            let e = if j == 0 { 0.0 } else { beside[j - 1] };
            let ratio = e / pivot;
            pivot = diagonal[j] + ridge - e * ratio;
            // Written so that NaN fails too.
            if !(pivot > LOST * largest && pivot > 1e-30 && pivot < 1e30) {
                return None;
            }
            step[j] = -ratio as f32;
            scale[j] = (1.0 / pivot.sqrt()) as f32;
        }
        Some(Ladder { step, scale })
    }

    /// The number of unknowns with their padding.
    pub(super) fn unknowns(&self) -> usize {
        self.step.len()
    }

    /// Writes the coefficients into every lane of their cells.
    pub(super) fn spread(&self, steps: &mut [f32], scales: &mut [f32]) {
        for (cells, values) in [(steps, &self.step), (scales, &self.scale)] {
            cells.chunks_exact_mut(LANES).zip(values).for_each(|(cell, &v)| cell.fill(v));
        }
    }

    /// Writes the coefficients into one lane of their cells.
    pub(super) fn lane(&self, lane: usize, steps: &mut [f32], scales: &mut [f32]) {
        for (cells, values) in [(steps, &self.step), (scales, &self.scale)] {
            let lanes = cells.iter_mut().skip(lane).step_by(LANES);
            lanes.zip(values).for_each(|(to, &v)| *to = v);
        }
    }

    fn rungs(&self) -> Rungs {
        Rungs { step: self.step.as_ptr(), scale: self.scale.as_ptr() }
    }
}

/// `out = rows m`, row by row with the same bits however many there are: `m` is n x n, row-major,
/// `rows` and `out` rows of n. 2 n^2 operations a row.
///
/// # Panics
/// If n is not a multiple of 16 or the extents differ.
pub fn multiply(rows: &[f32], m: &[f32], n: usize, out: &mut [f32]) {
    assert!(n > 0 && n.is_multiple_of(LANES) && m.len() == n * n, "a matrix of another side");
    assert!(rows.len() == out.len() && rows.len().is_multiple_of(n), "rows of another length");
    let view = |x: &[f32]| View { at: x.as_ptr().cast_mut(), stride: n };
    let to = View { at: out.as_mut_ptr(), stride: n };
    dispatch!(Isa::active(), multiply(view(rows), view(m), to, rows.len() / n));
}

/// `out[t] = y_t . x` for the rows y of `factors` (row-major, rows of `d`) that `columns` name.
///
/// # Panics
/// If a column names no row of `factors`, `x` has not d elements, or `out` another number than
/// `columns`.
pub fn scores(factors: &[f32], columns: &[u32], x: &[f32], out: &mut [f32]) {
    let d = x.len();
    let rows = factors.len() / d;
    assert!(columns.len() == out.len(), "lists of different length");
    assert!(columns.iter().all(|&c| (c as usize) < rows), "a column past the factors");
    dispatch!(Isa::active(), scores(factors.as_ptr(), d, d, columns, x.as_ptr(), out));
}

/// The equations of a row with k entries, in k unknowns in place of d.
///
/// The row's vector solves `(T + Z' W Z) x = Z' b`: T is tridiagonal and positive definite, common
/// to all rows (the part of all pairs and the ridge, in a basis where it has that form), Z holds
/// the entries' factors in that basis (k x d), W = S^2 the weights a >= 0 and b the pulls. Then
/// `x = T^-1 Z' u` with `u = S w` and
///
/// ```text
/// (I + V V') w = S^-1 b     V = S Z L^-T D^-1/2     T = L D L'
/// ```
///
/// (the push-through identity; kernel ridge regression's dual form). Nothing is subtracted on the
/// way, and the matrix is as well conditioned as the entries' own part, whatever T is. An entry of
/// weight 0 has u = b and goes to the right-hand side.
///
/// k^2 d + k^3 / 3 + 7 k d operations beside the division by T, in place of k d^2 + d^3 / 3.
#[derive(Clone)]
pub struct Dual {
    isa: Isa,
    n: usize,
    small: Equations,
    panel: Lines,
    /// The solution w, and then u.
    u: Vec<f32>,
    /// The right-hand side of the entries without weight, whitened.
    beside: Lines,
}

impl Dual {
    /// Memory for rows of `d` unknowns; grows with the entries: about 8 k^2 + 4 k d bytes.
    #[must_use]
    pub fn new(d: usize) -> Dual {
        Dual::with(Isa::active(), d)
    }

    fn with(isa: Isa, d: usize) -> Dual {
        let n = padded(d);
        let small = Equations::with(isa, 1);
        Dual { isa, n, small, panel: Lines::new(0), u: Vec::new(), beside: Lines::new(n) }
    }

    /// Writes the row's vector in the basis of `z` into `out`. `z` has rows of [`padded`]`(d)`,
    /// `columns` name the entries' rows, `roots` are the roots of their weights and `b` their pulls.
    /// False, with `out` undefined, if the matrix has lost its digits in float32.
    ///
    /// # Panics
    /// If the lists differ in length, are empty, or name no row of `z`, or ladder or `out` have
    /// another length than rows of `z`.
    #[must_use]
    pub fn solve(
        &mut self,
        z: &[f32],
        columns: &[u32],
        roots: &[f32],
        b: &[f32],
        ladder: &Ladder,
        out: &mut [f32],
    ) -> bool {
        let (n, k) = (self.n, columns.len());
        assert!(k > 0 && k == roots.len() && k == b.len(), "lists of different length");
        assert!(out.len() == n && ladder.step.len() == n, "another number of unknowns");
        let rows = z.len() / n;
        assert!(columns.iter().all(|&c| (c as usize) < rows), "a column past the factors");
        if roots.iter().all(|&root| root == 0.0) {
            // T alone is left: the matrix would be the unit one.
            self.divide(z, columns, b, ladder, out);
            return true;
        }
        let side = padded(k);
        self.panel.grow(n * side);
        let panel = self.panel.view(side);
        dispatch!(self.isa, panel(z.as_ptr(), n, columns, roots, ladder.rungs(), panel));
        self.small.reset(k);
        self.right_hand_side(z, columns, roots, b, ladder);
        self.small.add_panel(panel, n);
        self.u.resize(k, 0.0);
        if !self.small.solve(&mut self.u) {
            return false;
        }
        for ((u, &root), &b) in self.u.iter_mut().zip(roots).zip(b) {
            *u = if root > 0.0 { *u * root } else { b };
        }
        self.divide(z, columns, &self.u, ladder, out);
        true
    }

    /// `out = T^-1 Z' u`.
    fn divide(&self, z: &[f32], columns: &[u32], u: &[f32], ladder: &Ladder, out: &mut [f32]) {
        let (n, to) = (self.n, out.as_mut_ptr());
        dispatch!(self.isa, combine(z.as_ptr(), n, columns, u, to));
        dispatch!(self.isa, whiten(ladder.rungs(), to, n));
        dispatch!(self.isa, colour(ladder.rungs(), to, n));
    }

    /// Asks for the first rows of `z` that a later [`solve`](Self::solve) will need.
    pub fn prefetch(&self, z: &[f32], columns: &[u32]) {
        let columns = &columns[..columns.len().min(AHEAD)];
        dispatch!(self.isa, prefetch(z.as_ptr(), self.n, self.n, columns));
    }

    /// `S^-1 b`, less what the entries without weight already give: `V D^-1/2 L^-1 Z0' b0`.
    fn right_hand_side(
        &mut self,
        z: &[f32],
        columns: &[u32],
        roots: &[f32],
        b: &[f32],
        ladder: &Ladder,
    ) {
        let n = self.n;
        let rhs = self.small.right_hand_side_mut();
        for ((r, &root), &b) in rhs.iter_mut().zip(roots).zip(b) {
            *r = if root > 0.0 { b / root } else { 0.0 };
        }
        if roots.iter().all(|&root| root > 0.0) {
            return;
        }
        self.u.clear();
        self.u.extend(roots.iter().zip(b).map(|(&root, &b)| if root > 0.0 { 0.0 } else { -b }));
        let beside = self.beside.pointer_mut();
        dispatch!(self.isa, combine(z.as_ptr(), n, columns, &self.u, beside));
        dispatch!(self.isa, whiten(ladder.rungs(), beside, n));
        let panel = self.panel.view(padded(columns.len()));
        let rhs = self.small.right_hand_side_mut().as_mut_ptr();
        dispatch!(self.isa, pull(rhs, panel, &self.beside.get()[..n]));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::random::Random;

    /// Rows of z with a row of zeros at the end, and T's diagonal and the elements beside it.
    pub struct Case {
        pub d: usize,
        pub z: Vec<f32>,
        pub diagonal: Vec<f64>,
        pub beside: Vec<f64>,
    }

    pub const ROWS: usize = 60;

    pub fn case(d: usize) -> Case {
        let (n, mut r) = (padded(d), Random::new(21, d as u64));
        let mut z = vec![0f32; (ROWS + 1) * n];
        for row in z.chunks_exact_mut(n).take(ROWS) {
            row[..d].iter_mut().for_each(|v| *v = r.normal() as f32);
        }
        let diagonal = (0..d).map(|_| 2.5 + r.uniform()).collect();
        let beside = (1..d).map(|_| r.uniform() * 2.0 - 1.0).collect();
        Case { d, z, diagonal, beside }
    }

    /// Columns, weights and pulls of a row with `k` entries.
    pub fn entries(k: usize, seed: u64) -> (Vec<u32>, Vec<f32>, Vec<f32>) {
        let mut r = Random::new(seed, k as u64);
        let columns = (0..k).map(|_| r.below(ROWS) as u32).collect();
        let weights = (0..k).map(|_| (0.01 + 3.0 * r.uniform()) as f32).collect();
        (columns, weights, (0..k).map(|_| r.normal() as f32).collect())
    }

    /// How far `(T + ridge I + Z' W Z) x` is from `Z' b`, against the size of the terms.
    pub fn error(c: &Case, ridge: f64, row: (&[u32], &[f32], &[f32]), x: &[f32]) -> f64 {
        let at = |i: usize| f64::from(x[i]);
        let mut worst = 0f64;
        for i in 0..c.d {
            let mut left = (c.diagonal[i] + ridge) * at(i);
            let mut size = 1.0 + left.abs();
            if i > 0 {
                left += c.beside[i - 1] * at(i - 1);
            }
            if i + 1 < c.d {
                left += c.beside[i] * at(i + 1);
            }
            let mut right = 0f64;
            for ((&column, &a), &b) in row.0.iter().zip(row.1).zip(row.2) {
                let z = &c.z[column as usize * padded(c.d)..][..c.d];
                let score: f64 = z.iter().zip(x).map(|(z, x)| f64::from(z * x)).sum();
                left += f64::from(a) * score * f64::from(z[i]);
                right += f64::from(b * z[i]);
                size += (f64::from(a) * score * f64::from(z[i])).abs();
            }
            worst = worst.max((left - right).abs() / size);
        }
        worst
    }

    fn solution(isa: Isa, c: &Case, ladder: &Ladder, row: (&[u32], &[f32], &[f32])) -> Vec<f32> {
        let roots: Vec<f32> = row.1.iter().map(|a| a.sqrt()).collect();
        let (mut dual, mut x) = (Dual::with(isa, c.d), vec![0f32; padded(c.d)]);
        // Twice, so that what the first round left behind would show.
        for _ in 0..2 {
            assert!(dual.solve(&c.z, row.0, &roots, row.2, ladder, &mut x), "{isa} {}", c.d);
        }
        x
    }

    #[test]
    fn the_solution_in_the_entries_satisfies_the_equations_of_the_unknowns() {
        for d in [1, 5, 16, 33, 64, 100] {
            let c = case(d);
            let ladder = Ladder::new(&c.diagonal, &c.beside, 0.25).unwrap();
            for k in [1, 2, 15, 16, 17, 40] {
                let (columns, mut weights, pulls) = entries(k, 1);
                // Entries without weight pull all the same; of one entry that is all.
                weights.iter_mut().step_by(7).for_each(|a| *a = 0.0);
                let row = (&columns[..], &weights[..], &pulls[..]);
                let expected = solution(Isa::Portable, &c, &ladder, row);
                assert!(error(&c, 0.25, row, &expected) < 2e-5, "{d} {k}");
                for isa in Isa::available() {
                    assert_eq!(solution(isa, &c, &ladder, row), expected, "{isa} {d} {k}");
                }
            }
        }
    }

    #[test]
    fn a_lost_pivot_makes_no_ladder() {
        assert!(Ladder::new(&[1.0, 1.0], &[1.0], 0.0).is_none());
        assert!(Ladder::new(&[1.0, 1.0], &[1.0], 0.1).is_some());
        assert!(Ladder::new(&[1.0, f64::NAN], &[0.5], 0.1).is_none());
        assert!(Ladder::new(&[-1.0], &[], 0.5).is_none());
    }

    #[test]
    fn scores_and_products_have_the_portable_bits() {
        for d in [1, 15, 16, 40, 100] {
            let (c, n) = (case(d), padded(d));
            let columns: Vec<u32> = (0..37).map(|i| i * 7 % ROWS as u32).collect();
            let x = &c.z[5 * n..][..d];
            let at = |isa| {
                let (mut out, mut product) = (vec![0f32; 37], vec![0f32; 9 * n]);
                let view = |x: &[f32]| View { at: x.as_ptr().cast_mut(), stride: n };
                let m: Vec<f32> = (0..n * n).map(|i| (i % 13) as f32 - 6.0).collect();
                let to = View { at: product.as_mut_ptr(), stride: n };
                dispatch!(isa, scores(c.z.as_ptr(), n, d, &columns, x.as_ptr(), &mut out));
                dispatch!(isa, multiply(view(&c.z), view(&m), to, 9));
                (out, product)
            };
            let expected = at(Isa::Portable);
            for (&column, &score) in columns.iter().zip(&expected.0) {
                let z = &c.z[column as usize * n..][..d];
                let exact: f64 = z.iter().zip(x).map(|(a, b)| f64::from(a * b)).sum();
                assert!((f64::from(score) - exact).abs() < 1e-4);
            }
            for isa in Isa::available() {
                assert_eq!(at(isa), expected, "{isa} {d}");
            }
        }
    }
}
