//! Sixteen lanes in two AVX2 registers; tiles of 4 rows by one pair, which leaves registers for
//! the pair of columns and the weight.

use std::arch::x86_64::*;

use super::algorithm::{self, LANES, Lanes, View};

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
}

instances!("avx2,fma", Avx2, 4, 1);
