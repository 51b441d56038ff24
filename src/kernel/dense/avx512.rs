//! Sixteen lanes in one AVX-512 register; tiles of 8 rows by 2 registers.

use std::arch::x86_64::*;

use super::algorithm::{self, Lanes, View};

#[derive(Clone, Copy)]
struct Avx512(__m512);

impl Lanes for Avx512 {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the trait's promise.
        Avx512(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the trait's promise.
        Avx512(unsafe { _mm512_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        // SAFETY: the trait's promise; the mask keeps to the first n < 16.
        Avx512(unsafe { _mm512_maskz_loadu_ps((1u16 << n) - 1, p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the trait's promise.
        unsafe { _mm512_storeu_ps(p, self.0) };
    }

    #[inline(always)]
    unsafe fn fma(self, x: Self, y: Self) -> Self {
        // SAFETY: the trait's promise.
        Avx512(unsafe { _mm512_fmadd_ps(x.0, y.0, self.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, x: Self) -> Self {
        // SAFETY: the trait's promise.
        Avx512(unsafe { _mm512_mul_ps(self.0, x.0) })
    }

    #[inline(always)]
    unsafe fn negative_inverse(self) -> Self {
        // SAFETY: the trait's promise.
        Avx512(unsafe { _mm512_div_ps(_mm512_set1_ps(-1.0), self.0) })
    }

    #[inline(always)]
    unsafe fn spread(self, i: usize) -> Self {
        // SAFETY: the trait's promise.
        Avx512(unsafe { _mm512_permutexvar_ps(_mm512_set1_epi32(i as i32), self.0) })
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the trait's promise.
        unsafe {
            let (low, high) = (_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0));
            let v = _mm256_add_ps(low, high);
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

instances!("avx512f,avx512dq,avx512vl,avx2,fma", Avx512, 8, 2);
