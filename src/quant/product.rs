//! 4-bit product codes: train, encode, table.
//!
//! What is coded is a row's *residual*, its difference from the centre of its leaf, at length 1: its
//! dimensions are cut into parts of a few, and each part is one of the sixteen entries of its
//! codebook (Jégou, Douze, Schmid 2011). The code stands for `scale * entries`, where `scale` makes
//! the product with the residual itself exact: |r|^2 / <r, entries>, the unbiased estimate of
//! RaBitQ (Gao, Long 2024). Against the plain reconstruction it halves the candidates that have to
//! be re-ranked for the same recall (`docs/tried.md`).

use rayon::prelude::*;

use crate::kernel::product::{self, ENTRIES, LINE, ProductQuery};
use crate::kernel::vector::ROUND;
use crate::threads;

/// Dimensions of a part: fewer where vectors are short, since errors average out over the parts.
#[must_use]
pub fn part_width(dim: usize) -> usize {
    match dim {
        0..=32 => 1,
        33..=256 => 2,
        _ => 4,
    }
}

/// Parts of `width` dimensions in a vector: whole lines.
#[must_use]
pub fn n_parts(dim: usize, width: usize) -> usize {
    dim.div_ceil(width).next_multiple_of(LINE)
}

/// Rounds of k-means for a codebook.
const ROUNDS: usize = 8;

/// The codebooks of all parts.
#[derive(Debug, Clone, Copy)]
pub struct Books<'a> {
    /// For each part its dimensions one after the other, sixteen entries each; zeros for parts and
    /// dimensions that only fill up.
    pub values: &'a [f32],
    /// Dimensions of a vector.
    pub dim: usize,
    /// Dimensions of a part.
    pub width: usize,
}

/// A row's code apart from its entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoded {
    /// What the entries are multiplied with.
    pub scale: f32,
    /// The length of the residual.
    pub length: f32,
}

impl Books<'_> {
    /// Values of the codebooks for vectors of `dim` values in parts of `width`.
    #[must_use]
    pub fn len_for(dim: usize, width: usize) -> usize {
        n_parts(dim, width) * width * ENTRIES
    }

    /// Parts of a vector.
    #[must_use]
    pub fn n_parts(&self) -> usize {
        n_parts(self.dim, self.width)
    }

    /// Learns codebooks from residuals at length 1, `dim` values each. Deterministic at any number
    /// of threads.
    #[must_use]
    pub fn train(sample: &[f32], dim: usize, width: usize) -> Vec<f32> {
        let mut values = vec![0f32; Books::len_for(dim, width)];
        let books = values.par_chunks_exact_mut(width * ENTRIES).enumerate();
        threads::for_each(books, |(part, book): (usize, &mut [f32])| {
            let first = part * width;
            if first < dim {
                let points: Vec<f32> = sample
                    .chunks_exact(dim)
                    .flat_map(|x| (first..first + width).map(|j| x.get(j).copied().unwrap_or(0.0)))
                    .collect();
                train_part(&points, width, book);
            }
        });
        values
    }

    /// Half the square of every entry, as [`Books::encode`] wants it.
    #[must_use]
    pub fn half_squares(&self) -> Vec<f32> {
        half_squares(self.values, self.width)
    }

    /// Codes a residual, which is brought to length 1 in place.
    pub fn encode(&self, half: &[f32], residual: &mut [f32], codes: &mut [u8]) -> Encoded {
        let square: f64 = residual.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let length = square.sqrt();
        if length < 1e-30 {
            codes.fill(0);
            return Encoded { scale: 0.0, length: 0.0 };
        }
        let inverse = (1.0 / length) as f32;
        residual.iter_mut().for_each(|x| *x *= inverse);
        product::encode(residual, self.values, half, codes);
        let along: f64 = residual
            .iter()
            .enumerate()
            .map(|(j, &x)| f64::from(x) * f64::from(self.entry(j, codes)))
            .sum();
        // Entries that say little of the direction: the length itself is the better factor.
        let scale = if along > 0.2 { length / along } else { length };
        Encoded { scale: scale as f32, length: length as f32 }
    }

    /// The value that a code stands for in dimension `j`, before it is scaled.
    #[must_use]
    pub fn entry(&self, j: usize, codes: &[u8]) -> f32 {
        let code = usize::from(codes[j / self.width]);
        self.values[j * ENTRIES + code]
    }
}

fn half_squares(books: &[f32], width: usize) -> Vec<f32> {
    let mut half = vec![0f32; books.len() / width];
    for (half, book) in half.chunks_exact_mut(ENTRIES).zip(books.chunks_exact(width * ENTRIES)) {
        for entries in book.chunks_exact(ENTRIES) {
            half.iter_mut().zip(entries).for_each(|(h, e)| *h += 0.5 * e * e);
        }
    }
    half
}

/// Lloyd's rounds over the points of a part, from points spread over the sample.
fn train_part(points: &[f32], width: usize, book: &mut [f32]) {
    let n = points.len() / width;
    for z in 0..ENTRIES {
        for w in 0..width {
            book[w * ENTRIES + z] = points[(z * n / ENTRIES) * width + w];
        }
    }
    for _ in 0..ROUNDS {
        let half = half_squares(book, width);
        let (mut sums, mut counts) = (vec![0f64; width * ENTRIES], [0u32; ENTRIES]);
        let mut code = [0u8];
        for point in points.chunks_exact(width) {
            product::encode(point, book, &half, &mut code);
            let z = usize::from(code[0]);
            counts[z] += 1;
            for (w, x) in point.iter().enumerate() {
                sums[w * ENTRIES + z] += f64::from(*x);
            }
        }
        for z in (0..ENTRIES).filter(|&z| counts[z] > 0) {
            for w in 0..width {
                book[w * ENTRIES + z] = (sums[w * ENTRIES + z] / f64::from(counts[z])) as f32;
            }
        }
    }
}

/// A query's look-up tables, and memory to make them in.
#[derive(Debug, Clone, Default)]
pub struct QueryTables {
    tables: Vec<u8>,
    worth: Vec<f32>,
    zeros: Vec<f32>,
    scaled: Vec<f32>,
    step: f32,
    least: f32,
}

impl QueryTables {
    /// Makes the tables of `-factor * query . entry`, in steps of one 255th of the widest part.
    pub fn fill(&mut self, books: Books<'_>, query: impl Iterator<Item = f32>, factor: f32) {
        let parts = books.n_parts();
        self.scaled.clear();
        self.scaled.extend(query.map(|x| x * factor));
        self.worth.resize(parts * ENTRIES, 0.0);
        self.zeros.resize(parts * ENTRIES, 0.0);
        self.tables.resize(parts * ENTRIES, 0);
        product::entries(&self.scaled, books.values, &self.zeros, &mut self.worth);
        let (mut widest, mut total) = (0f32, 0f32);
        for worth in self.worth.as_chunks_mut::<ENTRIES>().0 {
            let least = fold(worth, |a, b| if b < a { b } else { a });
            let most = fold(worth, |a, b| if b > a { b } else { a });
            worth.iter_mut().for_each(|w| *w -= least);
            total += least;
            widest = widest.max(most - least);
        }
        let inverse = if widest > 1e-30 { 255.0 / widest } else { 0.0 };
        for (part, worth) in self.worth.as_chunks::<ENTRIES>().0.iter().enumerate() {
            let table = &mut self.tables[product::table_at(part)..][..ENTRIES];
            for (byte, w) in table.iter_mut().zip(worth) {
                // The integer is left in the low bits of the sum: see `kernel::vector`.
                *byte = (w * inverse + ROUND).to_bits() as u8;
            }
        }
        (self.step, self.least) = (if inverse > 0.0 { 1.0 / inverse } else { 0.0 }, total);
    }

    /// What a scan takes; `base` is what the scanned rows have in common.
    #[must_use]
    pub fn query(&self, base: f32) -> ProductQuery<'_> {
        ProductQuery { tables: &self.tables, step: self.step, least: self.least, base }
    }
}

/// A fold in halves, which compiles to a few instructions.
fn fold(values: &[f32; ENTRIES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut v = *values;
    for width in [8, 4, 2, 1] {
        for z in 0..width {
            v[z] = f(v[z], v[z + width]);
        }
    }
    v[0]
}
