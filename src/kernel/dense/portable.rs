//! Sixteen lanes in plain Rust: the definition of the bits.

use super::algorithm::{self, LANES, Lanes, View};
use super::conjugate::{self, Band};
use super::sixteen::{self, Cells, Sides};
use super::whitened::{self, Rungs};
use crate::kernel::sum_in_halves;

#[derive(Clone, Copy)]
struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> f32) -> Portable {
        Portable(std::array::from_fn(f))
    }
}

impl Lanes for Portable {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Portable([x; LANES])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller promises 16 floats.
        Portable(unsafe { *p.cast() })
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        // SAFETY: the caller promises n floats, and no lane from n on is read.
        Portable::each(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller promises 16 floats.
        unsafe { *p.cast() = self.0 };
    }

    #[inline(always)]
    unsafe fn fma(self, x: Self, y: Self) -> Self {
        Portable::each(|i| x.0[i].mul_add(y.0[i], self.0[i]))
    }

    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        Portable::each(|i| self.0[i] * x.0[i])
    }

    #[inline(always)]
    unsafe fn negative_inverse(self) -> Self {
        Portable::each(|i| -1.0 / self.0[i])
    }

    #[inline(always)]
    unsafe fn spread(self, i: usize) -> Self {
        Portable([self.0[i]; LANES])
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        sum_in_halves(self.0)
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}

    #[inline(always)]
    unsafe fn sums(rows: [Self; LANES]) -> Self {
        let quarter = |r: &[f32; LANES], q: usize| (r[q] + r[q + 2]) + (r[q + 1] + r[q + 3]);
        Portable::each(|i| {
            let r = &rows[i].0;
            (quarter(r, 0) + quarter(r, 4)) + (quarter(r, 8) + quarter(r, 12))
        })
    }

    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        std::array::from_fn(|j| Portable::each(|i| rows[i].0[j]))
    }
}

instances!(, Portable, 4, 1, 2);
