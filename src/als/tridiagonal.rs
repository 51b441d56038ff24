//! The basis in which the part that all rows share is tridiagonal.

use crate::kernel::dense::{Banded, Ladder, padded};
use crate::progress;

/// A = Q T Q' for a symmetric matrix A: Q orthogonal, T tridiagonal.
///
/// By Householder's reflections (Golub and Van Loan, "Matrix computations", section 8.3.1), in
/// float64 and in a fixed order: 8 d^3 / 3 operations with Q. Diagonal would do as well, but takes an
/// iteration that need not converge, several times the work, and gains nothing: T + r I is divided
/// by in 3 d operations for any r.
#[derive(Debug, Clone)]
pub(super) struct Tridiagonal {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    /// Q, n x n with n = `padded(d)`, row-major, zero past d.
    pub(super) basis: Vec<f32>,
    /// Its transpose.
    pub(super) back: Vec<f32>,
}

impl Tridiagonal {
    /// From a matrix d x d, row-major, whole.
    pub(super) fn new(mut a: Vec<f64>, d: usize) -> Tridiagonal {
        let mut reflections = Vec::with_capacity(d);
        let mut beside = Vec::with_capacity(d);
        for k in 0..d.saturating_sub(1) {
            progress::check();
            let (above, below) = a.split_at_mut((k + 1) * d);
            let (v, off) = reflection(&above[k * d + k + 1..]);
            reflect_both_sides(below, d, k + 1, &v);
            beside.push(off);
            reflections.push(v);
        }
        let diagonal = a.iter().step_by(d + 1).copied().collect();
        let (basis, back) = narrow(&product(&reflections, d), d);
        Tridiagonal { diagonal, beside, basis, back }
    }

    /// T in float32, to multiply with.
    pub(super) fn banded(&self) -> Banded {
        Banded::new(&self.diagonal, &self.beside)
    }

    /// The factors of T + `ridge` I; none where T is too nearly singular for them.
    pub(super) fn ladder(&self, ridge: f64) -> Option<Ladder> {
        Ladder::new(&self.diagonal, &self.beside, ridge)
    }
}

/// The vector v of length sqrt(2), or of zeros, with `x - v (v . x)` = (off, 0, 0, ...), and off.
fn reflection(x: &[f64]) -> (Vec<f64>, f64) {
    let mut v = x.to_vec();
    let tail = dot(&x[1..], &x[1..]);
    if tail == 0.0 {
        v.fill(0.0);
        return (v, x[0]);
    }
    let norm = (x[0] * x[0] + tail).sqrt();
    let off = if x[0] > 0.0 { -norm } else { norm };
    v[0] -= off;
    let scale = (2.0 / (v[0] * v[0] + tail)).sqrt();
    v.iter_mut().for_each(|v| *v *= scale);
    (v, off)
}

/// H B H with H = I - v v', B being the square of side d - `first` at the end of `rows`.
fn reflect_both_sides(rows: &mut [f64], d: usize, first: usize, v: &[f64]) {
    let mut p = vec![0f64; v.len()];
    for (row, &v) in rows.chunks_exact(d).zip(v) {
        add(&mut p, v, &row[first..]);
    }
    let half = 0.5 * dot(&p, v);
    add(&mut p, -half, v);
    for ((row, &v_i), &p_i) in rows.chunks_exact_mut(d).zip(v).zip(&p) {
        let both = v.iter().zip(&p);
        row[first..].iter_mut().zip(both).for_each(|(b, (v, p))| *b -= v_i * p + p_i * v);
    }
}

/// H_0 H_1 ..., d x d; reflection k moves the coordinates from k + 1 on.
fn product(reflections: &[Vec<f64>], d: usize) -> Vec<f64> {
    let mut q = vec![0f64; d * d];
    q.iter_mut().step_by(d + 1).for_each(|v| *v = 1.0);
    let mut p = vec![0f64; d];
    for (k, v) in reflections.iter().enumerate().rev() {
        progress::check();
        let (first, rows) = (k + 1, &mut q[(k + 1) * d..]);
        p[first..].fill(0.0);
        for (row, &v) in rows.chunks_exact(d).zip(v) {
            add(&mut p[first..], v, &row[first..]);
        }
        for (row, &v) in rows.chunks_exact_mut(d).zip(v) {
            add(&mut row[first..], -v, &p[first..]);
        }
    }
    q
}

fn narrow(q: &[f64], d: usize) -> (Vec<f32>, Vec<f32>) {
    let n = padded(d);
    let (mut basis, mut back) = (vec![0f32; n * n], vec![0f32; n * n]);
    for (i, row) in q.chunks_exact(d).enumerate() {
        for (j, &x) in row.iter().enumerate() {
            basis[i * n + j] = x as f32;
            back[j * n + i] = x as f32;
        }
    }
    (basis, back)
}

/// `to += x v`.
fn add(to: &mut [f64], x: f64, v: &[f64]) {
    to.iter_mut().zip(v).for_each(|(to, v)| *to += x * v);
}

/// In eight lanes, so that a compiler may vectorise it.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0f64; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn gramian(d: usize, rows: usize) -> Vec<f64> {
        let mut r = Random::new(8, d as u64);
        let y: Vec<f64> = (0..rows * d).map(|_| r.normal()).collect();
        let at = |i: usize, j: usize| y.chunks(d).map(|y| y[i] * y[j]).sum();
        (0..d * d).map(|at_| at(at_ / d, at_ % d)).collect()
    }

    #[test]
    fn the_parts_make_the_matrix_again() {
        for (d, rows) in [(1, 3), (2, 5), (3, 1), (17, 40), (40, 12)] {
            let a = gramian(d, rows);
            let t = Tridiagonal::new(a.clone(), d);
            let n = padded(d);
            let size = a.iter().fold(0f64, |m, v| m.max(v.abs()));
            let q = |i: usize, j: usize| f64::from(t.basis[i * n + j]);
            for i in 0..d {
                for j in 0..d {
                    let mut sum = 0f64;
                    for k in 0..d {
                        sum += q(i, k) * t.diagonal[k] * q(j, k);
                        if k + 1 < d {
                            let both = q(i, k) * q(j, k + 1) + q(i, k + 1) * q(j, k);
                            sum += t.beside[k] * both;
                        }
                    }
                    assert!((sum - a[i * d + j]).abs() < 1e-6 * size, "{d}: {i} {j}");
                    assert_eq!(t.basis[i * n + j], t.back[j * n + i]);
                }
            }
        }
    }

    #[test]
    fn a_singular_matrix_has_no_ladder_without_a_ridge() {
        let t = Tridiagonal::new(gramian(40, 12), 40);
        assert!(t.ladder(0.0).is_none());
        assert!(t.ladder(0.01).is_some());
    }
}
