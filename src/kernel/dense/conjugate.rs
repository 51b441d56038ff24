//! A few steps of conjugate gradients for one row, over sixteen lanes: see
//! [`Conjugate`](super::Conjugate).

use super::algorithm::{LANES, Lanes};

/// A symmetric tridiagonal matrix with a ridge, whose product reads one element on each side of a
/// vector: vectors lie in memory with 16 zeros before and behind them.
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// The diagonal with the ridge added.
    pub(super) diagonal: *const f32,
    /// `beside[j]` is element (j - 1, j); 0 for the first.
    pub(super) beside: *const f32,
}

/// `out = add + T x`.
///
/// # Safety
/// The instruction set of `V`; `x`, `add` and `out` hold `n` elements, n a multiple of 16, with 16
/// more readable on both sides of `x`; `band` holds n and n + 16.
#[inline(always)]
pub(super) unsafe fn times<V: Lanes>(
    band: Band,
    x: *const f32,
    add: *const f32,
    out: *mut f32,
    n: usize,
) {
    // SAFETY: j + 16 <= n, and one element on either side is readable.
    unsafe {
        for j in (0..n).step_by(LANES) {
            let mut sum = V::load(add.add(j));
            sum = sum.fma(V::load(band.diagonal.add(j)), V::load(x.add(j)));
            sum = sum.fma(V::load(band.beside.add(j)), V::load(x.add(j).sub(1)));
            sum = sum.fma(V::load(band.beside.add(j + 1)), V::load(x.add(j + 1)));
            sum.store(out.add(j));
        }
    }
}

/// The inner product of two vectors of `n`, a multiple of 16.
///
/// # Safety
/// The instruction set of `V`; both hold n elements.
#[inline(always)]
pub(super) unsafe fn inner<V: Lanes>(x: *const f32, y: *const f32, n: usize) -> f32 {
    // SAFETY: j + 16 <= n.
    unsafe {
        let mut sum = V::splat(0.0);
        for j in (0..n).step_by(LANES) {
            sum = sum.fma(V::load(x.add(j)), V::load(y.add(j)));
        }
        sum.sum()
    }
}

/// `x = y + a x`, element by element; `y` may be `x`.
///
/// # Safety
/// The instruction set of `V`; both hold `n` elements, n a multiple of 16.
#[inline(always)]
pub(super) unsafe fn scale_and_add<V: Lanes>(x: *mut f32, a: f32, y: *const f32, n: usize) {
    // SAFETY: j + 16 <= n.
    unsafe {
        let a = V::splat(a);
        for j in (0..n).step_by(LANES) {
            V::load(y.add(j)).fma(a, V::load(x.add(j))).store(x.add(j));
        }
    }
}

/// `x += a y`, element by element.
///
/// # Safety
/// As for [`scale_and_add`].
#[inline(always)]
pub(super) unsafe fn add_scaled<V: Lanes>(x: *mut f32, a: f32, y: *const f32, n: usize) {
    // SAFETY: j + 16 <= n.
    unsafe {
        let a = V::splat(a);
        for j in (0..n).step_by(LANES) {
            V::load(x.add(j)).fma(a, V::load(y.add(j))).store(x.add(j));
        }
    }
}
