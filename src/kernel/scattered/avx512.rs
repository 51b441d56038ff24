//! Four rows side by side, 64 bytes of each at a time.

use std::arch::x86_64::*;

use super::{BITS, ByteRows, DIFFERENCES, HALVES, PRODUCTS, SQUARES, four_from};

/// The distances of the rows named.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL and VNNI; the query is as wide as a row, every row named
/// exists, and there are as many outputs, as `super::distances_with` asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn distances<const M: u8>(
    query: &[u8],
    rows: ByteRows<'_>,
    ids: &[u32],
    out: &mut [f32],
) {
    let (start, width) = (rows.bytes.as_ptr(), rows.width);
    // The sum of -128 q that products have beside those with x.
    // SAFETY: within the query.
    let shift = if M == PRODUCTS { unsafe { sum_of(query) } } else { 0 };
    for at in (0..ids.len()).step_by(4) {
        let named = four_from(ids, at);
        // SAFETY: the rows exist, and the query is as wide as they are.
        let sums = unsafe { four::<M>(query, start, width, named) };
        let sums = match M {
            PRODUCTS => {
                let sums = _mm_sub_epi32(_mm_set1_epi32(shift.wrapping_mul(128)), sums);
                _mm_cvtepi32_ps(sums)
            }
            HALVES => _mm_cvtepi32_ps(sums),
            _ => _mm512_castps512_ps128(_mm512_cvtepu32_ps(_mm512_zextsi128_si512(sums))),
        };
        let n = (ids.len() - at).min(4);
        // SAFETY: the mask keeps the store within the outputs.
        unsafe { _mm_mask_storeu_ps(out.as_mut_ptr().add(at), (1 << n) - 1, sums) };
    }
}

/// The sum of signed bytes.
///
/// # Safety
/// The processor has AVX-512 BW, VL and VNNI; the length is a multiple of 16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn sum_of(query: &[u8]) -> i32 {
    let mut sum = _mm512_setzero_si512();
    for at in (0..query.len()).step_by(64) {
        // SAFETY: the mask keeps the load within the query.
        let q = unsafe {
            _mm512_maskz_loadu_epi8(mask(query.len() - at), query.as_ptr().add(at).cast())
        };
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), q);
    }
    _mm512_reduce_add_epi32(sum)
}

#[inline(always)]
fn mask(left: usize) -> __mmask64 {
    if left >= 64 { !0 } else { (1 << left) - 1 }
}

/// # Safety
/// As for [`distances`]; the four rows exist.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn four<const M: u8>(
    query: &[u8],
    start: *const u8,
    width: usize,
    named: [u32; 4],
) -> __m128i {
    // SAFETY: every address lies in the query, which is as wide as a row or (of halves) two, or in one of
    // the rows; masks keep the last ones there.
    unsafe {
        let mut rows = [start; 4];
        for (row, id) in rows.iter_mut().zip(named) {
            *row = start.add(id as usize * width);
        }
        if M == HALVES {
            return four_in_halves(query.as_ptr(), rows, width);
        }
        let mut sums = [_mm512_setzero_si512(); 4];
        if M == SQUARES {
            for at in (0..width).step_by(32) {
                let mask = if width - at >= 32 { !0 } else { 0xffff };
                let q = _mm256_maskz_loadu_epi8(mask, query.as_ptr().add(at).cast());
                let q = _mm512_cvtepu8_epi16(q);
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let x = _mm256_maskz_loadu_epi8(mask, row.add(at).cast());
                    let d = _mm512_sub_epi16(_mm512_cvtepu8_epi16(x), q);
                    *sum = _mm512_dpwssd_epi32(*sum, d, d);
                }
            }
        } else {
            for at in (0..width).step_by(64) {
                let mask = mask(width - at);
                let q = _mm512_maskz_loadu_epi8(mask, query.as_ptr().add(at).cast());
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let x = _mm512_maskz_loadu_epi8(mask, row.add(at).cast());
                    *sum = match M {
                        DIFFERENCES => _mm512_add_epi32(*sum, _mm512_sad_epu8(x, q)),
                        BITS => {
                            let bits = ones(_mm512_xor_si512(x, q));
                            _mm512_dpbusd_epi32(*sum, bits, _mm512_set1_epi8(1))
                        }
                        _ => _mm512_dpbusd_epi32(*sum, x, q),
                    };
                }
            }
        }
        reduce(sums)
    }
}

/// Four times the sum of squares of a row's halves, less its products with the query.
///
/// # Safety
/// As for [`distances`]; each row has `width` bytes, and the query two for each of them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn four_in_halves(query: *const u8, rows: [*const u8; 4], width: usize) -> __m128i {
    let mut squares = [_mm512_setzero_si512(); 4];
    let (mut products, low) = (squares, _mm512_set1_epi8(15));
    for at in (0..width).step_by(64) {
        let mask = mask(width - at);
        // SAFETY: the masks keep the loads within the query, of which the second half goes with the
        // bytes' high bits, and within the rows.
        unsafe {
            let q = _mm512_maskz_loadu_epi8(mask, query.add(at).cast());
            let q_high = _mm512_maskz_loadu_epi8(mask, query.add(width + at).cast());
            for ((sum, product), row) in squares.iter_mut().zip(&mut products).zip(rows) {
                let x = _mm512_maskz_loadu_epi8(mask, row.add(at).cast());
                let a = _mm512_and_si512(x, low);
                let b = _mm512_and_si512(_mm512_srli_epi16::<4>(x), low);
                *sum = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(*sum, a, a), b, b);
                *product = _mm512_dpbusd_epi32(*product, a, q);
                *product = _mm512_dpbusd_epi32(*product, b, q_high);
            }
        }
    }
    for (sum, product) in squares.iter_mut().zip(products) {
        *sum = _mm512_sub_epi32(_mm512_slli_epi32::<2>(*sum), product);
    }
    reduce(squares)
}

/// The number of ones in each byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn ones(x: __m512i) -> __m512i {
    let counts = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    let (counts, low) = (_mm512_broadcast_i32x4(counts), _mm512_set1_epi8(0x0f));
    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(x), low);
    let low = _mm512_shuffle_epi8(counts, _mm512_and_si512(x, low));
    _mm512_add_epi8(low, _mm512_shuffle_epi8(counts, high))
}

/// The sum of each register's numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn reduce([a, b, c, d]: [__m512i; 4]) -> __m128i {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
}
