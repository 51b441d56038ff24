//! Scans of 8-bit codes.
//!
//! Rows lie in *tiles* of 16: for each group of 4 dimensions, 64 bytes hold those 4 bytes of row 0,
//! then of row 1, up to row 15. A row's byte is its code plus 128, so that it is unsigned; the
//! query is signed: that is what the VNNI instruction multiplies. One 64-byte line thus gives 16
//! rows their next 4 products and no sum across lanes is ever needed. Integer sums are exact, so
//! every instruction set has the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::{Isa, steps};

/// Rows in a tile.
pub const TILE: usize = 16;
/// Dimensions in a group.
pub const GROUP: usize = 4;
/// The most dimensions a code may have: sums of 255 x 127 stay below 2^31.
pub const MAX_DIM: usize = 65_536;

/// A query in codes: `value = multiplier * code`.
#[derive(Debug, Clone, Copy)]
pub struct CodeQuery<'a> {
    /// Signed codes, a whole number of groups, zeros at the end.
    pub codes: &'a [i8],
    /// 128 times the sum of the codes: what the rows' shift by 128 adds to each product.
    pub shift: i32,
    /// What a unit of the integer product is worth, times the sign and factor of the metric.
    pub multiplier: f32,
}

/// Coded rows: whole tiles.
#[derive(Debug, Clone, Copy)]
pub struct CodeRows<'a> {
    /// Tiles of `16 * codes` bytes, `codes` being the query's length.
    pub tiles: &'a [u8],
    /// A constant a row; infinity for rows that only fill a tile.
    pub bias: &'a [f32],
    /// A factor a row.
    pub scale: &'a [f32],
}

impl CodeRows<'_> {
    /// How many rows there are before those at the end that only fill a tile.
    #[must_use]
    pub fn n_filled(&self) -> usize {
        let empty = self.bias.iter().rev().take_while(|b| **b == f32::INFINITY).count();
        self.bias.len() - empty
    }
}

/// Scores every row: `out[r] = bias[r] + scale[r] * multiplier * (row . query)`, the last step one
/// fused multiply-add.
///
/// # Panics
/// If the lengths do not fit together.
pub fn score(query: CodeQuery<'_>, rows: CodeRows<'_>, out: &mut [f32]) {
    steps::add(out.len());
    score_with(Isa::active(), query, rows, out);
}

/// [`score`] for four queries at once, each with the bits it would have alone: the rows are read
/// once.
///
/// # Panics
/// If the lengths do not fit together.
pub fn score4(queries: [CodeQuery<'_>; 4], rows: CodeRows<'_>, out: [&mut [f32]; 4]) {
    steps::add(4 * rows.bias.len());
    score4_with(Isa::active(), queries, rows, out);
}

/// Appends the positions of all values below `threshold`, ascending.
pub fn positions_below(values: &[f32], threshold: f32, out: &mut Vec<u32>) {
    positions_below_with(Isa::active(), values, threshold, out);
}

/// The position of the smallest value, the first of equals; 0 for none.
#[must_use]
pub fn argmin(values: &[f32]) -> usize {
    argmin_with(Isa::active(), values)
}

/// Asks the processor to fetch the first `bytes` bytes of a slice into its caches.
#[inline]
pub fn prefetch<T>(data: &[T], bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let bytes = bytes.min(std::mem::size_of_val(data));
        let start = data.as_ptr().cast::<i8>();
        for at in (0..bytes).step_by(64) {
            // SAFETY: a prefetch reads nothing architecturally, and the address lies in the slice.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, bytes);
}

fn score_with(isa: Isa, query: CodeQuery<'_>, rows: CodeRows<'_>, out: &mut [f32]) {
    check(query.codes.len(), rows, out.len());
    dispatch!(isa, score(query, rows, out));
}

fn score4_with(isa: Isa, queries: [CodeQuery<'_>; 4], rows: CodeRows<'_>, out: [&mut [f32]; 4]) {
    for (query, out) in queries.iter().zip(&out) {
        check(query.codes.len(), rows, out.len());
    }
    assert!(queries.iter().all(|q| q.codes.len() == queries[0].codes.len()), "queries differ");
    dispatch!(isa, score4(queries, rows, out));
}

fn positions_below_with(isa: Isa, values: &[f32], threshold: f32, out: &mut Vec<u32>) {
    dispatch!(isa, positions_below(values, threshold, out));
}

fn argmin_with(isa: Isa, values: &[f32]) -> usize {
    dispatch!(isa, argmin(values))
}

fn check(codes: usize, rows: CodeRows<'_>, out: usize) {
    assert!(codes.is_multiple_of(GROUP) && codes <= MAX_DIM, "{codes} codes in the query");
    assert!(out.is_multiple_of(TILE), "{out} scores are not whole tiles");
    assert_eq!(rows.tiles.len(), out * codes, "bytes of tiles");
    assert!(rows.bias.len() == out && rows.scale.len() == out, "constants of rows");
}

/// Puts the codes of the row at `position` into its tile.
///
/// # Panics
/// If `tiles` has no such row, or `codes` is not whole groups.
pub fn place(tiles: &mut [u8], position: usize, codes: &[i8]) {
    let tile = &mut tiles[position / TILE * TILE * codes.len()..][..TILE * codes.len()];
    for (group, four) in codes.chunks_exact(GROUP).enumerate() {
        let at = group * TILE * GROUP + position % TILE * GROUP;
        for (byte, &code) in tile[at..at + GROUP].iter_mut().zip(four) {
            *byte = (code as u8) ^ 0x80;
        }
    }
}

/// Reads the codes of the row at `position` back: what [`place`] put there.
///
/// # Panics
/// If `tiles` has no such row, or `codes` is not whole groups.
pub fn take(tiles: &[u8], position: usize, codes: &mut [i8]) {
    let tile = &tiles[position / TILE * TILE * codes.len()..][..TILE * codes.len()];
    for (group, four) in codes.chunks_exact_mut(GROUP).enumerate() {
        let at = group * TILE * GROUP + position % TILE * GROUP;
        for (code, &byte) in four.iter_mut().zip(&tile[at..at + GROUP]) {
            *code = (byte ^ 0x80) as i8;
        }
    }
}

/// Puts the bytes of the row at `position` into its tile as they are.
///
/// # Panics
/// As [`place`].
pub fn place_bytes(tiles: &mut [u8], position: usize, bytes: &[u8]) {
    let tile = &mut tiles[position / TILE * TILE * bytes.len()..][..TILE * bytes.len()];
    for (group, four) in bytes.chunks_exact(GROUP).enumerate() {
        let at = group * TILE * GROUP + position % TILE * GROUP;
        tile[at..at + GROUP].copy_from_slice(four);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    struct Case {
        queries: Vec<Vec<i8>>,
        rows: Vec<Vec<i8>>,
        tiles: Vec<u8>,
        bias: Vec<f32>,
        scale: Vec<f32>,
    }

    fn case(codes: usize, tiles: usize) -> Case {
        let mut r = Random::new(5, (codes * 100 + tiles) as u64);
        let mut code = |extreme: bool| match extreme {
            true => [-127, 127][r.below(2)],
            false => r.below(255) as i8,
        };
        // A row's byte may be anything in a damaged file; a query's codes are made here.
        let mut vectors = |n: usize, least: i8| -> Vec<Vec<i8>> {
            let mut value = |i: usize| code(i.is_multiple_of(3)).max(least);
            (0..n).map(|i| (0..codes).map(|_| value(i)).collect()).collect()
        };
        let (queries, mut rows) = (vectors(4, -127), vectors(tiles * TILE, -128));
        rows.iter_mut().take(3).for_each(|row| row.fill(-128));
        let mut packed = vec![0; tiles * TILE * codes];
        for (i, row) in rows.iter().enumerate() {
            place(&mut packed, i, row);
        }
        let mut numbers = |n: usize| (0..n).map(|_| r.normal() as f32).collect::<Vec<_>>();
        let (mut bias, scale) = (numbers(tiles * TILE), numbers(tiles * TILE));
        if let Some(last) = bias.last_mut() {
            *last = f32::INFINITY;
        }
        Case { queries, rows, tiles: packed, bias, scale }
    }

    fn query(codes: &[i8]) -> CodeQuery<'_> {
        let shift = 128 * codes.iter().map(|&c| i32::from(c)).sum::<i32>();
        CodeQuery { codes, shift, multiplier: -0.37 }
    }

    #[test]
    fn every_instruction_set_has_the_bits_of_the_definition() {
        for isa in Isa::available() {
            for codes in [4, 8, 12, 60, 64, 68, 128, 132] {
                for tiles in [0, 1, 2, 3, 4, 5, 8, 11] {
                    compare(
                        isa,
                        &case(codes, tiles),
                        &format!("{isa}, {codes} codes, {tiles} tiles"),
                    );
                }
            }
        }
    }

    fn compare(isa: Isa, c: &Case, what: &str) {
        let rows = CodeRows { tiles: &c.tiles, bias: &c.bias, scale: &c.scale };
        let mut four = vec![vec![0f32; c.bias.len()]; 4];
        let [p, q, r, s] = &mut four[..] else { unreachable!() };
        let queries = [0, 1, 2, 3].map(|i| query(&c.queries[i]));
        score4_with(isa, queries, rows, [p, q, r, s]);
        for (codes, scores4) in c.queries.iter().zip(&four) {
            let mut scores = vec![0f32; c.bias.len()];
            score_with(isa, query(codes), rows, &mut scores);
            for (i, row) in c.rows.iter().enumerate() {
                let mut read = vec![0; row.len()];
                take(&c.tiles, i, &mut read);
                assert_eq!(read, *row);
                let product: i32 =
                    row.iter().zip(codes).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
                let expected = (c.scale[i] * -0.37).mul_add(product as f32, c.bias[i]);
                assert_eq!(scores[i].to_bits(), expected.to_bits(), "{what}, row {i}");
                assert_eq!(scores4[i].to_bits(), expected.to_bits(), "{what}, row {i} of four");
            }
        }
    }

    #[test]
    fn selection_and_argmin_agree_with_plain_loops() {
        let mut r = Random::new(6, 0);
        for n in [0usize, 1, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100] {
            let mut values: Vec<f32> = (0..n).map(|_| (r.below(9) as f32) - 4.0).collect();
            if n > 5 {
                values[n / 2] = f32::INFINITY;
                values[n / 3] = f32::NAN;
            }
            let below: Vec<u32> = (0..n as u32).filter(|&i| values[i as usize] < 0.5).collect();
            let finite: Vec<f32> =
                values.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
            let first = (0..n).min_by(|&a, &b| finite[a].total_cmp(&finite[b])).unwrap_or(0);
            for isa in Isa::available() {
                let mut out = vec![];
                positions_below_with(isa, &values, 0.5, &mut out);
                assert_eq!(out, below, "{isa} {n}");
                assert_eq!(argmin_with(isa, &finite), first, "{isa} {n}");
            }
        }
    }
}
