//! Search of the graph.

use super::pool::Pool;
use super::{Graph, MAX_REACH};
use crate::kernel::code::prefetch;
use crate::kernel::scattered;
use crate::progress;

/// How many lists are read between two looks for an interruption.
const STEPS: usize = 1024;

/// Memory that walks use again: nothing is allocated once it has grown to what they need.
#[derive(Default)]
pub struct Scratch {
    /// For each row, the walk that last met it, by its number modulo 255.
    stamps: Vec<u8>,
    epoch: u8,
    pool: Pool,
    /// Rows asked for, and rows just met.
    fresh: [Vec<u32>; 2],
    keys: Vec<f32>,
}

impl Scratch {
    /// The nearest rows that the last walk found, (distance, row), the nearest first.
    pub fn found(&self) -> impl Iterator<Item = (f32, u32)> + '_ {
        self.pool.found()
    }

    /// Rows at this distance or further were met and not kept; infinite if all were kept.
    pub fn limit(&self) -> f32 {
        self.pool.limit()
    }

    fn begin(&mut self, n: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 || self.stamps.len() != n {
            self.stamps.clear();
            self.stamps.resize(n, 0);
            self.epoch = 1;
        }
        self.pool.clear();
    }
}

/// When a walk ends: when it has read the list of every row that is near enough.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// The row, of those met, whose distance says what is near enough: the k-th nearest; at least 1.
    pub k: usize,
    /// Rows up to this many times as far are, 1 or more; all that are kept, if infinite. So a query
    /// among many rows that are alike walks on for longer than one that has few about it (as in
    /// Al-Jazzazi et al. 2025), which saves a tenth of the comparisons at recall 0.95 and a quarter
    /// at 0.99.
    pub slack: f32,
    /// The most rows to keep, near enough or not; at least `k`, and at most [`MAX_REACH`] unless `k` is
    /// more. An eighth of them is kept at least:
    /// where codes hardly tell near rows apart, the k-th distance says little.
    pub reach: usize,
    /// What the measure gives for no distance.
    pub zero: f32,
}

impl Until {
    /// How many of the nearest are near enough however far they are.
    #[must_use]
    pub fn at_least(&self) -> usize {
        self.k.max(self.reach / 8)
    }
}

/// Walks from the rows of `entries` and keeps the nearest; they are then in `scratch`. The row
/// `never` is passed by as if it were not there. Returns how many rows were compared.
///
/// Three rows are under way at a time: one whose list was asked of the memory, one whose list is read
/// and its rows asked for, one whose rows are compared. So no step waits for what it has just asked for,
/// and a row is chosen before the rows of the two before it are known, which costs few comparisons.
///
/// # Panics
/// If the query is not as wide as rows want it.
pub fn walk(
    graph: Graph<'_>,
    query: &[u8],
    entries: &[u32],
    never: Option<u32>,
    until: Until,
    scratch: &mut Scratch,
) -> usize {
    let until = Until { reach: until.reach.min(MAX_REACH.max(until.k)), ..until };
    scratch.begin(graph.rows.len());
    if let Some(stamp) = never.and_then(|row| scratch.stamps.get_mut(row as usize)) {
        *stamp = scratch.epoch;
    }
    let Scratch { stamps, epoch, pool, fresh: [asked, met], keys } = scratch;
    let mut walk = Walk { graph, query, until, epoch: *epoch, compared: 0 };
    walk.meet(entries, stamps, met);
    walk.compare(met, pool, keys);
    let mut listed = None;
    asked.clear();
    let mut step = 0usize;
    loop {
        step += 1;
        if step.is_multiple_of(STEPS) {
            progress::check();
        }
        let chosen = pool.next_unread();
        if let Some(row) = chosen {
            prefetch(graph.list(row), 4 * graph.degree);
        }
        if chosen.is_none() && listed.is_none() && asked.is_empty() {
            return walk.compared;
        }
        met.clear();
        if let Some(row) = std::mem::replace(&mut listed, chosen) {
            walk.meet(graph.list(row), stamps, met);
        }
        walk.compare(asked, pool, keys);
        std::mem::swap(asked, met);
    }
}

struct Walk<'a> {
    graph: Graph<'a>,
    query: &'a [u8],
    until: Until,
    epoch: u8,
    compared: usize,
}

impl Walk<'_> {
    /// Gathers the rows of a list that were not met before and asks the memory for them.
    #[inline]
    fn meet(&self, list: &[u32], stamps: &mut [u8], met: &mut Vec<u32>) {
        met.clear();
        met.resize(list.len(), 0);
        let mut n = 0;
        for &id in list {
            // What only fills the list up is no row.
            let Some(stamp) = stamps.get_mut(id as usize) else { break };
            met[n] = id;
            n += usize::from(*stamp != self.epoch);
            *stamp = self.epoch;
        }
        met.truncate(n);
        // Half of a list was met before: asking for all of them while they are looked at would take longer.
        let rows = self.graph.rows;
        met.iter().for_each(|&id| prefetch(rows.row(id), rows.width));
    }

    /// Compares rows and keeps the nearest.
    #[inline]
    fn compare(&mut self, rows: &[u32], pool: &mut Pool, keys: &mut Vec<f32>) {
        self.compared += rows.len();
        keys.resize(rows.len(), 0.0);
        scattered::distances(self.graph.measure, self.query, self.graph.rows, rows, keys);
        pool.take(keys, rows, self.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NONE;
    use crate::kernel::scattered::{ByteRows, Measure};

    #[test]
    fn a_walk_over_all_rows_keeps_no_more_than_the_largest_reach() {
        // Each row lists the one before it: a walk from the last comes by all.
        let n = 3 * MAX_REACH as u32;
        let lists: Vec<u32> = (0..n).map(|row| row.checked_sub(1).unwrap_or(NONE)).collect();
        let bytes = vec![128u8; 32 * n as usize];
        let rows = ByteRows { bytes: &bytes, width: 32 };
        let graph = Graph { rows, measure: Measure::Squares, lists: &lists, degree: 1 };
        let until = Until { k: 1, slack: f32::INFINITY, reach: usize::MAX, zero: 0.0 };
        let query = vec![128u8; graph.measure.query_len(32)];
        let mut scratch = Scratch::default();
        let compared = walk(graph, &query, &[n - 1], None, until, &mut scratch);
        assert!(compared <= n as usize);
        assert_eq!(scratch.found().count(), MAX_REACH);
    }
}
