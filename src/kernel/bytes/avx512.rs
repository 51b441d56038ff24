//! Byte scans, 16 rows a register, four bytes of a row summed by one VNNI instruction.

use std::arch::x86_64::*;

use super::{CodeRows, TILE};

/// Scores every row.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL and VNNI, and the lengths fit together as
/// `super::score_with` asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn score<const BITS: bool>(
    query: &[u8],
    scale: f32,
    rows: CodeRows<'_>,
    out: &mut [f32],
) {
    let tiles = out.len() / TILE;
    let mut tile = 0;
    // Four tiles at a time: their sums hide each other's latency; the rest one by one.
    while tile + 4 <= tiles {
        // SAFETY: tiles `tile` to `tile + 3` exist.
        unsafe { score_tiles::<BITS, 4>(query, scale, rows, out, tile) };
        tile += 4;
    }
    while tile < tiles {
        // SAFETY: tile `tile` exists.
        unsafe { score_tiles::<BITS, 1>(query, scale, rows, out, tile) };
        tile += 1;
    }
}

/// # Safety
/// As for [`score`]; tiles `tile` to `tile + T - 1` exist.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn score_tiles<const BITS: bool, const T: usize>(
    query: &[u8],
    scale: f32,
    rows: CodeRows<'_>,
    out: &mut [f32],
    tile: usize,
) {
    let stride = query.len() * TILE;
    // SAFETY: every address lies in tiles `tile` to `tile + T - 1`, in the query, or in the rows'
    // constants and scores, whose lengths the caller has checked.
    unsafe {
        let start = rows.tiles.as_ptr().add(tile * stride);
        let mut sums = [_mm512_setzero_si512(); T];
        for at in (0..query.len()).step_by(4) {
            let four = query.as_ptr().add(at).cast::<i32>().read_unaligned();
            let four = _mm512_set1_epi32(four);
            for (t, sum) in sums.iter_mut().enumerate() {
                let line = _mm512_loadu_si512(start.add(t * stride + at * TILE).cast());
                let bytes = differences::<BITS>(line, four);
                *sum = _mm512_dpbusd_epi32(*sum, bytes, _mm512_set1_epi8(1));
            }
        }
        for (t, sum) in sums.into_iter().enumerate() {
            let at = (tile + t) * TILE;
            let bias = _mm512_loadu_ps(rows.bias.as_ptr().add(at));
            let score = _mm512_fmadd_ps(_mm512_set1_ps(scale), _mm512_cvtepi32_ps(sum), bias);
            _mm512_storeu_ps(out.as_mut_ptr().add(at), score);
        }
    }
}

/// For each byte |a - b|, or the number of bits that differ.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn differences<const BITS: bool>(a: __m512i, b: __m512i) -> __m512i {
    if !BITS {
        return _mm512_or_si512(_mm512_subs_epu8(a, b), _mm512_subs_epu8(b, a));
    }
    let x = _mm512_xor_si512(a, b);
    let counts = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    let counts = _mm512_broadcast_i32x4(counts);
    let low = _mm512_set1_epi8(0x0f);
    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(x), low);
    let low = _mm512_shuffle_epi8(counts, _mm512_and_si512(x, low));
    _mm512_add_epi8(low, _mm512_shuffle_epi8(counts, high))
}

/// How many bits differ.
///
/// # Safety
/// The processor has AVX-512 F, BW and VNNI, and both slices have the same length.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn hamming(a: &[u8], b: &[u8]) -> u32 {
    let mut sum = _mm512_setzero_si512();
    for at in (0..a.len()).step_by(64) {
        let mask = if a.len() - at >= 64 { !0 } else { (1u64 << (a.len() - at)) - 1 };
        // SAFETY: the mask keeps the loads below the length of both slices.
        let (x, y) = unsafe {
            (
                _mm512_maskz_loadu_epi8(mask, a.as_ptr().add(at).cast()),
                _mm512_maskz_loadu_epi8(mask, b.as_ptr().add(at).cast()),
            )
        };
        sum = _mm512_dpbusd_epi32(sum, differences::<true>(x, y), _mm512_set1_epi8(1));
    }
    _mm512_reduce_add_epi32(sum) as u32
}

/// How many bits of each row differ from the query's.
///
/// # Safety
/// As for [`hamming`]; the query is not empty.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn hammings(query: &[u8], rows: &[u8], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        // SAFETY: the row is as long as the query; the processor is the caller's promise.
        *out = unsafe { hamming(query, row) } as f32;
    }
}
