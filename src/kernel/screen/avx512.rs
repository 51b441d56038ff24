//! The screen with VNNI: 64 products of bytes an instruction, sixteen sums in registers.

use std::arch::x86_64::*;

use super::{Limit, Screen, TOGETHER, Tiles, append, portable};
use crate::kernel::code::TILE;

/// Appends the rows that reach their bounds.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL and VNNI, and the lengths fit together as
/// `super::screen4_with` asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn screen4(
    screens: &[Screen<'_>; TOGETHER],
    tiles: &[u8],
    out: &mut [Vec<u32>; TOGETHER],
) {
    let n = screens[0].least.len();
    let whole = n / 4 * 4;
    // Four tiles at a time: 16 sums, 4 lines and a vector's bytes are in registers, and every line
    // and every four bytes serve four times.
    for tile in (0..whole).step_by(4) {
        // SAFETY: tiles `tile` to `tile + 3` exist.
        unsafe { screen_tiles::<4>(screens, tiles, tile, out) };
    }
    for tile in whole..n {
        // SAFETY: the tile exists.
        unsafe { screen_tiles::<1>(screens, tiles, tile, out) };
    }
}

/// # Safety
/// As for [`screen4`]; tiles `tile` to `tile + T - 1` exist.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn screen_tiles<const T: usize>(
    screens: &[Screen<'_>; TOGETHER],
    tiles: &[u8],
    tile: usize,
    out: &mut [Vec<u32>; TOGETHER],
) {
    let codes = screens[0].codes.len();
    let stride = codes * TILE;
    let mut sums = [[_mm512_setzero_si512(); T]; TOGETHER];
    // SAFETY: every address lies in tiles `tile` to `tile + T - 1` or in the vectors' codes, whose
    // lengths the caller has checked.
    unsafe {
        let start = tiles.as_ptr().add(tile * stride);
        let vectors: [*const i8; TOGETHER] = std::array::from_fn(|q| screens[q].codes.as_ptr());
        for at in (0..codes).step_by(4) {
            let mut lines = [_mm512_setzero_si512(); T];
            for (t, line) in lines.iter_mut().enumerate() {
                *line = _mm512_loadu_si512(start.add(t * stride + at * TILE).cast());
            }
            for (vector, sums) in vectors.iter().zip(&mut sums) {
                let four = _mm512_set1_epi32(vector.add(at).cast::<i32>().read_unaligned());
                for (sum, line) in sums.iter_mut().zip(lines) {
                    *sum = _mm512_dpbusd_epi32(*sum, line, four);
                }
            }
        }
    }
    for ((screen, sums), out) in screens.iter().zip(sums).zip(out) {
        let least = &screen.least[tile..][..T];
        let mut masks = [0u16; T];
        for ((mask, sum), &least) in masks.iter_mut().zip(sums).zip(least) {
            *mask = _mm512_cmpge_epi32_mask(sum, _mm512_set1_epi32(least));
        }
        if masks.iter().fold(0, |any, mask| any | mask) != 0 {
            for (t, &mask) in masks.iter().enumerate() {
                append(tile + t, u32::from(mask), out);
            }
        }
    }
}

/// The least product that passes in each tile.
///
/// # Safety
/// The processor has the instruction set.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn least(limit: Limit, tiles: Tiles<'_>, out: &mut [i32]) {
    portable::least(limit, tiles, out);
}
