//! Look-ups of 32 codes an instruction.

use std::arch::x86_64::*;

use super::{LINE_BYTES, ProductQuery, ProductRows, TILE, WIDEN, portable};

/// Scores every row.
///
/// # Safety
/// The processor has AVX2 and FMA, and the lengths fit together as `super::scan_with` asserts.
#[target_feature(enable = "avx2,fma")]
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
            let mut sums = [_mm256_setzero_si256(); 2];
            for first in (0..lines).step_by(WIDEN) {
                let some = lines.min(first + WIDEN);
                let rows = sum_lines(query.tables, start, first..some, ahead);
                for (sum, rows) in sums.iter_mut().zip(rows) {
                    *sum = _mm256_add_epi32(*sum, _mm256_cvtepu16_epi32(rows));
                }
            }
            for (half, sum) in sums.into_iter().enumerate() {
                let at = tile * TILE + 8 * half;
                let constants = start.add(lines * LINE_BYTES + 16 * half);
                let offset = bfloat(_mm_loadu_si128(constants.cast()));
                let scale = bfloat(_mm_loadu_si128(constants.add(32).cast()));
                let bias = _mm256_loadu_ps(rows.bias.as_ptr().add(at));
                let start = _mm256_sub_ps(_mm256_add_ps(bias, _mm256_set1_ps(query.base)), offset);
                let (step, least) = (_mm256_set1_ps(query.step), _mm256_set1_ps(query.least));
                let value = _mm256_fmadd_ps(step, _mm256_cvtepi32_ps(sum), least);
                let score = _mm256_fmadd_ps(scale, value, start);
                _mm256_storeu_ps(out.as_mut_ptr().add(at), score);
            }
        }
    }
}

/// Sums the table bytes of some lines of a tile, at most [`WIDEN`], for its first eight rows and
/// its last eight.
///
/// # Safety
/// As for [`scan`]; `start` is where a tile begins that has those lines.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sum_lines(
    tables: &[u8],
    start: *const u8,
    lines: std::ops::Range<usize>,
    ahead: &[u8],
) -> [__m128i; 2] {
    let low = _mm256_set1_epi8(15);
    // Sums of even and of odd bytes: the first with 256 times the second added, which is taken off
    // again at the end; 16 bits hold the true sum, so what overflows on the way does not matter.
    let (mut mixed, mut odd) = ([_mm256_setzero_si256(); 2], [_mm256_setzero_si256(); 2]);
    for line in lines {
        if let Some(byte) = ahead.get(line * LINE_BYTES) {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast());
        }
        for half in 0..2 {
            // SAFETY: the line and its tables exist, as the caller promises.
            let (codes, evens, odds) = unsafe {
                let table = tables.as_ptr().add(2 * LINE_BYTES * line + 32 * half);
                (
                    _mm256_loadu_si256(start.add(LINE_BYTES * line + 32 * half).cast()),
                    _mm256_loadu_si256(table.cast()),
                    _mm256_loadu_si256(table.add(LINE_BYTES).cast()),
                )
            };
            let x = _mm256_shuffle_epi8(evens, _mm256_and_si256(codes, low));
            let y = _mm256_shuffle_epi8(odds, _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low));
            mixed[half] = _mm256_add_epi16(mixed[half], _mm256_add_epi16(x, y));
            let high = _mm256_add_epi16(_mm256_srli_epi16::<8>(x), _mm256_srli_epi16::<8>(y));
            odd[half] = _mm256_add_epi16(odd[half], high);
        }
    }
    let (mixed, odd) = (_mm256_add_epi16(mixed[0], mixed[1]), _mm256_add_epi16(odd[0], odd[1]));
    let even = halves(_mm256_sub_epi16(mixed, _mm256_slli_epi16::<8>(odd)));
    let odd = halves(odd);
    [_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd)]
}

/// The sum of the two halves, eight values of 16 bits each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn halves(v: __m256i) -> __m128i {
    _mm_add_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn bfloat(v: __m128i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(v)))
}

/// [`super::entries`].
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn entries(values: &[f32], books: &[f32], half: &[f32], out: &mut [f32]) {
    portable::worth(values, books, half, |part, worth| {
        out[part * 16..][..16].copy_from_slice(&worth);
    });
}

/// [`super::encode`].
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn encode(values: &[f32], books: &[f32], half: &[f32], codes: &mut [u8]) {
    portable::worth(values, books, half, |part, worth| codes[part] = portable::argmin(worth));
}
