//! Scans of 4-bit product codes.
//!
//! A coded row is one of sixteen entries of a codebook for each *part* of its dimensions; a query
//! becomes a table of what every entry is worth to it, sixteen bytes a part, and a row's score is a
//! sum of look-ups (Jégou, Douze, Schmid 2011; in registers: André, Kermarrec, Le Scouarnec 2015).
//! One byte shuffle looks up sixteen rows.
//!
//! Rows lie in *tiles* of 16. A tile has a line of 64 bytes for each eight parts: four times sixteen
//! bytes, byte r of quarter q holding for row r the code of part 2 q in its low half and of part
//! 2 q + 1 in its high half; and after them one line with two constants a row in bfloat16, sixteen
//! offsets, then sixteen scales. Table bytes are summed as integers, so every instruction set has
//! the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::code::TILE;
use super::{Isa, steps};

/// Entries of a part's codebook.
pub const ENTRIES: usize = 16;
/// Parts that share a line.
pub const LINE: usize = 8;
/// Bytes of a line.
const LINE_BYTES: usize = 64;
/// Lines whose table bytes can be summed in 16 bits: 32 x 8 x 255 is below 2^16.
const WIDEN: usize = 32;

/// What a query makes of every codebook entry.
#[derive(Debug, Clone, Copy)]
pub struct ProductQuery<'a> {
    /// 128 bytes a line: sixteen for each even part, then sixteen for each odd one.
    pub tables: &'a [u8],
    /// What a unit of the sum of table bytes is worth.
    pub step: f32,
    /// What a sum of zero is worth.
    pub least: f32,
    /// Added to every score: what rows have in common.
    pub base: f32,
}

/// Rows in product codes: whole tiles.
#[derive(Debug, Clone, Copy)]
pub struct ProductRows<'a> {
    /// [`tile_bytes`] a tile.
    pub tiles: &'a [u8],
    /// A constant a row; infinity for rows that only fill a tile.
    pub bias: &'a [f32],
}

/// Bytes of a tile of `parts` parts, a whole number of lines.
#[must_use]
pub fn tile_bytes(parts: usize) -> usize {
    parts / LINE * LINE_BYTES + LINE_BYTES
}

/// Scores every row: `out[r] = scale[r] * (step * sum + least) + (bias[r] + base - offset[r])`, each
/// product and its sum one fused multiply-add. Meanwhile asks for `next`, which the caller will
/// read soon, to be fetched into the caches.
///
/// # Panics
/// If the lengths do not fit together.
pub fn scan(query: ProductQuery<'_>, rows: ProductRows<'_>, next: &[u8], out: &mut [f32]) {
    steps::add(out.len());
    scan_with(Isa::active(), query, rows, next, out);
}

fn scan_with(
    isa: Isa,
    query: ProductQuery<'_>,
    rows: ProductRows<'_>,
    next: &[u8],
    out: &mut [f32],
) {
    let lines = query.tables.len() / (2 * LINE_BYTES);
    assert_eq!(query.tables.len(), lines * 2 * LINE_BYTES, "bytes of tables");
    assert!(out.len().is_multiple_of(TILE), "{} scores are not whole tiles", out.len());
    assert_eq!(rows.tiles.len(), out.len() / TILE * tile_bytes(lines * LINE), "bytes of tiles");
    assert_eq!(rows.bias.len(), out.len(), "constants of rows");
    dispatch!(isa, scan(query, rows, next, out));
}

/// What each entry of each part's codebook is worth against `values`: `half[z] - values . entry[z]`
/// with the products added in order, into sixteen values a part. `books` holds for each part its
/// dimensions one after the other, sixteen entries each; a part without values left counts zeros.
///
/// # Panics
/// If the lengths do not fit together.
pub fn entries(values: &[f32], books: &[f32], half: &[f32], out: &mut [f32]) {
    check_books(values, books, half, out.len());
    dispatch!(Isa::active(), entries(values, books, half, out));
}

/// The nearest entry of each part, the first of equals: the smallest of [`entries`], where `half`
/// is half of each entry's square.
///
/// # Panics
/// If the lengths do not fit together.
pub fn encode(values: &[f32], books: &[f32], half: &[f32], codes: &mut [u8]) {
    check_books(values, books, half, codes.len() * ENTRIES);
    dispatch!(Isa::active(), encode(values, books, half, codes));
}

fn check_books(values: &[f32], books: &[f32], half: &[f32], entries: usize) {
    assert!(entries.is_multiple_of(ENTRIES) && half.len() == entries, "entries of codebooks");
    assert!(books.len().is_multiple_of(entries.max(1)), "values of codebooks");
    assert!(values.len() * ENTRIES <= books.len(), "{} values are more than parts", values.len());
}

/// Where the code of a part stands in a tile for a row of it, and whether in the high half.
#[must_use]
pub fn place(part: usize, row: usize) -> (usize, bool) {
    (part / LINE * LINE_BYTES + part % LINE / 2 * TILE + row, part % 2 == 1)
}

/// Where the table of a part begins.
#[must_use]
pub fn table_at(part: usize) -> usize {
    part / LINE * 2 * LINE_BYTES + part % 2 * LINE_BYTES + part % LINE / 2 * ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use half::bf16;

    struct Case {
        tables: Vec<u8>,
        tiles: Vec<u8>,
        bias: Vec<f32>,
        expected: Vec<f32>,
    }

    const STEP: f32 = 0.013;
    const LEAST: f32 = -7.3;
    const BASE: f32 = 2.9;

    fn case(parts: usize, n_tiles: usize) -> Case {
        let mut r = Random::new(15, (parts * 100 + n_tiles) as u64);
        // Every third table is at its largest throughout, so that sums overflow where they can.
        let mut tables = vec![0u8; parts * ENTRIES];
        for part in 0..parts {
            for entry in 0..ENTRIES {
                tables[table_at(part) + entry] =
                    if part % 3 == 0 { 255 } else { r.below(256) as u8 };
            }
        }
        let bytes = tile_bytes(parts);
        let mut tiles = vec![0u8; n_tiles * bytes];
        let (mut bias, mut expected) = (Vec::new(), Vec::new());
        for row in 0..n_tiles * TILE {
            let tile = &mut tiles[row / TILE * bytes..][..bytes];
            let mut sum = 0u32;
            for part in 0..parts {
                let code = r.below(16) as u8;
                let (at, high) = place(part, row % TILE);
                tile[at] |= code << (4 * u8::from(high));
                sum += u32::from(tables[table_at(part) + usize::from(code)]);
            }
            let (offset, scale) =
                (bf16::from_f64(r.normal() * 4.0), bf16::from_f64(r.normal() * 2.0));
            let constants = bytes - LINE_BYTES + row % TILE * 2;
            tile[constants..constants + 2].copy_from_slice(&offset.to_le_bytes());
            tile[constants + 32..constants + 34].copy_from_slice(&scale.to_le_bytes());
            let own = if row % 11 == 10 { f32::INFINITY } else { r.normal() as f32 };
            let value = STEP.mul_add(sum as f32, LEAST);
            bias.push(own);
            expected.push(scale.to_f32().mul_add(value, own + BASE - offset.to_f32()));
        }
        Case { tables, tiles, bias, expected }
    }

    #[test]
    fn every_instruction_set_has_the_bits_of_the_definition() {
        for parts in [8, 16, 64, 96, 256, 264, 520] {
            for n_tiles in [0, 1, 2, 3, 4, 5, 9] {
                let c = case(parts, n_tiles);
                let query =
                    ProductQuery { tables: &c.tables, step: STEP, least: LEAST, base: BASE };
                let rows = ProductRows { tiles: &c.tiles, bias: &c.bias };
                for isa in Isa::available() {
                    let mut out = vec![0f32; n_tiles * TILE];
                    scan_with(isa, query, rows, &c.tiles, &mut out);
                    for (row, (got, expected)) in out.iter().zip(&c.expected).enumerate() {
                        let what = format!("{isa}, {parts} parts, row {row}");
                        assert_eq!(got.to_bits(), expected.to_bits(), "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_encodes_alike() {
        for (parts, width, dim) in [(8, 2, 15), (8, 1, 8), (24, 4, 93), (16, 3, 41)] {
            let mut r = Random::new(16, parts as u64);
            let mut numbers =
                |n: usize| -> Vec<f32> { (0..n).map(|_| r.below(7) as f32 - 3.0).collect() };
            let (values, books) = (numbers(dim), numbers(parts * width * ENTRIES));
            let half: Vec<f32> = (0..parts * ENTRIES)
                .map(|at| {
                    let entry = |w| books[(at / ENTRIES * width + w) * ENTRIES + at % ENTRIES];
                    (0..width).map(|w| entry(w) * entry(w)).sum::<f32>() / 2.0
                })
                .collect();
            for isa in Isa::available() {
                let (mut worth, mut codes) = (vec![0f32; half.len()], vec![0u8; parts]);
                dispatch!(isa, entries(&values, &books, &half, &mut worth));
                dispatch!(isa, encode(&values, &books, &half, &mut codes));
                for part in 0..parts {
                    let distance = |z: usize| -> f32 {
                        let x = |w| values.get(part * width + w).copied().unwrap_or(0.0);
                        let y = |w| books[(part * width + w) * ENTRIES + z];
                        (0..width).map(|w| (x(w) - y(w)) * (x(w) - y(w))).sum()
                    };
                    let nearest = (0..ENTRIES).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
                    assert_eq!(Some(usize::from(codes[part])), nearest, "{isa}, part {part}");
                    let z = usize::from(codes[part]);
                    let own: f32 = (0..width)
                        .map(|w| values.get(part * width + w).copied().unwrap_or(0.0).powi(2))
                        .sum();
                    assert_eq!(2.0 * worth[part * ENTRIES + z] + own, distance(z), "{isa}");
                }
            }
        }
    }
}
