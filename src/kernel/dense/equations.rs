//! One row's system A x = r and the memory it needs.

use super::algorithm::View;
use super::lines::{Lines, padded};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::kernel::Isa;

/// Rows gathered before each rank-k update: at 64 factors the two panels and the matrix take 26 of
/// the 32 or 48 KiB of first-level cache.
const PANEL: usize = 32;

/// A pivot below this share of the diagonal element it grew from has too few digits in float32: with
/// 1e-6 the loss of ill-conditioned trainings rose between epochs by up to a percent.
const LOST: f32 = 1e-4;

/// Whether a pivot that grew from a diagonal element `before` has digits enough; NaN has none.
pub(super) fn is_held(pivot: f32, before: f32) -> bool {
    pivot > LOST * before && pivot < f32::INFINITY
}

/// A part of every row of a matrix: `d` elements from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) factors: &'a [f32],
    pub(super) stride: usize,
    pub(super) first: usize,
}

impl<'a> Source<'a> {
    fn whole(factors: &'a [f32], d: usize) -> Source<'a> {
        Source { factors, stride: d, first: 0 }
    }
}

/// The equations `A x = r` of one row, A symmetric of side [`padded`]`(d)`, in float32.
///
/// Every method has the same bits on every instruction set: an element of A or r takes its
/// multiply-adds in the order of the entries, elimination goes by ascending pivot.
#[derive(Clone)]
pub struct Equations {
    isa: Isa,
    d: usize,
    n: usize,
    /// n x n; only blocks of 16 x 16 on and above the diagonal are kept up.
    a: Lines,
    /// The scaled factor, as `a`.
    l: Lines,
    /// The right-hand side, then the solution.
    rhs: Lines,
    /// The diagonal before the factorisation.
    diagonal: Lines,
    /// The negative inverses of the pivots.
    inverse: Lines,
    /// PANEL x n: gathered rows, and the same times their weights.
    y: Lines,
    w: Lines,
}

impl Equations {
    /// Memory for `d` unknowns: about 8 d^2 + 256 d bytes.
    ///
    /// # Panics
    /// If `d` is 0.
    #[must_use]
    pub fn new(d: usize) -> Equations {
        Equations::with(Isa::active(), d)
    }

    pub(super) fn with(isa: Isa, d: usize) -> Equations {
        assert!(d > 0, "equations need an unknown");
        let n = padded(d);
        let [a, l] = [(); 2].map(|()| Lines::new(n * n));
        let [y, w] = [(); 2].map(|()| Lines::new(PANEL * n));
        let [rhs, diagonal, inverse] = [(); 3].map(|()| Lines::new(n));
        Equations { isa, d, n, a, l, rhs, diagonal, inverse, y, w }
    }

    /// The number of unknowns.
    #[must_use]
    pub fn unknowns(&self) -> usize {
        self.d
    }

    /// Starts anew with `d` unknowns and an undefined right-hand side; the matrix is still to be set.
    /// Memory grows and never shrinks. Leaves no room for [`add`](Self::add)'s rows.
    pub(super) fn reset(&mut self, d: usize) {
        let n = padded(d);
        (self.d, self.n) = (d, n);
        self.a.grow(n * n);
        self.l.grow(n * n);
        for line in [&mut self.rhs, &mut self.diagonal, &mut self.inverse] {
            line.grow(n);
        }
        self.rhs.get_mut()[..n].fill(0.0);
    }

    /// The right-hand side with its padding.
    pub(super) fn right_hand_side_mut(&mut self) -> &mut [f32] {
        self.rhs.get_mut()
    }

    /// The matrix becomes I + P'P, P having `k` rows of [`padded`]`(d)`.
    pub(super) fn add_panel(&mut self, p: View, k: usize) {
        let n = self.n;
        assert_eq!(p.stride, n, "a panel of another width");
        self.a.get_mut()[..n * n].fill(0.0);
        let a = self.a.view(n);
        dispatch!(self.isa, update(a, a, p, p, k));
        self.a.get_mut()[..n * n].iter_mut().step_by(n + 1).for_each(|v| *v += 1.0);
    }

    /// Starts anew from zero.
    pub fn clear(&mut self) {
        self.a.get_mut().fill(0.0);
        self.rhs.get_mut().fill(0.0);
    }

    /// Starts anew from the matrix `a` (side [`padded`]`(d)`, row-major, of which the blocks on and
    /// above the diagonal are read) and the right-hand side `r` of d.
    ///
    /// # Panics
    /// If one has another size.
    pub fn set(&mut self, a: &[f32], r: &[f32]) {
        self.a.get_mut().copy_from_slice(a);
        self.rhs.get_mut()[..self.d].copy_from_slice(r);
    }

    /// `A += sum a[t] y y'` and `r += sum b[t] y` over the rows y of `factors` (row-major, rows of
    /// `d`) that `columns` name, in their order. d^2 + 3 d operations an entry.
    ///
    /// # Panics
    /// If the three lists differ in length or a column names no row of `factors`.
    pub fn add(&mut self, factors: &[f32], columns: &[u32], a: &[f32], b: &[f32]) {
        let own = self.a.view(self.n);
        self.add_to(own, Source::whole(factors, self.d), columns, a, b);
    }

    /// The same starting from the matrix `start` (as for [`set`](Self::set)) and a zero right-hand
    /// side: the first panel's update reads `start`, which saves a copy of it.
    ///
    /// # Panics
    /// If there is no entry, `start` has another size, or as for [`add`](Self::add).
    pub fn start(&mut self, start: &[f32], factors: &[f32], columns: &[u32], a: &[f32], b: &[f32]) {
        self.start_from(start, Source::whole(factors, self.d), columns, a, b);
    }

    /// [`start`](Self::start) with a part of each row.
    pub(super) fn start_from(
        &mut self,
        start: &[f32],
        source: Source<'_>,
        columns: &[u32],
        a: &[f32],
        b: &[f32],
    ) {
        assert!(!columns.is_empty(), "no entry to start with");
        assert_eq!(start.len(), self.n * self.n, "a matrix of another side");
        self.rhs.get_mut().fill(0.0);
        let start = View { at: start.as_ptr().cast_mut(), stride: self.n };
        self.add_to(start, source, columns, a, b);
    }

    /// `from` is n x n and only read.
    fn add_to(
        &mut self,
        mut from: View,
        source: Source<'_>,
        columns: &[u32],
        a: &[f32],
        b: &[f32],
    ) {
        assert!(columns.len() == a.len() && columns.len() == b.len(), "lists of different length");
        let Source { factors, stride, first } = source;
        assert!(first + self.d <= stride, "a part past the row");
        let rows = factors.len() / stride;
        assert!(columns.iter().all(|&c| (c as usize) < rows), "a column past the factors");
        let part = factors[first..].as_ptr();
        let n = self.n;
        let (matrix, y, w) = (self.a.view(n), self.y.view(n), self.w.view(n));
        let rhs = self.rhs.pointer_mut();
        let panels = columns.chunks(PANEL).zip(a.chunks(PANEL)).zip(b.chunks(PANEL));
        for (at, ((now, a), b)) in panels.enumerate() {
            let later = &columns[((at + 1) * PANEL).min(columns.len())..];
            let later = &later[..later.len().min(PANEL)];
            dispatch!(self.isa, prefetch(part, stride, self.d, later));
            dispatch!(self.isa, gather(part, stride, self.d, now, a, y, w));
            dispatch!(self.isa, update(from, matrix, w, y, now.len()));
            dispatch!(self.isa, pull(rhs, y, b));
            from = matrix;
        }
    }

    /// Asks for the first rows of `factors` that a later [`add`](Self::add) will need.
    pub fn prefetch(&self, factors: &[f32], columns: &[u32]) {
        let columns = &columns[..columns.len().min(PANEL)];
        dispatch!(self.isa, prefetch(factors.as_ptr(), self.d, self.d, columns));
    }

    /// Adds `x` to the diagonal of the first d rows.
    pub fn add_to_diagonal(&mut self, x: f32) {
        let (d, n) = (self.d, self.n);
        self.a.get_mut().iter_mut().step_by(n + 1).take(d).for_each(|v| *v += x);
    }

    /// The matrix, row-major of side [`padded`]`(d)`; what lies below the diagonal blocks is not
    /// kept up.
    #[must_use]
    pub fn matrix(&self) -> &[f32] {
        &self.a.get()[..self.n * self.n]
    }

    /// The right-hand side (before [`solve`](Self::solve)).
    #[must_use]
    pub fn right_hand_side(&self) -> &[f32] {
        &self.rhs.get()[..self.d]
    }

    /// Solves the equations into `x`, which uses them up. False, with `x` undefined, if the matrix
    /// is not positive definite by a margin that float32 can hold, or anything is not finite.
    ///
    /// A factorisation without roots, d^3 / 3 operations, and two substitutions, 2 d^2 each.
    ///
    /// # Panics
    /// If `x` has not d values.
    #[must_use]
    pub fn solve(&mut self, x: &mut [f32]) -> bool {
        let n = self.n;
        self.keep_diagonal();
        let (a, l) = (self.a.view(n), self.l.view(n));
        let (rhs, inverse) = (self.rhs.pointer_mut(), self.inverse.pointer_mut());
        dispatch!(self.isa, factor(a, l, inverse));
        if !self.is_definite() {
            return false;
        }
        dispatch!(self.isa, substitute(l, inverse, rhs));
        x.copy_from_slice(self.right_hand_side());
        x.iter().all(|v| v.is_finite())
    }

    fn keep_diagonal(&mut self) {
        let n = self.n;
        let diagonal = self.a.get()[..n * n].iter().step_by(n + 1);
        self.diagonal.get_mut().iter_mut().zip(diagonal).for_each(|(kept, &v)| *kept = v);
    }

    fn is_definite(&self) -> bool {
        let pivots = self.matrix().iter().step_by(self.n + 1);
        pivots.zip(self.diagonal.get()).all(|(&pivot, &before)| is_held(pivot, before))
    }
}

#[cfg(test)]
mod tests {
    use super::super::algorithm::LANES;
    use super::*;
    use crate::random::Random;

    /// Sides below, at and above one, two, four and five blocks.
    const SIDES: [usize; 11] = [1, 2, 15, 16, 17, 31, 33, 40, 64, 65, 100];

    /// Counts of entries on both sides of a panel, and none.
    const COUNTS: [usize; 6] = [0, 1, 31, 32, 33, 100];

    struct Case {
        factors: Vec<f32>,
        columns: Vec<u32>,
        a: Vec<f32>,
        b: Vec<f32>,
        gramian: Vec<f32>,
    }

    fn case(d: usize, count: usize) -> Case {
        let (n, rows) = (padded(d), 37);
        let mut r = Random::new(5, (d * 1000 + count) as u64);
        let factors = (0..rows * d).map(|_| r.normal() as f32).collect();
        let columns = (0..count).map(|_| r.below(rows) as u32).collect();
        let a = (0..count).map(|_| (r.uniform() * 3.0 - 0.01) as f32).collect();
        let b = (0..count).map(|_| r.normal() as f32).collect();
        let mut gramian = vec![0f32; n * n];
        for i in 0..n {
            gramian[i * n + i] = if i < d { 2.0 + r.uniform() as f32 } else { 1.0 };
        }
        Case { factors, columns, a, b, gramian }
    }

    /// The matrix's upper triangle, the right-hand side and the solution, as bits.
    fn bits(isa: Isa, d: usize, c: &Case) -> Vec<u32> {
        let mut e = Equations::with(isa, d);
        // Twice, so that what the first round left behind would show.
        for _ in 0..2 {
            e.set(&c.gramian, &vec![0f32; d]);
            e.add(&c.factors, &c.columns, &c.a, &c.b);
            if !c.columns.is_empty() {
                let copied = (e.matrix().to_vec(), e.right_hand_side().to_vec());
                e.start(&c.gramian, &c.factors, &c.columns, &c.a, &c.b);
                let upper = |m: &[f32]| -> Vec<f32> {
                    (0..d).flat_map(|i| m[i * padded(d) + i..][..d - i].to_vec()).collect()
                };
                assert_eq!(upper(e.matrix()), upper(&copied.0), "{isa} {d}");
                assert_eq!(e.right_hand_side(), copied.1, "{isa} {d}");
            }
            e.add_to_diagonal(0.25);
        }
        let (n, mut x) = (padded(d), vec![0f32; d]);
        let mut out: Vec<f32> =
            (0..d).flat_map(|i| e.matrix()[i * n + i..i * n + d].to_vec()).collect();
        out.extend(e.right_hand_side());
        assert!(e.solve(&mut x), "{isa} {d} {}", c.columns.len());
        out.extend(&x);
        out.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn every_instruction_set_has_the_portable_bits() {
        for d in SIDES {
            for count in COUNTS {
                let c = case(d, count);
                let expected = bits(Isa::Portable, d, &c);
                for isa in Isa::available() {
                    assert_eq!(bits(isa, d, &c), expected, "{isa} {d} {count}");
                }
            }
        }
    }

    #[test]
    fn the_solution_satisfies_the_equations_in_float64() {
        for d in SIDES {
            let (c, n) = (case(d, 100), padded(d));
            let mut e = Equations::with(Isa::Portable, d);
            e.start(&c.gramian, &c.factors, &c.columns, &c.a, &c.b);
            let mut x = vec![0f32; d];
            assert!(e.solve(&mut x));
            for i in 0..d {
                let mut left = f64::from(c.gramian[i * n + i]) * f64::from(x[i]);
                let (mut right, mut size) = (0f64, left.abs());
                for (t, &column) in c.columns.iter().enumerate() {
                    let y = &c.factors[column as usize * d..][..d];
                    let y_x: f64 = y.iter().zip(&x).map(|(a, b)| f64::from(a * b)).sum();
                    left += f64::from(c.a[t]) * f64::from(y[i]) * y_x;
                    right += f64::from(c.b[t]) * f64::from(y[i]);
                    size += (f64::from(c.a[t]) * f64::from(y[i]) * y_x).abs();
                }
                assert!((left - right).abs() <= 2e-5 * (1.0 + size), "{d} {i}: {left} {right}");
            }
        }
    }

    #[test]
    fn what_cannot_be_solved_is_said_on_every_instruction_set() {
        let mut unit = vec![0f32; LANES * LANES];
        unit[3 * (LANES + 1)..].iter_mut().step_by(LANES + 1).for_each(|v| *v = 1.0);
        let solvable = |isa, factor: f32, ridge: f32| {
            let mut e = Equations::with(isa, 3);
            e.start(&unit, &[1.0, 2.0, factor], &[0], &[1.0], &[1.0]);
            e.add_to_diagonal(ridge);
            e.solve(&mut [0f32; 3])
        };
        for isa in Isa::available() {
            assert!(solvable(isa, 3.0, 0.1), "{isa}");
            assert!(!solvable(isa, 3.0, 0.0), "{isa}: rank one of three");
            assert!(!solvable(isa, 3.0, -20.0), "{isa}: negative definite");
            assert!(!solvable(isa, f32::NAN, 1.0), "{isa}: NaN");
            assert!(!solvable(isa, 1e30, 1.0), "{isa}: beyond float32");
        }
    }
}
