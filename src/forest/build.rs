//! From vectors to one tree.

use rayon::prelude::*;

use super::coded::CodedRows;
use super::lloyd::{self, Centres};
use super::members::has_products;
use super::partition::partition;
use super::product::Residuals;
use crate::exact::Rows;
use crate::kernel::code::TILE;
use crate::memory;
use crate::metric::Metric;
use crate::progress::Work;
use crate::threads;

/// How a tree is shaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeParams {
    /// The most rows that a split leaves together; leaves end with two thirds of it on average.
    pub leaf_size: usize,
    /// Lloyd rounds over all centres.
    pub rounds: usize,
    /// Above this many leaves they are grouped.
    pub ungrouped: usize,
}

impl TreeParams {
    /// What [`ungrouped`](Self::ungrouped) is best where walks over a graph begin at leaves: a walk is
    /// short, so that ranking hundreds of centres for it would be a fifth of the time.
    pub const UNGROUPED_FOR_WALKS: usize = 128;

    /// The shape for a metric. By inner product a search needs few leaves, so that small ones, which
    /// cost more to rank, scan less than they cost: on factors of 41,000 items, 200 is faster than
    /// 100 and 400 at every recall from 0.9 to 0.99.
    #[must_use]
    pub fn for_metric(metric: Metric) -> TreeParams {
        let leaf_size = if metric == Metric::Dot { 200 } else { 400 };
        TreeParams { leaf_size, rounds: 2, ungrouped: 4096 }
    }
}

/// A tree as it is built: members are rows of the vectors it was built over.
pub struct TreeData {
    /// For each group slot, its first leaf slot; and the end. Multiples of 16, ascending.
    pub group_offsets: Vec<u32>,
    /// For each leaf slot, its first member slot; and the end. Multiples of 16, ascending.
    pub leaf_offsets: Vec<u32>,
    /// The row of each member slot, `u32::MAX` for an empty one.
    pub members: Vec<u32>,
    pub(super) groups: Centres,
    pub(super) leaves: Centres,
    /// Codebooks of the members' product codes.
    pub books: Vec<f32>,
}

impl TreeData {
    /// Tiles, bias and scale of the groups' centres.
    #[must_use]
    pub fn group_codes(&self) -> (&[u8], &[f32], &[f32]) {
        (&self.groups.tiles, &self.groups.bias, &self.groups.scale)
    }

    /// Writes the product codes of the members, whose rows and codes are those the tree was built
    /// over.
    pub fn encode_members(&self, rows: Rows<'_>, coded: &CodedRows, tiles: &mut [u8]) {
        self.residuals(rows, &coded.mean).encode(&self.books, coded.window, tiles);
    }

    fn residuals<'a>(&'a self, rows: Rows<'a>, mean: &'a [f32]) -> Residuals<'a> {
        let TreeData { leaf_offsets, leaves, members, .. } = self;
        Residuals { rows, mean, leaf_offsets, leaves, members }
    }

    /// Tiles, bias and scale of the leaves' centres.
    #[must_use]
    pub fn leaf_codes(&self) -> (&[u8], &[f32], &[f32]) {
        (&self.leaves.tiles, &self.leaves.bias, &self.leaves.scale)
    }
}

/// The units of [`Work`] that a tree over so many rows counts: one for each time a row is read.
#[must_use]
pub fn tree_work(n_rows: usize, params: TreeParams) -> u64 {
    let leaves = (n_rows / params.leaf_size.max(1)).max(1) * 3 / 2;
    let splits = u64::from(leaves.ilog2()) + 1;
    n_rows as u64 * (splits + params.rounds as u64 * lloyd::passes(leaves))
}

/// Builds the tree of `seed`. Deterministic at any number of threads; once `work` is stopped, what
/// comes back is of no use.
#[must_use]
pub fn build_tree(
    rows: Rows<'_>,
    coded: &CodedRows,
    seed: u64,
    params: TreeParams,
    work: &Work<'_>,
) -> TreeData {
    let everything = memory::collect(0..rows.len() as u32);
    let mut parts = partition(rows, everything, params.leaf_size, coded.window, seed, work);
    if parts.len() > 1 {
        for _ in 0..params.rounds {
            parts = lloyd::round(rows, coded, parts, work);
        }
    }
    let parts = split_large(rows, parts, params, seed, work);
    let centres = lloyd::means(rows, &parts);
    let groups = group(rows.dim, &centres, params, seed);
    let mut tree = assemble(rows, coded, groups, &parts, &centres);
    if has_products(rows.metric) {
        tree.books = tree.residuals(rows, &coded.mean).train(seed);
    }
    tree
}

/// Lloyd rounds can gather many rows about one centre (duplicates by the thousand all do); a leaf
/// above twice the size is split again.
fn split_large(
    rows: Rows<'_>,
    parts: Vec<Vec<u32>>,
    params: TreeParams,
    seed: u64,
    work: &Work<'_>,
) -> Vec<Vec<u32>> {
    let split = threads::map(parts.into_par_iter(), |part: Vec<u32>| {
        let seed = seed ^ (u64::from(part[0]) << 32);
        let largest = if part.len() > 2 * params.leaf_size { params.leaf_size } else { usize::MAX };
        partition(rows, part, largest, usize::MAX, seed, work)
    });
    split.flatten_iter().collect()
}

/// Which leaves stand together: the leaf numbers of each group.
fn group(dim: usize, centres: &[f32], params: TreeParams, seed: u64) -> Vec<Vec<u32>> {
    let n = centres.len() / dim;
    let all: Vec<u32> = (0..n as u32).collect();
    if n <= params.ungrouped {
        return vec![all];
    }
    let points =
        Rows { metric: Metric::Euclidean, dim, values: centres.into(), inverse_norms: &[] };
    // As many leaves in a group as there are groups balances the two scans; splits leave two
    // thirds of the largest on average.
    let largest = ((n as f64).sqrt() * 1.5) as usize;
    partition(points, all, largest, usize::MAX, !seed, &Work::unwatched())
}

fn assemble(
    rows: Rows<'_>,
    coded: &CodedRows,
    groups: Vec<Vec<u32>>,
    parts: &[Vec<u32>],
    centres: &[f32],
) -> TreeData {
    let mut group_offsets = vec![0u32];
    let mut leaf_offsets = vec![0u32];
    let mut members = memory::with_capacity(rows.len() + parts.len() * TILE);
    let mut slots = vec![0u32; parts.len()];
    for group in &groups {
        for &leaf in group {
            slots[leaf as usize] = leaf_offsets.len() as u32 - 1;
            members.extend_from_slice(&parts[leaf as usize]);
            members.resize(members.len().next_multiple_of(TILE), u32::MAX);
            leaf_offsets.push(members.len() as u32);
        }
        let end = (leaf_offsets.len() - 1).next_multiple_of(TILE);
        leaf_offsets.resize(end + 1, members.len() as u32);
        group_offsets.push(end as u32);
    }
    let leaf_slots = leaf_offsets.len() - 1;
    let group_slots = groups.len().next_multiple_of(TILE);
    group_offsets.resize(group_slots + 1, leaf_slots as u32);
    let mut leaves = Centres::code(centres, &coded.mean, &slots, leaf_slots);
    let (mut over, between) = group_centres(rows.dim, centres, &groups, &coded.mean);
    if rows.metric == Metric::Dot {
        let spreads = lloyd::spreads(rows, parts, centres);
        for (&slot, spread) in slots.iter().zip(&spreads) {
            leaves.bias[slot as usize] = reach(*spread, rows.dim);
        }
        for ((group, bias), middle) in groups.iter().zip(&mut over.bias).zip(&between) {
            let own: f32 = group.iter().map(|&leaf| spreads[leaf as usize]).sum();
            *bias = reach(middle + own / group.len() as f32, rows.dim);
        }
    }
    TreeData { group_offsets, leaf_offsets, members, groups: over, leaves, books: Vec::new() }
}

/// By inner product, what a leaf's best member may have beyond its centre: members lie about the
/// centre with a standard deviation of sqrt(spread / dim) along the query, and the best of a few
/// hundred lies two or three of them out. Ranked by centres alone, leaves of few large vectors
/// come last although they hold the answers: on factors trained with alpha = 1, 0.99 of the true
/// neighbours took 38,000 of 41,000 rows; with this, 1,200 (two, measured best of 0 to 4).
fn reach(spread: f32, dim: usize) -> f32 {
    -2.0 * (spread / dim as f32).sqrt()
}

/// The groups' centres, and the mean squared distance of each one's leaves from it. By distance each
/// is brought nearer by that: the expected distance of its leaves rather than of its middle, so
/// that a group is opened before leaves that it may beat.
fn group_centres(
    dim: usize,
    centres: &[f32],
    groups: &[Vec<u32>],
    mean: &[f32],
) -> (Centres, Vec<f32>) {
    let points =
        Rows { metric: Metric::Euclidean, dim, values: centres.into(), inverse_norms: &[] };
    let means = lloyd::means(points, groups);
    let slots: Vec<u32> = (0..groups.len() as u32).collect();
    let mut coded = Centres::code(&means, mean, &slots, groups.len().next_multiple_of(TILE));
    let spreads = lloyd::spreads(points, groups, &means);
    coded.bias.iter_mut().zip(&spreads).for_each(|(bias, spread)| *bias -= spread);
    (coded, spreads)
}
