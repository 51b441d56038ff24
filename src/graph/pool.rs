//! The nearest rows that a walk has met.

use super::Until;
use crate::exact::{ascending, descended};

/// The nearest rows so far, the nearest first, the first met first of equals.
///
/// An entry has the bits of the row's distance, made such that they ascend with it, above the row's
/// number and, in the lowest bit, whether its list was read. Rows are taken in by the list: their places
/// are found side by side, which is quicker than one after the other, and as quick as merging a sorted
/// list.
pub(super) struct Pool {
    entries: Vec<u64>,
    /// The rows of a list that are near enough, before they are taken in, and where each belongs.
    coming: Vec<u64>,
    places: Vec<usize>,
    /// What is not nearer than this is not taken in.
    limit: u64,
    /// The lists of all rows before this place were read.
    first: usize,
}

const READ: u64 = 1;

impl Default for Pool {
    fn default() -> Pool {
        let (entries, coming, places) = Default::default();
        Pool { entries, coming, places, limit: u64::MAX, first: 0 }
    }
}

impl Pool {
    pub fn clear(&mut self) {
        self.entries.clear();
        self.first = 0;
        self.limit = u64::MAX;
    }

    /// The nearest row whose list was not read, which it counts as from now on.
    pub fn next_unread(&mut self) -> Option<u32> {
        self.first += self.entries[self.first..].iter().position(|entry| entry & READ == 0)?;
        let entry = &mut self.entries[self.first];
        *entry |= READ;
        self.first += 1;
        Some(row(*entry))
    }

    /// Takes in those of some rows that the walk may still read the lists of. Each row comes once in a
    /// walk.
    pub fn take(&mut self, keys: &[f32], rows: &[u32], until: Until) {
        self.choose(keys, rows);
        if self.coming.is_empty() {
            return;
        }
        self.place();
        for at in 0..self.coming.len() {
            self.insert(at, until.reach);
        }
        let limit = self.limit_of(until);
        let within = self.entries.iter().rposition(|&entry| order(entry) < limit);
        self.entries.truncate(within.map_or(0, |last| last + 1));
        self.first = self.first.min(self.entries.len());
        let last = self.entries.get(until.reach - 1).map_or(u64::MAX, |&entry| order(entry));
        self.limit = last.min(limit);
    }

    /// (distance, row), the nearest first.
    pub fn found(&self) -> impl Iterator<Item = (f32, u32)> + '_ {
        self.entries.iter().map(|&entry| (key(entry), row(entry)))
    }

    /// Rows at this distance or further were not kept; infinite if all were.
    pub fn limit(&self) -> f32 {
        match self.limit {
            u64::MAX => f32::INFINITY,
            limit => descended(limit as u32),
        }
    }

    /// Where an order is too far: beyond the slack, and beyond the rows that are kept however far.
    fn limit_of(&self, until: Until) -> u64 {
        let at_least = self.entries.get(until.at_least() - 1);
        at_least.map_or(u64::MAX, |&last| (order(last) + 1).max(self.slack_limit(until)))
    }

    fn slack_limit(&self, until: Until) -> u64 {
        match self.entries.get(until.k - 1) {
            Some(&kth) if until.slack < f32::INFINITY => {
                // Codes may put it before nothing.
                let beyond = (until.slack - 1.0) * (key(kth) - until.zero).max(0.0);
                u64::from(ascending(key(kth) + beyond)) + 1
            }
            _ => u64::MAX,
        }
    }

    /// Sets aside what is near enough. Without a branch: one in four is, at random.
    #[inline]
    fn choose(&mut self, keys: &[f32], rows: &[u32]) {
        self.coming.clear();
        self.coming.resize(rows.len(), 0);
        let (coming, mut n) = (&mut self.coming[..], 0);
        for (&key, &row) in keys.iter().zip(rows) {
            let entry = u64::from(ascending(key)) << 32 | u64::from(row << 1);
            coming[n] = entry;
            n += usize::from(order(entry) < self.limit);
        }
        self.coming.truncate(n);
    }

    /// Finds where each that comes would stand if it came alone: searches that need not wait for each
    /// other, as those of an insertion after the other would.
    #[inline]
    fn place(&mut self) {
        let entries = &self.entries[..];
        let place = |&entry: &u64| entries.partition_point(|&other| order(other) <= order(entry));
        self.places.clear();
        self.places.extend(self.coming.iter().map(place));
    }

    /// Puts one that comes in its place, after those that came before it; what is beyond `reach` falls
    /// off.
    #[inline]
    fn insert(&mut self, at: usize, reach: usize) {
        let entry = self.coming[at];
        let before = self.coming[..at].iter().filter(|&&other| order(other) <= order(entry));
        let place = self.places[at] + before.count();
        if self.entries.len() == reach {
            if place >= reach {
                return;
            }
            self.entries.pop();
        }
        self.entries.insert(place, entry);
        self.first = self.first.min(place);
    }
}

/// What entries are ordered by.
fn order(entry: u64) -> u64 {
    entry >> 32
}

fn row(entry: u64) -> u32 {
    entry as u32 >> 1
}

/// The distance of an entry.
fn key(entry: u64) -> f32 {
    descended(order(entry) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn bits_ascend_with_numbers() {
        let numbers = [f32::NEG_INFINITY, -3e9, -1.5, -1e-40, -0.0, 0.0, 1e-40, 2.0, f32::INFINITY];
        for pair in numbers.windows(2) {
            assert!(ascending(pair[0]) < ascending(pair[1]), "{pair:?}");
        }
        let back = |x| key(u64::from(ascending(x)) << 32);
        assert!(numbers.iter().all(|&x| back(x).to_bits() == x.to_bits()));
    }

    /// What is kept of all rows met, sorted.
    fn kept(all: &[(f32, u32)], until: Until) -> usize {
        let far = all.get(until.k - 1).map_or(f32::INFINITY, |&(kth, _)| match until.slack {
            f32::INFINITY => f32::INFINITY,
            slack => kth + (slack - 1.0) * (kth - until.zero).max(0.0),
        });
        let least = all.get(until.at_least() - 1).map_or(f32::INFINITY, |found| found.0);
        let within = all.partition_point(|&(key, _)| key <= far.max(least));
        within.min(until.reach)
    }

    #[test]
    fn it_keeps_what_a_sort_would() {
        let mut random = Random::new(5, 0);
        for (k, slack, reach) in
            [(1, f32::INFINITY, 1), (2, f32::INFINITY, 7), (1, 1.2, 40), (10, 1.5, 60), (3, 1.0, 3)]
        {
            let until = Until { k, slack, reach, zero: -4.5 };
            let (mut pool, mut all, mut read) = (Pool::default(), Vec::new(), Vec::new());
            for list in 0..60u32 {
                let n = random.below(30);
                let rows: Vec<u32> = (0..n as u32).map(|at| 32 * list + at).collect();
                // Few different distances: many are equal.
                let keys: Vec<f32> = rows.iter().map(|_| random.below(9) as f32 - 4.0).collect();
                pool.take(&keys, &rows, until);
                all.extend(keys.into_iter().zip(rows));
                all.sort_by(|a, b| a.0.total_cmp(&b.0));
                all.truncate(kept(&all, until));
                assert!(pool.found().eq(all.iter().copied()), "{until:?}, list {list}");
                let next = all.iter().map(|found| found.1).find(|row| !read.contains(row));
                assert_eq!(pool.next_unread(), next, "{until:?}, list {list}");
                read.extend(next);
            }
        }
    }

    #[test]
    fn a_kth_row_before_nothing_keeps_itself() {
        let until = Until { k: 2, slack: 3.0, reach: 8, zero: 0.0 };
        let mut pool = Pool::default();
        pool.take(&[-3.0, -1.0, -0.5, 4.0], &[0, 1, 2, 3], until);
        assert_eq!(pool.found().map(|found| found.1).collect::<Vec<u32>>(), [0, 1]);
    }
}
