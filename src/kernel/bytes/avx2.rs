//! Byte scans, 8 rows a register.

use std::arch::x86_64::*;

use super::{CodeRows, TILE, portable};

/// Scores every row.
///
/// # Safety
/// The processor has AVX2 and FMA, and the lengths fit together as `super::score_with` asserts.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn score<const BITS: bool>(
    query: &[u8],
    scale: f32,
    rows: CodeRows<'_>,
    out: &mut [f32],
) {
    for tile in 0..out.len() / TILE {
        // SAFETY: every address lies in the tile, in the query, or in the rows' constants and
        // scores, whose lengths the caller has checked.
        unsafe {
            let start = rows.tiles.as_ptr().add(tile * query.len() * TILE);
            let mut sums = [_mm256_setzero_si256(); 2];
            for at in (0..query.len()).step_by(4) {
                let four = query.as_ptr().add(at).cast::<i32>().read_unaligned();
                let four = _mm256_set1_epi32(four);
                for (half, sum) in sums.iter_mut().enumerate() {
                    let line = _mm256_loadu_si256(start.add(at * TILE + 32 * half).cast());
                    let bytes = differences::<BITS>(line, four);
                    // Four bytes of a row to 32 bits: at most 255 a byte, so 16 bits hold pairs.
                    let pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
                    let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
                    *sum = _mm256_add_epi32(*sum, fours);
                }
            }
            for (half, sum) in sums.into_iter().enumerate() {
                let at = tile * TILE + 8 * half;
                let bias = _mm256_loadu_ps(rows.bias.as_ptr().add(at));
                let score = _mm256_fmadd_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(sum), bias);
                _mm256_storeu_ps(out.as_mut_ptr().add(at), score);
            }
        }
    }
}

/// For each byte |a - b|, or the number of bits that differ.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn differences<const BITS: bool>(a: __m256i, b: __m256i) -> __m256i {
    if !BITS {
        return _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a));
    }
    let x = _mm256_xor_si256(a, b);
    let (low, counts) = (_mm256_set1_epi8(0x0f), [0x0302_0201_0201_0100u64, 0x0403_0302_0302_0201]);
    let [first, second] = counts.map(|c| c as i64);
    let counts = _mm256_setr_epi64x(first, second, first, second);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(x), low);
    let low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, low));
    _mm256_add_epi8(low, _mm256_shuffle_epi8(counts, high))
}

/// How many bits differ.
///
/// # Safety
/// The processor has AVX2, and both slices have the same length.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn hamming(a: &[u8], b: &[u8]) -> u32 {
    let whole = a.len() / 32 * 32;
    let mut sum = _mm256_setzero_si256();
    for at in (0..whole).step_by(32) {
        // SAFETY: 32 bytes from `at` lie below `whole`, within both slices.
        let (x, y) = unsafe {
            (
                _mm256_loadu_si256(a.as_ptr().add(at).cast()),
                _mm256_loadu_si256(b.as_ptr().add(at).cast()),
            )
        };
        let eights = _mm256_sad_epu8(differences::<true>(x, y), _mm256_setzero_si256());
        sum = _mm256_add_epi64(sum, eights);
    }
    let two = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let one = _mm_add_epi64(two, _mm_unpackhi_epi64(two, two));
    _mm_cvtsi128_si32(one) as u32 + portable::hamming(&a[whole..], &b[whole..])
}

/// How many bits of each row differ from the query's.
///
/// # Safety
/// As for [`hamming`]; the query is not empty.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn hammings(query: &[u8], rows: &[u8], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        // SAFETY: the row is as long as the query; the processor is the caller's promise.
        *out = unsafe { hamming(query, row) } as f32;
    }
}
