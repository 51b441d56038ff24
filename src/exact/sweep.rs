//! The largest inner products of many vectors with the same rows, exactly, in a fraction of the
//! arithmetic.
//!
//! A [`Panel`] holds the rows in 8-bit codes by descending length, together with what the codes may
//! be wrong by. A sweep compares the products of codes with the least product that could still
//! count (the k-th best so far, less the errors), in the registers that they were summed in; the
//! few rows that pass are scored by their float32 values, so an answer has the bits of
//! [`search`](super::search). It ends where the rows are too short to reach the k-th best at all
//! (Cauchy-Schwarz), which is early where lengths are heavy-tailed, as those of matrix factors are.
//! The order by length and the end it brings are those of LEMP (Teflioudi, Gemulla, Mykytiuk 2015).

use rayon::prelude::*;

use super::{Best, Rows};
use crate::kernel::code::{TILE, place};
use crate::kernel::screen::{self, Limit, Screen, TOGETHER, Tiles};
use crate::kernel::vector;
use crate::memory;
use crate::progress;
use crate::quant;
use crate::threads;

/// Bytes of tiles that four vectors after another read: they stay in the first cache level.
const STEP_BYTES: usize = 24 << 10;

/// Float32 roundings of a limit, each at most 2^-24 of it, are outweighed by this share.
const SLACK: f64 = 1e-6;

/// Rows in codes, the longest first.
pub struct Panel {
    dim: usize,
    /// The row at each place.
    rows: Vec<u32>,
    tiles: Vec<u8>,
    inverse: Vec<f32>,
    length: Vec<f32>,
    error: Vec<f32>,
    /// For each tile, a bound of the length of its rows and of all that follow.
    longest: Vec<f64>,
}

/// One tile, before it is put among the others.
struct Tile {
    scale: f64,
    error: f64,
}

impl Panel {
    /// Codes the rows named, over the threads of the pool it is called in. Holds a byte a value,
    /// and 5 bytes a row; needs 12 bytes a row more meanwhile.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn new(from: Rows<'_>, rows: Vec<u32>) -> Panel {
        let length = |&row: &u32| (length(&from.row(row as usize)), row);
        let mut ranked: Vec<(f64, u32)> = memory::with_capacity(rows.len());
        threads::map(rows.par_iter(), length).collect_into_vec(&mut ranked);
        ranked.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let rows: Vec<u32> = ranked.iter().map(|r| r.1).collect();
        let width = quant::code_len(from.dim);
        let mut tiles = memory::zeroed(rows.len().div_ceil(TILE) * TILE * width);
        let work = tiles.par_chunks_exact_mut(TILE * width).zip(rows.par_chunks(TILE));
        let made: Vec<Tile> =
            threads::map(work, |(tile, rows): (&mut [u8], &[u32])| fill(from, rows, tile))
                .collect();
        let mut panel = Panel {
            dim: from.dim,
            rows,
            tiles,
            inverse: Vec::with_capacity(made.len()),
            length: Vec::with_capacity(made.len()),
            error: Vec::with_capacity(made.len()),
            longest: Vec::with_capacity(made.len()),
        };
        for (tile, ranked) in made.iter().zip(ranked.chunks(TILE)) {
            panel.push(tile, ranked[0].0);
        }
        panel
    }

    /// The limits of a tile, rounded upwards.
    fn push(&mut self, tile: &Tile, longest: f64) {
        let up = 1.0 + SLACK;
        let coded = longest + tile.error;
        // What float32 sums of products may be wrong by: so many roundings, each 2^-24, twice over.
        let rounding = (self.dim as f64 / 32.0 + 8.0) * 2f64.powi(-23);
        self.inverse.push((1.0 / tile.scale) as f32);
        self.length.push((coded / tile.scale * up) as f32);
        self.error.push(((tile.error + rounding * longest) / tile.scale * up) as f32);
        self.longest.push(longest * (1.0 + rounding) * up);
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn n_tiles(&self) -> usize {
        self.longest.len()
    }

    /// Tiles that are compared together.
    fn step(&self) -> usize {
        (STEP_BYTES / (TILE * quant::code_len(self.dim))).clamp(8, 64) / 4 * 4
    }
}

/// Codes the rows of a tile with one scale.
fn fill(from: Rows<'_>, rows: &[u32], tile: &mut [u8]) -> Tile {
    let width = quant::code_len(from.dim);
    let largest = rows.iter().map(|&row| largest(&from.row(row as usize))).fold(0.0, f64::max);
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    let mut codes = vec![0i8; width];
    // Places past the last row hold codes of zero, which may pass and are then passed over.
    (rows.len()..TILE).for_each(|at| place(tile, at, &codes));
    let mut error = 0f64;
    for (at, &row) in rows.iter().enumerate() {
        error = error.max(code(&from.row(row as usize), scale, &mut codes));
        place(tile, at, &codes);
    }
    Tile { scale, error }
}

/// The nearest codes, and the length of what they are wrong by.
fn code(x: &[f32], scale: f64, codes: &mut [i8]) -> f64 {
    let (mut error, inverse) = (0f64, 1.0 / scale);
    for (code, &x) in codes.iter_mut().zip(x) {
        // To the nearest: the cast cuts off, and unlike `round` it is one instruction.
        let wanted = f64::from(x) * inverse;
        *code = (wanted + 0.5f64.copysign(wanted)).clamp(-127.0, 127.0) as i8;
        error += (f64::from(x) - scale * f64::from(*code)).powi(2);
    }
    error.sqrt()
}

fn length(x: &[f32]) -> f64 {
    vector::squares(x).sqrt()
}

fn largest(x: &[f32]) -> f64 {
    f64::from(x.iter().fold(0f32, |most, x| most.max(x.abs())))
}

/// A vector in codes.
struct Coded {
    codes: Vec<i8>,
    scale: f64,
    length: f64,
    error: f64,
    shift: i32,
}

impl Coded {
    fn new(x: &[f32]) -> Coded {
        let largest = largest(x);
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        let mut codes = vec![0; quant::code_len(x.len())];
        let error = code(x, scale, &mut codes);
        let shift = 128 * codes.iter().map(|&c| i32::from(c)).sum::<i32>();
        Coded { codes, scale, length: length(x), error, shift }
    }

    /// What products must reach where keys above `bound` do not count.
    fn limit(&self, bound: f32, dim: usize) -> Limit {
        // Products so small that float32 rounds them to its least unit, `dim` of them.
        let least = -f64::from(bound) - dim as f64 * 2f64.powi(-148);
        let at = (least - least.abs() * SLACK) / self.scale;
        let up = |x: f64| (x / self.scale * (1.0 + SLACK)) as f32;
        Limit { at: at as f32, far: up(self.error), near: up(self.length), shift: self.shift }
    }

    /// Whether rows no longer than `longest` may still count.
    fn reaches(&self, longest: f64, bound: f32) -> bool {
        let needed = -f64::from(bound) * (1.0 - SLACK) - f64::from(f32::MIN_POSITIVE);
        // So written that what is not a number goes on.
        let falls_short = longest * self.length < needed;
        !falls_short
    }
}

/// Memory that sweeps use again.
#[derive(Default)]
pub struct SweepScratch {
    best: Vec<Best>,
    least: [Vec<i32>; TOGETHER],
    found: [Vec<u32>; TOGETHER],
    near: Vec<(u32, u32)>,
}

/// The `k` rows of the panel with the largest products for each of `queries`, on the calling
/// thread: `each` gets a query's number and (minus the product, tag), the largest product first,
/// equal ones by tag. `tag` names a row for a query; `None` leaves it out. `rows` are those that the
/// panel was made of. Returns how many rows were compared by their codes, over all queries.
///
/// # Panics
/// If the rows are others or compared by another metric than the inner product.
pub fn sweep(
    rows: Rows<'_>,
    panel: &Panel,
    queries: &[f32],
    k: usize,
    scratch: &mut SweepScratch,
    tag: impl Fn(usize, u32) -> Option<u32>,
    mut each: impl FnMut(usize, &[(f32, u32)]),
) -> usize {
    assert!(rows.metric == crate::metric::Metric::Dot && rows.dim == panel.dim, "other rows");
    let coded: Vec<Coded> = queries.chunks_exact(rows.dim).map(Coded::new).collect();
    scratch.best.resize_with(coded.len().max(scratch.best.len()), || Best::new(0));
    scratch.best[..coded.len()].iter_mut().for_each(|best| best.reset(k));
    let mut going: Vec<usize> = (0..coded.len()).collect();
    let (step, mut compared) = (panel.step(), 0);
    for first in (0..panel.n_tiles()).step_by(step) {
        let reaches = |&q: &usize| coded[q].reaches(panel.longest[first], scratch.best[q].bound());
        going.retain(reaches);
        if going.is_empty() {
            break;
        }
        let tiles = first..panel.n_tiles().min(first + step);
        compared += tiles.len() * TILE * going.len();
        for four in going.chunks(TOGETHER) {
            progress::check();
            let chunk = Chunk { rows, panel, queries, coded: &coded, tiles: tiles.clone() };
            chunk.compare(four, scratch, &tag);
        }
    }
    for (q, best) in scratch.best[..coded.len()].iter_mut().enumerate() {
        each(q, best.sorted());
    }
    compared
}

/// Some tiles of a sweep.
struct Chunk<'a> {
    rows: Rows<'a>,
    panel: &'a Panel,
    queries: &'a [f32],
    coded: &'a [Coded],
    tiles: std::ops::Range<usize>,
}

impl Chunk<'_> {
    /// Offers to up to four queries the rows that may count for them.
    fn compare(
        &self,
        four: &[usize],
        scratch: &mut SweepScratch,
        tag: &impl Fn(usize, u32) -> Option<u32>,
    ) {
        let SweepScratch { best, least, found, near } = scratch;
        let limits = self.limits();
        for (at, least) in least.iter_mut().enumerate() {
            least.clear();
            // Nothing passes where there is no query.
            least.resize(self.tiles.len(), i32::MAX);
            if let Some(&q) = four.get(at) {
                let limit = self.coded[q].limit(best[q].bound(), self.rows.dim);
                screen::least(limit, limits, least);
            }
        }
        let codes = |at: usize| &self.coded[four[at.min(four.len() - 1)]].codes[..];
        let screens: [Screen<'_>; TOGETHER] =
            std::array::from_fn(|at| Screen { codes: codes(at), least: &least[at] });
        let width = TILE * quant::code_len(self.rows.dim);
        let tiles = &self.panel.tiles[self.tiles.start * width..self.tiles.end * width];
        found.iter_mut().for_each(Vec::clear);
        screen::screen4(screens, tiles, found);
        for (&q, found) in four.iter().zip(found) {
            self.offer(q, found, &mut best[q], near, tag);
        }
    }

    fn limits(&self) -> Tiles<'_> {
        let Panel { inverse, length, error, .. } = self.panel;
        let at = self.tiles.clone();
        Tiles { inverse: &inverse[at.clone()], length: &length[at.clone()], error: &error[at] }
    }

    /// Scores the rows at the places found by their values.
    fn offer(
        &self,
        q: usize,
        found: &[u32],
        best: &mut Best,
        near: &mut Vec<(u32, u32)>,
        tag: &impl Fn(usize, u32) -> Option<u32>,
    ) {
        if found.is_empty() {
            return;
        }
        near.clear();
        for &at in found {
            let row = self.panel.rows.get(self.tiles.start * TILE + at as usize);
            if let Some((&row, tag)) = row.and_then(|row| Some((row, tag(q, *row)?))) {
                self.rows.values.stored(row as usize, self.rows.dim).prefetch();
                near.push((row, tag));
            }
        }
        let query = &self.queries[q * self.rows.dim..][..self.rows.dim];
        let mut tags = near.iter().map(|n| n.1);
        self.rows.keys(query, near.iter().map(|n| n.0 as usize), |_, key| {
            if let Some(tag) = tags.next() {
                best.push(key, tag);
            }
        });
        // The sooner the bound is known, the fewer pass.
        best.cut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{Values, search};
    use crate::metric::Metric;
    use crate::random::Random;

    fn check(values: &[f32], queries: &[f32], dim: usize, k: usize, what: &str) {
        let rows =
            Rows { metric: Metric::Dot, dim, values: Values::F32(values), inverse_norms: &[] };
        let all = (0..rows.len() as u32).filter(|row| row % 7 != 3).collect();
        let panel = Panel::new(rows, all);
        // Tags run against the rows' order, so that ties show.
        let tag = |q: usize, row: u32| {
            let passes = row % 7 != 3 && !(row as usize + q).is_multiple_of(5);
            passes.then(|| rows.len() as u32 - row)
        };
        let expected = search(rows, queries, k, tag);
        let mut scratch = SweepScratch::default();
        let mut found = vec![Vec::new(); expected.len()];
        let each = |q: usize, best: &[(f32, u32)]| found[q] = best.to_vec();
        let compared = sweep(rows, &panel, queries, k, &mut scratch, tag, each);
        assert!(compared <= found.len() * panel.len().next_multiple_of(TILE), "{what}");
        for (q, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "{what}, query {q}");
        }
    }

    #[test]
    fn a_sweep_has_the_bits_of_brute_force() {
        for (dim, n, k) in [(1, 40, 3), (7, 900, 10), (64, 1500, 20), (66, 500, 600), (300, 200, 5)]
        {
            let mut r = Random::new(21, dim as u64);
            // Lengths over ten powers of ten, some rows zero.
            let mut rows = |n: usize| -> Vec<f32> {
                let mut row = |i: usize| {
                    let length =
                        if i.is_multiple_of(11) { 0.0 } else { 10f64.powf(r.normal() * 2.0) };
                    (0..dim).map(|_| (r.normal() * length) as f32).collect::<Vec<f32>>()
                };
                (0..n).flat_map(&mut row).collect()
            };
            let (values, queries) = (rows(n), rows(9));
            check(&values, &queries, dim, k, &format!("heavy tails, {dim}"));
            let near: Vec<f32> = values.iter().map(|x| 1.0 + x.signum() * 1e-4).collect();
            check(&near, &queries, dim, k, &format!("all alike, {dim}"));
        }
    }

    #[test]
    fn ties_are_broken_by_tag_and_tiny_products_kept() {
        let mut r = Random::new(22, 0);
        let mut integers =
            |n: usize| -> Vec<f32> { (0..n).map(|_| r.below(3) as f32 - 1.0).collect() };
        let (values, queries) = (integers(800 * 6), integers(10 * 6));
        check(&values, &queries, 6, 25, "integers");
        let tiny: Vec<f32> = values.iter().map(|x| x * 1e-22).collect();
        check(&tiny, &tiny[..60], 6, 25, "subnormal products");
        check(&values, &[0.0; 6], 6, 25, "a zero query");
        check(&[], &queries, 6, 25, "no rows");
        check(&values, &queries, 6, 0, "nothing asked for");
    }
}
