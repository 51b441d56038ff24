//! The queries that an index is calibrated with.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use rayon::prelude::*;

use super::audience;
use super::calibration::BLOCK;
use super::space::Space;
use crate::exact::Rows;
use crate::metric::Metric;
use crate::random::Random;

/// Where rows are copies of each other, up to this many times as many are looked at for distinct ones.
const MOST: usize = 32;

/// Queries to calibrate with.
pub(crate) struct Sample {
    /// Row-major, prepared for the space.
    pub queries: Vec<f32>,
    /// The row that a query is a copy of, if it is one: it does not count as its own neighbour.
    pub own_rows: Vec<Option<u32>>,
}

/// Where the queries to calibrate with come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Any row is as likely to be asked about as any other; by inner product, users made from rows.
    Rows,
    /// Rows by how often they stand here, as positions: what is asked about is what is popular.
    Positions(&'a [u32]),
    /// Vectors from elsewhere, row-major.
    Vectors(&'a [f32]),
}

impl Sample {
    /// Queries, side by side, and their own rows.
    pub(super) fn blocks(
        &self,
        dim: usize,
    ) -> impl IndexedParallelIterator<Item = (&[f32], &[Option<u32>])> {
        self.queries.par_chunks(BLOCK * dim).zip(self.own_rows.par_chunks(BLOCK))
    }

    /// Draws queries at random; a row is left out of its own answer.
    pub fn draw(
        space: &Space,
        file: &[u8],
        source: Source<'_>,
        row_of: &[u32],
        seed: u64,
    ) -> Sample {
        let mut random = Random::new(seed, u64::MAX);
        let size = sample_size(space);
        match source {
            Source::Vectors(queries) => Sample::of_queries(space, file, queries, seed),
            Source::Positions(positions) if !positions.is_empty() => {
                let picked = random.sample(positions.len(), size).into_iter();
                let row = |at: usize| row_of[positions[at] as usize] as usize;
                let rows = space.rows(file);
                let picked = picked.map(row).filter(|&row| has_answers(rows, row));
                Sample::of_rows(space, file, &picked.collect::<Vec<usize>>())
            }
            _ => Sample::of_anything(space, file, size, &mut random),
        }
    }

    /// What is asked most: by inner product users, else any row. Copies of a row count as one: they find
    /// each other at any budget, and with half of all rows empty or alike that would be half of the recall
    /// of all.
    fn of_anything(space: &Space, file: &[u8], size: usize, random: &mut Random) -> Sample {
        let users = match space.metric {
            Metric::Dot => audience::users(space.rows(file), size, random),
            _ => None,
        };
        match users {
            Some(queries) => {
                let n = queries.len() / space.dim;
                Sample { queries, own_rows: vec![None; n] }
            }
            None => Sample::of_rows(space, file, &distinct(space.rows(file), size, random)),
        }
    }

    fn of_rows(space: &Space, file: &[u8], picked: &[usize]) -> Sample {
        let rows = space.rows(file);
        let mut queries = Vec::with_capacity(picked.len() * space.dim);
        for &row in picked {
            let mut query = rows.row(row).into_owned();
            rows.prepare(&mut query);
            queries.extend(query);
        }
        Sample { queries, own_rows: picked.iter().map(|&row| Some(row as u32)).collect() }
    }

    /// Vectors from elsewhere, at most as many as are needed, drawn at random.
    fn of_queries(space: &Space, file: &[u8], queries: &[f32], seed: u64) -> Sample {
        let rows = space.rows(file);
        let n = queries.len() / space.dim;
        let mut sample = Vec::new();
        for at in Random::new(seed, u64::MAX).sample(n, sample_size(space)) {
            let mut query = queries[at * space.dim..][..space.dim].to_vec();
            rows.prepare(&mut query);
            if !is_empty(rows.metric, &query) {
                sample.extend(query);
            }
        }
        let own_rows = vec![None; sample.len() / space.dim];
        Sample { queries: sample, own_rows }
    }
}

/// Enough for a standard error of four tenths of a point of recall, less where looking at all rows for
/// so many would take long.
fn sample_size(space: &Space) -> usize {
    (1e11 / (space.n_rows as f64 * space.dim as f64)).clamp(200.0, 600.0) as usize
}

/// Different rows at random, those of which every answer is right left out.
fn distinct(rows: Rows<'_>, size: usize, random: &mut Random) -> Vec<usize> {
    let mut kinds = Kinds::default();
    let mut is_new = |&row: &usize| has_answers(rows, row) && kinds.is_new(&rows.row(row));
    let mut picked = random.sample(rows.len(), size);
    picked.retain(&mut is_new);
    if picked.len() < size.min(rows.len()) {
        let mut more = random.sample(rows.len(), MOST * size);
        random.shuffle(&mut more);
        picked.extend(more.into_iter().filter(is_new).take(size - picked.len()));
    }
    picked
}

/// Whether answers to a row may be wrong: to a vector without a direction every answer is right.
fn has_answers(rows: Rows<'_>, row: usize) -> bool {
    match rows.metric {
        Metric::Angular => rows.factor(row) != 0.0,
        metric => !is_empty(metric, &rows.row(row)),
    }
}

fn is_empty(metric: Metric, query: &[f32]) -> bool {
    matches!(metric, Metric::Angular | Metric::Dot) && query.iter().all(|&x| x == 0.0)
}

/// Vectors that were met, by a hash of their values.
#[derive(Default)]
pub(super) struct Kinds(HashSet<u64>);

impl Kinds {
    /// Whether a vector was not met before.
    pub fn is_new(&mut self, vector: &[f32]) -> bool {
        let mut hasher = DefaultHasher::new();
        // Zeros of both signs are alike.
        vector.iter().for_each(|x| hasher.write_u32((x + 0.0).to_bits()));
        self.0.insert(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::inverse_norm;

    #[test]
    fn copies_are_drawn_once_and_empty_rows_never() {
        // 20 rows of their own, copies of two others, and zeros.
        let mut values = vec![0f32; 2 * 4000];
        for (at, x) in values.chunks_exact_mut(2).enumerate() {
            match at % 200 {
                7 => x.copy_from_slice(&[at as f32, 1.0]),
                at if at % 2 == 0 => x.copy_from_slice(&[(at % 4) as f32 - 1.0, 5.0]),
                _ => {}
            }
        }
        let inverse_norms: Vec<f32> = values.chunks_exact(2).map(inverse_norm).collect();
        for metric in [Metric::Angular, Metric::Euclidean, Metric::Dot] {
            let inverse_norms: &[f32] =
                if metric == Metric::Angular { &inverse_norms } else { &[] };
            let rows = Rows { metric, dim: 2, values: (&values[..]).into(), inverse_norms };
            let mut picked = distinct(rows, 200, &mut Random::new(1, 0));
            let zeros = picked.iter().filter(|&&row| values[2 * row + 1] == 0.0).count();
            assert_eq!(zeros, usize::from(metric == Metric::Euclidean), "{metric}");
            let others = picked.iter().filter(|&&row| row % 200 == 7).count();
            assert_eq!((others, picked.len()), (20, 22 + zeros), "{metric}");
            picked.sort_unstable();
            picked.dedup();
            assert_eq!(picked.len(), 22 + zeros);
        }
    }

    #[test]
    fn different_rows_are_drawn_as_they_come() {
        let values: Vec<f32> = (0..4000).map(|x| x as f32).collect();
        let rows = Rows {
            metric: Metric::Euclidean,
            dim: 1,
            values: (&values[..]).into(),
            inverse_norms: &[],
        };
        let picked = distinct(rows, 300, &mut Random::new(5, 0));
        assert_eq!(picked, Random::new(5, 0).sample(4000, 300));
    }
}
