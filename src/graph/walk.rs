//! Search of the graph.

use super::Graph;
use crate::kernel::code::{positions_below, prefetch};
use crate::kernel::scattered;

/// The highest bit of a row's number in the pool: its list has been read.
const READ: u32 = 1 << 31;

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
    near: Vec<u32>,
}

impl Scratch {
    /// The nearest rows that the last walk found, (distance, row), the nearest first.
    pub fn found(&self) -> impl Iterator<Item = (f32, u32)> + '_ {
        let rows = self.pool.rows.iter().map(|&row| row & !READ);
        self.pool.keys.iter().copied().zip(rows)
    }

    fn begin(&mut self, n: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 || self.stamps.len() != n {
            self.stamps.clear();
            self.stamps.resize(n, 0);
            self.epoch = 1;
        }
        self.pool.keys.clear();
        self.pool.rows.clear();
        self.pool.first = 0;
    }
}

/// Walks from the rows of `entries` and keeps the `reach` nearest; they are then in `scratch`. The row
/// `never` is passed by as if it were not there. Returns how many rows were compared.
///
/// Three rows are under way at a time: one whose list was asked of the memory, one whose list is read
/// and its rows asked for, one whose rows are compared. So no step waits for what it has just asked for,
/// and a row is chosen before the rows of the two before it are known, which costs few comparisons.
///
/// # Panics
/// If the query is not as wide as a row.
pub fn walk(
    graph: Graph<'_>,
    query: &[u8],
    entries: &[u32],
    never: Option<u32>,
    reach: usize,
    scratch: &mut Scratch,
) -> usize {
    scratch.begin(graph.rows.len());
    if let Some(stamp) = never.and_then(|row| scratch.stamps.get_mut(row as usize)) {
        *stamp = scratch.epoch;
    }
    let Scratch { stamps, epoch, pool, fresh: [asked, met], keys, near } = scratch;
    let mut walk = Walk { graph, query, reach: reach.max(1), epoch: *epoch, compared: 0 };
    walk.meet(entries, stamps, met);
    walk.compare(met, pool, keys, near);
    let mut listed = None;
    asked.clear();
    loop {
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
        walk.compare(asked, pool, keys, near);
        std::mem::swap(asked, met);
    }
}

struct Walk<'a> {
    graph: Graph<'a>,
    query: &'a [u8],
    reach: usize,
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
            prefetch(self.graph.rows.row(id), self.graph.rows.width);
            met[n] = id;
            n += usize::from(*stamp != self.epoch);
            *stamp = self.epoch;
        }
        met.truncate(n);
    }

    /// Compares rows and keeps the nearest.
    #[inline]
    fn compare(&mut self, rows: &[u32], pool: &mut Pool, keys: &mut Vec<f32>, near: &mut Vec<u32>) {
        self.compared += rows.len();
        keys.resize(rows.len(), 0.0);
        scattered::distances(self.graph.measure, self.query, self.graph.rows, rows, keys);
        near.clear();
        positions_below(keys, pool.bound(self.reach), near);
        for &at in &*near {
            pool.offer(keys[at as usize], rows[at as usize], self.reach);
        }
    }
}

/// The nearest rows so far, the nearest first; the first met first of equals.
#[derive(Default)]
struct Pool {
    keys: Vec<f32>,
    rows: Vec<u32>,
    /// The lists of all rows before this place were read.
    first: usize,
}

impl Pool {
    fn bound(&self, reach: usize) -> f32 {
        if self.keys.len() < reach { f32::INFINITY } else { self.keys[reach - 1] }
    }

    /// The nearest row whose list was not read, which it counts as from now on.
    fn next_unread(&mut self) -> Option<u32> {
        let unread = |row: &u32| row & READ == 0;
        self.first += self.rows[self.first..].iter().position(unread)?;
        let row = self.rows[self.first];
        self.rows[self.first] |= READ;
        self.first += 1;
        Some(row)
    }

    /// Keeps a row if it is among the nearest.
    fn offer(&mut self, key: f32, row: u32, reach: usize) {
        if self.keys.len() == reach {
            if key >= self.keys[reach - 1] {
                return;
            }
            self.keys.pop();
            self.rows.pop();
        }
        let place = self.keys.iter().map(|&k| usize::from(k <= key)).sum();
        self.keys.insert(place, key);
        self.rows.insert(place, row);
        self.first = self.first.min(place);
    }
}
