//! Scans of tiles by the differences of their bytes, and packed bits.
//!
//! The tiles are those of [`code`](super::code): a line of 64 bytes holds the next 4 bytes of each
//! of 16 rows. Here a row's score is the sum of |row - query| over its bytes (L1 of codes that share
//! one scale), or the number of bits that differ (hamming). Sums are of integers, so every
//! instruction set has the same bits. Bits are counted by table look-ups of half bytes:
//! processors with VNNI need not have AVX-512's own bit count.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::code::{CodeRows, GROUP, MAX_DIM, TILE};
use super::{Isa, steps};

/// Scores every row: `out[r] = bias[r] + scale * sum |row - query|`, the last step one fused
/// multiply-add. The rows' own scales are not used.
///
/// # Panics
/// If the lengths do not fit together.
pub fn score_l1(query: &[u8], scale: f32, rows: CodeRows<'_>, out: &mut [f32]) {
    steps::add(out.len());
    score_with::<false>(Isa::active(), query, scale, rows, out);
}

/// Scores every row: `out[r] = bias[r] + the number of bits that differ`.
///
/// # Panics
/// If the lengths do not fit together.
pub fn score_bits(query: &[u8], rows: CodeRows<'_>, out: &mut [f32]) {
    steps::add(out.len());
    score_with::<true>(Isa::active(), query, 1.0, rows, out);
}

/// How many bits of two slices of equal length differ.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn hamming(a: &[u8], b: &[u8]) -> u32 {
    hamming_with(Isa::active(), a, b)
}

/// How many bits of each row differ from the query's; rows lie one after the other.
///
/// # Panics
/// If there are not as many rows as outputs.
pub fn hammings(query: &[u8], rows: &[u8], out: &mut [f32]) {
    hammings_with(Isa::active(), query, rows, out);
}

/// Bytes that hold `dim` bits.
#[must_use]
pub const fn packed_len(dim: usize) -> usize {
    dim.div_ceil(8)
}

/// Packs values, a 1 for each above 0.5, the first in the highest bit of the first byte (as
/// `numpy.packbits` does); the rest of `out` is zeros.
///
/// # Panics
/// If `out` is shorter than [`packed_len`] of the values.
pub fn pack(values: &[f32], out: &mut [u8]) {
    let (used, rest) = out.split_at_mut(packed_len(values.len()));
    for (byte, eight) in used.iter_mut().zip(values.chunks(8)) {
        let bits = eight.iter().enumerate().map(|(bit, &x)| u8::from(x > 0.5) << (7 - bit));
        *byte = bits.fold(0, |byte, bit| byte | bit);
    }
    rest.fill(0);
}

/// Rows of `dim` values as packed bits, row after row, each as [`pack`] writes it.
#[must_use]
pub fn pack_rows(values: &[f32], dim: usize) -> Vec<u8> {
    let len = packed_len(dim);
    let mut bits = vec![0u8; values.len() / dim * len];
    let rows = bits.chunks_exact_mut(len).zip(values.chunks_exact(dim));
    rows.for_each(|(bits, row)| pack(row, bits));
    bits
}

/// The first `dim` bits as zeros and ones.
///
/// # Panics
/// If there are not so many.
#[must_use]
pub fn unpack(bytes: &[u8], dim: usize) -> Vec<f32> {
    (0..dim).map(|at| f32::from(bytes[at / 8] >> (7 - at % 8) & 1)).collect()
}

fn score_with<const BITS: bool>(
    isa: Isa,
    query: &[u8],
    scale: f32,
    rows: CodeRows<'_>,
    out: &mut [f32],
) {
    let len = query.len();
    assert!(len.is_multiple_of(GROUP) && len <= MAX_DIM, "{len} bytes in the query");
    assert!(out.len().is_multiple_of(TILE), "{} scores are not whole tiles", out.len());
    assert_eq!(rows.tiles.len(), out.len() * len, "bytes of tiles");
    assert_eq!(rows.bias.len(), out.len(), "constants of rows");
    match isa {
        // SAFETY: an Isa above Portable comes from detection, so the processor has it; the lengths
        // were checked just before.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::score::<BITS>(query, scale, rows, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::score::<BITS>(query, scale, rows, out) },
        _ => portable::score::<BITS>(query, scale, rows, out),
    }
}

fn hammings_with(isa: Isa, query: &[u8], rows: &[u8], out: &mut [f32]) {
    assert!(!query.is_empty() && rows.len() == query.len() * out.len(), "bytes of rows");
    dispatch!(isa, hammings(query, rows, out));
}

fn hamming_with(isa: Isa, a: &[u8], b: &[u8]) -> u32 {
    assert_eq!(a.len(), b.len(), "bits of different length");
    dispatch!(isa, hamming(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::code::place_bytes;
    use crate::random::Random;

    fn bytes(n: usize, r: &mut Random) -> Vec<u8> {
        // The ends often: differences of 255 and of 0 are where sums could go wrong.
        (0..n).map(|_| [0, 255, 128, r.below(256) as u8][r.below(4)]).collect()
    }

    fn compare<const BITS: bool>(isa: Isa, rows: &[Vec<u8>], query: &[u8], scale: f32) {
        let width = query.len();
        let mut tiles = vec![0u8; rows.len() * width];
        for (at, row) in rows.iter().enumerate() {
            place_bytes(&mut tiles, at, row);
        }
        let bias: Vec<f32> = (0..rows.len()).map(|i| i as f32 * 0.25).collect();
        let view = CodeRows { tiles: &tiles, bias: &bias, scale: &bias };
        let mut out = vec![0f32; rows.len()];
        score_with::<BITS>(isa, query, scale, view, &mut out);
        for ((row, out), bias) in rows.iter().zip(&out).zip(&bias) {
            let each = row.iter().zip(query).map(|(&a, &b)| match BITS {
                true => (a ^ b).count_ones(),
                false => u32::from(a.abs_diff(b)),
            });
            let expected = scale.mul_add(each.sum::<u32>() as f32, *bias);
            assert_eq!(out.to_bits(), expected.to_bits(), "{isa}, {width} bytes, bits: {BITS}");
        }
    }

    #[test]
    fn every_instruction_set_has_the_bits_of_the_definition() {
        let mut r = Random::new(12, 0);
        for isa in Isa::available() {
            for width in [4, 8, 12, 32, 60, 64, 68, 400] {
                for tiles in [0, 1, 2, 4, 5, 9] {
                    let rows: Vec<Vec<u8>> =
                        (0..tiles * TILE).map(|_| bytes(width, &mut r)).collect();
                    compare::<false>(isa, &rows, &bytes(width, &mut r), 0.37);
                    compare::<true>(isa, &rows, &bytes(width, &mut r), 1.0);
                }
            }
            for len in [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 200, 8192] {
                let (a, b) = (bytes(len, &mut r), bytes(len, &mut r));
                let expected: u32 = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum();
                assert_eq!(hamming_with(isa, &a, &b), expected, "{isa} {len}");
                if len > 0 {
                    let mut out = [7f32; 3];
                    hammings_with(isa, &a, &[&b[..], &a, &b].concat(), &mut out);
                    assert_eq!(out, [expected as f32, 0.0, expected as f32], "{isa} {len}");
                }
            }
        }
    }

    #[test]
    fn bits_are_packed_as_numpy_does() {
        let values = [1.0, 0.0, 0.6, 0.5, -3.0, 0.51, 2.0, 0.0, 1.0];
        let mut out = [0xffu8; 4];
        pack(&values, &mut out);
        assert_eq!(out, [0b1010_0110, 0b1000_0000, 0, 0]);
        assert_eq!(unpack(&out, 9), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
        assert_eq!((packed_len(0), packed_len(8), packed_len(9)), (0, 1, 2));
    }
}
