//! 8-bit codes with one scale for all rows and queries, as sums of |a - b| need it.
//!
//! A value x is coded as the byte `128 + (x - mean) / scale`, cut off at 1 and 255. Where a value
//! is cut off, distances come out too small; to add what was cut off to a row's distances was
//! rejected, since a query that is cut off in the same place (the row itself) would lose it.

use crate::kernel::vector::{self, Centred};
use crate::random::Random;

/// The largest code.
const LARGEST: f32 = 127.0;
/// The most pairs of rows that a scale is tried on.
const PAIRS: usize = 256;
/// Values in the sample whose quantiles are tried, unless those of 64 rows are more.
const SAMPLE: usize = 1 << 17;
/// How many of so many sampled values a scale cuts off.
const CUT: [f64; 5] = [0.0, 1e-4, 1e-3, 4e-3, 2e-2];

/// Codes `x - mean` into `bytes`; what is longer is filled with 128.
///
/// # Panics
/// If `mean` is shorter than `x`, or `bytes` is.
pub fn encode_shared(x: &[f32], mean: &[f32], scale: f32, bytes: &mut [u8]) {
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let (used, rest) = bytes.split_at_mut(x.len());
    vector::round_cut(Centred { x, factor: 1.0, mean: &mean[..x.len()] }, inverse, 0.0, 128, used);
    rest.fill(128);
}

/// The scale, of a few that cut off more or less of the largest values, with which the L1
/// distances of pairs of rows come out best. `row` reads a row into a buffer. Depends on the rows
/// alone.
pub fn shared_scale(n: usize, mean: &[f32], row: impl Fn(usize, &mut [f32])) -> f32 {
    let dim = mean.len();
    let mut random = Random::new(dim as u64, n as u64);
    let picked = random.sample(n, (SAMPLE / dim).clamp(64, 1 << 14));
    let mut rows = vec![0f32; picked.len() * dim];
    rows.chunks_exact_mut(dim).zip(&picked).for_each(|(out, &at)| row(at, out));
    let mut sizes: Vec<f32> = rows
        .chunks_exact(dim)
        .flat_map(|x| x.iter().zip(mean).map(|(x, m)| (x - m).abs()))
        .collect();
    sizes.sort_unstable_by(f32::total_cmp);
    let pairs: Vec<(&[f32], &[f32])> =
        rows.chunks_exact(2 * dim).take(PAIRS).map(|pair| pair.split_at(dim)).collect();
    let mut best = (f64::INFINITY, 0f32);
    for cut in CUT {
        let at = (sizes.len() as f64 * (1.0 - cut)) as usize;
        let scale = sizes[at.min(sizes.len() - 1)] / LARGEST;
        let scale = if scale > 1e-30 { scale } else { 0.0 };
        let error: f64 = pairs.iter().map(|pair| error(pair, mean, scale)).sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    // One row alone makes no pair.
    if pairs.is_empty() { sizes[sizes.len() - 1] / LARGEST } else { best.1 }
}

/// How far the L1 distance by codes is from the true one, as a share of it: a few wild rows must
/// not outweigh all others.
fn error((a, b): &(&[f32], &[f32]), mean: &[f32], scale: f32) -> f64 {
    let mut codes = [vec![0u8; a.len()], vec![0u8; a.len()]];
    encode_shared(a, mean, scale, &mut codes[0]);
    encode_shared(b, mean, scale, &mut codes[1]);
    let sum: u32 = codes[0].iter().zip(&codes[1]).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    let exact: f64 = a.iter().zip(*b).map(|(a, b)| f64::from((a - b).abs())).sum();
    (exact - f64::from(scale) * f64::from(sum)).abs() / exact.max(1e-30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale_of(values: &[f32], dim: usize, mean: &[f32]) -> f32 {
        let row = |at: usize, out: &mut [f32]| out.copy_from_slice(&values[at * dim..][..dim]);
        shared_scale(values.len() / dim, mean, row)
    }

    #[test]
    fn codes_are_within_half_a_step_and_cut_off() {
        let (x, mean) = ([0.0, 1.0, -1.5, 30.0, 1.0], [0.0, 0.5, 0.0, 0.0, 1.0]);
        let mut bytes = [0u8; 8];
        encode_shared(&x, &mean, 0.1, &mut bytes);
        assert_eq!(bytes, [128, 133, 113, 255, 128, 128, 128, 128]);
        encode_shared(&x, &x, 0.0, &mut bytes);
        assert_eq!(bytes, [128; 8]);
    }

    #[test]
    fn one_wild_row_does_not_cost_the_others_their_precision() {
        let mut r = Random::new(5, 0);
        let mut values: Vec<f32> = (0..8 * 2000).map(|_| r.normal() as f32).collect();
        let calm = scale_of(&values, 8, &[0.0; 8]);
        values[40] = 1e9;
        let wild = scale_of(&values, 8, &[0.0; 8]);
        assert!(calm > 2.0 / 127.0 && calm < 6.0 / 127.0, "{calm}");
        assert!(wild < 2.0 * calm, "{wild}");
    }

    #[test]
    fn few_and_equal_rows_have_a_scale_too() {
        assert_eq!(scale_of(&[3.0, 4.0], 2, &[3.0, 4.0]), 0.0);
        assert_eq!(scale_of(&[0.0; 40], 1, &[0.0]), 0.0);
        assert!(scale_of(&[-127.0, 127.0], 1, &[0.0]) == 1.0);
        assert!(scale_of(&[254.0], 1, &[0.0]) == 2.0);
    }
}
