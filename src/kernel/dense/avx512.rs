//! Sixteen lanes in one AVX-512 register; tiles of 8 rows by 2 registers.

use std::arch::x86_64::*;

use super::algorithm::{self, LANES, Lanes, View};
use super::conjugate::{self, Band};
use super::sixteen::{self, Cells, Sides};
use super::whitened::{self, Rungs};

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

    #[inline(always)]
    unsafe fn sums(rows: [Self; LANES]) -> Self {
        // SAFETY: the trait's promise; every index is below 16.
        unsafe {
            let mut pairs = [_mm512_setzero_pd(); 8];
            for i in 0..8 {
                let (x, y) = (rows[2 * i].0, rows[2 * i + 1].0);
                let sum = _mm512_add_ps(_mm512_unpacklo_ps(x, y), _mm512_unpackhi_ps(x, y));
                pairs[i] = _mm512_castps_pd(sum);
            }
            let mut fours = [_mm512_setzero_ps(); 4];
            for i in 0..4 {
                let (x, y) = (pairs[2 * i], pairs[2 * i + 1]);
                let low = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
                fours[i] = _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
            }
            Avx512(add_quarters(add_quarters(fours[0], fours[1]), add_quarters(fours[2], fours[3])))
        }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        // Pairs of rows, then pairs of those, within quarters of a register; then quarters change
        // places. No closures: they would be compiled without the instruction set.
        // SAFETY: the trait's promise; every index is below 16.
        unsafe {
            let mut pairs = [_mm512_setzero_pd(); LANES];
            for i in (0..LANES).step_by(2) {
                let (x, y) = (rows[i].0, rows[i + 1].0);
                pairs[i] = _mm512_castps_pd(_mm512_unpacklo_ps(x, y));
                pairs[i + 1] = _mm512_castps_pd(_mm512_unpackhi_ps(x, y));
            }
            // fours[4 g + c] holds column c + 4 q of rows 4 g .. 4 g + 4 in quarter q.
            let mut fours = [_mm512_setzero_ps(); LANES];
            for g in (0..LANES).step_by(4) {
                for c in 0..2 {
                    let (x, y) = (pairs[g + c], pairs[g + c + 2]);
                    fours[g + 2 * c] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
                    fours[g + 2 * c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
                }
            }
            let mut out = rows;
            for c in 0..4 {
                let even = _mm512_shuffle_f32x4::<0x88>(fours[c], fours[c + 4]);
                let odd = _mm512_shuffle_f32x4::<0xdd>(fours[c], fours[c + 4]);
                let even_below = _mm512_shuffle_f32x4::<0x88>(fours[c + 8], fours[c + 12]);
                let odd_below = _mm512_shuffle_f32x4::<0xdd>(fours[c + 8], fours[c + 12]);
                out[c].0 = _mm512_shuffle_f32x4::<0x88>(even, even_below);
                out[c + 8].0 = _mm512_shuffle_f32x4::<0xdd>(even, even_below);
                out[c + 4].0 = _mm512_shuffle_f32x4::<0x88>(odd, odd_below);
                out[c + 12].0 = _mm512_shuffle_f32x4::<0xdd>(odd, odd_below);
            }
            out
        }
    }
}

/// Sums of neighbouring quarters: two of `x`, then two of `y`.
///
/// # Safety
/// Needs AVX-512.
#[inline(always)]
unsafe fn add_quarters(x: __m512, y: __m512) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe { _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(x, y), _mm512_shuffle_f32x4::<0xdd>(x, y)) }
}

instances!("avx512f,avx512dq,avx512vl,avx2,fma", Avx512, 8, 2, 4);
