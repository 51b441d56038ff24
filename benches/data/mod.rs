//! Generated vectors for the benches: clusters in a low-dimensional subspace, as embeddings lie.

/// `n` vectors of `dim` values around `clusters` centres; the same for a seed.
pub fn clustered(n: usize, dim: usize, clusters: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut normal = || {
        let sum: f32 = (0..6).map(|_| uniform(&mut state)).sum();
        (sum - 3.0) * 1.4
    };
    let centres: Vec<f32> = (0..clusters * dim).map(|_| 2.0 * normal()).collect();
    (0..n * dim).map(|i| centres[(i / dim * 31 % clusters) * dim + i % dim] + normal()).collect()
}

/// Uniform in [0, 1): the high bits of Knuth's 64-bit congruential generator (MMIX).
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f32 / (1u32 << 24) as f32
}
