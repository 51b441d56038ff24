//! Where a training starts.

use rayon::prelude::*;

use crate::error::TrainError;
use crate::memory;
use crate::random::Random;
use crate::threads;

/// The stream of the first block of users; far from the small numbers that trees use.
const STREAM: u64 = 0x616c_7300_0000_0000;

/// Rows drawn from one stream, so that blocks can be drawn in parallel.
const BLOCK: usize = 1024;

/// Where a training starts.
///
/// An epoch solves the items from the users and then the users from the items, exactly, so one
/// side's start is all that counts.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub enum Start<'a> {
    /// Users' factors normal with mean and standard deviation 0.1 / sqrt(d), from the seed.
    ///
    /// A common direction to begin with stands for how popular an item is, which every training has
    /// to find first; a start around 0 takes up to three epochs more to the same loss.
    #[default]
    Random,
    /// These users' factors, n_users x factors, row-major.
    Users(&'a [f32]),
    /// These items' factors, n_items x factors, row-major: the users are solved from them before
    /// the first epoch. So starts a trainer whose users go first, and a nightly run that continues
    /// from yesterday's items.
    Items(&'a [f32]),
}

/// Random users' factors, `n` x `d`.
pub(super) fn random(seed: u64, n: usize, d: usize) -> Vec<f32> {
    let scale = 0.1 / (d as f64).sqrt();
    let mut factors = memory::zeroed(n * d);
    let blocks = factors.par_chunks_mut(BLOCK * d).enumerate();
    threads::for_each(blocks, |(block, rows): (usize, &mut [f32])| {
        let mut random = Random::new(seed, STREAM + block as u64);
        rows.iter_mut().for_each(|v| *v = (scale + random.normal() * scale) as f32);
    });
    factors
}

/// A start that was given, of the right size and finite.
pub(super) fn given<'a>(
    what: &str,
    factors: &'a [f32],
    n: usize,
    d: usize,
) -> Result<&'a [f32], TrainError> {
    if factors.len() != n * d {
        return Err(TrainError::Matrix {
            what: format!("the start of the {what}"),
            got: format!("{} values", factors.len()),
            expected: format!("{}, {n} rows of {d} factors", n * d),
        });
    }
    match factors.iter().position(|v| !v.is_finite()) {
        None => Ok(factors),
        Some(at) => Err(TrainError::Matrix {
            what: format!("the start of the {what} in row {}, column {}", at / d, at % d),
            got: factors[at].to_string(),
            expected: "a finite number".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_has_the_stated_mean_and_spread_and_each_block_its_own_stream() {
        let (n, d) = (3000, 16);
        let x = random(1, n, d);
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
        let variance =
            x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / x.len() as f64;
        assert!((mean * 4.0 - 0.1).abs() < 0.002, "{mean}");
        assert!((variance.sqrt() * 4.0 - 0.1).abs() < 0.002, "{variance}");
        assert_ne!(x[..d], x[BLOCK * d..][..d]);
        assert_eq!(x[..100 * d], random(1, 100, d), "more users leave the first ones alone");
        assert_ne!(x, random(2, n, d));
    }
}
