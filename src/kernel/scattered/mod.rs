//! Distances from one query to rows of bytes that lie anywhere.
//!
//! What a walk over a graph computes: the rows are named one by one and summed four side by side. Who
//! names them asks the memory for them before, when he learns of them. Sums are of integers, so every
//! instruction set has the same bits; they become float32 at the end, rounded once.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::code::MAX_DIM;
use super::{Isa, steps};

/// Rows of bytes have a multiple of this width.
pub const STEP: usize = 16;
/// What is summed over the bytes of a row x and a query q.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// (x - q)^2.
    Squares,
    /// |x - q|.
    Differences,
    /// The bits that differ.
    Bits,
    /// -(x - 128) q, the query's bytes being signed.
    Products,
    /// 4 c^2 - c q of two 4-bit codes c a byte, the query's bytes being signed: those of the low
    /// halves stand before those of the high ones. With a query of 8 times what codes are compared
    /// with, that is 4 (c - q / 8)^2 but for what is the same for all rows.
    Halves,
}

impl Measure {
    /// Bytes of a query for rows of a width.
    #[must_use]
    pub fn query_len(self, width: usize) -> usize {
        if self == Measure::Halves { 2 * width } else { width }
    }
}

/// Rows of bytes, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct ByteRows<'a> {
    /// Whole rows.
    pub bytes: &'a [u8],
    /// Bytes of a row: a multiple of [`STEP`], at most 65,536.
    pub width: usize,
}

impl ByteRows<'_> {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: u32) -> &[u8] {
        &self.bytes[row as usize * self.width..][..self.width]
    }
}

/// The distances of the rows that `ids` name, in their order.
///
/// # Panics
/// If the query is not [as wide as rows are](Measure::query_len), a row does not exist, or there are not
/// as many outputs.
pub fn distances(measure: Measure, query: &[u8], rows: ByteRows<'_>, ids: &[u32], out: &mut [f32]) {
    steps::add(ids.len());
    distances_with(Isa::active(), measure, query, rows, ids, out);
}

/// The distances of all rows, in their order.
///
/// # Panics
/// As [`distances`].
pub fn in_order(measure: Measure, query: &[u8], rows: ByteRows<'_>, out: &mut [f32]) {
    const AT_ONCE: u32 = 64;
    let n = rows.len() as u32;
    for (at, out) in (0..n).step_by(AT_ONCE as usize).zip(out.chunks_mut(AT_ONCE as usize)) {
        let ids: [u32; AT_ONCE as usize] = std::array::from_fn(|j| at + j as u32);
        distances(measure, query, rows, &ids[..out.len()], out);
    }
}

fn distances_with(
    isa: Isa,
    measure: Measure,
    query: &[u8],
    rows: ByteRows<'_>,
    ids: &[u32],
    out: &mut [f32],
) {
    assert!(rows.width.is_multiple_of(STEP) && rows.width <= MAX_DIM, "{} bytes", rows.width);
    assert!(query.len() == measure.query_len(rows.width), "{} bytes in the query", query.len());
    assert!(ids.len() == out.len(), "{} outputs for {} rows", out.len(), ids.len());
    let n = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    // All are looked at, so that it takes no branch for each.
    assert!(ids.iter().fold(true, |all, &id| all & (id < n)), "a row past the last");
    match measure {
        Measure::Squares => dispatch!(isa, distances::<SQUARES>(query, rows, ids, out)),
        Measure::Differences => dispatch!(isa, distances::<DIFFERENCES>(query, rows, ids, out)),
        Measure::Bits => dispatch!(isa, distances::<BITS>(query, rows, ids, out)),
        Measure::Products => dispatch!(isa, distances::<PRODUCTS>(query, rows, ids, out)),
        Measure::Halves => dispatch!(isa, distances::<HALVES>(query, rows, ids, out)),
    }
}

const SQUARES: u8 = 0;
const DIFFERENCES: u8 = 1;
const BITS: u8 = 2;
const PRODUCTS: u8 = 3;
const HALVES: u8 = 4;

/// Four names from a place on, the last one again where there are fewer.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn four_from(ids: &[u32], at: usize) -> [u32; 4] {
    let last = ids.len() - 1;
    [ids[at], ids[last.min(at + 1)], ids[last.min(at + 2)], ids[last.min(at + 3)]]
}

/// What a sum of integers is as a distance.
#[inline(always)]
fn distance<const M: u8>(sum: i32) -> f32 {
    match M {
        PRODUCTS => -(sum as f32),
        HALVES => sum as f32,
        // Squares of 65,536 differences of up to 255 fit 32 bits without a sign.
        _ => sum as u32 as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const MEASURES: [Measure; 5] =
        [Measure::Squares, Measure::Differences, Measure::Bits, Measure::Products, Measure::Halves];

    fn plain(measure: Measure, query: &[u8], row: &[u8]) -> f32 {
        if measure == Measure::Halves {
            let codes = row.iter().map(|x| x & 15).chain(row.iter().map(|x| x >> 4)).map(i64::from);
            let pairs = codes.zip(query.iter().map(|&q| i64::from(q as i8)));
            return pairs.map(|(c, q)| 4 * c * c - c * q).sum::<i64>() as f32;
        }
        let pairs = query.iter().zip(row).map(|(&q, &x)| (i64::from(q), i64::from(x), q, x));
        let one = |(a, b, q, x): (i64, i64, u8, u8)| match measure {
            Measure::Squares => (a - b) * (a - b),
            Measure::Differences => (a - b).abs(),
            Measure::Bits => i64::from((q ^ x).count_ones()),
            Measure::Products | Measure::Halves => -i64::from(q as i8) * (b - 128),
        };
        pairs.map(one).sum::<i64>() as f32
    }

    #[test]
    fn every_set_has_the_bits_of_the_definition() {
        let mut random = Random::new(9, 0);
        for width in [16, 32, 48, 64, 96, 128, 208, 400] {
            let mut bytes: Vec<u8> = (0..37 * width).map(|_| random.below(256) as u8).collect();
            bytes[..width].fill(0);
            bytes[width..2 * width].fill(255);
            let rows = ByteRows { bytes: &bytes, width };
            let mut queries: Vec<Vec<u8>> =
                [0, 255, 129, 127].map(|byte| vec![byte; 2 * width]).to_vec();
            queries.push((0..2 * width).map(|_| random.below(256) as u8).collect());
            for measure in MEASURES {
                for query in &queries {
                    let query = &query[..measure.query_len(width)];
                    // A query of signed bytes has them from -127 to 127.
                    let query: Vec<u8> = match measure {
                        Measure::Products => query.iter().map(|&q| q.max(129)).collect(),
                        Measure::Halves => {
                            query.iter().map(|&q| if q == 128 { 129 } else { q }).collect()
                        }
                        _ => query.to_vec(),
                    };
                    for n in [0, 1, 3, 4, 5, 40] {
                        let ids: Vec<u32> = (0..n).map(|_| random.below(37) as u32).collect();
                        let expected: Vec<f32> =
                            ids.iter().map(|&id| plain(measure, &query, rows.row(id))).collect();
                        for isa in Isa::available() {
                            let mut out = vec![7f32; n];
                            distances_with(isa, measure, &query, rows, &ids, &mut out);
                            assert_eq!(out, expected, "{isa} {measure:?} {width} {n}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_widest_rows_do_not_overflow() {
        let bytes = [vec![255u8; MAX_DIM], vec![0; MAX_DIM]].concat();
        let rows = ByteRows { bytes: &bytes, width: MAX_DIM };
        for isa in Isa::available() {
            let mut out = [0f32; 2];
            let query = vec![0u8; MAX_DIM];
            distances_with(isa, Measure::Squares, &query, rows, &[0, 1], &mut out);
            assert_eq!(out, [(65_025u64 * 65_536) as f32, 0.0]);
            let query = vec![(-127i8) as u8; MAX_DIM];
            distances_with(isa, Measure::Products, &query, rows, &[0, 1], &mut out);
            assert_eq!(out, [127.0 * 127.0 * 65_536.0, -127.0 * 128.0 * 65_536.0]);
            let query = vec![(-127i8) as u8; 2 * MAX_DIM];
            distances_with(isa, Measure::Halves, &query, rows, &[0, 1], &mut out);
            assert_eq!(out, [15.0 * (60.0 + 127.0) * 131_072.0, 0.0]);
        }
    }

    #[test]
    #[should_panic(expected = "a row past the last")]
    fn a_row_that_does_not_exist_is_refused() {
        let rows = ByteRows { bytes: &[0; 32], width: 16 };
        distances(Measure::Squares, &[0; 16], rows, &[2], &mut [0.0]);
    }
}
