//! Code scans with 8-bit multiply-adds. Those of AVX2 saturate at 16 bits, which two products of a
//! byte up to 255 may pass, so a row's sign is moved to the query first: 2 x 128 x 127 fits.

use std::arch::x86_64::*;

use super::{CodeQuery, CodeRows, TILE};

/// Scores every row.
///
/// # Safety
/// The processor has AVX2 and FMA, and the lengths fit together as `super::check` asserts.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn score(query: CodeQuery<'_>, rows: CodeRows<'_>, out: &mut [f32]) {
    for tile in 0..rows.bias.len() / TILE {
        // SAFETY: the tile exists.
        unsafe { score_tile(&[query], rows, &mut [&mut *out], tile) };
    }
}

/// Scores every row for four queries: with two registers each, and two lines, they fit the sixteen.
///
/// # Safety
/// As for [`score`], for each query.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn score4(
    queries: [CodeQuery<'_>; 4],
    rows: CodeRows<'_>,
    mut out: [&mut [f32]; 4],
) {
    for tile in 0..rows.bias.len() / TILE {
        // SAFETY: the tile exists.
        unsafe { score_tile(&queries, rows, &mut out, tile) };
    }
}

/// # Safety
/// As for [`score`]; the tile exists.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn score_tile<const Q: usize>(
    queries: &[CodeQuery<'_>; Q],
    rows: CodeRows<'_>,
    out: &mut [&mut [f32]; Q],
    tile: usize,
) {
    let codes = queries[0].codes.len();
    let (ones, centre) = (_mm256_set1_epi16(1), _mm256_set1_epi8(-128));
    // SAFETY: every address below lies in the tile, in the queries' codes or in the rows' constants
    // and scores, whose lengths the caller has checked.
    unsafe {
        let start = rows.tiles.as_ptr().add(tile * codes * TILE);
        // Each register sums 8 rows.
        let mut sums = [[_mm256_setzero_si256(); 2]; Q];
        for at in (0..codes).step_by(4) {
            for half in 0..2 {
                let bytes = _mm256_loadu_si256(start.add(at * TILE + half * 32).cast());
                let row = _mm256_xor_si256(bytes, centre);
                let size = _mm256_abs_epi8(row);
                for (query, sums) in queries.iter().zip(&mut sums) {
                    let four = query.codes.as_ptr().add(at).cast::<i32>().read_unaligned();
                    let signed = _mm256_sign_epi8(_mm256_set1_epi32(four), row);
                    let pairs = _mm256_maddubs_epi16(size, signed);
                    sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        for ((query, sums), out) in queries.iter().zip(sums).zip(out) {
            for (half, sum) in sums.into_iter().enumerate() {
                let at = tile * TILE + half * 8;
                let scale = _mm256_loadu_ps(rows.scale.as_ptr().add(at));
                let factor = _mm256_mul_ps(scale, _mm256_set1_ps(query.multiplier));
                let bias = _mm256_loadu_ps(rows.bias.as_ptr().add(at));
                let score = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(sum), bias);
                _mm256_storeu_ps(out.as_mut_ptr().add(at), score);
            }
        }
    }
}

/// Appends the positions of values below `threshold`.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn positions_below(values: &[f32], threshold: f32, out: &mut Vec<u32>) {
    let bound = _mm256_set1_ps(threshold);
    let (eights, rest) = values.as_chunks::<8>();
    for (step, eight) in eights.iter().enumerate() {
        // SAFETY: the chunk has 8 values.
        let v = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
        let mut below = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(v, bound)) as u32;
        while below != 0 {
            out.push((step * 8) as u32 + below.trailing_zeros());
            below &= below - 1;
        }
    }
    let done = eights.len() * 8;
    out.extend((0..rest.len()).filter(|&i| rest[i] < threshold).map(|i| (done + i) as u32));
}

/// The position of the smallest value.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn argmin(values: &[f32]) -> usize {
    let (eights, rest) = values.as_chunks::<8>();
    let mut best = _mm256_set1_ps(f32::INFINITY);
    let mut at = _mm256_set1_epi32(0);
    let mut positions = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for eight in eights {
        // SAFETY: the chunk has 8 values.
        let v = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
        let better = _mm256_cmp_ps::<_CMP_LT_OQ>(v, best);
        best = _mm256_blendv_ps(best, v, better);
        at = _mm256_blendv_epi8(at, positions, _mm256_castps_si256(better));
        positions = _mm256_add_epi32(positions, _mm256_set1_epi32(8));
    }
    let (mut lanes, mut places) = ([0f32; 8], [0i32; 8]);
    // SAFETY: both arrays have 8 elements.
    unsafe {
        _mm256_storeu_ps(lanes.as_mut_ptr(), best);
        _mm256_storeu_si256(places.as_mut_ptr().cast(), at);
    }
    let lanes = lanes.into_iter().zip(places.map(|p| p as usize));
    let tail = rest.iter().enumerate().map(|(i, &v)| (v, eights.len() * 8 + i));
    let mut least = (f32::INFINITY, usize::MAX);
    for (value, place) in lanes.chain(tail) {
        if value < least.0 || (value == least.0 && place < least.1) {
            least = (value, place);
        }
    }
    if least.1 == usize::MAX || least.0 == f32::INFINITY { 0 } else { least.1 }
}
