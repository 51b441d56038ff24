//! The definition of the look-up sums, and the codebook loops that every instruction set compiles.

use super::{ENTRIES, LINE_BYTES, ProductQuery, ProductRows, TILE};

pub(super) fn scan(query: ProductQuery<'_>, rows: ProductRows<'_>, _: &[u8], out: &mut [f32]) {
    let lines = query.tables.len() / (2 * LINE_BYTES);
    let tiles = rows.tiles.chunks_exact((lines + 1) * LINE_BYTES);
    for ((tile, bias), out) in
        tiles.zip(rows.bias.as_chunks::<TILE>().0).zip(out.as_chunks_mut::<TILE>().0)
    {
        let (codes, constants) = tile.split_at(lines * LINE_BYTES);
        let mut sums = [0u32; TILE];
        for (quarter, codes) in codes.as_chunks::<TILE>().0.iter().enumerate() {
            let even = quarter / 4 * 2 * LINE_BYTES + quarter % 4 * ENTRIES;
            let (even, odd) = (&query.tables[even..], &query.tables[even + LINE_BYTES..]);
            for (sum, &code) in sums.iter_mut().zip(codes) {
                *sum += u32::from(even[usize::from(code & 15)]);
                *sum += u32::from(odd[usize::from(code >> 4)]);
            }
        }
        for row in 0..TILE {
            let constant = |at: usize| {
                f32::from_bits(
                    u32::from(u16::from_le_bytes([constants[at], constants[at + 1]])) << 16,
                )
            };
            let value = query.step.mul_add(sums[row] as f32, query.least);
            let start = bias[row] + query.base - constant(2 * row);
            out[row] = constant(2 * TILE + 2 * row).mul_add(value, start);
        }
    }
}

pub(super) fn entries(values: &[f32], books: &[f32], half: &[f32], out: &mut [f32]) {
    worth(values, books, half, |part, worth| {
        out[part * ENTRIES..][..ENTRIES].copy_from_slice(&worth);
    });
}

pub(super) fn encode(values: &[f32], books: &[f32], half: &[f32], codes: &mut [u8]) {
    worth(values, books, half, |part, worth| codes[part] = argmin(worth));
}

/// Multiplied and then added, never fused: what a processor without the fused instruction does
/// quickly too.
#[inline(always)]
pub(super) fn worth(
    values: &[f32],
    books: &[f32],
    half: &[f32],
    mut then: impl FnMut(usize, [f32; ENTRIES]),
) {
    let half = half.as_chunks::<ENTRIES>().0;
    let width = books.len() / ENTRIES / half.len().max(1);
    let books = books.as_chunks::<ENTRIES>().0;
    for (part, half) in half.iter().enumerate() {
        let mut worth = *half;
        let first = part * width;
        let last = values.len().min(first + width);
        for (value, entries) in values.get(first..last).unwrap_or(&[]).iter().zip(&books[first..]) {
            for (worth, entry) in worth.iter_mut().zip(entries) {
                *worth -= value * entry;
            }
        }
        then(part, worth);
    }
}

#[inline(always)]
pub(super) fn argmin(values: [f32; ENTRIES]) -> u8 {
    let mut least = values;
    for width in [8, 4, 2, 1] {
        for z in 0..width {
            least[z] = if least[z + width] < least[z] { least[z + width] } else { least[z] };
        }
    }
    let mut mask = 0u32;
    for (z, value) in values.iter().enumerate() {
        mask |= u32::from(*value == least[0]) << z;
    }
    (mask.trailing_zeros() & 15) as u8
}
