//! Four rows side by side, 16 or 32 bytes of each at a time.

use std::arch::x86_64::*;

use super::{BITS, ByteRows, DIFFERENCES, HALVES, SQUARES, distance, four_from};

/// The distances of the rows named.
///
/// # Safety
/// The processor has AVX2 and FMA; the query is as wide as a row, every row named exists, and there
/// are as many outputs, as `super::distances_with` asserts.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn distances<const M: u8>(
    query: &[u8],
    rows: ByteRows<'_>,
    ids: &[u32],
    out: &mut [f32],
) {
    let (start, width) = (rows.bytes.as_ptr(), rows.width);
    for (at, out) in out.chunks_mut(4).enumerate() {
        let at = 4 * at;
        let named = four_from(ids, at);
        let mut sums = [0i32; 4];
        // SAFETY: the rows exist, and the query is as wide as they are.
        unsafe {
            let four = four::<M>(query, start, width, named);
            _mm_storeu_si128(sums.as_mut_ptr().cast(), four);
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = distance::<M>(sum);
        }
    }
}

/// # Safety
/// As for [`distances`]; the four rows exist.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn four<const M: u8>(
    query: &[u8],
    start: *const u8,
    width: usize,
    named: [u32; 4],
) -> __m128i {
    // SAFETY: every address lies in the query, which is as wide as a row or (of halves) two, or in one of
    // the rows, whose width is a multiple of 16.
    unsafe {
        let mut rows = [start; 4];
        for (row, id) in rows.iter_mut().zip(named) {
            *row = start.add(id as usize * width);
        }
        let mut sums = [_mm256_setzero_si256(); 4];
        for at in (0..width).step_by(16) {
            let q = _mm_loadu_si128(query.as_ptr().add(at).cast());
            let high = match M {
                HALVES => _mm_loadu_si128(query.as_ptr().add(width + at).cast()),
                _ => q,
            };
            for (sum, row) in sums.iter_mut().zip(rows) {
                let x = _mm_loadu_si128(row.add(at).cast());
                let part = match M {
                    HALVES => halves(_mm256_set_m128i(high, q), x),
                    _ => part::<M>(q, x),
                };
                *sum = _mm256_add_epi32(*sum, part);
            }
        }
        reduce(sums)
    }
}

/// What 16 bytes add, in any of the 8 sums.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn part<const M: u8>(q: __m128i, x: __m128i) -> __m256i {
    match M {
        SQUARES => {
            let d = _mm256_sub_epi16(_mm256_cvtepu8_epi16(x), _mm256_cvtepu8_epi16(q));
            _mm256_madd_epi16(d, d)
        }
        DIFFERENCES => _mm256_zextsi128_si256(_mm_sad_epu8(x, q)),
        BITS => {
            let counts = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
            let (low, x) = (_mm_set1_epi8(0x0f), _mm_xor_si128(x, q));
            let high = _mm_and_si128(_mm_srli_epi16::<4>(x), low);
            let low = _mm_shuffle_epi8(counts, _mm_and_si128(x, low));
            let ones = _mm_add_epi8(low, _mm_shuffle_epi8(counts, high));
            _mm256_zextsi128_si256(_mm_sad_epu8(ones, _mm_setzero_si128()))
        }
        _ => {
            let x = _mm_xor_si128(x, _mm_set1_epi8(-128));
            _mm256_madd_epi16(_mm256_cvtepi8_epi16(x), _mm256_cvtepi8_epi16(q))
        }
    }
}

/// What 16 bytes of two 4-bit codes add; the query of the low halves stands in the lower lane.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn halves(q: __m256i, x: __m128i) -> __m256i {
    let codes = _mm256_set_m128i(_mm_srli_epi16::<4>(x), x);
    let codes = _mm256_and_si256(codes, _mm256_set1_epi8(15));
    // At most 2 * 15 * 15 * 4 + 2 * 15 * 128: sixteen bits hold it.
    let squares = _mm256_slli_epi16::<2>(_mm256_maddubs_epi16(codes, codes));
    let sums = _mm256_sub_epi16(squares, _mm256_maddubs_epi16(codes, q));
    _mm256_madd_epi16(sums, _mm256_set1_epi16(1))
}

/// The sum of each register's numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce([a, b, c, d]: [__m256i; 4]) -> __m128i {
    let all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all))
}
