//! Questions to an index, many at a time.

use rayon::prelude::*;

use super::Index;
use super::code_error::Compared;
use super::filter::Filter;
use super::plan::{Plan, check_effort, check_k, plan};
use super::search::{Effort, Engine, Hit, Searcher, check_finite, keep_for};
use crate::error::QueryError;
use crate::exact::{self, Best};
use crate::forest::{Ask, Block, BlockScratch, Scratch, Tree, search_block};
use crate::kernel::Isa;
use crate::memory;
use crate::quant;
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
    /// For each query, as [`Searcher::was_exact`].
    pub exact: Vec<bool>,
}

impl Answers {
    /// The answer to one query, without what fills it up; empty if there is no such query.
    #[must_use]
    pub fn hits(&self, query: usize) -> Vec<Hit> {
        let from = |at: usize| at.saturating_mul(self.k).min(self.positions.len());
        let span = from(query)..from(query.saturating_add(1));
        let pairs = self.positions[span.clone()].iter().zip(&self.distances[span]);
        let hits = pairs.map(|(&position, &distance)| Hit { position, distance });
        hits.take_while(|hit| hit.position != u32::MAX).collect()
    }

    /// The same answers with an empty one for each false of `asked`, which has a true for each query
    /// that was answered: the rows of a request of which only some could be asked.
    ///
    /// # Errors
    /// If the system has no room for them.
    pub fn spread(&self, asked: &[bool], missing: f32) -> Result<Answers, QueryError> {
        let (n, k) = (asked.len(), self.k);
        let (mut positions, mut distances) = (filled(n, k, u32::MAX)?, filled(n, k, missing)?);
        let mut exact = vec![true; n];
        let rows = asked.iter().enumerate().filter(|(_, asked)| **asked).map(|(row, _)| row);
        for (query, row) in rows.take(self.exact.len()).enumerate() {
            let (from, to) = (query * k..(query + 1) * k, row * k..(row + 1) * k);
            positions[to.clone()].copy_from_slice(&self.positions[from.clone()]);
            distances[to].copy_from_slice(&self.distances[from]);
            exact[row] = self.exact[query];
        }
        Ok(Answers { k, positions, distances, exact })
    }

    /// Lists side by side, each cut or filled to `k`, each with whether it is exact.
    pub(crate) fn from_lists(
        lists: &[(Vec<Hit>, bool)],
        k: usize,
        missing: f32,
    ) -> Result<Answers, QueryError> {
        let (mut positions, mut distances) =
            (filled(lists.len(), k, u32::MAX)?, filled(lists.len(), k, missing)?);
        for (at, (hits, _)) in lists.iter().enumerate() {
            for (slot, hit) in (at * k..(at + 1) * k).zip(hits) {
                (positions[slot], distances[slot]) = (hit.position, hit.distance);
            }
        }
        let exact = lists.iter().map(|list| list.1).collect();
        Ok(Answers { k, positions, distances, exact })
    }
}

/// `n` answers of `k` values; an error where the system has no room for them.
fn filled<T: Clone>(n: usize, k: usize, value: T) -> Result<Vec<T>, QueryError> {
    memory::attempt(|| Ok(memory::filled(value, n.saturating_mul(k))))
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

/// Answers many queries; `exclude` names the positions, ascending, that one of them may not find.
pub(crate) fn search_batch<'e>(
    index: &Index,
    queries: &[f32],
    options: BatchOptions<'_>,
    exclude: impl Fn(usize) -> &'e [u32] + Sync,
) -> Result<Answers, QueryError> {
    let dim = index.dim();
    if !queries.len().is_multiple_of(dim) {
        return Err(QueryError::Dimension { got: queries.len() % dim, expected: dim });
    }
    check_effort(options.k, options.effort)?;
    check_k(options.k, index.len())?;
    check_finite(queries, dim)?;
    let n = queries.len() / dim;
    if n > 1 && options.effort.covers(index.len()) {
        return exact_batch(index, queries, options, exclude);
    }
    let mut positions = filled(n, options.k, u32::MAX)?;
    let mut distances = filled(n, options.k, index.metric().missing())?;
    let mut exact = vec![false; n];
    let out = Out { k: options.k, p: &mut positions, d: &mut distances, exact: &mut exact };
    let batch = Batch { index, queries, options, exclude };
    match batch.grouped() {
        Some(grouped) => grouped.answer(out),
        None => batch.one_by_one(out),
    }
    Ok(Answers { k: options.k, positions, distances, exact })
}

/// Where the answers of some queries go.
struct Out<'a> {
    k: usize,
    p: &'a mut [u32],
    d: &'a mut [f32],
    exact: &'a mut [bool],
}

impl Out<'_> {
    /// The places of so many queries at a time.
    fn blocks(&mut self, n: usize) -> impl Iterator<Item = Out<'_>> {
        let k = self.k;
        let places = self.p.chunks_mut(n * k).zip(self.d.chunks_mut(n * k));
        let places = places.zip(self.exact.chunks_mut(n));
        places.map(move |((p, d), exact)| Out { k, p, d, exact })
    }

    fn par_blocks(&mut self, n: usize) -> impl IndexedParallelIterator<Item = Out<'_>> {
        let k = self.k;
        let places = self.p.par_chunks_mut(n * k).zip(self.d.par_chunks_mut(n * k));
        let places = places.zip(self.exact.par_chunks_mut(n));
        places.map(move |((p, d), exact)| Out { k, p, d, exact })
    }

    /// Writes the hits of the one query that this has place for.
    fn write(&mut self, hits: impl Iterator<Item = Hit>, exact: bool) {
        for ((p, d), hit) in self.p.iter_mut().zip(&mut *self.d).zip(hits) {
            (*p, *d) = (hit.position, hit.distance);
        }
        self.exact.fill(exact);
    }
}

/// A batch that has been checked.
struct Batch<'a, E> {
    index: &'a Index,
    queries: &'a [f32],
    options: BatchOptions<'a>,
    exclude: E,
}

impl<'e, E: Fn(usize) -> &'e [u32] + Sync> Batch<'_, E> {
    fn len(&self) -> usize {
        self.queries.len() / self.index.dim()
    }

    fn query(&self, at: usize) -> &[f32] {
        &self.queries[at * self.index.dim()..][..self.index.dim()]
    }

    fn one_by_one(&self, mut out: Out<'_>) {
        if threads::count(self.options.n_threads) == 1 || self.len() <= 1 {
            self.index.with_searcher(|searcher| {
                out.blocks(1).enumerate().for_each(|(at, mut out)| {
                    self.alone(searcher, at, &mut out);
                });
            });
            return;
        }
        let work = out.par_blocks(1).enumerate().with_min_len(16);
        threads::run(self.options.n_threads, || {
            let searcher = || self.index.searcher();
            threads::for_each_init(work, searcher, |searcher, (at, mut out)| {
                self.alone(searcher, at, &mut out);
            });
        });
    }

    /// Answers one query as a single search does.
    fn alone<'s>(&'s self, searcher: &mut Searcher<'s>, at: usize, out: &mut Out<'_>) {
        let BatchOptions { k, effort, filter, .. } = self.options;
        searcher.k(k).effort(effort).filter(filter);
        searcher.exclude((self.exclude)(at));
        if let Ok(hits) = searcher.search(self.query(at)) {
            let hits = hits.iter().copied();
            out.write(hits, false);
        }
        out.exact.fill(searcher.was_exact());
    }

    /// How to answer the batch block by block, if that is faster.
    fn grouped(&self) -> Option<Grouped<'_, Self>> {
        let k = self.options.k.min(self.index.len());
        let n_excluded = (0..self.len()).map(|at| (self.exclude)(at).len()).max().unwrap_or(0);
        let budgets = [0, n_excluded].map(|n| self.plan(n).budget());
        let [Some(budget), Some(most)] = budgets else { return None };
        let most = budget.max(most).max(k);
        let engine = Engine::new(self.index.space(), self.index.file());
        if !self.index.calibration().codes_are_precise() {
            return None;
        }
        // Several trees have rows in common, which each query counts once.
        let [tree] = engine.trees[..] else { return None };
        if !tree.has_codes() {
            return None;
        }
        // Without VNNI a product of bytes costs several times as much, and reading them together
        // does not make up for it where a look-up says as much as four of them.
        let is_wide = tree.product.is_some() && quant::part_width(self.index.dim()) > 2;
        if is_wide && Isa::active() != Isa::Avx512 {
            return None;
        }
        // A query chooses no more leaves than there are, and none without members.
        let pairs = keep_for(k).saturating_mul(4) + tree.n_leaves().min(most);
        let bounded = (BLOCK_BYTES / size_of::<(f32, u32)>() / pairs).min(LARGEST);
        // Decided without the number of threads, which must not show in the answers.
        let together = bounded.min(self.len());
        let sharing = together as f64 * most as f64 / self.index.len() as f64;
        let share = self.len().div_ceil(threads::count(self.options.n_threads));
        let block = bounded.min(share.max(1));
        (sharing >= SHARING).then_some(Grouped { batch: self, engine, tree, k, block })
    }

    /// The plan of a query that leaves so many rows out.
    fn plan(&self, n_excluded: usize) -> Plan<'_> {
        let BatchOptions { k, effort, filter, .. } = self.options;
        plan(self.index, effort, filter, k.min(self.index.len()), n_excluded)
    }
}

/// A batch to be answered in blocks. The answers do not depend on where blocks begin.
struct Grouped<'a, B> {
    batch: &'a B,
    engine: Engine<'a>,
    tree: Tree<'a>,
    k: usize,
    /// Queries a block.
    block: usize,
}

impl<'e, E: Fn(usize) -> &'e [u32] + Sync> Grouped<'_, Batch<'_, E>> {
    fn answer(&self, mut out: Out<'_>) {
        let n_threads = self.batch.options.n_threads;
        let blocks = |s: &mut Memory, (at, out)| self.block(at, out, s);
        if threads::count(n_threads) == 1 {
            let mut memory = Memory::default();
            out.blocks(self.block).enumerate().for_each(|block| blocks(&mut memory, block));
            return;
        }
        let work = out.par_blocks(self.block).enumerate();
        threads::run(n_threads, || threads::for_each_init(work, Memory::default, blocks));
    }

    /// Answers the queries of a block.
    fn block(&self, at: usize, mut out: Out<'_>, memory: &mut Memory) {
        let Batch { index, options, .. } = self.batch;
        let rows = self.engine.rows;
        let (first, n) = (at * self.block, out.exact.len());
        let mut queries = self.batch.queries[first * rows.dim..][..n * rows.dim].to_vec();
        queries.chunks_exact_mut(rows.dim).for_each(|query| rows.prepare(query));
        let excluded: Vec<Vec<u32>> = (first..first + n).map(|at| self.excluded(at)).collect();
        let asks = queries.chunks_exact(rows.dim).zip(&excluded);
        let asks: Vec<Option<Ask<'_>>> =
            asks.map(|(query, excluded)| self.ask(query, excluded, &mut memory.single)).collect();
        // What is searched alone is the least of work here.
        let none = Ask { budget: 0, excluded: &[] };
        let block = Block {
            tree: self.tree,
            queries: &queries,
            asks: &asks.iter().map(|ask| ask.unwrap_or(none)).collect::<Vec<Ask>>(),
            metric: rows.metric,
            mean: self.engine.mean,
            code_scale: self.engine.code_scale,
            keep: keep_for(self.k),
            allowed: options.filter.map(Filter::bits),
            n_rows: rows.len(),
        };
        search_block(block, &mut memory.block);
        let (mut best, mut compared) = (Best::new(self.k), Compared::default());
        let misses = options.effort.misses_allowed(self.k);
        let answers = queries.chunks_exact(rows.dim).zip(out.blocks(1)).zip(&asks);
        for (at, ((query, mut out), ask)) in answers.enumerate() {
            let found = memory.block.candidates(at);
            // A single search goes past its budget for what is missing.
            if ask.is_none() || found.len() < self.k {
                index.with_searcher(|s| self.batch.alone(s, first + at, &mut out));
                continue;
            }
            best.reset(self.k);
            compared.clear();
            let (positions, k) = (index.positions(), self.k);
            let cut =
                self.engine.rerank_sorted(query, found, positions, k, &mut best, &mut compared);
            best.cut();
            let last = found.last().filter(|_| !cut && found.len() == block.keep);
            let loses =
                last.is_some_and(|last| self.engine.loses(query, k, last.0, misses, &mut compared));
            if loses || self.looks_further(query, &excluded[at], &best) {
                index.with_searcher(|s| self.batch.alone(s, first + at, &mut out));
                continue;
            }
            let hit =
                |&(key, position): &(f32, u32)| Hit { position, distance: rows.distance(key) };
            out.write(best.sorted().iter().map(hit), false);
        }
    }

    /// Whether a search of its own would look further than the block did: see `Searcher::look_further`.
    fn looks_further(&self, query: &[f32], excluded: &[u32], best: &Best) -> bool {
        let BatchOptions { effort, filter, .. } = self.batch.options;
        matches!(effort, Effort::Recall(_))
            && excluded.is_empty()
            && filter.is_none()
            && self.engine.is_far(self.batch.index, query, self.k, best)
    }

    /// What a query asks of its block; `None` if it is to be searched alone, since it needs more
    /// work than the others or, with a filter, other work.
    fn ask<'x>(
        &self,
        query: &[f32],
        excluded: &'x [u32],
        scratch: &mut Scratch,
    ) -> Option<Ask<'x>> {
        let plan = self.batch.plan(excluded.len());
        if !self.engine.has_codes_for(query) {
            return None;
        }
        let settled = self.engine.settle(self.batch.index, plan, query, scratch).budget()?;
        let budget = plan.budget().filter(|&planned| planned == settled)?.max(self.k);
        Some(Ask { budget, excluded })
    }

    /// The rows that a query may not find, ascending.
    fn excluded(&self, at: usize) -> Vec<u32> {
        let row = |&position: &u32| self.batch.index.row_of().get(position as usize).copied();
        let mut rows: Vec<u32> = (self.batch.exclude)(at).iter().filter_map(row).collect();
        rows.sort_unstable();
        rows
    }
}

/// Memory that blocks use again.
#[derive(Default)]
struct Memory {
    block: BlockScratch,
    single: Scratch,
}

/// Brute force for a whole batch, which reads each block of rows once for many queries.
fn exact_batch<'e>(
    index: &Index,
    queries: &[f32],
    options: BatchOptions<'_>,
    exclude: impl Fn(usize) -> &'e [u32] + Sync,
) -> Result<Answers, QueryError> {
    let rows = index.space().rows(index.file());
    let mut prepared = memory::copied(queries);
    prepared.chunks_exact_mut(rows.dim).for_each(|query| rows.prepare(query));
    let positions = index.positions();
    let tag = |query: usize, row: u32| {
        let position = positions.get(row as usize).copied()?;
        let passes = options.filter.is_none_or(|f| f.passes(row));
        (passes && exclude(query).binary_search(&position).is_err()).then_some(position)
    };
    let k = options.k.min(rows.len());
    let found = threads::run(options.n_threads, || exact::search(rows, &prepared, k, tag));
    let hit = |&(key, position): &(f32, u32)| Hit { position, distance: rows.distance(key) };
    let list = |list: &Vec<(f32, u32)>| (list.iter().map(hit).collect(), true);
    let lists: Vec<(Vec<Hit>, bool)> = found.iter().map(list).collect();
    Answers::from_lists(&lists, options.k, index.metric().missing())
}
