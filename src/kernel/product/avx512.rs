//! Look-ups of 64 codes an instruction.

use std::arch::x86_64::*;

use super::{LINE_BYTES, ProductQuery, ProductRows, TILE, WIDEN, portable};

/// Scores every row.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ and VL, and the lengths fit together as
/// `super::scan_with` asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn scan(
    query: ProductQuery<'_>,
    rows: ProductRows<'_>,
    next: &[u8],
    out: &mut [f32],
) {
    let lines = query.tables.len() / (2 * LINE_BYTES);
    let bytes = (lines + 1) * LINE_BYTES;
    for tile in 0..out.len() / TILE {
        let ahead = next.get(tile * bytes..).unwrap_or(&[]);
        // SAFETY: the tile exists, and every address lies in it, in the query's tables or in the
        // rows' constants and scores, whose lengths the caller has checked.
        unsafe {
            let start = rows.tiles.as_ptr().add(tile * bytes);
            let mut sum = _mm512_setzero_si512();
            for first in (0..lines).step_by(WIDEN) {
                let some = lines.min(first + WIDEN);
                sum = _mm512_add_epi32(sum, sum_lines(query.tables, start, first..some, ahead));
            }
            let constants = start.add(lines * LINE_BYTES);
            let offset = bfloat(_mm256_loadu_si256(constants.cast()));
            let scale = bfloat(_mm256_loadu_si256(constants.add(32).cast()));
            let bias = _mm512_loadu_ps(rows.bias.as_ptr().add(tile * TILE));
            let start = _mm512_sub_ps(_mm512_add_ps(bias, _mm512_set1_ps(query.base)), offset);
            let (step, least) = (_mm512_set1_ps(query.step), _mm512_set1_ps(query.least));
            let value = _mm512_fmadd_ps(step, _mm512_cvtepi32_ps(sum), least);
            let score = _mm512_fmadd_ps(scale, value, start);
            _mm512_storeu_ps(out.as_mut_ptr().add(tile * TILE), score);
        }
    }
}

/// Sums the table bytes of some lines of a tile, at most [`WIDEN`], for each of its rows.
///
/// # Safety
/// As for [`scan`]; `start` is where a tile begins that has those lines.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn sum_lines(
    tables: &[u8],
    start: *const u8,
    lines: std::ops::Range<usize>,
    ahead: &[u8],
) -> __m512i {
    let low = _mm512_set1_epi8(15);
    // Sums of even and of odd bytes: the first with 256 times the second added, which is taken off
    // again at the end; 16 bits hold the true sum, so what overflows on the way does not matter.
    let (mut mixed, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    for line in lines {
        if let Some(byte) = ahead.get(line * LINE_BYTES) {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast());
        }
        // SAFETY: the line and its tables exist, as the caller promises.
        let (codes, evens, odds) = unsafe {
            let table = tables.as_ptr().add(2 * LINE_BYTES * line);
            (
                _mm512_loadu_si512(start.add(LINE_BYTES * line).cast()),
                _mm512_loadu_si512(table.cast()),
                _mm512_loadu_si512(table.add(LINE_BYTES).cast()),
            )
        };
        let x = _mm512_shuffle_epi8(evens, _mm512_and_si512(codes, low));
        let y = _mm512_shuffle_epi8(odds, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), low));
        mixed = _mm512_add_epi16(mixed, _mm512_add_epi16(x, y));
        let high = _mm512_add_epi16(_mm512_srli_epi16::<8>(x), _mm512_srli_epi16::<8>(y));
        odd = _mm512_add_epi16(odd, high);
    }
    let even = _mm512_sub_epi16(mixed, _mm512_slli_epi16::<8>(odd));
    let (even, odd) = (quarters(even), quarters(odd));
    let rows = _mm256_set_m128i(_mm_unpackhi_epi16(even, odd), _mm_unpacklo_epi16(even, odd));
    _mm512_cvtepu16_epi32(rows)
}

/// The sum of the four quarters, eight values of 16 bits each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn quarters(v: __m512i) -> __m128i {
    let half = _mm256_add_epi16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v));
    _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn bfloat(v: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(v)))
}

/// [`super::entries`].
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
pub(super) unsafe fn entries(values: &[f32], books: &[f32], half: &[f32], out: &mut [f32]) {
    portable::worth(values, books, half, |part, worth| {
        out[part * 16..][..16].copy_from_slice(&worth);
    });
}

/// [`super::encode`].
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
pub(super) unsafe fn encode(values: &[f32], books: &[f32], half: &[f32], codes: &mut [u8]) {
    portable::worth(values, books, half, |part, worth| codes[part] = portable::argmin(worth));
}
