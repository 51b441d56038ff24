//! Inner products and distances of float32 vectors to rows of float32, float16 or 8-bit codes.
//!
//! Lane j of 32 sums the elements j, j + 32, ...; a short last step is padded with zeros; the lanes
//! are then added in halves, 32 to 16 to 8 to 4 to 2 to 1. Two AVX-512 registers or four AVX2
//! registers hold the lanes: enough to hide the latency of one multiply-add when neighbouring rows
//! overlap in flight. A row of another element is turned into float32 on its way, exactly as
//! [`Row::decode`] does, so its sums have the bits of those with the decoded row.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use half::f16;

use super::Isa;

/// What is summed: products, squared differences, the sizes of differences, or squared differences from
/// the row times a factor.
const DOT: u8 = 0;
const SQUARED_L2: u8 = 1;
const L1: u8 = 2;
const SCALED_L2: u8 = 3;

/// What a row's elements are.
const F32: u8 = 0;
const F16: u8 = 1;
const I8: u8 = 2;

/// A stored vector.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// As it is.
    F32(&'a [f32]),
    /// In half precision.
    F16(&'a [f16]),
    /// `offset[j] + scale * codes[j]`, one fused multiply-add.
    I8 {
        /// Signed codes.
        codes: &'a [i8],
        /// The row's factor.
        scale: f32,
        /// A value a dimension.
        offset: &'a [f32],
    },
}

impl Row<'_> {
    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Row::F32(values) => values.len(),
            Row::F16(values) => values.len(),
            Row::I8 { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as float32.
    ///
    /// # Panics
    /// If an offset is missing.
    #[must_use]
    pub fn decode(&self) -> Vec<f32> {
        match self {
            Row::F32(values) => values.to_vec(),
            Row::F16(_) => (0..self.len()).map(|j| element::<F16>(*self, j)).collect(),
            Row::I8 { .. } => (0..self.len()).map(|j| element::<I8>(*self, j)).collect(),
        }
    }

    fn check(&self, len: usize) {
        assert_eq!(len, self.len(), "vectors of different length");
        if let Row::I8 { codes, offset, .. } = self {
            assert_eq!(codes.len(), offset.len(), "offsets of a row");
        }
    }
}

/// One value of a row whose elements are `E`.
#[inline(always)]
fn element<const E: u8>(row: Row<'_>, at: usize) -> f32 {
    match (E, row) {
        (F32, Row::F32(values)) => values[at],
        (F16, Row::F16(values)) => values[at].to_f32(),
        (I8, Row::I8 { codes, scale, offset }) => scale.mul_add(f32::from(codes[at]), offset[at]),
        _ => f32::NAN,
    }
}

/// The inner product of two vectors of equal length.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    with::<1, DOT>(Isa::active(), [a], Row::F32(b), 1.0)[0]
}

/// The squared L2 distance of two vectors of equal length.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    with::<1, SQUARED_L2>(Isa::active(), [a], Row::F32(b), 1.0)[0]
}

/// The inner products of `N` vectors (1 or 4 are the quickest) with a row: each has the bits of
/// [`dot`] with the decoded row.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn dots<const N: usize>(a: [&[f32]; N], row: Row<'_>) -> [f32; N] {
    with::<N, DOT>(Isa::active(), a, row, 1.0)
}

/// The squared L2 distances of `N` vectors to a row.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn squared_l2s<const N: usize>(a: [&[f32]; N], row: Row<'_>) -> [f32; N] {
    with::<N, SQUARED_L2>(Isa::active(), a, row, 1.0)
}

/// The squared L2 distance of a vector to a row times `factor`. The products are rounded to float32
/// before they are subtracted, so the distance of `factor * row`, rounded likewise, is 0.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn scaled_l2(a: &[f32], row: Row<'_>, factor: f32) -> f32 {
    with::<1, SCALED_L2>(Isa::active(), [a], row, factor)[0]
}

/// The L1 distances of `N` vectors to a row.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn l1s<const N: usize>(a: [&[f32]; N], row: Row<'_>) -> [f32; N] {
    with::<N, L1>(Isa::active(), a, row, 1.0)
}

#[inline]
fn with<const N: usize, const OP: u8>(
    isa: Isa,
    a: [&[f32]; N],
    row: Row<'_>,
    factor: f32,
) -> [f32; N] {
    a.iter().for_each(|a| row.check(a.len()));
    match row {
        Row::F32(_) => of_element::<N, OP, F32>(isa, a, row, factor),
        Row::F16(_) => of_element::<N, OP, F16>(isa, a, row, factor),
        Row::I8 { .. } => of_element::<N, OP, I8>(isa, a, row, factor),
    }
}

/// The lengths have been checked, and `E` is what the row's elements are.
#[inline(always)]
fn of_element<const N: usize, const OP: u8, const E: u8>(
    isa: Isa,
    a: [&[f32]; N],
    row: Row<'_>,
    factor: f32,
) -> [f32; N] {
    match isa {
        // SAFETY: an Isa above Portable comes from detection, so the processor has it; the lengths
        // and the element were checked by `with`.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::sums::<N, OP, E>(a, row, factor) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::sums::<N, OP, E>(a, row, factor) },
        _ => portable::sums::<N, OP, E>(a, row, factor),
    }
}

/// Where a row lies.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Raw {
    data: *const u8,
    scale: f32,
    offset: *const f32,
}

#[cfg(target_arch = "x86_64")]
impl Raw {
    fn of(row: Row<'_>) -> Raw {
        let none = std::ptr::null();
        match row {
            Row::F32(v) => Raw { data: v.as_ptr().cast(), scale: 0.0, offset: none },
            Row::F16(v) => Raw { data: v.as_ptr().cast(), scale: 0.0, offset: none },
            Row::I8 { codes, scale, offset } => {
                Raw { data: codes.as_ptr().cast(), scale, offset: offset.as_ptr() }
            }
        }
    }
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

    fn bits<const N: usize>(sums: [f32; N]) -> [u32; N] {
        sums.map(f32::to_bits)
    }

    fn compare<const OP: u8>(isa: Isa, four: [&[f32]; 4], row: Row<'_>) {
        let decoded = row.decode();
        let (b, factor) = (Row::F32(&decoded), 0.731);
        let expected = four.map(|a| bits(with::<1, OP>(Isa::Portable, [a], b, factor))[0]);
        let what = format!("{isa}, operation {OP}, {row:?}");
        assert_eq!(bits(with::<4, OP>(isa, four, row, factor)), expected, "four, {what}");
        assert_eq!(bits(with::<1, OP>(isa, [four[0]], row, factor)), [expected[0]], "{what}");
    }

    #[test]
    fn every_instruction_set_has_the_portable_bits_of_the_decoded_row() {
        for isa in Isa::available() {
            for length in LENGTHS {
                let v = vectors(length, 6);
                let four = [&v[0][..], &v[1], &v[2], &v[3]];
                let halves: Vec<f16> = v[4].iter().map(|&x| f16::from_f32(x)).collect();
                let codes: Vec<i8> = v[4].iter().map(|&x| (x * 20.0) as i8).collect();
                for row in [
                    Row::F32(&v[4]),
                    Row::F16(&halves),
                    Row::I8 { codes: &codes, scale: 0.137, offset: &v[5] },
                ] {
                    compare::<DOT>(isa, four, row);
                    compare::<SQUARED_L2>(isa, four, row);
                    compare::<L1>(isa, four, row);
                    compare::<SCALED_L2>(isa, four, row);
                }
            }
        }
    }

    #[test]
    fn the_portable_sums_are_near_the_float64_ones() {
        for length in LENGTHS {
            let v = vectors(length, 2);
            let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
                v[0].iter().zip(&v[1]).map(|(a, b)| f(f64::from(*a), f64::from(*b))).sum()
            };
            let near = |got: [f32; 1], exact: f64, size: f64| {
                let got = f64::from(got[0]);
                assert!((got - exact).abs() <= 1e-6 * size, "{length}: {got} {exact}");
            };
            let (p, a, b) = (Isa::Portable, [&v[0][..]], Row::F32(&v[1]));
            near(with::<1, DOT>(p, a, b, 1.0), sum(&|x, y| x * y), sum(&|x, y| (x * y).abs()));
            let exact = sum(&|x, y| (x - y) * (x - y));
            near(with::<1, SQUARED_L2>(p, a, b, 1.0), exact, exact);
            let exact = sum(&|x, y| (x - y).abs());
            near(with::<1, L1>(p, a, b, 1.0), exact, exact);
            let exact = sum(&|x, y| (x - 0.3 * y) * (x - 0.3 * y));
            near(with::<1, SCALED_L2>(p, a, b, 0.3), exact, exact);
            let scaled: Vec<f32> = v[1].iter().map(|y| 0.3 * y).collect();
            assert_eq!(with::<1, SCALED_L2>(p, [&scaled], b, 0.3), [0.0]);
        }
    }
}
