//! Candidates by code made into neighbours by their exact keys.
//!
//! Reading rows is what this costs: they lie anywhere in the file, and one of 384 dimensions on 24
//! cache lines. So candidates with precise codes are read the best score first, and the rest of them
//! only as far as an error of their codes may have put a neighbour there.

use super::code_error::{Compared, Spread};
use super::search::Engine;
use crate::exact::Best;
use crate::forest::inverse_length;
use crate::metric::Metric;

/// How many times what the codes of the nearest rows err a later row's must err to be missed. Rows
/// beyond are left unread: on photographs' descriptors, sentences and factors 3 lose nothing in the
/// fourth digit of the recall that 4 and 6 do not lose, and cost as much as these within the noise.
const ERRS: f64 = 5.0;

/// How many rows are asked of the memory at a time.
const TOGETHER: usize = 128;

/// From fewer different scores nothing is concluded: copies of one row err alike.
const DIFFERENT: f64 = 8.0;

impl Engine<'_> {
    /// Asks the memory for a row that is about to be compared.
    pub(super) fn prefetch(&self, row: u32) {
        self.rows.values.stored(row as usize, self.rows.dim).prefetch();
    }

    /// The exact key of a candidate. Bits were compared themselves: their score is the distance.
    pub fn exact_key(&self, query: &[f32], &(score, row): &(f32, u32)) -> f32 {
        match self.rows.metric {
            Metric::Hamming => score,
            _ => self.rows.key(query, row as usize),
        }
    }

    /// Offers candidates by their exact keys and positions, and notes keys and scores.
    pub fn rerank(
        &self,
        query: &[f32],
        found: &[(f32, u32)],
        positions: &[u32],
        best: &mut Best,
        compared: &mut Compared,
    ) {
        let mut offer = |row: u32, key| {
            if let Some(&position) = positions.get(row as usize) {
                best.push(key, position);
            }
        };
        // Bits were compared themselves: the score is the distance.
        if self.rows.metric == Metric::Hamming {
            return found.iter().for_each(|&(score, row)| offer(row, score));
        }
        for found in found.chunks(TOGETHER) {
            found.iter().for_each(|&(_, row)| self.prefetch(row));
            let mut scores = found.iter().map(|found| found.0);
            self.rows.keys(query, found.iter().map(|&(_, row)| row as usize), |row, key| {
                compared.push(key, scores.next().unwrap_or(f32::NAN));
                offer(row as u32, key);
            });
        }
    }

    /// [`rerank`](Self::rerank) of candidates by 8-bit codes, sorted by score, where `best` has
    /// room for `k`: those that lie too far beyond the `k`-th are left out, see [`ERRS`]. Returns
    /// whether any were.
    pub fn rerank_sorted(
        &self,
        query: &[f32],
        found: &[(f32, u32)],
        positions: &[u32],
        k: usize,
        best: &mut Best,
        compared: &mut Compared,
    ) -> bool {
        let sure = k.saturating_add(k / 8).saturating_add(2).max(DIFFERENT as usize);
        let (first, others) = found.split_at(found.len().min(sure));
        if others.is_empty() || self.rows.metric == Metric::Hamming {
            self.rerank(query, found, positions, best, compared);
            return false;
        }
        first.iter().for_each(|&(_, row)| self.prefetch(row));
        let worth = self.worth(query);
        let (mut beyond, mut last) = (Spread::default(), f32::NAN);
        for &(score, row) in first {
            let key = self.rows.key(query, row as usize);
            if let Some(&position) = positions.get(row as usize) {
                best.push(key, position);
            }
            compared.push(key, score);
            if score != last {
                beyond.add(f64::from(score) - worth * f64::from(key));
            }
            last = score;
        }
        best.cut();
        let limit = match beyond.n < DIFFERENT {
            true => f64::INFINITY,
            false => worth * f64::from(best.bound()) + beyond.mean + ERRS * beyond.deviation(),
        };
        let end = others.partition_point(|&(score, _)| f64::from(score) <= limit);
        self.rerank(query, &others[..end], positions, best, compared);
        end < others.len()
    }

    /// Whether more neighbours than `allowed` are expected to score beyond `cut`, after which no
    /// candidate was kept.
    pub fn loses(
        &self,
        query: &[f32],
        k: usize,
        cut: f32,
        allowed: f64,
        compared: &mut Compared,
    ) -> bool {
        if self.rows.metric == Metric::Hamming || cut == f32::INFINITY {
            return false;
        }
        let error = compared.error(k, self.worth(query), 0.0);
        error.is_some_and(|error| compared.expected_misses(error, cut) > allowed)
    }

    /// By how much scores differ where keys differ by 1.
    pub(super) fn worth(&self, query: &[f32]) -> f64 {
        match self.rows.metric {
            // Half the squared distance of vectors of length 1 is their cosine's from 1.
            Metric::Angular => 2.0,
            Metric::Dot => f64::from(inverse_length(query)),
            Metric::Euclidean | Metric::Manhattan | Metric::Hamming => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Compared;
    use crate::exact::Best;
    use crate::index::search::{Engine, keep_for};
    use crate::index::{Index, Vectors};
    use crate::metric::Metric;
    use crate::random::Random;

    /// Whether the neighbours are the same with and without leaving candidates out, scores being
    /// keys and errors.
    fn agree(engine: &Engine<'_>, query: &[f32], mut error: impl FnMut(u32) -> f32) -> bool {
        let positions: Vec<u32> = (0..engine.rows.len() as u32).collect();
        let worth = engine.worth(query) as f32;
        let mut score = |row: u32| worth * engine.rows.key(query, row as usize) + 3.0 + error(row);
        let mut found: Vec<(f32, u32)> = positions.iter().map(|&row| (score(row), row)).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.truncate(keep_for(10));
        let (mut all, mut some) = (Best::new(10), Best::new(10));
        let mut compared = Compared::default();
        engine.rerank(query, &found, &positions, &mut all, &mut compared);
        engine.rerank_sorted(query, &found, &positions, 10, &mut some, &mut compared);
        all.into_sorted() == some.into_sorted()
    }

    #[test]
    fn what_is_left_out_is_no_neighbour() {
        let mut random = Random::new(3, 0);
        let values: Vec<f32> = (0..600 * 8).map(|_| random.normal() as f32).collect();
        for metric in Metric::ALL {
            let index = Index::builder(metric).build(Vectors::new(&values, 8).unwrap()).unwrap();
            let engine = Engine::new(index.space(), index.file());
            for query in values.chunks_exact(8).take(100) {
                let mut query: Vec<f32> = query.iter().map(|x| 0.7 * x).collect();
                engine.rows.prepare(&mut query);
                // Errors of the size of the distances between neighbours, and small ones.
                for size in [0.2, 0.01] {
                    let is_hamming = metric == Metric::Hamming;
                    let size = if is_hamming { 0.0 } else { size };
                    let error = |_| size * random.normal() as f32;
                    assert!(agree(&engine, &query, error), "{metric}, {size}");
                }
            }
        }
    }

    #[test]
    fn copies_of_one_row_say_nothing_about_errors() {
        // Twenty copies at 1.0, all coded too near, five rows that are nearer.
        let values: Vec<f32> = (0..60)
            .flat_map(|i| [[1.0, 0.99, 5.0][(i >= 20) as usize + (i >= 25) as usize], 0.0])
            .collect();
        let index = Index::builder(Metric::Euclidean);
        let index = index.build(Vectors::new(&values, 2).unwrap()).unwrap();
        let engine = Engine::new(index.space(), index.file());
        let row = |row: u32| engine.rows.row(row as usize)[0];
        let error = |r: u32| if row(r) == 1.0 { -0.05 } else { 0.0 };
        assert!(agree(&engine, &[0.0, 0.0], error));
    }
}
