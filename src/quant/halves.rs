//! 8-bit codes in two halves: the high four bits are a coarser code of their own.
//!
//! A walk over a graph compares many rows with a query and waits for the memory that they lie in. The
//! high halves take half of it, and tell near rows from far ones as well as 4-bit codes can; of the few
//! rows that are found, the low halves make 8-bit codes. That is LVQ's second level (Aguerrebere et al.
//! 2023), with one step for all rows and dimensions, so that distances are plain sums, and a centre for
//! each dimension, so that the step can be small where values are skewed, as descriptors' are.
//!
//! A value x has the byte `128 + (x - centre) / step`, cut off at 1 and 255, as [shared codes] have it.
//! A row of `width` bytes becomes two of half the width: byte j of the first has the high half of byte j
//! in its low four bits and that of byte `width / 2 + j` in its high ones; the second has the low halves.
//!
//! [shared codes]: super::encode_shared

use super::encode_shared;
use crate::kernel::vector::{self, Centred, ROUND};
use crate::random::Random;

/// Values that centres and step are chosen by, unless those of 64 rows are more; the most rows.
const SAMPLE: usize = 1 << 18;
const MOST_ROWS: usize = 512;
/// Shares of a dimension's values that its range may leave below.
const BELOW: [f64; 5] = [0.0, 0.004, 0.02, 0.05, 0.1];
/// Ranges that are tried, as shares of what covers the middle 99 per cent of all but wild dimensions.
const RANGES: [f32; 7] = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// The largest half of a byte.
const LARGEST: f32 = 15.0;
/// How many steps above the byte 0 the lowest half stands for.
const MIDDLE: f32 = 7.5;
/// A query's byte is this many steps.
const UNIT: f32 = 2.0;
/// A query's byte for the byte 128, to which nothing is added where a row has that too.
const NOTHING: i8 = 64;

/// How rows are coded: a centre for each dimension, then the step.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a>(pub &'a [f32]);

impl Steps<'_> {
    /// The numbers for rows of a dimension.
    #[must_use]
    pub fn len_for(dim: usize) -> usize {
        dim + 1
    }

    fn parts(&self) -> (&[f32], f32) {
        self.0.split_last().map_or((&[], 0.0), |(&step, centres)| (centres, step))
    }

    /// What a byte's unit is worth.
    #[must_use]
    pub fn step(&self) -> f32 {
        self.parts().1
    }

    /// Codes a vector into whole bytes.
    ///
    /// # Panics
    /// If it is longer than the centres or the bytes are.
    pub fn encode(&self, x: &[f32], bytes: &mut [u8]) {
        let (centres, step) = self.parts();
        encode_shared(x, centres, step, bytes);
    }

    /// Writes a query as high halves are compared with: signed bytes of two steps, cut off some 250 steps
    /// from the centre. Returns what measures as no distance: see
    /// [`Measure::Halves`](crate::kernel::scattered::Measure::Halves).
    ///
    /// # Panics
    /// If it is longer than the centres or the bytes are.
    pub fn encode_query(&self, x: &[f32], bytes: &mut [u8]) -> f32 {
        let (centres, step) = self.parts();
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let (used, rest) = bytes.split_at_mut(x.len());
        let values = Centred { x, factor: 1.0, mean: &centres[..x.len()] };
        vector::round_cut(values, inverse / UNIT, (128.0 - MIDDLE) / UNIT, 0, used);
        rest.fill(NOTHING as u8);
        let squares = |byte: &u8| i32::from(*byte as i8) * i32::from(*byte as i8);
        -(bytes.iter().map(squares).sum::<i32>() as f32) / 16.0
    }
}

/// Puts the halves of rows of `width` whole bytes apart: all high ones before all low ones.
///
/// # Panics
/// If the width is odd or these are no whole rows.
pub fn split(codes: &mut [u8], width: usize) {
    assert!(width.is_multiple_of(2) && codes.len().is_multiple_of(width), "whole rows");
    let half = width / 2;
    let mut lows = vec![0u8; codes.len() / 2];
    for (row, low) in lows.chunks_exact_mut(half).enumerate() {
        let at = row * width;
        for j in 0..half {
            let (a, b) = (codes[at + j], codes[at + half + j]);
            low[j] = a & 15 | b << 4;
            // At or before what was just read, so that nothing is overwritten unread.
            codes[row * half + j] = a >> 4 | b & 0xf0;
        }
    }
    codes[lows.len()..].copy_from_slice(&lows);
}

/// Makes whole bytes of a row's halves.
///
/// # Panics
/// If the halves are not as wide as each other, or half as wide as the bytes.
pub fn join(high: &[u8], low: &[u8], bytes: &mut [u8]) {
    let (first, second) = bytes.split_at_mut(high.len());
    assert!(low.len() == high.len() && second.len() == high.len(), "widths of halves");
    for (((a, b), high), low) in first.iter_mut().zip(second).zip(high).zip(low) {
        *a = high << 4 | low & 15;
        *b = high & 0xf0 | low >> 4;
    }
}

/// The centres and the step with which high halves of the values of a sample of the rows come out best,
/// by squared error. `row` reads a row into a buffer. Depends on the rows alone.
pub fn train(n: usize, dim: usize, row: impl Fn(usize, &mut [f32])) -> Vec<f32> {
    let columns = columns(n, dim, row);
    let spread = spread(&columns);
    let tried = RANGES.map(|share| {
        let step = (share * spread / LARGEST).max(1e-30);
        let best: Vec<(f64, f32)> = columns.iter().map(|column| lowest(column, step)).collect();
        (best.iter().map(|b| b.0).sum::<f64>(), step, best)
    });
    let best = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let (step, lows) = best.map_or((0.0, Vec::new()), |(_, step, lows)| (step / 16.0, lows));
    let centre = |(_, low): (f64, f32)| low + (128.0 - MIDDLE) * step;
    lows.into_iter().map(centre).chain([step]).collect()
}

/// The values of a sample of the rows, by dimension, sorted.
fn columns(n: usize, dim: usize, row: impl Fn(usize, &mut [f32])) -> Vec<Vec<f32>> {
    let mut random = Random::new(dim as u64, n as u64);
    let (mut values, mut columns) = (vec![0f32; dim], vec![Vec::new(); dim]);
    for at in random.sample(n, (SAMPLE / dim).clamp(64, MOST_ROWS)) {
        row(at, &mut values);
        columns.iter_mut().zip(&values).for_each(|(column, &x)| column.push(x));
    }
    columns.iter_mut().for_each(|column| column.sort_unstable_by(f32::total_cmp));
    columns
}

/// What covers the middle 99 per cent of all but wild dimensions; or, where that is nothing (of rows that
/// are nearly all zeros), all of the middle one of those that vary.
fn spread(columns: &[Vec<f32>]) -> f32 {
    let spreads = |cut: f64| {
        let of = |column: &Vec<f32>| quantile(column, 1.0 - cut) - quantile(column, cut);
        let mut spreads: Vec<f32> = columns.iter().map(of).collect();
        spreads.sort_unstable_by(f32::total_cmp);
        spreads
    };
    let middle = quantile(&spreads(0.005), 0.95);
    if middle > 0.0 {
        return middle;
    }
    let all = spreads(0.0);
    quantile(&all[all.partition_point(|&spread| spread == 0.0).min(all.len() - 1)..], 0.5)
}

fn quantile(sorted: &[f32], share: f64) -> f32 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// What the lowest half of a dimension best stands for, and its squared error.
fn lowest(column: &[f32], step: f32) -> (f64, f32) {
    let inverse = 1.0 / step;
    let error = |low: f32| -> f64 {
        let one = |x: f32| {
            let code = (((x - low) * inverse).clamp(0.0, LARGEST) + ROUND) - ROUND;
            // Wild values count as one range: to come nearer to them would cost all others.
            f64::from((x - (low + step * code)).abs().min(LARGEST * step)).powi(2)
        };
        column.iter().map(|&x| one(x)).sum()
    };
    let tried = BELOW.map(|share| quantile(column, share)).map(|low| (error(low), low));
    tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::scattered::{ByteRows, Measure, distances};

    fn steps_of(values: &[f32], dim: usize) -> Vec<f32> {
        let row = |at: usize, out: &mut [f32]| out.copy_from_slice(&values[at * dim..][..dim]);
        train(values.len() / dim, dim, row)
    }

    fn normals(n: usize) -> Vec<f32> {
        let mut random = Random::new(6, 0);
        (0..n).map(|_| random.normal() as f32).collect()
    }

    #[test]
    fn halves_join_to_what_was_split() {
        let mut random = Random::new(7, 0);
        for (n, width) in [(1, 32), (5, 32), (3, 64), (7, 192)] {
            let whole: Vec<u8> = (0..n * width).map(|_| random.below(256) as u8).collect();
            let mut codes = whole.clone();
            split(&mut codes, width);
            let (high, low) = codes.split_at(codes.len() / 2);
            let mut bytes = vec![0u8; width];
            for row in 0..n {
                let half = |part| <[u8]>::chunks_exact(part, width / 2).nth(row).unwrap();
                join(half(high), half(low), &mut bytes);
                assert_eq!(bytes, &whole[row * width..][..width], "row {row} of {n}");
                let first = half(high)[0];
                assert_eq!((first & 15, first >> 4), (bytes[0] >> 4, bytes[width / 2] >> 4));
            }
        }
    }

    #[test]
    fn what_is_measured_of_halves_is_the_distance_from_what_they_stand_for() {
        let (dim, width) = (40, 64);
        let values = normals(200 * dim);
        let trained = steps_of(&values, dim);
        let (steps, step) = (Steps(&trained), f64::from(trained[dim]));
        let mut codes = vec![0u8; 200 * width];
        for (x, out) in values.chunks_exact(dim).zip(codes.chunks_exact_mut(width)) {
            steps.encode(x, out);
        }
        let stand_for = |byte: u8, j: usize| {
            f64::from(trained[j]) + step * (f64::from(byte & 0xf0) + 7.5 - 128.0)
        };
        let whole = codes.clone();
        split(&mut codes, width);
        let rows = ByteRows { bytes: &codes[..100 * width], width: width / 2 };
        let mut query = vec![0u8; width];
        let mut out = [0f32; 1];
        for (at, q) in values.chunks_exact(dim).enumerate().take(20) {
            let zero = steps.encode_query(q, &mut query);
            for row in [at, 50, 199] {
                distances(Measure::Halves, &query, rows, &[row as u32], &mut out);
                let squares = (0..dim)
                    .map(|j| (f64::from(q[j]) - stand_for(whole[row * width + j], j)).powi(2));
                let exact = squares.sum::<f64>().sqrt();
                let measured = (f64::from(out[0] - zero) / 4.0).sqrt() * 16.0 * step;
                // The query is rounded to two steps: half of that in each of the dimensions.
                let most = step * (dim as f64).sqrt();
                assert!((measured - exact).abs() <= most + 1e-3 * exact, "{measured} {exact}");
            }
        }
    }

    #[test]
    fn skewed_values_have_smaller_steps_about_their_own_centres() {
        // One dimension lies from 0 to 1, most of it near 0; one about 10; both with the same spread.
        let skewed = normals(2000);
        let values: Vec<f32> =
            skewed.chunks_exact(2).flat_map(|x| [x[0].abs(), 10.0 + x[1] / 2.0]).collect();
        let trained = steps_of(&values, 2);
        let (centres, step) = (&trained[..2], trained[2]);
        assert!((centres[0] - 1.2).abs() < 0.6 && (centres[1] - 10.0).abs() < 0.6, "{trained:?}");
        assert!(step > 1.0 / 256.0 && step < 4.0 / 256.0, "{trained:?}");
    }

    #[test]
    fn wild_rows_sparse_rows_and_few_rows_have_steps_too() {
        let mut values = normals(8 * 2000);
        let calm = steps_of(&values, 8);
        values[8 * 40..8 * 41].fill(1e9);
        let wild = steps_of(&values, 8);
        let near = |a: &f32, b: &f32| (a - b).abs() < 0.5;
        assert!(calm.iter().zip(&wild).all(|(a, b)| near(a, b)), "{calm:?} {wild:?}");
        // One value in a hundred is 1: the middle 99 per cent of a dimension are zeros.
        let sparse: Vec<f32> = (0..400 * 300).map(|at| f32::from(at % 307 == 0)).collect();
        let step = steps_of(&sparse, 400)[400];
        assert!(step > 0.3 / 256.0 && step <= 1.1 / 256.0, "{step}");
        for values in [vec![3.0, 4.0], vec![0.0; 40], vec![5.0; 2]] {
            let trained = steps_of(&values, 2);
            assert!(trained.iter().all(|x| x.is_finite()) && trained[2] > 0.0, "{trained:?}");
            let mut bytes = [0u8; 2];
            Steps(&trained).encode(&values[..2], &mut bytes);
            let mut again = [0u8; 2];
            Steps(&trained).encode(&values[values.len() - 2..], &mut again);
            assert_eq!(bytes, again);
        }
    }
}
