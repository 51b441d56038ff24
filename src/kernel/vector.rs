//! Loops over the values of one vector: its length, and its rounding to 8-bit codes.
//!
//! Lane j of 16 takes the elements j, j + 16, ...; a short last step is padded with zeros; sums of
//! lanes are added in halves. One body serves every instruction set: the compiler turns it into the
//! vectors of each.

use super::{Isa, sum_in_halves};

const LANES: usize = 16;

/// Added to a number within 2^22 of zero, it leaves the nearest integer, ties to even, in the low bits
/// of the sum, which every processor does in one addition; taken away again, it leaves that integer.
pub const ROUND: f32 = 12_582_912.0;

/// What is rounded: `factor * x - mean`, or `factor * x` where there is no mean.
#[derive(Debug, Clone, Copy)]
pub struct Centred<'a> {
    /// The vector.
    pub x: &'a [f32],
    /// Applied first.
    pub factor: f32,
    /// As long as `x`, or empty.
    pub mean: &'a [f32],
}

/// The sum of squares, in float64.
#[must_use]
pub fn squares(x: &[f32]) -> f64 {
    squares_with(Isa::active(), x)
}

/// The largest absolute value.
///
/// # Panics
/// If the mean has another length.
#[must_use]
pub fn largest(values: Centred<'_>) -> f32 {
    largest_with(Isa::active(), values)
}

/// Writes each value times `inverse`, rounded, which must be within +-127. Returns the sum of what
/// is written and the sum of the values' squares.
///
/// # Panics
/// If the mean or `codes` has another length.
pub fn round(values: Centred<'_>, inverse: f32, codes: &mut [i8]) -> (i32, f64) {
    round_with(Isa::active(), values, inverse, codes)
}

/// Writes each value times `inverse`, and `shift`, rounded and cut off at +-127, as a byte that is `zero`
/// for 0.
///
/// # Panics
/// If the mean or `bytes` has another length.
pub fn round_cut(values: Centred<'_>, inverse: f32, shift: f32, zero: u8, bytes: &mut [u8]) {
    round_cut_with(Isa::active(), values, (inverse, shift, zero), bytes);
}

fn squares_with(isa: Isa, x: &[f32]) -> f64 {
    dispatch!(isa, squares(x))
}

fn largest_with(isa: Isa, values: Centred<'_>) -> f32 {
    values.check(values.x.len());
    dispatch!(isa, largest(values))
}

fn round_with(isa: Isa, values: Centred<'_>, inverse: f32, codes: &mut [i8]) -> (i32, f64) {
    values.check(codes.len());
    dispatch!(isa, round(values, inverse, codes))
}

fn round_cut_with(isa: Isa, values: Centred<'_>, as_bytes: (f32, f32, u8), bytes: &mut [u8]) {
    values.check(bytes.len());
    dispatch!(isa, round_cut(values, as_bytes, bytes));
}

impl Centred<'_> {
    fn check(&self, n_out: usize) {
        assert_eq!(self.x.len(), n_out, "values and what is written of them");
        assert!(self.mean.is_empty() || self.mean.len() == n_out, "dimension of the mean");
    }

    /// The values of the lanes from the element `at` on.
    #[inline(always)]
    fn lanes(&self, at: usize) -> [f32; LANES] {
        let Centred { x, factor, mean } = *self;
        let mean = if mean.is_empty() { [0.0; LANES] } else { lanes_from(mean, at) };
        let mut out = lanes_from(x, at);
        for j in 0..LANES {
            out[j] = out[j] * factor - mean[j];
        }
        out
    }
}

#[inline(always)]
fn lanes_from(values: &[f32], at: usize) -> [f32; LANES] {
    match values[at..].first_chunk::<LANES>() {
        Some(whole) => *whole,
        None => {
            let mut out = [0f32; LANES];
            out[..values.len() - at].copy_from_slice(&values[at..]);
            out
        }
    }
}

#[inline(always)]
fn add_squares(sums: &mut [f64; LANES], values: [f32; LANES]) {
    for (sum, x) in sums.iter_mut().zip(values) {
        *sum += f64::from(x) * f64::from(x);
    }
}

/// The bodies, compiled for each instruction set. A closure in one would be compiled for none.
mod portable {
    use super::{Centred, LANES, ROUND, add_squares, lanes_from, sum_in_halves};

    #[inline(always)]
    pub(super) fn squares(x: &[f32]) -> f64 {
        let mut sums = [0f64; LANES];
        for at in (0..x.len()).step_by(LANES) {
            add_squares(&mut sums, lanes_from(x, at));
        }
        sum_in_halves(sums)
    }

    #[inline(always)]
    pub(super) fn largest(values: Centred<'_>) -> f32 {
        let mut most = [0f32; LANES];
        for at in (0..values.x.len()).step_by(LANES) {
            for (most, x) in most.iter_mut().zip(values.lanes(at)) {
                *most = if x.abs() > *most { x.abs() } else { *most };
            }
        }
        let mut largest = 0.0;
        for x in most {
            largest = if x > largest { x } else { largest };
        }
        largest
    }

    #[inline(always)]
    pub(super) fn round(values: Centred<'_>, inverse: f32, codes: &mut [i8]) -> (i32, f64) {
        let (mut sum, mut squares) = ([0i32; LANES], [0f64; LANES]);
        for at in (0..values.x.len()).step_by(LANES) {
            let (lanes, mut rounded) = (values.lanes(at), [0i8; LANES]);
            for j in 0..LANES {
                rounded[j] = (lanes[j] * inverse + ROUND).to_bits() as i8;
                sum[j] += i32::from(rounded[j]);
            }
            add_squares(&mut squares, lanes);
            put(&rounded, at, codes);
        }
        (sum.into_iter().sum(), sum_in_halves(squares))
    }

    #[inline(always)]
    pub(super) fn round_cut(
        values: Centred<'_>,
        (inverse, shift, zero): (f32, f32, u8),
        bytes: &mut [u8],
    ) {
        for at in (0..values.x.len()).step_by(LANES) {
            let (lanes, mut rounded) = (values.lanes(at), [0u8; LANES]);
            for j in 0..LANES {
                let value = (lanes[j] * inverse + shift).clamp(-127.0, 127.0);
                rounded[j] = zero.wrapping_add((value + ROUND).to_bits() as u8);
            }
            put(&rounded, at, bytes);
        }
    }

    /// Writes a step, or what there is room for of the last.
    #[inline(always)]
    fn put<T: Copy>(step: &[T; LANES], at: usize, out: &mut [T]) {
        let out = &mut out[at..];
        match out.first_chunk_mut::<LANES>() {
            Some(out) => *out = *step,
            None => out.copy_from_slice(&step[..out.len()]),
        }
    }
}

/// The bodies for an instruction set.
macro_rules! compiled {
    ($isa:ident, $features:literal) => {
        #[cfg(target_arch = "x86_64")]
        mod $isa {
            use super::{Centred, portable};

            #[target_feature(enable = $features)]
            pub(super) fn squares(x: &[f32]) -> f64 {
                portable::squares(x)
            }

            #[target_feature(enable = $features)]
            pub(super) fn largest(values: Centred<'_>) -> f32 {
                portable::largest(values)
            }

            #[target_feature(enable = $features)]
            pub(super) fn round(values: Centred<'_>, inverse: f32, codes: &mut [i8]) -> (i32, f64) {
                portable::round(values, inverse, codes)
            }

            #[target_feature(enable = $features)]
            pub(super) fn round_cut(
                values: Centred<'_>,
                as_bytes: (f32, f32, u8),
                bytes: &mut [u8],
            ) {
                portable::round_cut(values, as_bytes, bytes);
            }
        }
    };
}

compiled!(avx2, "avx2,fma");
compiled!(avx512, "avx512f,avx512bw,avx512vl");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn every_instruction_set_has_the_same_bits() {
        let mut random = Random::new(8, 0);
        for n in [0, 1, 15, 16, 17, 40, 96, 129] {
            let mut normals = |n| (0..n).map(|_| random.normal() as f32).collect::<Vec<f32>>();
            let (x, mean) = (normals(n), normals(n));
            for mean in [&mean[..], &[]] {
                let values = Centred { x: &x, factor: 0.7, mean };
                let most = largest(values);
                let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
                let of = |isa| {
                    let (mut codes, mut bytes, mut shifted) =
                        (vec![0i8; n], vec![0u8; n], vec![0u8; n]);
                    let (sum, squares) = round_with(isa, values, inverse, &mut codes);
                    round_cut_with(isa, values, (2.0 * inverse, 0.0, 128), &mut bytes);
                    round_cut_with(isa, values, (inverse, 60.25, 0), &mut shifted);
                    let bits = [squares.to_bits(), squares_with(isa, &x).to_bits()];
                    (largest_with(isa, values).to_bits(), codes, sum, bits, [bytes, shifted])
                };
                for isa in Isa::available() {
                    assert_eq!(of(isa), of(Isa::Portable), "{isa:?}");
                }
                // And these are what they should be.
                let (_, codes, sum, [own, plain], [bytes, shifted]) = of(Isa::Portable);
                let exact: Vec<f64> = (0..n)
                    .map(|j| f64::from(x[j] * 0.7 - mean.get(j).copied().unwrap_or(0.0)))
                    .collect();
                for (j, value) in exact.iter().enumerate() {
                    let scaled = value * f64::from(inverse);
                    assert!((f64::from(codes[j]) - scaled).abs() < 0.5001);
                    let cut = 128.0 + (2.0 * scaled).clamp(-127.0, 127.0);
                    assert!((f64::from(bytes[j]) - cut).abs() < 0.5001);
                    let cut = (scaled + 60.25).clamp(-127.0, 127.0);
                    assert!((f64::from(shifted[j] as i8) - cut).abs() < 0.5001);
                }
                assert_eq!(sum, codes.iter().map(|&code| i32::from(code)).sum::<i32>());
                let sum_of = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>();
                assert!((f64::from_bits(own) - sum_of(&exact)).abs() <= 1e-12 * sum_of(&exact));
                let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                assert!((f64::from_bits(plain) - sum_of(&x)).abs() <= 1e-12 * sum_of(&x));
            }
        }
    }
}
