//! Float sums in two 16-lane registers a vector.

use std::arch::x86_64::*;

/// The inner product.
///
/// # Safety
/// The processor has AVX-512 F, and both slices have the same length.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's promise is handed on.
    unsafe { sums::<1, false>([a], b)[0] }
}

/// The squared L2 distance.
///
/// # Safety
/// As for [`dot`].
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's promise is handed on.
    unsafe { sums::<1, true>([a], b)[0] }
}

/// Four inner products with `b`.
///
/// # Safety
/// As for [`dot`], for each of the four.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn dot4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    // SAFETY: the caller's promise is handed on.
    unsafe { sums::<4, false>(a, b) }
}

/// Four squared L2 distances to `b`.
///
/// # Safety
/// As for [`dot`], for each of the four.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn squared_l2_4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    // SAFETY: the caller's promise is handed on.
    unsafe { sums::<4, true>(a, b) }
}

/// # Safety
/// AVX-512 F, DQ, VL; every slice of `a` is as long as `b`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
unsafe fn sums<const N: usize, const L2: bool>(a: [&[f32]; N], b: &[f32]) -> [f32; N] {
    let n = b.len();
    let mut lanes = [[_mm512_setzero_ps(); 2]; N];
    let whole = n / 32 * 32;
    for i in (0..whole).step_by(32) {
        for half in 0..2 {
            // SAFETY: 16 elements from i + 16 half lie below `whole`, within every slice.
            unsafe { step::<N, L2>(&mut lanes, half, &a, b, i + 16 * half, !0) };
        }
    }
    for half in 0..2 {
        let at = whole + 16 * half;
        if at < n {
            let mask = if n - at >= 16 { !0 } else { (1u16 << (n - at)) - 1 };
            // SAFETY: the mask keeps the loads below n, the length of every slice.
            unsafe { step::<N, L2>(&mut lanes, half, &a, b, at, mask) };
        }
    }
    lanes.map(|[low, high]| add_lanes(_mm512_add_ps(low, high)))
}

/// # Safety
/// AVX-512 F; the elements from `at` that `mask` names exist in every slice.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
unsafe fn step<const N: usize, const L2: bool>(
    lanes: &mut [[__m512; 2]; N],
    half: usize,
    a: &[&[f32]; N],
    b: &[f32],
    at: usize,
    mask: u16,
) {
    // SAFETY: the caller's promise.
    let y = unsafe { _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at)) };
    for (lane, a) in lanes.iter_mut().zip(a) {
        // SAFETY: the caller's promise.
        let x = unsafe { _mm512_maskz_loadu_ps(mask, a.as_ptr().add(at)) };
        lane[half] = if L2 {
            let d = _mm512_sub_ps(x, y);
            _mm512_fmadd_ps(d, d, lane[half])
        } else {
            _mm512_fmadd_ps(x, y, lane[half])
        };
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
fn add_lanes(v: __m512) -> f32 {
    let v = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v));
    let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
}
