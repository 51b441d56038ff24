//! The definition of the float sums.

use super::{DOT, L1, Row, SQUARED_L2, element};
use crate::kernel::sum_in_halves;

const LANES: usize = 32;

pub(super) fn sums<const N: usize, const OP: u8, const E: u8>(
    a: [&[f32]; N],
    row: Row<'_>,
    factor: f32,
) -> [f32; N] {
    a.map(|a| sum::<OP, E>(a, row, factor))
}

fn sum<const OP: u8, const E: u8>(a: &[f32], row: Row<'_>, factor: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    for (block, a) in a.chunks(LANES).enumerate() {
        for (j, (lane, &x)) in lanes.iter_mut().zip(a).enumerate() {
            *lane = step::<OP>(x, element::<E>(row, block * LANES + j), *lane, factor);
        }
    }
    sum_in_halves(lanes)
}

#[inline(always)]
fn step<const OP: u8>(x: f32, y: f32, lane: f32, factor: f32) -> f32 {
    match OP {
        DOT => x.mul_add(y, lane),
        SQUARED_L2 => (x - y).mul_add(x - y, lane),
        L1 => lane + (x - y).abs(),
        _ => {
            let d = x - y * factor;
            d.mul_add(d, lane)
        }
    }
}
