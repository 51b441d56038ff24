//! Questions to an index, many at a time.

use rayon::prelude::*;

use super::Index;
use super::filter::Filter;
use super::search::{
    Effort, Engine, Hit, Plan, Searcher, check_effort, check_finite, keep_for, plan,
};
use crate::error::QueryError;
use crate::exact::{self, Best};
use crate::forest::{Ask, Block, BlockScratch, Tree, search_block};
use crate::threads;

/// The answers to a batch: `k` a query, what is missing filled with position `u32::MAX` and an
/// infinitely far distance.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// Results a query.
    pub k: usize,
    /// Query after query.
    pub positions: Vec<u32>,
    /// Query after query.
    pub distances: Vec<f32>,
}

impl Answers {
    /// Lists side by side, each cut or filled to `k`.
    pub(crate) fn from_lists(
        lists: &[Vec<Hit>],
        k: usize,
        missing: f32,
    ) -> Result<Answers, QueryError> {
        let (mut positions, mut distances) =
            (filled(lists.len(), k, u32::MAX)?, filled(lists.len(), k, missing)?);
        for (at, hits) in lists.iter().enumerate() {
            for (slot, hit) in (at * k..(at + 1) * k).zip(hits) {
                (positions[slot], distances[slot]) = (hit.position, hit.distance);
            }
        }
        Ok(Answers { k, positions, distances })
    }
}

/// `n` answers of `k` values; an error where the system has no room for them.
fn filled<T: Clone>(n: usize, k: usize, value: T) -> Result<Vec<T>, QueryError> {
    let mut values = Vec::new();
    let len = n.checked_mul(k).filter(|&len| values.try_reserve_exact(len).is_ok());
    let len = len.ok_or_else(|| QueryError::Parameter {
        name: "k",
        got: format!("{k} for {n} queries"),
        expected: "as many answers as fit in memory".into(),
    })?;
    values.resize(len, value);
    Ok(values)
}

/// What a batch asks for.
#[derive(Debug, Clone, Copy)]
pub struct BatchOptions<'a> {
    /// Results a query.
    pub k: usize,
    /// How hard to try.
    pub effort: Effort,
    /// Which rows may be found.
    pub filter: Option<&'a Filter>,
    /// Threads; `None`: all cores. 1 runs on the calling thread.
    pub n_threads: Option<usize>,
}

impl Default for BatchOptions<'_> {
    fn default() -> Self {
        BatchOptions { k: 10, effort: Effort::default(), filter: None, n_threads: None }
    }
}

/// From so many queries a leaf on average, leaves are scanned for a block rather than for a query.
/// Measured on one thread with 128 and 64 dimensions: at 0.7 the two cost the same within 4 per
/// cent, at 1.3 a block is up to 11 per cent faster and at most 1 slower, from 2 on it always wins.
const SHARING: f64 = 1.5;
/// The most queries of a block.
const LARGEST: usize = 1024;
/// What the candidates and the leaves chosen in a block may take, in bytes.
const BLOCK_BYTES: usize = 128 << 20;

/// Answers many queries; `exclude` names a position that one of them may not find.
pub(crate) fn search_batch(
    index: &Index,
    queries: &[f32],
    options: BatchOptions<'_>,
    exclude: impl Fn(usize) -> Option<u32> + Sync,
) -> Result<Answers, QueryError> {
    let dim = index.dim();
    if !queries.len().is_multiple_of(dim) {
        return Err(QueryError::Dimension { got: queries.len() % dim, expected: dim });
    }
    check_effort(options.k, options.effort)?;
    check_finite(queries, dim)?;
    let n = queries.len() / dim;
    if n > 1 && options.effort.is_exact() {
        return exact_batch(index, queries, options, exclude);
    }
    let mut positions = filled(n, options.k, u32::MAX)?;
    let mut distances = filled(n, options.k, index.metric().missing())?;
    let batch = Batch { index, queries, options, exclude };
    match batch.grouped() {
        Some(grouped) => grouped.answer(&mut positions, &mut distances),
        None => batch.one_by_one(&mut positions, &mut distances),
    }
    Ok(Answers { k: options.k, positions, distances })
}

/// A batch that has been checked.
struct Batch<'a, E> {
    index: &'a Index,
    queries: &'a [f32],
    options: BatchOptions<'a>,
    exclude: E,
}

impl<E: Fn(usize) -> Option<u32> + Sync> Batch<'_, E> {
    fn len(&self) -> usize {
        self.queries.len() / self.index.dim()
    }

    fn query(&self, at: usize) -> &[f32] {
        &self.queries[at * self.index.dim()..][..self.index.dim()]
    }

    fn one_by_one(&self, positions: &mut [u32], distances: &mut [f32]) {
        let k = self.options.k;
        if threads::count(self.options.n_threads) == 1 || self.len() <= 1 {
            let work = positions.chunks_exact_mut(k).zip(distances.chunks_exact_mut(k));
            self.index.with_searcher(|searcher| {
                work.enumerate().for_each(|(at, (p, d))| self.alone(searcher, at, p, d));
            });
            return;
        }
        let work = positions.par_chunks_exact_mut(k).zip(distances.par_chunks_exact_mut(k));
        let work = work.enumerate().with_min_len(16);
        threads::run(self.options.n_threads, || {
            let searcher = || self.index.searcher();
            work.for_each_init(searcher, |searcher, (at, (p, d))| self.alone(searcher, at, p, d));
        });
    }

    /// Answers one query as a single search does.
    fn alone<'s>(&'s self, searcher: &mut Searcher<'s>, at: usize, p: &mut [u32], d: &mut [f32]) {
        let BatchOptions { k, effort, filter, .. } = self.options;
        searcher.k(k).effort(effort).filter(filter);
        searcher.exclude((self.exclude)(at).as_slice());
        if let Ok(hits) = searcher.search(self.query(at)) {
            write(hits.iter().copied(), p, d);
        }
    }

    /// How to answer the batch block by block, if that is faster.
    fn grouped(&self) -> Option<Grouped<'_, Self>> {
        let BatchOptions { k, effort, filter, .. } = self.options;
        let k = k.min(self.index.len());
        let budget = |n_excluded| match plan(self.index, effort, filter, k, n_excluded) {
            Plan::Budget(budget) => Some(budget.max(k)),
            _ => None,
        };
        let budgets = [budget(0)?, budget(1)?];
        let engine = Engine::new(self.index.space(), self.index.file());
        if !self.index.calibration().codes_are_precise() {
            return None;
        }
        // Several trees have rows in common, which each query counts once.
        let [tree] = engine.trees[..] else { return None };
        // A query chooses no more leaves than there are, and none without members.
        let pairs = keep_for(k).saturating_mul(4) + tree.n_leaves().min(budgets[1]);
        let bounded = (BLOCK_BYTES / size_of::<(f32, u32)>() / pairs).min(LARGEST);
        // Decided without the number of threads, which must not show in the answers.
        let together = bounded.min(self.len());
        let sharing = together as f64 * budgets[1] as f64 / self.index.len() as f64;
        let share = self.len().div_ceil(threads::count(self.options.n_threads));
        let block = bounded.min(share.max(1));
        (sharing >= SHARING).then_some(Grouped { batch: self, engine, tree, budgets, k, block })
    }
}

/// Writes hits into a query's part of the answers.
fn write(hits: impl Iterator<Item = Hit>, positions: &mut [u32], distances: &mut [f32]) {
    for ((p, d), hit) in positions.iter_mut().zip(distances).zip(hits) {
        (*p, *d) = (hit.position, hit.distance);
    }
}

/// A batch to be answered in blocks. The answers do not depend on where blocks begin.
struct Grouped<'a, B> {
    batch: &'a B,
    engine: Engine<'a>,
    tree: Tree<'a>,
    /// The budget of a query, and of one that leaves a row out.
    budgets: [usize; 2],
    k: usize,
    /// Queries a block.
    block: usize,
}

impl<E: Fn(usize) -> Option<u32> + Sync> Grouped<'_, Batch<'_, E>> {
    fn answer(&self, positions: &mut [u32], distances: &mut [f32]) {
        let BatchOptions { k, n_threads, .. } = self.batch.options;
        let len = self.block * k;
        if threads::count(n_threads) == 1 {
            let mut scratch = BlockScratch::default();
            let work = positions.chunks_mut(len).zip(distances.chunks_mut(len));
            work.enumerate().for_each(|(at, (p, d))| self.block(at, p, d, &mut scratch));
            return;
        }
        let work = positions.par_chunks_mut(len).zip(distances.par_chunks_mut(len)).enumerate();
        threads::run(n_threads, || {
            work.for_each_init(BlockScratch::default, |scratch, (at, (p, d))| {
                self.block(at, p, d, scratch);
            });
        });
    }

    /// Answers the queries of a block.
    fn block(&self, at: usize, p: &mut [u32], d: &mut [f32], scratch: &mut BlockScratch) {
        let Batch { index, options, .. } = self.batch;
        let (rows, width) = (self.engine.rows, options.k);
        let (first, n) = (at * self.block, p.len() / width);
        let mut queries = self.batch.queries[first * rows.dim..][..n * rows.dim].to_vec();
        queries.chunks_exact_mut(rows.dim).for_each(|query| rows.prepare(query));
        let asks: Vec<Ask> = (first..first + n).map(|at| self.ask(at)).collect();
        let block = Block {
            tree: self.tree,
            queries: &queries,
            asks: &asks,
            metric: rows.metric,
            mean: self.engine.mean,
            code_scale: self.engine.code_scale,
            keep: keep_for(self.k),
            allowed: options.filter.map(Filter::bits),
            n_rows: rows.len(),
        };
        search_block(block, scratch);
        let mut best = Best::new(self.k);
        let answers = p.chunks_exact_mut(width).zip(d.chunks_exact_mut(width));
        for ((at, query), (p, d)) in queries.chunks_exact(rows.dim).enumerate().zip(answers) {
            let found = scratch.candidates(at);
            if found.len() < self.k {
                // A single search goes past its budget for them.
                index.with_searcher(|s| self.batch.alone(s, first + at, p, d));
                continue;
            }
            best.reset(self.k);
            self.engine.rerank(query, found, index.positions(), &mut best);
            let hit =
                |&(key, position): &(f32, u32)| Hit { position, distance: rows.distance(key) };
            write(best.sorted().iter().map(hit), p, d);
        }
    }

    fn ask(&self, at: usize) -> Ask {
        let position = (self.batch.exclude)(at);
        let row = |position: u32| self.batch.index.row_of().get(position as usize).copied();
        Ask {
            budget: self.budgets[usize::from(position.is_some())],
            excluded: position.and_then(row),
        }
    }
}

/// Brute force for a whole batch, which reads each block of rows once for many queries.
fn exact_batch(
    index: &Index,
    queries: &[f32],
    options: BatchOptions<'_>,
    exclude: impl Fn(usize) -> Option<u32> + Sync,
) -> Result<Answers, QueryError> {
    let rows = index.space().rows(index.file());
    let mut prepared = queries.to_vec();
    prepared.chunks_exact_mut(rows.dim).for_each(|query| rows.prepare(query));
    let positions = index.positions();
    let tag = |query: usize, row: u32| {
        let position = positions.get(row as usize).copied()?;
        let passes = options.filter.is_none_or(|f| f.passes(row));
        (passes && exclude(query) != Some(position)).then_some(position)
    };
    let k = options.k.min(rows.len());
    let found = threads::run(options.n_threads, || exact::search(rows, &prepared, k, tag));
    let hit = |&(key, position): &(f32, u32)| Hit { position, distance: rows.distance(key) };
    let lists: Vec<Vec<Hit>> = found.iter().map(|list| list.iter().map(hit).collect()).collect();
    Answers::from_lists(&lists, options.k, index.metric().missing())
}
