//! The screen with 16-bit multiply-adds, as in `code`: the 8-bit ones of AVX2 saturate.

use std::arch::x86_64::*;

use super::{Limit, Screen, TOGETHER, Tiles, append, portable};
use crate::kernel::code::TILE;

/// Appends the rows that reach their bounds, for two vectors at a time: sixteen registers hold no
/// more.
///
/// # Safety
/// The processor has AVX2, and the lengths fit together as `super::screen4_with` asserts.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn screen4(
    screens: &[Screen<'_>; TOGETHER],
    tiles: &[u8],
    out: &mut [Vec<u32>; TOGETHER],
) {
    let (screens, _) = screens.as_chunks::<2>();
    let (out, _) = out.as_chunks_mut::<2>();
    for tile in 0..screens[0][0].least.len() {
        for (screens, out) in screens.iter().zip(&mut *out) {
            // SAFETY: the tile exists.
            unsafe { screen_tile(screens, tiles, tile, out) };
        }
    }
}

/// # Safety
/// As for [`screen4`]; the tile exists.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn screen_tile(
    screens: &[Screen<'_>; 2],
    tiles: &[u8],
    tile: usize,
    out: &mut [Vec<u32>; 2],
) {
    let codes = screens[0].codes.len();
    // Each register sums 4 rows, two partial sums a row.
    let mut sums = [[_mm256_setzero_si256(); 4]; 2];
    // SAFETY: every address lies in the tile or in the vectors' codes, whose lengths the caller has
    // checked.
    unsafe {
        let start = tiles.as_ptr().add(tile * codes * TILE);
        for at in (0..codes).step_by(4) {
            let mut lines = [_mm256_setzero_si256(); 4];
            for (quarter, line) in lines.iter_mut().enumerate() {
                let bytes = _mm_loadu_si128(start.add(at * TILE + quarter * 16).cast());
                *line = _mm256_cvtepu8_epi16(bytes);
            }
            for (screen, sums) in screens.iter().zip(&mut sums) {
                let four = screen.codes.as_ptr().add(at).cast::<i32>().read_unaligned();
                let four = _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(four)));
                for (sum, line) in sums.iter_mut().zip(lines) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(line, four));
                }
            }
        }
    }
    for ((screen, sums), out) in screens.iter().zip(sums).zip(out) {
        let least = _mm256_set1_epi32(screen.least[tile]);
        let mut mask = 0;
        for half in 0..2 {
            let pairs = _mm256_hadd_epi32(sums[2 * half], sums[2 * half + 1]);
            let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
            let below = _mm256_cmpgt_epi32(least, sum);
            let below = _mm256_movemask_ps(_mm256_castsi256_ps(below)) as u32;
            mask |= (!below & 0xff) << (8 * half);
        }
        append(tile, mask, out);
    }
}

/// The least product that passes in each tile.
///
/// # Safety
/// The processor has the instruction set.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn least(limit: Limit, tiles: Tiles<'_>, out: &mut [i32]) {
    portable::least(limit, tiles, out);
}
