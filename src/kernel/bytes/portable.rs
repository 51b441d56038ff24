//! The definition of the byte scans.

use super::{CodeRows, GROUP, TILE};

pub(super) fn score<const BITS: bool>(
    query: &[u8],
    scale: f32,
    rows: CodeRows<'_>,
    out: &mut [f32],
) {
    let bytes = query.len() * TILE;
    for (tile, out) in out.chunks_exact_mut(TILE).enumerate() {
        let sums = differences::<BITS>(query, &rows.tiles[tile * bytes..][..bytes]);
        for (row, out) in out.iter_mut().enumerate() {
            *out = scale.mul_add(sums[row] as f32, rows.bias[tile * TILE + row]);
        }
    }
}

fn differences<const BITS: bool>(query: &[u8], tile: &[u8]) -> [u32; TILE] {
    let mut sums = [0u32; TILE];
    for (four, line) in query.chunks_exact(GROUP).zip(tile.chunks_exact(TILE * GROUP)) {
        for (sum, bytes) in sums.iter_mut().zip(line.chunks_exact(GROUP)) {
            for (&a, &b) in four.iter().zip(bytes) {
                *sum += if BITS { (a ^ b).count_ones() } else { u32::from(a.abs_diff(b)) };
            }
        }
    }
    sums
}

pub(super) fn hamming(a: &[u8], b: &[u8]) -> u32 {
    let (words_a, rest_a) = a.as_chunks::<8>();
    let (words_b, rest_b) = b.as_chunks::<8>();
    let words = words_a.iter().zip(words_b);
    let words = words.map(|(a, b)| (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)).count_ones());
    let rest = rest_a.iter().zip(rest_b).map(|(a, b)| (a ^ b).count_ones());
    words.sum::<u32>() + rest.sum::<u32>()
}

pub(super) fn hammings(query: &[u8], rows: &[u8], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = hamming(query, row) as f32;
    }
}
