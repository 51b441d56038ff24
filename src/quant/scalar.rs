//! 8-bit scalar codes: train, encode.
//!
//! A row x is coded as `mean + scale * code` with codes from -127 to 127 and a scale a row, the
//! largest absolute value of x - mean over 127. The scale a row, rather than one for all, is what
//! keeps the codes of small vectors precise where norms are heavy-tailed, as those of matrix
//! factors are.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::kernel::code::GROUP;
use crate::kernel::vector::{self, Centred};
use crate::threads;

/// The number of codes for vectors of `dim` values: whole groups.
#[must_use]
pub fn code_len(dim: usize) -> usize {
    dim.next_multiple_of(GROUP)
}

/// What belongs to a coded vector besides its codes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coded {
    /// `x - mean = scale * code`, nearly.
    pub scale: f32,
    /// The sum of the codes.
    pub sum: i32,
    /// |x - mean|^2, from the uncoded values.
    pub squared_norm: f32,
}

/// The mean of `n` rows, each times its factor (1 where `factors` is empty), summed in float64 in
/// blocks of fixed size so that the bits do not depend on the number of threads.
#[must_use]
pub fn mean<'a>(
    n: usize,
    dim: usize,
    rows: impl Fn(usize) -> Cow<'a, [f32]> + Sync,
    factors: &[f32],
) -> Vec<f32> {
    const BLOCK: usize = 4096;
    let block = |block: usize| {
        let mut sum = vec![0f64; dim];
        for row in block * BLOCK..n.min((block + 1) * BLOCK) {
            let factor = factors.get(row).copied().unwrap_or(1.0);
            for (s, x) in sum.iter_mut().zip(rows(row).iter()) {
                *s += f64::from(*x * factor);
            }
        }
        sum
    };
    let blocks = (0..n.div_ceil(BLOCK)).into_par_iter();
    let partial: Vec<Vec<f64>> = threads::map(blocks, block).collect();
    let mut total = vec![0f64; dim];
    for sum in partial {
        total.iter_mut().zip(sum).for_each(|(t, s)| *t += s);
    }
    total.into_iter().map(|t| (t / n.max(1) as f64) as f32).collect()
}

/// Codes `factor * x - mean` into `codes`, whose length is [`code_len`] of the dimension.
///
/// # Panics
/// If `mean` is not as long as `x`, or `codes` is shorter.
pub fn encode(x: &[f32], factor: f32, mean: &[f32], codes: &mut [i8]) -> Coded {
    assert_eq!(x.len(), mean.len(), "dimension of the mean");
    encode_centred(Centred { x, factor, mean }, codes)
}

/// [`encode`] about zero: `x = scale * code`.
///
/// # Panics
/// If `codes` is shorter than `x`.
pub fn encode_plain(x: &[f32], codes: &mut [i8]) -> Coded {
    encode_centred(Centred { x, factor: 1.0, mean: &[] }, codes)
}

fn encode_centred(centred: Centred<'_>, codes: &mut [i8]) -> Coded {
    let largest = vector::largest(centred);
    // A zero row, or one so small that its scale would be subnormal, is all zeros.
    let scale = if largest > 1e-30 { largest / 127.0 } else { 0.0 };
    let inverse = if scale > 0.0 { 127.0 / largest } else { 0.0 };
    let (used, rest) = codes.split_at_mut(centred.x.len());
    let (sum, squares) = vector::round(centred, inverse, used);
    rest.fill(0);
    Coded { scale, sum, squared_norm: squares as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_code_is_within_half_a_step_of_its_value() {
        let mut r = Random::new(3, 0);
        for dim in [1, 3, 4, 17, 64] {
            let mean: Vec<f32> = (0..dim).map(|_| r.normal() as f32).collect();
            let x: Vec<f32> = (0..dim).map(|_| (r.normal() * 10.0) as f32).collect();
            let mut codes = vec![9i8; code_len(dim)];
            let coded = encode(&x, 0.5, &mean, &mut codes);
            for ((&x, &m), &c) in x.iter().zip(&mean).zip(&codes) {
                let error = (x * 0.5 - m - coded.scale * f32::from(c)).abs();
                assert!(error <= coded.scale * 0.5001, "{error} {}", coded.scale);
            }
            assert!(codes[dim..].iter().all(|&c| c == 0));
            assert_eq!(coded.sum, codes.iter().map(|&c| i32::from(c)).sum::<i32>());
        }
    }

    #[test]
    fn a_zero_row_has_zero_codes() {
        let mut codes = [1i8; 4];
        let coded = encode(&[2.0, 2.0], 1.0, &[2.0, 2.0], &mut codes);
        assert_eq!((codes, coded), ([0; 4], Coded { scale: 0.0, sum: 0, squared_norm: 0.0 }));
    }

    #[test]
    fn the_mean_has_the_same_bits_on_any_number_of_threads() {
        let mut r = Random::new(4, 0);
        let rows: Vec<f32> = (0..30_000).map(|_| r.normal() as f32).collect();
        let means: Vec<Vec<u32>> = [1, 2, 3]
            .map(|n| {
                crate::threads::run(Some(n), || {
                    mean(10_000, 3, |at| Cow::Borrowed(&rows[3 * at..][..3]), &[])
                })
            })
            .into_iter()
            .map(|m| m.into_iter().map(f32::to_bits).collect())
            .collect();
        assert!(means.windows(2).all(|w| w[0] == w[1]));
    }
}
