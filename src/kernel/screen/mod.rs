//! Which rows may have a large product with a vector: products of 8-bit codes against a bound.
//!
//! Where one vector after another asks for the few largest products among many rows, hardly a row
//! passes. So products are compared in the registers that they were summed in, as integers, and
//! only the places of those that pass are written. Tiles are those of [`code`](super::code); sums
//! of integers are exact, so every instruction set finds the same rows.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::Isa;
use super::code::{GROUP, MAX_DIM, TILE};

/// Vectors that are compared together.
pub const TOGETHER: usize = 4;

/// What rows are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Screen<'a> {
    /// Signed codes, a whole number of groups, zeros at the end.
    pub codes: &'a [i8],
    /// For each tile the least product that passes, of the signed codes with the rows' unsigned
    /// bytes.
    pub least: &'a [i32],
}

/// What the products of a vector are compared with, in units of its codes: a row of a tile passes
/// if `product >= at * inverse - (far * |row| + near * error)`, the last three of its tile.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The least value that passes.
    pub at: f32,
    /// What the vector's codes may be wrong by, for a row of length 1.
    pub far: f32,
    /// The vector's length.
    pub near: f32,
    /// 128 times the sum of the vector's codes: what the rows' shift by 128 adds to each product.
    pub shift: i32,
}

/// Of each tile of sixteen rows.
#[derive(Debug, Clone, Copy)]
pub struct Tiles<'a> {
    /// 1 over the scale of its codes.
    pub inverse: &'a [f32],
    /// The length of its longest row in units of its codes.
    pub length: &'a [f32],
    /// The length of the largest error of its codes, in units of its codes.
    pub error: &'a [f32],
}

/// No product of signed codes is as large: 127 x 127 x 65,536 is less.
const BEYOND: f32 = (1 << 30) as f32;

/// The least product that passes in each tile, as [`Screen::least`] has it.
///
/// # Panics
/// If the lengths differ.
pub fn least(limit: Limit, tiles: Tiles<'_>, out: &mut [i32]) {
    least_with(Isa::active(), limit, tiles, out);
}

fn least_with(isa: Isa, limit: Limit, tiles: Tiles<'_>, out: &mut [i32]) {
    let lens = [tiles.inverse.len(), tiles.length.len(), tiles.error.len()];
    assert!(lens.iter().all(|&len| len == out.len()), "constants of tiles");
    dispatch!(isa, least(limit, tiles, out));
}

/// Appends, for each of four vectors, the places of the rows whose products reach their tile's
/// bound, ascending.
///
/// # Panics
/// If the lengths do not fit together.
pub fn screen4(screens: [Screen<'_>; TOGETHER], tiles: &[u8], out: &mut [Vec<u32>; TOGETHER]) {
    screen4_with(Isa::active(), screens, tiles, out);
}

fn screen4_with(
    isa: Isa,
    screens: [Screen<'_>; TOGETHER],
    tiles: &[u8],
    out: &mut [Vec<u32>; TOGETHER],
) {
    let (codes, n) = (screens[0].codes.len(), screens[0].least.len());
    assert!(codes.is_multiple_of(GROUP) && codes <= MAX_DIM, "{codes} codes in the vector");
    assert_eq!(tiles.len(), n * codes * TILE, "bytes of tiles");
    let alike = |s: &Screen<'_>| s.codes.len() == codes && s.least.len() == n;
    assert!(screens.iter().all(alike), "vectors differ");
    dispatch!(isa, screen4(&screens, tiles, out));
}

/// Appends the rows of a tile that a mask names.
#[inline]
fn append(tile: usize, mut mask: u32, out: &mut Vec<u32>) {
    while mask != 0 {
        out.push((tile * TILE) as u32 + mask.trailing_zeros());
        mask &= mask - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::code::place;
    use crate::random::Random;

    fn found(isa: Isa, vectors: &[Vec<i8>], least: &[Vec<i32>], tiles: &[u8]) -> [Vec<u32>; 4] {
        let mut out: [Vec<u32>; 4] = Default::default();
        let screen = |i: usize| Screen { codes: &vectors[i], least: &least[i] };
        screen4_with(isa, [screen(0), screen(1), screen(2), screen(3)], tiles, &mut out);
        out
    }

    #[test]
    fn every_instruction_set_finds_what_reaches_the_bound() {
        for codes in [4, 8, 60, 64, 68, 132] {
            for tiles in [0, 1, 3, 4, 5, 9] {
                let mut r = Random::new(13, (codes * 100 + tiles) as u64);
                let mut vector = |extreme: bool| -> Vec<i8> {
                    let code = |r: &mut Random| match extreme {
                        true => [-127, 127][r.below(2)],
                        false => (r.below(255) as i32 - 127) as i8,
                    };
                    (0..codes).map(|_| code(&mut r)).collect()
                };
                let vectors: Vec<Vec<i8>> = (0..4).map(|i| vector(i == 1)).collect();
                let rows: Vec<Vec<i8>> = (0..tiles * TILE).map(|i| vector(i % 5 == 0)).collect();
                let mut packed = vec![0; tiles * TILE * codes];
                rows.iter().enumerate().for_each(|(i, row)| place(&mut packed, i, row));
                let product = |q: usize, row: &[i8]| -> i32 {
                    let pairs = row.iter().zip(&vectors[q]);
                    pairs.map(|(&x, &a)| (i32::from(x) + 128) * i32::from(a)).sum()
                };
                // A product that occurs in the tile: equal passes, one less does not.
                let of_tile = |q: usize, t: usize| product(q, &rows[t * TILE + (t + q) % TILE]);
                let least: Vec<Vec<i32>> =
                    (0..4).map(|q| (0..tiles).map(|t| of_tile(q, t)).collect()).collect();
                let expected: Vec<Vec<u32>> = (0..4)
                    .map(|q| {
                        let passes = |&at: &usize| product(q, &rows[at]) >= least[q][at / TILE];
                        (0..rows.len()).filter(passes).map(|at| at as u32).collect()
                    })
                    .collect();
                for isa in Isa::available() {
                    let found = found(isa, &vectors, &least, &packed);
                    assert_eq!(found[..], expected[..], "{isa}, {codes} codes, {tiles} tiles");
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_has_the_bits_of_the_limits() {
        let mut r = Random::new(14, 0);
        for n in [0, 1, 7, 8, 16, 24, 33] {
            let mut numbers = || -> Vec<f32> { (0..n).map(|_| r.normal().abs() as f32).collect() };
            let (inverse, length, error) = (numbers(), numbers(), numbers());
            let tiles = Tiles { inverse: &inverse, length: &length, error: &error };
            for at in [f32::NEG_INFINITY, -3e20, -70.3, 0.0, 1234.5, 3e20, f32::NAN] {
                let limit = Limit { at, far: 17.0, near: 1100.0, shift: -5000 };
                let mut expected = vec![0; n];
                for (i, out) in expected.iter_mut().enumerate() {
                    let error = 17f32.mul_add(length[i], 1100.0 * error[i]);
                    let exact = at.mul_add(inverse[i], -error);
                    let within = if exact.is_nan() { -BEYOND } else { exact };
                    *out = within.clamp(-BEYOND, BEYOND) as i32 - 5000;
                }
                for isa in Isa::available() {
                    let mut out = vec![7; n];
                    least_with(isa, limit, tiles, &mut out);
                    assert_eq!(out, expected, "{isa} {n} {at}");
                }
            }
        }
    }

    #[test]
    fn bounds_at_the_ends_of_their_type_let_all_pass_or_none() {
        let codes = vec![127i8; 8];
        let mut tiles = vec![0; 4 * TILE * 8];
        (0..4 * TILE).for_each(|row| place(&mut tiles, row, &[127; 8]));
        let (all, none) = (vec![i32::MIN; 4], vec![i32::MAX; 4]);
        for isa in Isa::available() {
            let vectors = vec![codes.clone(); 4];
            let least = [all.clone(), none.clone(), all.clone(), none.clone()];
            let lengths = found(isa, &vectors, &least, &tiles).map(|found| found.len());
            assert_eq!(lengths, [64, 0, 64, 0], "{isa}");
        }
    }
}
