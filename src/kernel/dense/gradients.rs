//! One row's equations solved approximately, by conjugate gradients.

use super::algorithm::LANES;
use super::conjugate::Band;
use super::lines::{Lines, padded};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::kernel::Isa;

/// A symmetric tridiagonal matrix in float32, to multiply with.
#[derive(Debug, Clone)]
pub struct Banded {
    diagonal: Vec<f32>,
    beside: Vec<f32>,
}

impl Banded {
    /// From the `diagonal` (d) and the elements beside it (`beside[j]` is element (j, j + 1); d - 1
    /// of them).
    ///
    /// # Panics
    /// If the two lengths do not belong together.
    #[must_use]
    pub fn new(diagonal: &[f64], beside: &[f64]) -> Banded {
        let d = diagonal.len();
        assert!(d > 0 && beside.len() + 1 == d, "{d} and {} elements", beside.len());
        let n = padded(d);
        let mut banded = Banded { diagonal: vec![0.0; n], beside: vec![0.0; n + LANES] };
        let copy = |(to, &from): (&mut f32, &f64)| *to = from as f32;
        banded.diagonal.iter_mut().zip(diagonal).for_each(copy);
        banded.beside[1..].iter_mut().zip(beside).for_each(copy);
        banded
    }

    /// Its block of side `width` at `first`, row-major, `unknowns` being the side without padding:
    /// beyond it are ones on the diagonal.
    pub(super) fn block(&self, first: usize, width: usize, unknowns: usize) -> Vec<f32> {
        let mut block = vec![0f32; width * width];
        for i in 0..width {
            let j = first + i;
            block[i * width + i] = if j < unknowns { self.diagonal[j] } else { 1.0 };
            if i + 1 < width && j + 1 < unknowns {
                block[i * width + i + 1] = self.beside[j + 1];
                block[(i + 1) * width + i] = self.beside[j + 1];
            }
        }
        block
    }

    /// Element `j` of the product of the matrix with `ridge` on its diagonal and `x`.
    pub(super) fn times_at(&self, j: usize, ridge: f32, x: &[f32]) -> f32 {
        let before = if j == 0 { 0.0 } else { self.beside[j] * x[j - 1] };
        let after = if j + 1 == x.len() { 0.0 } else { self.beside[j + 1] * x[j + 1] };
        (self.diagonal[j] + ridge) * x[j] + before + after
    }

    /// The side with its padding.
    pub(super) fn side(&self) -> usize {
        self.diagonal.len()
    }
}

/// A row's equations `(T + ridge I + Z' W Z) x = Z' b` for methods that improve a vector.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// Rows as long as the vector.
    pub z: &'a [f32],
    /// The rows of z of the entries.
    pub columns: &'a [u32],
    /// The entries' weights.
    pub a: &'a [f32],
    /// The entries' pulls.
    pub b: &'a [f32],
    /// What is added to the diagonal of T.
    pub ridge: f32,
}

impl Row<'_> {
    pub(super) fn check(&self, n: usize) {
        let k = self.columns.len();
        assert!(k == self.a.len() && k == self.b.len(), "lists of different length");
        let rows = self.z.len() / n;
        assert!(self.columns.iter().all(|&c| (c as usize) < rows), "a column past the factors");
    }
}

/// Conjugate gradients (Hestenes and Stiefel 1952) for a [`Row`]: where T is tridiagonal a step
/// costs 4 k d operations for k entries, without the 2 d^2 of a full matrix (Takacs, Pilaszy and
/// Tikk, "Applications of the conjugate gradient method for implicit feedback collaborative
/// filtering", 2011).
#[derive(Clone)]
pub struct Gradients {
    isa: Isa,
    n: usize,
    /// The direction, with a line of zeros on both sides.
    direction: Lines,
    /// The vector, likewise.
    x: Lines,
    residual: Lines,
    product: Lines,
    diagonal: Lines,
    scores: Vec<f32>,
}

impl Gradients {
    /// Memory for `d` unknowns; grows by 4 bytes an entry.
    #[must_use]
    pub fn new(d: usize) -> Gradients {
        Gradients::with(Isa::active(), d)
    }

    fn with(isa: Isa, d: usize) -> Gradients {
        let n = padded(d);
        let [direction, x] = [(); 2].map(|()| Lines::new(n + 2 * LANES));
        let [residual, product, diagonal] = [(); 3].map(|()| Lines::new(n));
        Gradients { isa, n, direction, x, residual, product, diagonal, scores: vec![] }
    }

    /// Improves `x` (of [`padded`]`(d)`) by `steps` steps, fewer if the residual vanishes. What is not
    /// finite in the end is left for the caller to find.
    ///
    /// # Panics
    /// If lengths differ or a column names no row of `z`.
    pub fn improve(&mut self, row: Row<'_>, banded: &Banded, steps: usize, x: &mut [f32]) {
        let n = self.n;
        row.check(n);
        assert!(x.len() == n && banded.side() == n, "another number of unknowns");
        self.scores.resize(row.columns.len(), 0.0);
        let sums = self.diagonal.get_mut().iter_mut().zip(&banded.diagonal);
        sums.for_each(|(to, &v)| *to = v + row.ridge);
        self.x.get_mut()[LANES..][..n].copy_from_slice(x);
        self.start(row, banded);
        let r = self.residual.pointer_mut();
        let p = self.direction.pointer_mut().wrapping_add(LANES);
        let to = self.x.pointer_mut().wrapping_add(LANES);
        let mut square = dispatch!(self.isa, inner(r, r, n));
        let enough = f32::max(square * NOTHING, f32::MIN_POSITIVE);
        for _ in 0..steps {
            if square.is_nan() || square <= enough {
                break;
            }
            let q = self.multiply(row, banded);
            let step = square / dispatch!(self.isa, inner(p, q, n));
            dispatch!(self.isa, add_scaled(to, step, p, n));
            dispatch!(self.isa, add_scaled(r, -step, q, n));
            let before = std::mem::replace(&mut square, dispatch!(self.isa, inner(r, r, n)));
            dispatch!(self.isa, scale_and_add(p, square / before, r, n));
        }
        x.copy_from_slice(&self.x.get()[LANES..][..n]);
    }

    fn band(&self, banded: &Banded) -> Band {
        Band { diagonal: self.diagonal.pointer(), beside: banded.beside.as_ptr() }
    }

    /// The residual `Z' (b - W Z x) - T x`, which is the first direction.
    fn start(&mut self, row: Row<'_>, banded: &Banded) {
        let (n, z, columns) = (self.n, row.z.as_ptr(), row.columns);
        let x = self.x.pointer().wrapping_add(LANES);
        dispatch!(self.isa, scores(z, n, n, columns, x, &mut self.scores));
        // The residual's negative, since sums are what `times` makes.
        for ((s, &a), &b) in self.scores.iter_mut().zip(row.a).zip(row.b) {
            *s = a * *s - b;
        }
        let (band, r) = (self.band(banded), self.residual.pointer_mut());
        dispatch!(self.isa, combine(z, n, columns, &self.scores, r));
        dispatch!(self.isa, times(band, x, r, r, n));
        self.residual.get_mut()[..n].iter_mut().for_each(|v| *v = -*v);
        self.direction.get_mut()[LANES..][..n].copy_from_slice(&self.residual.get()[..n]);
    }

    /// The product of the matrix with the direction.
    fn multiply(&mut self, row: Row<'_>, banded: &Banded) -> *const f32 {
        let (n, z, columns) = (self.n, row.z.as_ptr(), row.columns);
        let p = self.direction.pointer().wrapping_add(LANES);
        dispatch!(self.isa, scores(z, n, n, columns, p, &mut self.scores));
        self.scores.iter_mut().zip(row.a).for_each(|(s, &a)| *s *= a);
        let (band, q) = (self.band(banded), self.product.pointer_mut());
        dispatch!(self.isa, combine(z, n, columns, &self.scores, q));
        dispatch!(self.isa, times(band, p, q, q, n));
        q
    }
}

/// A squared residual below this share of the first is rounding.
const NOTHING: f32 = 1e-12;

#[cfg(test)]
mod tests {
    use super::super::blocks::{BlockStarts, Blocks};
    use super::super::dual::tests::{case, entries, error};
    use super::*;

    type Improve<'a> = &'a dyn Fn(Isa, Row<'_>, &Banded, usize, &mut [f32]);

    fn by_gradients(isa: Isa, row: Row<'_>, banded: &Banded, d: usize, x: &mut [f32]) {
        Gradients::with(isa, d).improve(row, banded, 3, x);
    }

    fn by_blocks(isa: Isa, row: Row<'_>, banded: &Banded, d: usize, x: &mut [f32]) {
        let starts = BlockStarts::new(banded, d);
        assert!(Blocks::with(isa, d).improve(row, banded, &starts, x));
    }

    #[test]
    fn both_methods_near_the_solution_with_the_same_bits_everywhere() {
        let methods: [Improve<'_>; 2] = [&by_gradients, &by_blocks];
        // Miri takes minutes for a round: one shows it every pointer that there is.
        let (sides, rounds) = match cfg!(miri) {
            true => (&[1, 40][..], 1),
            false => (&[1, 16, 40, 64, 100, 150][..], 25),
        };
        for (method, improve) in methods.into_iter().enumerate() {
            for &d in sides {
                let (c, (columns, a, b)) = (case(d), entries(30, 9));
                let banded = Banded::new(&c.diagonal, &c.beside);
                let row = Row { z: &c.z, columns: &columns, a: &a, b: &b, ridge: 0.25 };
                let mut x = vec![0f32; padded(d)];
                let mut errors = vec![];
                for _ in 0..rounds {
                    let before = x.clone();
                    improve(Isa::Portable, row, &banded, d, &mut x);
                    for isa in Isa::available() {
                        let mut other = before.clone();
                        improve(isa, row, &banded, d, &mut other);
                        assert_eq!(other, x, "{isa} {d} method {method}");
                    }
                    errors.push(error(&c, 0.25, (&columns, &a, &b), &x));
                }
                let is_nearer = errors.last().is_some_and(|last| *last < 1e-4 + 0.3 * errors[0]);
                assert!(is_nearer || cfg!(miri), "{d} method {method}: {errors:?}");
                assert!(x[d..].iter().all(|&v| v == 0.0));
            }
        }
    }
}
