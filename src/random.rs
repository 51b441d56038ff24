//! Random numbers that no dependency's upgrade can change.
//!
//! The raw words come from ChaCha8 (a published, fixed stream); how they become ranges, shuffles
//! and normal deviates is written here, so that a seed gives the same file for ever.

use rand::rand_core::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers, named by a seed and a stream number.
#[derive(Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream `stream` of `seed`; different streams of one seed are independent.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&stream.to_le_bytes());
        Random(ChaCha8Rng::from_seed(key))
    }

    /// The next 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to `n` - 1. The bias of the multiply-and-shift is below n / 2^64.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "a range needs at least one value");
        ((u128::from(self.word()) * n as u128) >> 64) as usize
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.word() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal: the sum of twelve uniforms less six (Irwin-Hall), which needs no
    /// transcendental function and so has the same bits on every platform. Bounded by 6.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// Shuffles in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// `m` different numbers below `n`, in random order; all of them if `m >= n`.
    pub fn sample(&mut self, n: usize, m: usize) -> Vec<usize> {
        if m >= n {
            return (0..n).collect();
        }
        // Floyd's algorithm: m draws, no table of size n.
        let mut seen = std::collections::HashSet::with_capacity(m);
        let mut picked = Vec::with_capacity(m);
        for j in n - m..n {
            let t = self.below(j + 1);
            let value = if seen.insert(t) { t } else { j };
            seen.insert(value);
            picked.push(value);
        }
        self.shuffle(&mut picked);
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_never_changes() {
        let mut r = Random::new(7, 3);
        let words: Vec<u64> = (0..3).map(|_| r.word()).collect();
        assert_eq!(words, GOLDEN, "a seed's words changed: files would differ");
    }

    const GOLDEN: [u64; 3] =
        [4_140_881_248_777_258_056, 2_706_257_457_796_370_635, 2_248_358_478_922_799_241];

    #[test]
    fn samples_are_distinct_and_in_range() {
        let mut r = Random::new(1, 0);
        for (n, m) in [(10, 10), (10, 3), (1000, 999), (5, 9)] {
            let mut s = r.sample(n, m);
            s.sort_unstable();
            s.dedup();
            assert_eq!(s.len(), n.min(m));
            assert!(s.iter().all(|&x| x < n));
        }
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let mut r = Random::new(2, 0);
        let v: Vec<f64> = (0..20_000).map(|_| r.normal()).collect();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let variance = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
