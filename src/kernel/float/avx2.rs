//! Float sums in four 8-lane registers a vector.

use std::arch::x86_64::*;

/// The inner product.
///
/// # Safety
/// The processor has AVX2 and FMA, and both slices have the same length.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's promise is handed on.
    unsafe { sums::<1, false>([a], b)[0] }
}

/// The squared L2 distance.
///
/// # Safety
/// As for [`dot`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's promise is handed on.
    unsafe { sums::<1, true>([a], b)[0] }
}

/// Four inner products with `b`, two at a time: sixteen registers hold no more.
///
/// # Safety
/// As for [`dot`], for each of the four.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn dot4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    // SAFETY: the caller's promise is handed on.
    let ([p, q], [r, s]) =
        unsafe { (sums::<2, false>([a[0], a[1]], b), sums::<2, false>([a[2], a[3]], b)) };
    [p, q, r, s]
}

/// Four squared L2 distances to `b`.
///
/// # Safety
/// As for [`dot`], for each of the four.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn squared_l2_4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    // SAFETY: the caller's promise is handed on.
    let ([p, q], [r, s]) =
        unsafe { (sums::<2, true>([a[0], a[1]], b), sums::<2, true>([a[2], a[3]], b)) };
    [p, q, r, s]
}

/// # Safety
/// AVX2 and FMA; every slice of `a` is as long as `b`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sums<const N: usize, const L2: bool>(a: [&[f32]; N], b: &[f32]) -> [f32; N] {
    let whole = b.len() / 32 * 32;
    let mut lanes = [[_mm256_setzero_ps(); 4]; N];
    let mut i = 0;
    while i < whole {
        for (lane, a) in lanes.iter_mut().zip(&a) {
            // SAFETY: 32 elements from i lie below `whole`, within both slices.
            unsafe { step::<L2>(lane, a.as_ptr().add(i), b.as_ptr().add(i)) };
        }
        i += 32;
    }
    if whole < b.len() {
        let rest = b.len() - whole;
        let (mut x, mut y) = ([0f32; 32], [0f32; 32]);
        y[..rest].copy_from_slice(&b[whole..]);
        for (lane, a) in lanes.iter_mut().zip(&a) {
            x[..rest].copy_from_slice(&a[whole..]);
            // SAFETY: both buffers have 32 elements.
            unsafe { step::<L2>(lane, x.as_ptr(), y.as_ptr()) };
        }
    }
    lanes.map(|[p, q, r, s]| add_lanes(_mm256_add_ps(_mm256_add_ps(p, r), _mm256_add_ps(q, s))))
}

/// # Safety
/// AVX2 and FMA; 32 elements are readable from both pointers.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const L2: bool>(lanes: &mut [__m256; 4], a: *const f32, b: *const f32) {
    for (j, lane) in lanes.iter_mut().enumerate() {
        // SAFETY: 8 j + 8 <= 32.
        let (x, y) = unsafe { (_mm256_loadu_ps(a.add(8 * j)), _mm256_loadu_ps(b.add(8 * j))) };
        *lane = if L2 {
            let d = _mm256_sub_ps(x, y);
            _mm256_fmadd_ps(d, d, *lane)
        } else {
            _mm256_fmadd_ps(x, y, *lane)
        };
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_lanes(v: __m256) -> f32 {
    let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
}
