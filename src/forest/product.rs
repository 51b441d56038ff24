//! The members of leaves in 4-bit product codes: what is left of them beyond their leaf's centre.
//!
//! A single search reads these: a quarter of the bytes of the 8-bit codes, and memory is what a scan
//! waits for.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::lloyd::Centres;
use crate::exact::{Rows, Values};
use crate::kernel::code::{self, TILE};
use crate::kernel::product::{self, ProductRows};
use crate::memory;
use crate::metric::Metric;
use crate::quant::{self, Books};
use crate::random::Random;
use crate::threads;

/// Residuals that the codebooks are learnt from.
const SAMPLE: usize = 4096;

/// A tree's product codes as a search reads them.
#[derive(Debug, Clone, Copy)]
pub struct ProductCodes<'a> {
    /// The codebooks.
    pub books: Books<'a>,
    /// Tiles of the members.
    pub tiles: &'a [u8],
}

impl<'a> ProductCodes<'a> {
    /// Member slots `start` to `end - 1`, whole tiles, with their bias.
    pub(super) fn slice(&self, start: usize, end: usize, bias: &'a [f32]) -> ProductRows<'a> {
        let bytes = product::tile_bytes(self.books.n_parts());
        let tiles = &self.tiles[start / TILE * bytes..end / TILE * bytes];
        ProductRows { tiles, bias: &bias[start..end] }
    }
}

/// Rows about the centres of their leaves.
pub(super) struct Residuals<'a> {
    pub rows: Rows<'a>,
    pub mean: &'a [f32],
    pub leaf_offsets: &'a [u32],
    pub leaves: &'a Centres,
    pub members: &'a [u32],
}

impl Residuals<'_> {
    /// Learns the codebooks from a sample.
    pub fn train(&self, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed, u64::MAX - 1);
        let mut slots = random.sample(self.members.len(), SAMPLE);
        slots.retain(|&slot| self.members[slot] != u32::MAX);
        let dim = self.rows.dim;
        let mut sample = memory::zeroed(slots.len() * dim);
        let samples = sample.par_chunks_exact_mut(dim).zip(slots);
        threads::for_each(samples, |(out, slot): (&mut [f32], usize)| {
            let leaf = self.leaf_offsets.partition_point(|&end| end as usize <= slot) - 1;
            self.residual(self.members[slot], &self.centre(leaf), out);
            let length = out.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            let inverse = if length > 1e-30 { (1.0 / length) as f32 } else { 0.0 };
            out.iter_mut().for_each(|x| *x *= inverse);
        });
        Books::train(&sample, dim, quant::part_width(dim))
    }

    /// Codes every member into tiles, [`product::tile_bytes`] each. Rows of up to `window` members
    /// are read in any order; where there are more, as many leaves as fit are coded over a copy of
    /// their rows, read in order.
    pub fn encode(&self, books: &[f32], window: usize, tiles: &mut [u8]) {
        let n_leaves = self.leaf_offsets.len() - 1;
        if self.members.len() <= window {
            return self.encode_leaves(books, 0..n_leaves, tiles);
        }
        let bytes =
            product::tile_bytes(quant::n_parts(self.rows.dim, quant::part_width(self.rows.dim)));
        let (mut rest, mut first) = (tiles, 0);
        while first < n_leaves {
            let start = self.leaf_offsets[first];
            let fits = |&end: &u32| (end - start) as usize <= window;
            let last =
                first + self.leaf_offsets[first + 1..].iter().take_while(|e| fits(e)).count();
            let run = first..last.max(first + 1);
            let span = start as usize..self.leaf_offsets[run.end] as usize;
            let (own, others) = rest.split_at_mut(span.len() / TILE * bytes);
            (rest, first) = (others, run.end);
            self.encode_copy(books, run, &self.members[span], own);
        }
    }

    fn encode_copy(&self, books: &[f32], run: Range<usize>, members: &[u32], tiles: &mut [u8]) {
        let dim = self.rows.dim;
        let filled = members.iter().copied().zip(0..).filter(|&(row, _)| row != u32::MAX);
        let mut places: Vec<(u32, u32)> = filled.collect();
        places.par_sort_unstable();
        let mut values = memory::with_capacity(places.len() * dim);
        let mut inverse_norms = Vec::new();
        let mut near = memory::filled(u32::MAX, members.len());
        for (at, &(row, slot)) in places.iter().enumerate() {
            values.extend_from_slice(&self.rows.row(row as usize));
            inverse_norms.extend(self.rows.inverse_norms.get(row as usize));
            near[slot as usize] = at as u32;
        }
        let rows =
            Rows { values: Values::F32(&values), inverse_norms: &inverse_norms, ..self.rows };
        Residuals { rows, members: &near, ..*self }.encode_leaves(books, run, tiles);
    }

    /// Codes the members of some leaves, which `members` begins with.
    fn encode_leaves(&self, books: &[f32], run: Range<usize>, tiles: &mut [u8]) {
        let books =
            Books { values: books, dim: self.rows.dim, width: quant::part_width(self.rows.dim) };
        let half = books.half_squares();
        let bytes = product::tile_bytes(books.n_parts());
        let mut leaves = Vec::with_capacity(run.len());
        let (mut tiles, mut members) = (tiles, self.members);
        for leaf in run {
            let slots = (self.leaf_offsets[leaf + 1] - self.leaf_offsets[leaf]) as usize;
            let (own_tiles, other_tiles) = tiles.split_at_mut(slots / TILE * bytes);
            let (own, others) = members.split_at(slots);
            (tiles, members) = (other_tiles, others);
            if slots > 0 {
                leaves.push((leaf, own, own_tiles));
            }
        }
        let leaves = leaves.into_par_iter();
        threads::for_each(leaves, |(leaf, members, tiles): (usize, &[u32], &mut [u8])| {
            let mut one = One::new(self, books, &half, leaf);
            let tiles = tiles.chunks_exact_mut(bytes).zip(members.chunks_exact(TILE));
            tiles.for_each(|(tile, members)| one.tile(members, tile));
        });
    }

    /// The centre of a leaf as its codes have it.
    fn centre(&self, leaf: usize) -> Vec<f32> {
        let mut codes = vec![0i8; quant::code_len(self.mean.len())];
        code::take(&self.leaves.tiles, leaf, &mut codes);
        let scale = self.leaves.scale[leaf];
        self.mean.iter().zip(codes).map(|(m, c)| scale.mul_add(f32::from(c), *m)).collect()
    }

    fn residual(&self, row: u32, centre: &[f32], out: &mut [f32]) {
        let factor = self.rows.factor(row as usize);
        let values = self.rows.row(row as usize);
        let values = values.iter().zip(centre);
        out.iter_mut().zip(values).for_each(|(out, (x, c))| *out = x * factor - c);
    }
}

/// What coding the members of one leaf needs.
struct One<'a> {
    of: &'a Residuals<'a>,
    books: Books<'a>,
    half: &'a [f32],
    centre: Vec<f32>,
    residual: Vec<f32>,
    codes: Vec<u8>,
}

impl<'a> One<'a> {
    fn new(of: &'a Residuals<'a>, books: Books<'a>, half: &'a [f32], leaf: usize) -> Self {
        let residual = vec![0f32; books.dim];
        let codes = vec![0u8; books.n_parts()];
        One { of, books, half, centre: of.centre(leaf), residual, codes }
    }

    fn tile(&mut self, members: &[u32], tile: &mut [u8]) {
        let constants = product::tile_bytes(self.codes.len()) - 4 * TILE;
        for (slot, &row) in members.iter().enumerate().filter(|(_, row)| **row != u32::MAX) {
            self.of.residual(row, &self.centre, &mut self.residual);
            let coded = self.books.encode(self.half, &mut self.residual, &mut self.codes);
            for (part, &code) in self.codes.iter().enumerate() {
                let (at, high) = product::place(part, slot);
                tile[at] |= if high { code << 4 } else { code };
            }
            let offset = match self.of.rows.metric {
                Metric::Dot => 0.0,
                _ => 2.0 * self.missed(coded),
            };
            let at = constants + 2 * slot;
            tile[at..at + 2].copy_from_slice(&bf16::from_f32(offset).to_le_bytes());
            let at = at + 2 * TILE;
            tile[at..at + 2].copy_from_slice(&bf16::from_f32(coded.scale).to_le_bytes());
        }
    }

    /// The product of the leaf's centre, about the mean, with what the code misses of the residual:
    /// the row's bias counts the residual itself there, the look-ups the code.
    fn missed(&self, coded: quant::Encoded) -> f32 {
        let centre = self.centre.iter().zip(self.of.mean).map(|(c, m)| f64::from(c - m));
        let missed = self.residual.iter().enumerate().map(|(j, &r)| {
            let code = coded.scale * self.books.entry(j, &self.codes);
            f64::from(coded.length * r - code)
        });
        centre.zip(missed).map(|(c, r)| c * r).sum::<f64>() as f32
    }
}
