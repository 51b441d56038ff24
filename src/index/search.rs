//! Questions to an index: one at a time, or many.

use rayon::prelude::*;

use super::Index;
use super::filter::Filter;
use super::space::{Space, first_unusable};
use crate::error::QueryError;
use crate::exact::{self, Best, Rows};
use crate::forest::{self, Request, Scratch, Tree};
use crate::kernel::code;
use crate::threads;

/// How hard a search tries.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Effort {
    /// The share of the true neighbours to find on average, above 0; 1 and above searches exactly.
    /// The budget comes from the calibration that was measured when the index was built.
    Recall(f64),
    /// How many vectors may be evaluated, by code or by row; at least 1.
    Budget(usize),
    /// Every row, in float32.
    Exact,
}

impl Effort {
    fn is_exact(self) -> bool {
        match self {
            Effort::Exact => true,
            Effort::Recall(recall) => recall >= 1.0,
            Effort::Budget(_) => false,
        }
    }
}

impl Default for Effort {
    fn default() -> Effort {
        Effort::Recall(0.95)
    }
}

/// One neighbour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its place in the order given to the build; [`Index::id`] names it.
    pub position: u32,
    /// Its distance, or product.
    pub distance: f32,
}

/// What every question needs, resolved once: slices of the file.
pub(crate) struct Engine<'a> {
    rows: Rows<'a>,
    mean: &'a [f32],
    trees: Vec<Tree<'a>>,
}

/// Beyond so many excluded rows a search does not reach further for them.
const EXCLUDED_REACH: usize = 100;

/// How many candidates are re-ranked for `k` results: their 8-bit codes are precise enough that
/// half as many again and ten lose less than a thousandth of the recall.
pub(crate) fn keep_for(k: usize) -> usize {
    k.saturating_add(k / 2).saturating_add(10)
}

impl<'a> Engine<'a> {
    pub fn new(space: &Space, file: &'a [u8]) -> Engine<'a> {
        Engine { rows: space.rows(file), mean: space.mean(file), trees: space.trees(file) }
    }

    /// The best candidates by code, (score, row), in no order. `scratch.begin()` comes first.
    pub fn candidates<'s>(
        &self,
        query: &[f32],
        budget: usize,
        at_least: usize,
        keep: usize,
        allowed: Option<&[u64]>,
        scratch: &'s mut Scratch,
    ) -> &'s [(f32, u32)] {
        let request = Request {
            query,
            metric: self.rows.metric,
            mean: self.mean,
            budget,
            at_least,
            keep,
            allowed,
            n_rows: self.rows.len(),
        };
        forest::search(&self.trees, request, scratch);
        scratch.candidates()
    }
}

/// Asks one question after another, keeping the memory that they need: once warm, nothing is
/// allocated. Never touches a thread pool.
pub struct Searcher<'a> {
    index: &'a Index,
    engine: Engine<'a>,
    positions: &'a [u32],
    row_of: &'a [u32],
    k: usize,
    effort: Effort,
    filter: Option<&'a Filter>,
    excluded: Vec<u32>,
    memory: Memory,
}

/// What a searcher can hand on to the next one.
#[derive(Default)]
pub(crate) struct Memory {
    scratch: Scratch,
    query: Vec<f32>,
    near: Vec<u32>,
    best: Option<Best>,
    hits: Vec<Hit>,
}

impl<'a> Searcher<'a> {
    pub(crate) fn new(index: &'a Index, memory: Memory) -> Searcher<'a> {
        Searcher {
            index,
            engine: Engine::new(index.space(), index.file()),
            positions: index.positions(),
            row_of: index.row_of(),
            k: 10,
            effort: Effort::default(),
            filter: None,
            excluded: Vec::new(),
            memory,
        }
    }

    pub(crate) fn into_memory(self) -> Memory {
        self.memory
    }

    /// How many neighbours to return; 10 unless told.
    pub fn k(&mut self, k: usize) -> &mut Self {
        self.k = k;
        self
    }

    /// The share of the true neighbours to find; 0.95 unless told.
    pub fn recall(&mut self, recall: f64) -> &mut Self {
        self.effort(Effort::Recall(recall))
    }

    /// How many vectors may be evaluated, in place of a recall.
    pub fn budget(&mut self, budget: usize) -> &mut Self {
        self.effort(Effort::Budget(budget))
    }

    /// How hard to try.
    pub fn effort(&mut self, effort: Effort) -> &mut Self {
        self.effort = effort;
        self
    }

    /// Which rows may be found; `None`: all.
    pub fn filter(&mut self, filter: Option<&'a Filter>) -> &mut Self {
        self.filter = filter;
        self
    }

    /// Positions that may not be found, until the next call of this. Positions that do not exist
    /// are passed over.
    pub fn exclude(&mut self, positions: &[u32]) -> &mut Self {
        self.excluded.clear();
        self.excluded.extend_from_slice(positions);
        self
    }

    /// The `k` nearest of what may be found, the nearest first, equal ones by position; fewer if
    /// fewer may be found.
    ///
    /// # Errors
    /// If the query has another dimension or is not finite, or a parameter is out of its range.
    pub fn search(&mut self, query: &[f32]) -> Result<&[Hit], QueryError> {
        self.check(query)?;
        let mut prepared = std::mem::take(&mut self.memory.query);
        prepared.clear();
        prepared.extend_from_slice(query);
        self.engine.rows.prepare(&mut prepared);
        self.answer(&prepared);
        self.memory.query = prepared;
        Ok(&self.memory.hits)
    }

    fn check(&self, query: &[f32]) -> Result<(), QueryError> {
        let expected = self.engine.rows.dim;
        if query.len() != expected {
            return Err(QueryError::Dimension { got: query.len(), expected });
        }
        check_finite(query, expected)?;
        check_effort(self.k, self.effort)
    }

    fn answer(&mut self, query: &[f32]) {
        let n = self.engine.rows.len();
        // More results than rows cannot come; a wild k must not make a wild buffer.
        let k = self.k.min(n);
        let scratch = &mut self.memory.scratch;
        scratch.begin();
        for &position in &self.excluded {
            if let Some(&row) = self.row_of.get(position as usize) {
                scratch.exclude(row, n);
            }
        }
        let mut best = self.memory.best.take().unwrap_or_else(|| Best::new(0));
        best.reset(k);
        match self.plan(k, n) {
            Plan::All => self.exact(query, &mut best),
            Plan::Listed(filter) => self.listed(query, filter, &mut best),
            Plan::Budget(budget) => self.ranked(query, k, budget, &mut best),
        }
        self.memory.hits.clear();
        for &(key, position) in best.sorted() {
            let distance = self.engine.rows.distance(key);
            self.memory.hits.push(Hit { position, distance });
        }
        self.memory.best = Some(best);
    }

    fn plan(&self, k: usize, n: usize) -> Plan<'a> {
        let budget = match self.effort {
            effort if effort.is_exact() => None,
            Effort::Exact => None,
            // What is left out is often what lies nearest (a user's own items), so the search must
            // reach that much further.
            Effort::Recall(recall) => {
                let reach = k + self.excluded.len().min(EXCLUDED_REACH);
                Some(self.index.calibration().budget(reach, recall, n))
            }
            Effort::Budget(budget) => Some(budget.min(n)),
        };
        match (self.filter, budget) {
            (Some(filter), None) => Plan::Listed(filter),
            (None, None) => Plan::All,
            (None, Some(budget)) => Plan::Budget(budget),
            (Some(filter), Some(budget)) => filtered_plan(filter, budget, n),
        }
    }

    fn exact(&mut self, query: &[f32], best: &mut Best) {
        let mut near = std::mem::take(&mut self.memory.near);
        let (scratch, positions) = (&self.memory.scratch, self.positions);
        let free =
            |row: u32| (!scratch.is_excluded(row)).then(|| positions.get(row as usize).copied());
        exact::search_into(self.engine.rows, query, best, &mut near, |row| free(row)?);
        self.memory.near = near;
    }

    fn listed(&mut self, query: &[f32], filter: &Filter, best: &mut Best) {
        for row in filter.rows() {
            self.offer(query, row, best);
        }
    }

    fn ranked(&mut self, query: &[f32], k: usize, budget: usize, best: &mut Best) {
        let allowed = self.filter.map(Filter::bits);
        let mut scratch = std::mem::take(&mut self.memory.scratch);
        let keep = keep_for(k);
        let found = self.engine.candidates(query, budget, k, keep, allowed, &mut scratch);
        let row_bytes = size_of::<f32>() * self.engine.rows.dim;
        for &(_, row) in found {
            code::prefetch(self.engine.rows.row(row as usize), row_bytes);
        }
        for &(_, row) in found {
            let key = self.engine.rows.key(query, row as usize);
            if let Some(&position) = self.positions.get(row as usize) {
                best.push(key, position);
            }
        }
        self.memory.scratch = scratch;
    }

    fn offer(&self, query: &[f32], row: u32, best: &mut Best) {
        let position = self.positions.get(row as usize);
        if let Some(&position) = position.filter(|_| !self.memory.scratch.is_excluded(row)) {
            best.push(self.engine.rows.key(query, row as usize), position);
        }
    }
}

enum Plan<'a> {
    /// Brute force over every row.
    All,
    /// Brute force over the rows that pass.
    Listed(&'a Filter),
    /// The trees.
    Budget(usize),
}

/// With a filter the neighbours are spread over as many more rows as it lets through fewer. A row
/// by its vector costs about as much as eight by their codes.
fn filtered_plan(filter: &Filter, budget: usize, n: usize) -> Plan<'_> {
    let widened = budget as f64 * n as f64 / filter.len().max(1) as f64;
    match filter.len() as f64 * 8.0 <= widened {
        true => Plan::Listed(filter),
        false => Plan::Budget((widened as usize).min(n)),
    }
}

pub(crate) fn check_effort(k: usize, effort: Effort) -> Result<(), QueryError> {
    let bad = |name, got: String, expected: &str| {
        Err(QueryError::Parameter { name, got, expected: expected.into() })
    };
    match effort {
        _ if k == 0 => bad("k", "0".into(), "at least 1"),
        Effort::Recall(r) if r.is_nan() || r <= 0.0 => {
            bad("recall", r.to_string(), "above 0, at most 1")
        }
        Effort::Budget(0) => bad("budget", "0".into(), "at least 1"),
        _ => Ok(()),
    }
}

/// That every value of a batch can be searched with.
pub(crate) fn check_finite(queries: &[f32], dim: usize) -> Result<(), QueryError> {
    match first_unusable(queries) {
        Some(at) => {
            Err(QueryError::NonFinite { query: at / dim, column: at % dim, value: queries[at] })
        }
        None => Ok(()),
    }
}

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

pub(crate) fn search_batch<'a>(
    index: &'a Index,
    queries: &[f32],
    options: BatchOptions<'a>,
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
    let missing = index.metric().missing();
    let mut positions = filled(n, options.k, u32::MAX)?;
    let mut distances = filled(n, options.k, missing)?;
    let fill = |searcher: &mut Searcher<'a>, at: usize, p: &mut [u32], d: &mut [f32]| {
        if let Some(own) = exclude(at) {
            searcher.exclude(&[own]);
        }
        if let Ok(hits) = searcher.search(&queries[at * dim..][..dim]) {
            for ((p, d), hit) in p.iter_mut().zip(d).zip(hits) {
                (*p, *d) = (hit.position, hit.distance);
            }
        }
    };
    let work = positions.chunks_exact_mut(options.k).zip(distances.chunks_exact_mut(options.k));
    if threads::count(options.n_threads) == 1 || n == 1 {
        index.with_searcher(|searcher| {
            searcher.k(options.k).effort(options.effort).filter(options.filter);
            work.enumerate().for_each(|(at, (p, d))| fill(searcher, at, p, d));
        });
    } else {
        let p = positions.par_chunks_exact_mut(options.k);
        let work = p.zip(distances.par_chunks_exact_mut(options.k)).enumerate().with_min_len(16);
        let searcher = || {
            let mut searcher = index.searcher();
            searcher.k(options.k).effort(options.effort).filter(options.filter);
            searcher
        };
        threads::run(options.n_threads, || {
            work.for_each_init(searcher, |searcher, (at, (p, d))| fill(searcher, at, p, d));
        });
    }
    Ok(Answers { k: options.k, positions, distances })
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
