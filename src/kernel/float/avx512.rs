//! Float sums in two 16-lane registers a vector.

use std::arch::x86_64::*;

use super::{DOT, F16, F32, L1, Raw, Row, SQUARED_L2};

/// The sums of `N` vectors with a row.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ and VL; every vector and, if there is one, the row's offset
/// is as long as the row, whose elements are `E`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn sums<const N: usize, const OP: u8, const E: u8>(
    a: [&[f32]; N],
    row: Row<'_>,
    factor: f32,
) -> [f32; N] {
    let (n, row) = (row.len(), (Raw::of(row), _mm512_set1_ps(factor)));
    let mut lanes = [[_mm512_setzero_ps(); 2]; N];
    let whole = n / 32 * 32;
    for i in (0..whole).step_by(32) {
        for half in 0..2 {
            // SAFETY: 16 elements from i + 16 half lie below `whole`, within every slice.
            unsafe { step::<N, OP, E>(&mut lanes, half, &a, row, i + 16 * half, !0) };
        }
    }
    for half in 0..2 {
        let at = whole + 16 * half;
        if at < n {
            let mask = if n - at >= 16 { !0 } else { (1u16 << (n - at)) - 1 };
            // SAFETY: the mask keeps the loads below n, the length of every slice.
            unsafe { step::<N, OP, E>(&mut lanes, half, &a, row, at, mask) };
        }
    }
    lanes.map(|[low, high]| add_lanes(_mm512_add_ps(low, high)))
}

/// # Safety
/// AVX-512 F, BW, DQ, VL; the elements from `at` that `mask` names exist in every slice.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn step<const N: usize, const OP: u8, const E: u8>(
    lanes: &mut [[__m512; 2]; N],
    half: usize,
    a: &[&[f32]; N],
    (row, factor): (Raw, __m512),
    at: usize,
    mask: u16,
) {
    // SAFETY: the caller's promise.
    let y = unsafe { load::<E>(row, at, mask) };
    for (lane, a) in lanes.iter_mut().zip(a) {
        // SAFETY: the caller's promise.
        let x = unsafe { _mm512_maskz_loadu_ps(mask, a.as_ptr().add(at)) };
        let d = _mm512_sub_ps(x, y);
        lane[half] = match OP {
            DOT => _mm512_fmadd_ps(x, y, lane[half]),
            SQUARED_L2 => _mm512_fmadd_ps(d, d, lane[half]),
            L1 => _mm512_add_ps(lane[half], _mm512_abs_ps(d)),
            _ => {
                let d = _mm512_sub_ps(x, _mm512_mul_ps(y, factor));
                _mm512_fmadd_ps(d, d, lane[half])
            }
        };
    }
}

/// Zeros where the mask says so.
///
/// # Safety
/// AVX-512 F, BW, VL; the row's elements are `E`, and those from `at` that `mask` names exist.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn load<const E: u8>(row: Raw, at: usize, mask: u16) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        match E {
            F32 => _mm512_maskz_loadu_ps(mask, row.data.cast::<f32>().add(at)),
            F16 => {
                let halves = row.data.cast::<i16>().add(at);
                _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, halves))
            }
            _ => {
                let codes = _mm_maskz_loadu_epi8(mask, row.data.cast::<i8>().add(at));
                let codes = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
                let offset = _mm512_maskz_loadu_ps(mask, row.offset.add(at));
                _mm512_fmadd_ps(_mm512_set1_ps(row.scale), codes, offset)
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn add_lanes(v: __m512) -> f32 {
    let v = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v));
    let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
}
