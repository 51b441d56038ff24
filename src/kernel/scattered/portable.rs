//! The definition of the distances.

use super::{BITS, ByteRows, DIFFERENCES, HALVES, SQUARES, distance};

pub(super) fn distances<const M: u8>(
    query: &[u8],
    rows: ByteRows<'_>,
    ids: &[u32],
    out: &mut [f32],
) {
    for (&id, out) in ids.iter().zip(out) {
        let row = rows.row(id);
        let pairs = query.iter().zip(row);
        let sum = match M {
            HALVES => {
                let high = query[rows.width..].iter().zip(row);
                pairs.map(|(&q, &x)| half(q, x & 15)).sum::<i32>()
                    + high.map(|(&q, &x)| half(q, x >> 4)).sum::<i32>()
            }
            _ => pairs.fold(0i32, |sum, (&q, &x)| sum.wrapping_add(one::<M>(q, x))),
        };
        *out = distance::<M>(sum);
    }
}

#[inline(always)]
fn one<const M: u8>(q: u8, x: u8) -> i32 {
    let difference = i32::from(q.abs_diff(x));
    match M {
        SQUARES => difference * difference,
        DIFFERENCES => difference,
        BITS => (q ^ x).count_ones() as i32,
        _ => i32::from(q as i8) * (i32::from(x) - 128),
    }
}

#[inline(always)]
fn half(q: u8, code: u8) -> i32 {
    let code = i32::from(code);
    code * (4 * code - i32::from(q as i8))
}
