//! Y'Y: what all pairs, seen or not, bring to the equations of every row.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::turns;
use crate::kernel::dense::{Equations, padded};
use crate::threads;

/// Rows summed in float32 before the sum goes over to float64.
const BLOCK: usize = 256;

/// Blocks summed at a time, so that memory does not grow with the rows.
const WAVE: usize = 512;

/// The Gramian of a factor matrix in float64.
///
/// Rows are summed in float32 within blocks of fixed size and blocks in float64 in their order, so
/// that neither the number of threads nor the machine shows in the bits.
#[derive(Debug, Clone)]
pub(super) struct Gramian {
    d: usize,
    /// n x n with n = `padded(d)`; zero past d, unspecified below the diagonal.
    values: Vec<f64>,
    /// d x d, upper triangle, summed in float64 throughout; made when first asked for.
    exact: OnceLock<Vec<f64>>,
}

impl Gramian {
    /// The Gramian of `factors`, row-major rows of `d`. d^2 operations a row, on rayon's threads.
    pub(super) fn of(factors: &[f32], d: usize) -> Gramian {
        let n = padded(d);
        let mut values = vec![0f64; n * n];
        for wave in factors.chunks(WAVE * BLOCK * d) {
            let rows = wave.chunks(BLOCK * d).collect();
            let blocks = turns::each(rows, || Block::new(d), Block::sum);
            threads::for_each(values.par_chunks_mut(n).enumerate(), |(i, sums)| {
                for block in &blocks {
                    let row = &block[i * n..][..n];
                    sums.iter_mut().zip(row).for_each(|(sum, &b)| *sum += f64::from(b));
                }
            });
        }
        Gramian { d, values, exact: OnceLock::new() }
    }

    /// The matrix that every row's equations start from: `weight` times the Gramian, and ones on
    /// the diagonal past d.
    pub(super) fn scaled(&self, weight: f32) -> Vec<f32> {
        let (d, n) = (self.d, padded(self.d));
        let mut out: Vec<f32> =
            self.values.iter().map(|v| (f64::from(weight) * v) as f32).collect();
        out.iter_mut().step_by(n + 1).skip(d).for_each(|v| *v = 1.0);
        out
    }

    /// `weight` times the Gramian, d x d, both triangles.
    pub(super) fn whole(&self, weight: f32) -> Vec<f64> {
        let d = self.d;
        let at = |i: usize, j: usize| f64::from(weight) * self.at(i.min(j), i.max(j));
        (0..d * d).map(|e| at(e / d, e % d)).collect()
    }

    /// The Gramian without float32's rounding, d x d, of which the upper triangle counts. What is
    /// singular in float64 shows only here: the rounding of the blocks fills the null space with
    /// noise. `factors` are those it was made of; the first call takes d^2 / 2 scalar
    /// multiply-adds a row.
    pub(super) fn exact(&self, factors: &[f32]) -> &[f64] {
        self.exact.get_or_init(|| {
            let mut sums = vec![0f64; self.d * self.d];
            factors.chunks_exact(self.d).for_each(|y| add_outer(&mut sums, y, 1.0));
            sums
        })
    }

    /// Element (i, j), i <= j < d.
    fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * padded(self.d) + j]
    }

    /// The sum of the products of all elements, <G, H>: over all pairs of rows x of the one matrix
    /// and y of the other, that is the sum of (x . y)^2.
    pub(super) fn inner(&self, other: &Gramian) -> f64 {
        let row = |i: usize| {
            let off: f64 = (i + 1..self.d).map(|j| self.at(i, j) * other.at(i, j)).sum();
            self.at(i, i) * other.at(i, i) + 2.0 * off
        };
        (0..self.d).map(row).sum()
    }
}

/// `a += weight y y'` on the upper triangle of a d x d matrix.
pub(super) fn add_outer(a: &mut [f64], y: &[f32], weight: f64) {
    let d = y.len();
    for (i, (row, &y_i)) in a.chunks_exact_mut(d).zip(y).enumerate() {
        let scale = weight * f64::from(y_i);
        row[i..].iter_mut().zip(&y[i..]).for_each(|(a, &y_j)| *a += scale * f64::from(y_j));
    }
}

struct Block {
    equations: Equations,
    columns: Vec<u32>,
    ones: Vec<f32>,
    zeros: Vec<f32>,
}

impl Block {
    fn new(d: usize) -> Block {
        Block {
            equations: Equations::new(d),
            columns: (0..BLOCK as u32).collect(),
            ones: vec![1.0; BLOCK],
            zeros: vec![0.0; BLOCK],
        }
    }

    fn sum(&mut self, rows: &[f32]) -> Vec<f32> {
        let n = rows.len() / self.equations.unknowns();
        self.equations.clear();
        self.equations.add(rows, &self.columns[..n], &self.ones[..n], &self.zeros[..n]);
        self.equations.matrix().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::threads;

    fn factors(rows: usize, d: usize) -> Vec<f32> {
        let mut r = Random::new(3, rows as u64);
        (0..rows * d).map(|_| r.normal() as f32).collect()
    }

    #[test]
    fn gramians_match_float64_sums_at_any_thread_count() {
        for (rows, d) in [(1, 1), (255, 5), (257, 17), (3000, 16)] {
            let y = factors(rows, d);
            let g = Gramian::of(&y, d);
            for i in 0..d {
                for j in i..d {
                    let pairs = y.chunks(d).map(|r| f64::from(r[i]) * f64::from(r[j]));
                    let (exact, size) = (pairs.clone().sum::<f64>(), pairs.map(f64::abs).sum());
                    assert!((g.at(i, j) - exact).abs() <= 1e-6 * f64::max(size, 1e-9));
                    let got = g.exact(&y)[i * d + j];
                    assert!((got - exact).abs() <= 1e-12 * f64::max(size, 1e-9));
                }
            }
            for n in [1, 2, 3] {
                assert_eq!(threads::run(Some(n), || Gramian::of(&y, d)).values, g.values);
            }
        }
    }

    #[test]
    fn the_inner_product_is_the_sum_over_all_pairs() {
        let (x, y, d) = (factors(30, 7), factors(41, 7), 7);
        let score =
            |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let pairs = x.chunks(d).flat_map(|x| y.chunks(d).map(move |y| score(x, y).powi(2)));
        let (exact, got) = (pairs.sum::<f64>(), Gramian::of(&x, d).inner(&Gramian::of(&y, d)));
        assert!((got - exact).abs() <= 1e-5 * exact, "{got} {exact}");
    }
}
