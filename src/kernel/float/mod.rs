//! Inner products and squared distances of float32 vectors.
//!
//! Lane j of 32 sums the elements j, j + 32, ...; a short last step is padded with zeros; the lanes
//! are then added in halves, 32 to 16 to 8 to 4 to 2 to 1. Two AVX-512 registers or four AVX2
//! registers hold the lanes: enough to hide the latency of one multiply-add when neighbouring rows
//! overlap in flight.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::Isa;

/// The inner product of two vectors of equal length.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_with(Isa::active(), a, b)
}

/// The squared L2 distance of two vectors of equal length.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    squared_l2_with(Isa::active(), a, b)
}

/// The inner products of four vectors with one: each has the bits of [`dot`].
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn dot4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    dot4_with(Isa::active(), a, b)
}

/// The squared L2 distances of four vectors to one: each has the bits of [`squared_l2`].
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn squared_l2_4(a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    squared_l2_4_with(Isa::active(), a, b)
}

fn dot_with(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of different length");
    dispatch!(isa, dot(a, b))
}

fn squared_l2_with(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of different length");
    dispatch!(isa, squared_l2(a, b))
}

fn dot4_with(isa: Isa, a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    assert!(a.iter().all(|v| v.len() == b.len()), "vectors of different length");
    dispatch!(isa, dot4(a, b))
}

fn squared_l2_4_with(isa: Isa, a: [&[f32]; 4], b: &[f32]) -> [f32; 4] {
    assert!(a.iter().all(|v| v.len() == b.len()), "vectors of different length");
    dispatch!(isa, squared_l2_4(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Lengths on both sides of every step a path takes.
    const LENGTHS: [usize; 17] = [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 128, 391];

    fn vectors(length: usize, n: usize) -> Vec<Vec<f32>> {
        let mut r = Random::new(9, length as u64);
        (0..n).map(|_| (0..length).map(|_| (r.normal() * 3.0) as f32).collect()).collect()
    }

    #[test]
    fn every_instruction_set_has_the_portable_bits() {
        for isa in Isa::available() {
            for length in LENGTHS {
                let v = vectors(length, 5);
                let four = [&v[0][..], &v[1], &v[2], &v[3]];
                let (b, p) = (&v[4][..], Isa::Portable);
                let bits = |x: f32| x.to_bits();
                assert_eq!(
                    bits(dot_with(isa, four[0], b)),
                    bits(dot_with(p, four[0], b)),
                    "{isa} {length}"
                );
                assert_eq!(
                    bits(squared_l2_with(isa, four[0], b)),
                    bits(squared_l2_with(p, four[0], b)),
                    "{isa} {length}"
                );
                let expected = four.map(|a| bits(dot_with(p, a, b)));
                assert_eq!(dot4_with(isa, four, b).map(bits), expected, "{isa} {length}");
                let expected = four.map(|a| bits(squared_l2_with(p, a, b)));
                assert_eq!(squared_l2_4_with(isa, four, b).map(bits), expected, "{isa} {length}");
            }
        }
    }

    #[test]
    fn the_portable_sums_are_near_the_float64_ones() {
        for length in LENGTHS {
            let v = vectors(length, 2);
            let pairs = || v[0].iter().zip(&v[1]).map(|(a, b)| (f64::from(*a), f64::from(*b)));
            let exact: f64 = pairs().map(|(a, b)| a * b).sum();
            let size: f64 = pairs().map(|(a, b)| (a * b).abs()).sum();
            let got = f64::from(dot_with(Isa::Portable, &v[0], &v[1]));
            assert!((got - exact).abs() <= 1e-6 * size, "{length}: {got} {exact}");
            let exact: f64 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
            let got = f64::from(squared_l2_with(Isa::Portable, &v[0], &v[1]));
            assert!((got - exact).abs() <= 1e-6 * exact, "{length}: {got} {exact}");
        }
    }
}
