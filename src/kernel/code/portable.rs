//! The definition of the code scans.

use super::{CodeQuery, CodeRows, GROUP, TILE};

pub(super) fn score(query: CodeQuery<'_>, rows: CodeRows<'_>, out: &mut [f32]) {
    let bytes = query.codes.len() * TILE;
    for (tile, out) in out.chunks_exact_mut(TILE).enumerate() {
        let sums = products(query.codes, &rows.tiles[tile * bytes..][..bytes]);
        for (row, out) in out.iter_mut().enumerate() {
            let at = tile * TILE + row;
            let product = (sums[row] - query.shift) as f32;
            *out = (rows.scale[at] * query.multiplier).mul_add(product, rows.bias[at]);
        }
    }
}

pub(super) fn score4(queries: [CodeQuery<'_>; 4], rows: CodeRows<'_>, out: [&mut [f32]; 4]) {
    for (query, out) in queries.into_iter().zip(out) {
        score(query, rows, out);
    }
}

fn products(codes: &[i8], tile: &[u8]) -> [i32; TILE] {
    let mut sums = [0i32; TILE];
    for (four, line) in codes.chunks_exact(GROUP).zip(tile.chunks_exact(TILE * GROUP)) {
        for (sum, bytes) in sums.iter_mut().zip(line.chunks_exact(GROUP)) {
            for (code, byte) in four.iter().zip(bytes) {
                *sum += i32::from(*code) * i32::from(*byte);
            }
        }
    }
    sums
}

pub(super) fn positions_below(values: &[f32], threshold: f32, out: &mut Vec<u32>) {
    out.extend((0..values.len() as u32).filter(|&i| values[i as usize] < threshold));
}

pub(super) fn argmin(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value < values[best] {
            best = i;
        }
    }
    best
}
