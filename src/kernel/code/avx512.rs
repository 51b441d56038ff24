//! Code scans with VNNI: 64 unsigned by signed byte products an instruction.

use std::arch::x86_64::*;

use super::{CodeQuery, CodeRows, TILE};

/// Scores every row.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL and VNNI, and the lengths fit together as
/// `super::check` asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn score(query: CodeQuery<'_>, rows: CodeRows<'_>, out: &mut [f32]) {
    // SAFETY: the caller's promise is handed on.
    unsafe { score_many([query], rows, [out]) }
}

/// Scores every row for four queries.
///
/// # Safety
/// As for [`score`], for each query.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn score4(queries: [CodeQuery<'_>; 4], rows: CodeRows<'_>, out: [&mut [f32]; 4]) {
    // SAFETY: the caller's promise is handed on.
    unsafe { score_many(queries, rows, out) }
}

/// # Safety
/// As for [`score`], for each query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn score_many<const Q: usize>(
    queries: [CodeQuery<'_>; Q],
    rows: CodeRows<'_>,
    mut out: [&mut [f32]; Q],
) {
    let tiles = rows.bias.len() / TILE;
    let mut tile = 0;
    // Four tiles at a time: their sums hide each other's latency (and Q x 4 + 8 of the 32
    // registers are in use); the rest one by one.
    while tile + 4 <= tiles {
        // SAFETY: tiles `tile` to `tile + 3` exist.
        unsafe { score_tiles::<Q, 4>(&queries, rows, &mut out, tile) };
        tile += 4;
    }
    while tile < tiles {
        // SAFETY: tile `tile` exists.
        unsafe { score_tiles::<Q, 1>(&queries, rows, &mut out, tile) };
        tile += 1;
    }
}

/// # Safety
/// As for [`score`]; tiles `tile` to `tile + T - 1` exist.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn score_tiles<const Q: usize, const T: usize>(
    queries: &[CodeQuery<'_>; Q],
    rows: CodeRows<'_>,
    out: &mut [&mut [f32]; Q],
    tile: usize,
) {
    let codes = queries[0].codes.len();
    let stride = codes * TILE;
    // SAFETY: every address below lies in tiles `tile` to `tile + T - 1`, in the queries' codes or
    // in the rows' constants and scores, whose lengths the caller has checked.
    unsafe {
        let start = rows.tiles.as_ptr().add(tile * stride);
        // The shift is taken off before the first product: sums of integers wrap and come back.
        let mut sums: [[__m512i; T]; Q] =
            std::array::from_fn(|q| [_mm512_set1_epi32(queries[q].shift.wrapping_neg()); T]);
        for at in (0..codes).step_by(4) {
            let mut lines = [_mm512_setzero_si512(); T];
            for (t, line) in lines.iter_mut().enumerate() {
                *line = _mm512_loadu_si512(start.add(t * stride + at * TILE).cast());
            }
            for (query, sums) in queries.iter().zip(&mut sums) {
                let four = query.codes.as_ptr().add(at).cast::<i32>().read_unaligned();
                let four = _mm512_set1_epi32(four);
                for (sum, line) in sums.iter_mut().zip(lines) {
                    *sum = _mm512_dpbusd_epi32(*sum, line, four);
                }
            }
        }
        for ((query, sums), out) in queries.iter().zip(sums).zip(out) {
            for (t, sum) in sums.into_iter().enumerate() {
                let at = (tile + t) * TILE;
                let scale = _mm512_loadu_ps(rows.scale.as_ptr().add(at));
                let factor = _mm512_mul_ps(scale, _mm512_set1_ps(query.multiplier));
                let bias = _mm512_loadu_ps(rows.bias.as_ptr().add(at));
                let score = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(sum), bias);
                _mm512_storeu_ps(out.as_mut_ptr().add(at), score);
            }
        }
    }
}

/// Appends the positions of values below `threshold`.
///
/// # Safety
/// The processor has AVX-512 F.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn positions_below(values: &[f32], threshold: f32, out: &mut Vec<u32>) {
    let bound = _mm512_set1_ps(threshold);
    // Few values pass, so 64 at a time are passed over with one branch and the mask is walked bit
    // by bit; compressing stores are slow on some processors.
    let (blocks, rest) = values.as_chunks::<64>();
    for (step, block) in blocks.iter().enumerate() {
        let mut below = 0u64;
        for (quarter, sixteen) in block.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: the chunk has 16 values.
            let v = unsafe { _mm512_loadu_ps(sixteen.as_ptr()) };
            let mask = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(v, bound);
            below |= u64::from(mask) << (16 * quarter);
        }
        while below != 0 {
            out.push((step * 64) as u32 + below.trailing_zeros());
            below &= below - 1;
        }
    }
    let done = blocks.len() * 64;
    for (step, sixteen) in rest.chunks(16).enumerate() {
        let load = if sixteen.len() == 16 { !0 } else { (1u16 << sixteen.len()) - 1 };
        // SAFETY: the mask keeps the load inside the chunk.
        let v = unsafe { _mm512_maskz_loadu_ps(load, sixteen.as_ptr()) };
        let mut below = _mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(load, v, bound);
        while below != 0 {
            out.push((done + step * 16) as u32 + below.trailing_zeros());
            below &= below - 1;
        }
    }
}

/// The position of the smallest value.
///
/// # Safety
/// The processor has AVX-512 F.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn argmin(values: &[f32]) -> usize {
    let mut best = _mm512_set1_ps(f32::INFINITY);
    let mut at = _mm512_set1_epi32(i32::MAX);
    let mut positions = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for sixteen in values.chunks(16) {
        let load = if sixteen.len() == 16 { !0 } else { (1u16 << sixteen.len()) - 1 };
        // SAFETY: the mask keeps the load inside the chunk.
        let v = unsafe { _mm512_maskz_loadu_ps(load, sixteen.as_ptr()) };
        let better = _mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(load, v, best);
        best = _mm512_mask_mov_ps(best, better, v);
        at = _mm512_mask_mov_epi32(at, better, positions);
        positions = _mm512_add_epi32(positions, _mm512_set1_epi32(16));
    }
    let least = _mm512_reduce_min_ps(best);
    let equal = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(best, _mm512_set1_ps(least));
    let first = _mm512_mask_reduce_min_epi32(equal, at);
    if first == i32::MAX { 0 } else { first as usize }
}
