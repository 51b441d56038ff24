//! The definition of the screen.

use super::{BEYOND, Limit, Screen, TOGETHER, Tiles, append};
use crate::kernel::code::{GROUP, TILE};

pub(super) fn screen4(
    screens: &[Screen<'_>; TOGETHER],
    tiles: &[u8],
    out: &mut [Vec<u32>; TOGETHER],
) {
    for (screen, out) in screens.iter().zip(out) {
        let width = screen.codes.len() * TILE;
        for (tile, &least) in screen.least.iter().enumerate() {
            let sums = products(screen.codes, &tiles[tile * width..][..width]);
            let bits = sums.iter().enumerate().map(|(i, &sum)| u32::from(sum >= least) << i);
            append(tile, bits.sum(), out);
        }
    }
}

/// Of a tile's sixteen rows with a vector.
fn products(codes: &[i8], tile: &[u8]) -> [i32; TILE] {
    let mut sums = [0i32; TILE];
    for (four, line) in codes.chunks_exact(GROUP).zip(tile.chunks_exact(GROUP * TILE)) {
        for (sum, bytes) in sums.iter_mut().zip(line.chunks_exact(GROUP)) {
            let pairs = four.iter().zip(bytes);
            *sum += pairs.map(|(&a, &x)| i32::from(a) * i32::from(x)).sum::<i32>();
        }
    }
    sums
}

/// One loop for every instruction set: compilers turn it into theirs.
#[inline(always)]
pub(super) fn least(limit: Limit, tiles: Tiles<'_>, out: &mut [i32]) {
    let Limit { at, far, near, shift } = limit;
    let constants = tiles.inverse.iter().zip(tiles.length).zip(tiles.error);
    for (out, ((&inverse, &length), &error)) in out.iter_mut().zip(constants) {
        let wanted = at.mul_add(inverse, -far.mul_add(length, near * error));
        // Written so that what is not a number lets all pass.
        let wanted = if wanted > -BEYOND { wanted } else { -BEYOND };
        let wanted = if wanted < BEYOND { wanted } else { BEYOND };
        // SAFETY: the value is finite and at most 2^30 in size.
        *out = unsafe { wanted.to_int_unchecked::<i32>() } + shift;
    }
}
