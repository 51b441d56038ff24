//! What is kept of vectors for the exact distances.

use std::fmt;
use std::str::FromStr;

use half::f16;
use rayon::prelude::*;

use super::Values;
use crate::error::BuildError;
use crate::memory;
use crate::quant;
use crate::threads;

/// What is kept of vectors: searches are exact to it.
///
/// | storage | bytes a value | a value comes back |
/// |---|---|---|
/// | `Float32` | 4 | as it was |
/// | `Float16` | 2 | rounded to 11 bits; beyond 65,504 is an error |
/// | `Int8` | 1, and 4 a row | as it was where all values are integers of one byte, else within 1/254 of the largest difference from the mean in its row |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Storage {
    /// The values themselves.
    #[default]
    Float32,
    /// IEEE half precision, rounded to the nearest, ties to even.
    Float16,
    /// `offset + scale * code` with a signed byte a value: without loss if all values are integers
    /// from 0 to 255 or from -128 to 127; else offset is the mean, and each row has its scale.
    Int8,
}

impl Storage {
    /// Every storage.
    pub const ALL: [Storage; 3] = [Storage::Float32, Storage::Float16, Storage::Int8];

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Storage::Float32 => "float32",
            Storage::Float16 => "float16",
            Storage::Int8 => "int8",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Storage {
    type Err = BuildError;

    fn from_str(name: &str) -> Result<Storage, BuildError> {
        Storage::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| BuildError::Parameter {
            name: "storage",
            got: format!("{name:?}"),
            expected: "\"float32\", \"float16\" or \"int8\"",
        })
    }
}

/// Values in half precision, rounded to the nearest.
///
/// # Errors
/// If one is beyond float16's range.
pub fn halves(values: &[f32], dim: usize) -> Result<Vec<f16>, BuildError> {
    let mut halves: Vec<f16> = memory::with_capacity(values.len());
    values.par_iter().map(|&x| f16::from_f32(x)).collect_into_vec(&mut halves);
    match halves.iter().position(|x| !x.is_finite()) {
        Some(at) => {
            Err(BuildError::BeyondHalf { row: at / dim, column: at % dim, value: values[at] })
        }
        None => Ok(halves),
    }
}

/// Vectors in signed bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ByteVectors {
    codes: Vec<i8>,
    scales: Vec<f32>,
    offset: Vec<f32>,
}

impl ByteVectors {
    /// Codes rows of finite values.
    #[must_use]
    pub fn new(values: &[f32], dim: usize) -> ByteVectors {
        for offset in [0.0, 128.0] {
            let fits = |x: &f32| x.fract() == 0.0 && (-128.0..=127.0).contains(&(x - offset));
            if values.par_iter().all(fits) {
                let mut codes: Vec<i8> = memory::with_capacity(values.len());
                values.par_iter().map(|x| (x - offset) as i8).collect_into_vec(&mut codes);
                let scales = vec![1.0; values.len() / dim];
                return ByteVectors { codes, scales, offset: vec![offset; dim] };
            }
        }
        let row = |at: usize| &values[at * dim..][..dim];
        let n = values.len() / dim;
        let offset = quant::mean(n, dim, |at| row(at).into(), &[]);
        let mut codes = memory::zeroed(values.len());
        let rows = codes.par_chunks_exact_mut(dim).enumerate();
        let scale =
            |(at, codes): (usize, &mut [i8])| quant::encode(row(at), 1.0, &offset, codes).scale;
        let scales = threads::map(rows, scale).collect();
        ByteVectors { codes, scales, offset }
    }

    /// A view of them.
    #[must_use]
    pub fn values(&self) -> Values<'_> {
        Values::I8 { codes: &self.codes, scales: &self.scales, offset: &self.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn integers_of_a_byte_come_back_as_they_were() {
        let mut r = Random::new(6, 0);
        for least in [-128.0, 0.0] {
            let mut values: Vec<f32> = (0..600).map(|_| r.below(256) as f32 + least).collect();
            values[7] = least;
            values[8] = least + 255.0;
            let bytes = ByteVectors::new(&values, 6);
            for (row, x) in values.chunks_exact(6).enumerate() {
                assert_eq!(bytes.values().row(row, 6)[..], *x);
            }
            for wrong in [least - 1.0, least + 256.0, 0.5] {
                values[9] = wrong;
                let lossy = ByteVectors::new(&values, 6);
                assert_ne!(lossy.offset, bytes.offset, "{wrong}");
            }
            values[9] = 0.0;
        }
    }

    #[test]
    fn other_values_come_back_within_half_a_step_of_their_row() {
        let mut r = Random::new(7, 0);
        let values: Vec<f32> =
            (0..50 * 9).map(|i| (r.normal() * (1 + i / 9) as f64) as f32).collect();
        let bytes = ByteVectors::new(&values, 9);
        for (row, x) in values.chunks_exact(9).enumerate() {
            let stored = bytes.values().row(row, 9);
            let far = x.iter().zip(stored.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far <= 0.501 * bytes.scales[row], "{far} {}", bytes.scales[row]);
        }
    }

    #[test]
    fn half_precision_rounds_and_refuses_what_is_too_large() {
        let half = halves(&[1.0, 2049.0, 2051.0, 65_519.9, -65_504.0, 1e-9], 2).unwrap();
        let back: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
        assert_eq!(back, [1.0, 2048.0, 2052.0, 65_504.0, -65_504.0, 0.0]);
        let error = halves(&[1.0, 2.0, 3.0, 65_520.0], 2).unwrap_err().to_string();
        assert!(error.starts_with("row 1, column 1 is 65520"), "{error}");
    }
}
