//! Float sums in four 8-lane registers a vector.

use std::arch::x86_64::*;

use super::{DOT, F16, F32, L1, Raw, Row, SQUARED_L2, element};

/// The sums of `N` vectors with a row, two vectors at a time: sixteen registers hold no more.
///
/// # Safety
/// The processor has AVX2, FMA and F16C; every vector and, if there is one, the row's offset is as
/// long as the row, whose elements are `E`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn sums<const N: usize, const OP: u8, const E: u8>(
    a: [&[f32]; N],
    row: Row<'_>,
    factor: f32,
) -> [f32; N] {
    let mut out = [0f32; N];
    for (out, a) in out.chunks_mut(2).zip(a.chunks(2)) {
        match *a {
            [p, q] => {
                // SAFETY: the caller's promise is handed on.
                let sums = unsafe { few::<2, OP, E>([p, q], row, factor) };
                out.copy_from_slice(&sums);
            }
            [p] => {
                // SAFETY: as above.
                let sums = unsafe { few::<1, OP, E>([p], row, factor) };
                out.copy_from_slice(&sums);
            }
            _ => {}
        }
    }
    out
}

/// # Safety
/// As for [`sums`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn few<const N: usize, const OP: u8, const E: u8>(
    a: [&[f32]; N],
    row: Row<'_>,
    factor: f32,
) -> [f32; N] {
    let (raw, factor) = (Raw::of(row), _mm256_set1_ps(factor));
    let whole = row.len() / 32 * 32;
    let mut lanes = [[_mm256_setzero_ps(); 4]; N];
    for i in (0..whole).step_by(32) {
        for j in 0..4 {
            // SAFETY: 8 elements from i + 8 j lie below `whole`, within the row and the vectors.
            let y = unsafe { load::<E>(raw, i + 8 * j) };
            for (lanes, a) in lanes.iter_mut().zip(&a) {
                // SAFETY: as above.
                let x = unsafe { _mm256_loadu_ps(a.as_ptr().add(i + 8 * j)) };
                lanes[j] = step::<OP>(x, y, lanes[j], factor);
            }
        }
    }
    if whole < row.len() {
        let mut y = [0f32; 32];
        (whole..row.len()).for_each(|at| y[at - whole] = element::<E>(row, at));
        for (lanes, a) in lanes.iter_mut().zip(&a) {
            let mut x = [0f32; 32];
            x[..row.len() - whole].copy_from_slice(&a[whole..]);
            for (j, lane) in lanes.iter_mut().enumerate() {
                // SAFETY: both buffers have 32 elements.
                let (x, y) = unsafe {
                    (_mm256_loadu_ps(x.as_ptr().add(8 * j)), _mm256_loadu_ps(y.as_ptr().add(8 * j)))
                };
                *lane = step::<OP>(x, y, *lane, factor);
            }
        }
    }
    lanes.map(|[p, q, r, s]| add_lanes(_mm256_add_ps(_mm256_add_ps(p, r), _mm256_add_ps(q, s))))
}

/// # Safety
/// AVX2, FMA and F16C; the row's elements are `E` and 8 of them stand from `at` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load<const E: u8>(row: Raw, at: usize) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        match E {
            F32 => _mm256_loadu_ps(row.data.cast::<f32>().add(at)),
            F16 => _mm256_cvtph_ps(_mm_loadu_si128(row.data.add(2 * at).cast())),
            _ => {
                let codes = _mm256_cvtepi8_epi32(_mm_loadl_epi64(row.data.add(at).cast()));
                let offset = _mm256_loadu_ps(row.offset.add(at));
                _mm256_fmadd_ps(_mm256_set1_ps(row.scale), _mm256_cvtepi32_ps(codes), offset)
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn step<const OP: u8>(x: __m256, y: __m256, lane: __m256, factor: __m256) -> __m256 {
    let d = _mm256_sub_ps(x, y);
    match OP {
        DOT => _mm256_fmadd_ps(x, y, lane),
        SQUARED_L2 => _mm256_fmadd_ps(d, d, lane),
        L1 => _mm256_add_ps(lane, _mm256_andnot_ps(_mm256_set1_ps(-0.0), d)),
        _ => {
            let d = _mm256_sub_ps(x, _mm256_mul_ps(y, factor));
            _mm256_fmadd_ps(d, d, lane)
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_lanes(v: __m256) -> f32 {
    let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
}
