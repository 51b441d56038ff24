//! Sixteen lanes in two AVX2 registers; tiles of 4 rows by one pair, which leaves registers for
//! the pair of columns and the weight.

use std::arch::x86_64::*;

use super::algorithm::{self, LANES, Lanes, View};
use super::conjugate::{self, Band};
use super::sixteen::{self, Cells, Sides};
use super::whitened::{self, Rungs};

#[derive(Clone, Copy)]
struct Avx2(__m256, __m256);

impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the trait's promise.
        let v = unsafe { _mm256_set1_ps(x) };
        Avx2(v, v)
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the trait's promise: 16 floats.
        unsafe { Avx2(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        let mut lanes = [0f32; LANES];
        // SAFETY: n < 16 floats are readable at p; the buffer has 16.
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the trait's promise: 16 floats.
        unsafe {
            _mm256_storeu_ps(p, self.0);
            _mm256_storeu_ps(p.add(8), self.1);
        }
    }

    #[inline(always)]
    unsafe fn fma(self, x: Self, y: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Avx2(_mm256_fmadd_ps(x.0, y.0, self.0), _mm256_fmadd_ps(x.1, y.1, self.1)) }
    }

    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: the trait's promise.
        unsafe { Avx2(_mm256_mul_ps(self.0, x.0), _mm256_mul_ps(self.1, x.1)) }
    }

    #[inline(always)]
    unsafe fn negative_inverse(self) -> Self {
        // SAFETY: the trait's promise.
        unsafe {
            let one = _mm256_set1_ps(-1.0);
            Avx2(_mm256_div_ps(one, self.0), _mm256_div_ps(one, self.1))
        }
    }

    #[inline(always)]
    unsafe fn spread(self, i: usize) -> Self {
        let half = if i < 8 { self.0 } else { self.1 };
        // SAFETY: the trait's promise.
        let v = unsafe { _mm256_permutevar8x32_ps(half, _mm256_set1_epi32((i % 8) as i32)) };
        Avx2(v, v)
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the trait's promise.
        unsafe {
            let v = _mm256_add_ps(self.0, self.1);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }

    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: any address may be asked for.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }

    #[inline(always)]
    unsafe fn sums(rows: [Self; LANES]) -> Self {
        // SAFETY: the trait's promise; every index is below 16.
        unsafe {
            let mut fours = [_mm_setzero_ps(); 4];
            for (g, four) in fours.iter_mut().enumerate() {
                let r = 4 * g;
                let low = add_lanes(rows[r].0, rows[r + 1].0, rows[r + 2].0, rows[r + 3].0);
                let high = add_lanes(rows[r].1, rows[r + 1].1, rows[r + 2].1, rows[r + 3].1);
                *four = _mm_add_ps(low, high);
            }
            Avx2(_mm256_set_m128(fours[1], fours[0]), _mm256_set_m128(fours[3], fours[2]))
        }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut out = rows;
        // Quarters of 8 x 8; no closures: they would be compiled without the instruction set.
        // SAFETY: the trait's promise.
        unsafe {
            let mut quarter = [_mm256_setzero_ps(); 8];
            for from in [0, 8] {
                for i in 0..8 {
                    quarter[i] = rows[from + i].0;
                }
                transpose_8(&mut quarter);
                for i in 0..8 {
                    if from == 0 { out[i].0 = quarter[i] } else { out[i].1 = quarter[i] }
                }
                for i in 0..8 {
                    quarter[i] = rows[from + i].1;
                }
                transpose_8(&mut quarter);
                for i in 0..8 {
                    if from == 0 { out[8 + i].0 = quarter[i] } else { out[8 + i].1 = quarter[i] }
                }
            }
        }
        out
    }
}

/// The sums of each row's two quarters of four lanes.
///
/// # Safety
/// Needs AVX2.
#[inline(always)]
unsafe fn add_lanes(a: __m256, b: __m256, c: __m256, d: __m256) -> __m128 {
    // SAFETY: the caller's promise.
    unsafe {
        let ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (low, high) = (_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd));
        let quarters = _mm256_add_ps(low, high);
        _mm_add_ps(_mm256_castps256_ps128(quarters), _mm256_extractf128_ps::<1>(quarters))
    }
}

/// # Safety
/// Needs AVX2.
#[inline(always)]
unsafe fn transpose_8(rows: &mut [__m256; 8]) {
    // SAFETY: the caller's promise; every index is below 8.
    unsafe {
        let mut pairs = *rows;
        for i in (0..8).step_by(2) {
            pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
        }
        let mut fours = pairs;
        for g in [0, 4] {
            for c in 0..2 {
                let (x, y) = (pairs[g + c], pairs[g + c + 2]);
                fours[g + 2 * c] = _mm256_shuffle_ps::<0x44>(x, y);
                fours[g + 2 * c + 1] = _mm256_shuffle_ps::<0xee>(x, y);
            }
        }
        for i in 0..4 {
            rows[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
            rows[i + 4] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
        }
    }
}

instances!("avx2,fma", Avx2, 4, 1, 2);
