//! Brute force: the distance of every row, and the best of them.
//!
//! Searches of every kind end here: candidates are re-ranked with [`Rows::key`], and recall is
//! measured against [`search`].

mod best;
mod storage;
mod sweep;
mod values;

pub use best::{Best, ascending, descended};
pub use storage::{ByteVectors, Storage, halves};
pub use sweep::{Panel, SweepScratch, sweep};
pub use values::{Stored, Values};

use std::borrow::Cow;

use rayon::prelude::*;

use crate::kernel::bytes::{self, hamming};
use crate::kernel::{code, float, vector};
use crate::metric::Metric;
use crate::progress;
use crate::threads;

/// Vectors as a search reads them.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// How near two of them are.
    pub metric: Metric,
    /// Values a row.
    pub dim: usize,
    /// Row after row; bits for `Hamming`.
    pub values: Values<'a>,
    /// For `Angular`, 1 / |x| a row (0 for a zero vector); else empty.
    pub inverse_norms: &'a [f32],
}

impl<'a> Rows<'a> {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.n_rows(self.dim)
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One row as float32; decoded, which allocates, unless that is what is stored.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> Cow<'a, [f32]> {
        self.values.row(row, self.dim)
    }

    /// The inner product with a row's values.
    ///
    /// # Panics
    /// If there is no such row or the vector has another dimension.
    #[must_use]
    pub fn dot(&self, vector: &[f32], row: usize) -> f32 {
        match self.values.stored(row, self.dim) {
            Stored::Floats(x) => float::dots([vector], x)[0],
            Stored::Bits(bits) => float::dot(vector, &bytes::unpack(bits, self.dim)),
        }
    }

    /// What a row's values are multiplied with before they are coded or clustered.
    #[must_use]
    pub fn factor(&self, row: usize) -> f32 {
        self.inverse_norms.get(row).copied().unwrap_or(1.0)
    }

    /// A number that is smaller for nearer rows: the squared distance, half the squared distance of
    /// vectors of length 1 (which is 1 - cos), minus the product, the L1 distance or the number of bits
    /// that differ. `query` is as [`prepare`](Self::prepare) left it.
    ///
    /// 1 - cos is not computed by subtraction: for directions that are nearly the same float32 would
    /// leave nothing but rounding of it.
    ///
    /// # Panics
    /// If there is no such row or the query has another dimension.
    #[must_use]
    pub fn key(&self, query: &[f32], row: usize) -> f32 {
        let mut found = f32::NAN;
        self.keys(query, [row], |_, key| found = key);
        found
    }

    /// [`key`](Self::key) of one row after another, handed to `each` with the row.
    ///
    /// # Panics
    /// As [`key`](Self::key).
    pub fn keys(
        &self,
        query: &[f32],
        rows: impl IntoIterator<Item = usize>,
        mut each: impl FnMut(usize, f32),
    ) {
        match (self.values, self.metric) {
            (Values::Bits(_), _) => self.bit_keys(query, &mut rows.into_iter(), &mut each),
            (_, Metric::Angular) => {
                // Usually the first value settles it.
                let has_direction = query.iter().any(|&x| x != 0.0);
                rows.into_iter().for_each(|row| {
                    each(
                        row,
                        if has_direction { self.angular_key(query, row) } else { RIGHT_ANGLE },
                    );
                });
            }
            _ => rows.into_iter().for_each(|row| each(row, self.scan_keys([query], row)[0])),
        }
    }

    fn angular_key(&self, query: &[f32], row: usize) -> f32 {
        let Stored::Floats(x) = self.values.stored(row, self.dim) else { return f32::NAN };
        match self.factor(row) {
            0.0 => RIGHT_ANGLE,
            factor => 0.5 * float::scaled_l2(query, x, factor),
        }
    }

    /// Out of line for the sake of the others: the packed query takes 8 KB.
    #[inline(never)]
    fn bit_keys(
        &self,
        query: &[f32],
        rows: &mut dyn Iterator<Item = usize>,
        each: &mut dyn FnMut(usize, f32),
    ) {
        assert_eq!(query.len(), self.dim, "dimension of the query");
        let mut packed = [0u8; bytes::packed_len(code::MAX_DIM)];
        bytes::pack(query, &mut packed[..bytes::packed_len(self.dim)]);
        for row in rows {
            if let Stored::Bits(bits) = self.values.stored(row, self.dim) {
                each(row, hamming(&packed[..bits.len()], bits) as f32);
            }
        }
    }

    /// The keys of the rows from `start` on whose bits are `bits`.
    #[inline(never)]
    fn fill_bit_keys(&self, bits: &[u8], query: &[f32], start: usize, keys: &mut [f32]) {
        let len = bytes::packed_len(self.dim);
        let mut packed = [0u8; bytes::packed_len(code::MAX_DIM)];
        bytes::pack(query, &mut packed[..len]);
        bytes::hammings(&packed[..len], &bits[start * len..][..keys.len() * len], keys);
    }

    /// Keys for a scan of many rows: those of [`keys`](Self::keys), but by angle 1 - cos by subtraction,
    /// which takes a third of the arithmetic and is off by up to [`scan_error`](Self::scan_error).
    #[inline]
    fn scan_keys<const N: usize>(&self, queries: [&[f32]; N], row: usize) -> [f32; N] {
        let Stored::Floats(x) = self.values.stored(row, self.dim) else { return [f32::NAN; N] };
        match self.metric {
            Metric::Euclidean => float::squared_l2s(queries, x),
            Metric::Angular => float::dots(queries, x).map(|p| RIGHT_ANGLE - p * self.factor(row)),
            Metric::Dot => float::dots(queries, x).map(|p| -p),
            // Only bits are compared by bits.
            Metric::Manhattan | Metric::Hamming => float::l1s(queries, x),
        }
    }

    /// The most by which [`scan_keys`](Self::scan_keys) are off. A lane of a product sums an element in
    /// 32, each sum rounded by 2^-24 at most of what the Cauchy-Schwarz inequality bounds by 1; the
    /// constant is for the halves, the norms and the other key's own rounding.
    fn scan_error(&self) -> f32 {
        match self.metric {
            Metric::Angular => (self.dim as f32 / 8.0 + 32.0) * (f32::EPSILON / 2.0),
            _ => 0.0,
        }
    }

    /// The distance that users see for a key.
    #[must_use]
    pub fn distance(&self, key: f32) -> f32 {
        match self.metric {
            Metric::Euclidean => key.max(0.0).sqrt(),
            Metric::Angular => key.clamp(0.0, 2.0),
            Metric::Dot => -key,
            Metric::Manhattan | Metric::Hamming => key,
        }
    }

    /// Makes a query ready for [`key`](Self::key): unit length for `Angular`, zeros and ones for
    /// `Hamming`.
    pub fn prepare(&self, query: &mut [f32]) {
        match self.metric {
            Metric::Angular => {
                let factor = inverse_norm(query);
                query.iter_mut().for_each(|x| *x *= factor);
            }
            Metric::Hamming => query.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 0.5))),
            Metric::Euclidean | Metric::Dot | Metric::Manhattan => {}
        }
    }
}

/// 1 / |x| in float64, rounded; 0 for a zero vector, and for one shorter than 1e-30: what it would
/// be multiplied with is subnormal or nearly so, and the result infinite or noise.
#[must_use]
pub fn inverse_norm(x: &[f32]) -> f32 {
    let squares = vector::squares(x);
    if squares > 1e-60 { (1.0 / squares.sqrt()) as f32 } else { 0.0 }
}

/// The key of a vector without a direction, by angle.
const RIGHT_ANGLE: f32 = 1.0;

/// Rows whose keys are computed together: a block of them stays in the second cache level while
/// one query after another reads it.
const BLOCK: usize = 512;
/// Queries that share a block.
const TOGETHER: usize = 32;

/// The `k` nearest rows of each prepared query as (key, tag), nearest first, equal keys by tag;
/// `tag` names a row for a query (`None` leaves it out). Queries run in parallel, 32 of them
/// sharing each block of rows, four of them each row.
#[must_use]
pub fn search(
    rows: Rows<'_>,
    queries: &[f32],
    k: usize,
    tag: impl Fn(usize, u32) -> Option<u32> + Sync,
) -> Vec<Vec<(f32, u32)>> {
    let queries: Vec<&[f32]> = queries.chunks_exact(rows.dim).collect();
    let groups: Vec<(usize, &[&[f32]])> =
        queries.chunks(TOGETHER).enumerate().map(|(i, group)| (TOGETHER * i, group)).collect();
    let found = threads::map(groups.into_par_iter(), |(first, group): (usize, &[&[f32]])| {
        together(rows, group, k, |q, row| tag(first + q, row))
    });
    found.flatten_iter().collect()
}

/// Memory that scans of all rows use again.
#[derive(Debug, Default)]
pub struct ScanMemory {
    near: Vec<u32>,
    /// Candidates by [`Rows::scan_keys`], tagged by row.
    coarse: Best,
}

/// [`search`] for one query on the calling thread, into `best`. Allocates nothing once `best` and
/// `memory` have grown to what they need.
pub fn search_into(
    rows: Rows<'_>,
    query: &[f32],
    best: &mut Best,
    memory: &mut ScanMemory,
    tag: impl Fn(u32) -> Option<u32>,
) {
    let ScanMemory { near, coarse } = memory;
    if rows.scan_error() == 0.0 {
        return scan(rows, query, best, near, tag);
    }
    coarse.reset(with_spare(best.capacity()));
    scan(rows, query, coarse, near, |row| tag(row).map(|_| row));
    settle(rows, query, best, memory, tag);
}

/// Offers every row to `best`.
fn scan(
    rows: Rows<'_>,
    query: &[f32],
    best: &mut Best,
    near: &mut Vec<u32>,
    tag: impl Fn(u32) -> Option<u32>,
) {
    let mut keys = [[0f32; BLOCK]];
    for start in (0..rows.len()).step_by(BLOCK) {
        progress::check();
        let count = BLOCK.min(rows.len() - start);
        fill_keys(rows, &[query], start, count, &mut keys);
        offer(&keys[0][..count], best, near, |at| tag(start as u32 + at));
    }
}

/// How many candidates to keep for `k` results where keys of scans have errors: rarely does
/// [`settle`] want more.
fn with_spare(k: usize) -> usize {
    k.saturating_add(k / 4).saturating_add(8)
}

/// Offers by its exact key every row that may be among the best. `memory` holds the best by keys of a scan,
/// each off by at most [`Rows::scan_error`]. If more rows lie within that error than were kept (near
/// copies), all rows are scanned again.
fn settle(
    rows: Rows<'_>,
    query: &[f32],
    best: &mut Best,
    memory: &mut ScanMemory,
    tag: impl Fn(u32) -> Option<u32>,
) {
    let ScanMemory { near, coarse } = memory;
    let (k, kept) = (best.capacity(), coarse.capacity());
    let Some(last) = k.checked_sub(1) else { return };
    let found = coarse.sorted();
    let limit = found.get(last).map_or(f32::INFINITY, |kth| kth.0 + 2.0 * rows.scan_error());
    if found.len() == kept && found[kept - 1].0 <= limit {
        coarse.reset_below(usize::MAX, limit);
        scan(rows, query, coarse, near, |row| tag(row).map(|_| row));
    }
    let within = coarse.sorted().iter().take_while(|found| found.0 <= limit);
    rows.keys(query, within.map(|found| found.1 as usize), |row, key| {
        if let Some(tag) = tag(row as u32) {
            best.push(key, tag);
        }
    });
}

/// Offers a block of keys, tagged by their places in it.
fn offer(keys: &[f32], best: &mut Best, near: &mut Vec<u32>, tag: impl Fn(u32) -> Option<u32>) {
    near.clear();
    code::positions_below(keys, best.bound().next_up(), near);
    for &at in near.iter() {
        if let Some(tag) = tag(at) {
            best.push(keys[at as usize], tag);
        }
    }
}

fn together(
    rows: Rows<'_>,
    queries: &[&[f32]],
    k: usize,
    tag: impl Fn(usize, u32) -> Option<u32>,
) -> Vec<Vec<(f32, u32)>> {
    let is_sure = rows.scan_error() == 0.0;
    let kept = if is_sure { k } else { with_spare(k) };
    let mut best: Vec<Best> = queries.iter().map(|_| Best::new(kept)).collect();
    let mut keys = vec![[0f32; BLOCK]; 4];
    let mut near = Vec::new();
    for start in (0..rows.len()).step_by(BLOCK) {
        progress::check();
        let count = BLOCK.min(rows.len() - start);
        for (four, best) in best.chunks_mut(4).enumerate() {
            let queries = &queries[4 * four..][..best.len()];
            fill_keys(rows, queries, start, count, &mut keys);
            for (q, (best, keys)) in best.iter_mut().zip(&keys).enumerate() {
                let tag = |at| {
                    let row = start as u32 + at;
                    let tag = tag(4 * four + q, row)?;
                    Some(if is_sure { tag } else { row })
                };
                offer(&keys[..count], best, &mut near, tag);
            }
        }
    }
    if is_sure {
        return best.into_iter().map(Best::into_sorted).collect();
    }
    let settled = |(at, coarse): (usize, Best)| {
        let (mut best, mut memory) = (Best::new(k), ScanMemory { near: Vec::new(), coarse });
        settle(rows, queries[at], &mut best, &mut memory, |row| tag(at, row));
        best.into_sorted()
    };
    best.into_iter().enumerate().map(settled).collect()
}

/// The keys of rows `start` to `start + count - 1` for up to four queries.
fn fill_keys(
    rows: Rows<'_>,
    queries: &[&[f32]],
    start: usize,
    count: usize,
    keys: &mut [[f32; BLOCK]],
) {
    match (queries, &mut *keys) {
        // Bits are so quickly compared that four at once would win nothing.
        ([a, b, c, d], [p, q, r, s]) if rows.metric != Metric::Hamming => {
            for at in 0..count {
                [p[at], q[at], r[at], s[at]] = rows.scan_keys([a, b, c, d], start + at);
            }
        }
        _ => {
            for (query, keys) in queries.iter().zip(keys) {
                if let Values::Bits(bits) = rows.values {
                    rows.fill_bit_keys(bits, query, start, &mut keys[..count]);
                    continue;
                }
                (0..count).for_each(|at| [keys[at]] = rows.scan_keys([query], start + at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn brute_force_agrees_with_a_full_sort() {
        let mut r = Random::new(11, 0);
        let dim = 7;
        // Small integers, so that ties are many and every sum is exact.
        let mut numbers =
            |n: usize| -> Vec<f32> { (0..n).map(|_| r.below(4) as f32 - 1.0).collect() };
        let (values, queries) = (numbers(1300 * dim), numbers(6 * dim));
        let inverse_norms: Vec<f32> = values.chunks(dim).map(inverse_norm).collect();
        for metric in Metric::ALL {
            let inverse_norms: &[f32] =
                if metric == Metric::Angular { &inverse_norms } else { &[] };
            let bits = bytes::pack_rows(&values, dim);
            let values =
                if metric == Metric::Hamming { Values::Bits(&bits) } else { Values::F32(&values) };
            let rows = Rows { metric, dim, values, inverse_norms };
            let mut prepared = queries.clone();
            prepared.chunks_mut(dim).for_each(|q| rows.prepare(q));
            let odd = |_, row: u32| (row % 2 == 1).then_some(row);
            let found = search(rows, &prepared, 10, odd);
            for (query, found) in prepared.chunks(dim).zip(&found) {
                let mut all: Vec<(f32, u32)> = (0..rows.len() as u32)
                    .filter(|row| row % 2 == 1)
                    .map(|row| (rows.key(query, row as usize), row))
                    .collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                assert_eq!(found[..], all[..10], "{metric}");
                let (mut best, mut memory) = (Best::new(10), ScanMemory::default());
                search_into(rows, query, &mut best, &mut memory, |r| odd(0, r));
                assert_eq!(best.into_sorted(), *found);
            }
        }
    }

    #[test]
    fn a_length_whose_inverse_is_no_float32_counts_as_zero() {
        assert_eq!(inverse_norm(&[3e-30, 4e-30]), 2e29);
        for tiny in [1e-31, 1e-39, f32::from_bits(1), 0.0] {
            assert_eq!(inverse_norm(&[tiny, 0.0]), 0.0, "{tiny:e}");
        }
    }

    #[test]
    fn a_zero_vector_is_at_angular_distance_one() {
        let values = [0.0f32, 0.0, 3.0, 4.0];
        let inverse_norms: Vec<f32> = values.chunks(2).map(inverse_norm).collect();
        let rows = Rows {
            metric: Metric::Angular,
            dim: 2,
            values: Values::F32(&values),
            inverse_norms: &inverse_norms,
        };
        let mut query = [6.0, 8.0];
        rows.prepare(&mut query);
        assert_eq!(rows.distance(rows.key(&query, 0)), 1.0);
        assert!(rows.distance(rows.key(&query, 1)) < 1e-6);
        assert_eq!((inverse_norm(&[1e-40, 0.0]), inverse_norm(&[0.0, 4.0])), (0.0, 0.25));
    }
}
