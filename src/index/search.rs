//! Questions to an index, one at a time.

use super::Index;
use super::filter::Filter;
use super::space::{Space, first_unusable};
use crate::error::QueryError;
use crate::exact::{self, Best, Rows};
use crate::forest::{self, Request, Scratch, Tree};
use crate::metric::Metric;

/// How hard a search tries.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Effort {
    /// The share of the true neighbours to find on average, above 0; 1 and above searches exactly.
    /// The budget comes from the calibration that was measured when the index was built.
    Recall(f64),
    /// How many vectors may be evaluated, by code or by row; at least 1.
    Budget(usize),
    /// Every row, by its stored vector.
    Exact,
}

impl Effort {
    pub(super) fn is_exact(self) -> bool {
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
    pub(super) rows: Rows<'a>,
    pub(super) mean: &'a [f32],
    pub(super) code_scale: f32,
    pub(super) trees: Vec<Tree<'a>>,
}

/// Beyond so many excluded rows a search does not reach further for them.
const EXCLUDED_REACH: usize = 100;

/// How many candidates are re-ranked for `k` results found by product codes.
pub(crate) fn keep_for_products(k: usize) -> usize {
    k.saturating_mul(2).saturating_add(40)
}

/// How many candidates are re-ranked for `k` results: their 8-bit codes are precise enough that
/// half as many again and ten lose less than a thousandth of the recall.
pub(crate) fn keep_for(k: usize) -> usize {
    k.saturating_add(k / 2).saturating_add(10)
}

impl<'a> Engine<'a> {
    pub fn new(space: &Space, file: &'a [u8]) -> Engine<'a> {
        Engine {
            rows: space.rows(file),
            mean: space.mean(file),
            code_scale: space.code_scale(file),
            trees: space.trees(file),
        }
    }

    /// How many candidates a single search re-ranks.
    pub fn keep_for(&self, k: usize) -> usize {
        match self.trees.iter().any(|tree| tree.product.is_some()) {
            true => keep_for_products(k),
            false => keep_for(k),
        }
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
        let request = Request { at_least, keep, allowed, ..self.request(query, budget) };
        forest::search(&self.trees, request, scratch);
        scratch.candidates()
    }

    /// A request for `budget` rows, any rows, none kept.
    pub fn request<'q>(&'q self, query: &'q [f32], budget: usize) -> Request<'q> {
        Request {
            query,
            metric: self.rows.metric,
            mean: self.mean,
            code_scale: self.code_scale,
            budget,
            at_least: 0,
            keep: 0,
            allowed: None,
            n_rows: self.rows.len(),
        }
    }

    /// The exact key of a candidate. Bits were compared themselves: their score is the distance.
    pub fn exact_key(&self, query: &[f32], &(score, row): &(f32, u32)) -> f32 {
        match self.rows.metric {
            Metric::Hamming => score,
            _ => self.rows.key(query, row as usize),
        }
    }

    /// Offers candidates by their exact keys and positions.
    pub fn rerank(&self, query: &[f32], found: &[(f32, u32)], positions: &[u32], best: &mut Best) {
        let mut offer = |row: usize, key| {
            if let Some(&position) = positions.get(row) {
                best.push(key, position);
            }
        };
        // Bits were compared themselves: the score is the distance.
        if self.rows.metric == Metric::Hamming {
            return found.iter().for_each(|&(score, row)| offer(row as usize, score));
        }
        for &(_, row) in found {
            self.rows.values.stored(row as usize, self.rows.dim).prefetch();
        }
        self.rows.keys(query, found.iter().map(|&(_, row)| row as usize), offer);
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
        match plan(self.index, self.effort, self.filter, k, self.excluded.len()) {
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

    fn exact(&mut self, query: &[f32], best: &mut Best) {
        let mut near = std::mem::take(&mut self.memory.near);
        let (scratch, positions) = (&self.memory.scratch, self.positions);
        let free =
            |row: u32| (!scratch.is_excluded(row)).then(|| positions.get(row as usize).copied());
        exact::search_into(self.engine.rows, query, best, &mut near, |row| free(row)?);
        self.memory.near = near;
    }

    fn listed(&mut self, query: &[f32], filter: &Filter, best: &mut Best) {
        let (scratch, positions) = (&self.memory.scratch, self.positions);
        let rows = filter.rows().filter(|&row| !scratch.is_excluded(row)).map(|row| row as usize);
        self.engine.rows.keys(query, rows, |row, key| {
            if let Some(&position) = positions.get(row) {
                best.push(key, position);
            }
        });
    }

    fn ranked(&mut self, query: &[f32], k: usize, budget: usize, best: &mut Best) {
        let allowed = self.filter.map(Filter::bits);
        let mut scratch = std::mem::take(&mut self.memory.scratch);
        let keep = self.engine.keep_for(k);
        let found = self.engine.candidates(query, budget, k, keep, allowed, &mut scratch);
        self.engine.rerank(query, found, self.positions, best);
        self.memory.scratch = scratch;
    }
}

/// How a question for `k` neighbours, some rows left out, is to be answered.
pub(super) fn plan<'a>(
    index: &Index,
    effort: Effort,
    filter: Option<&'a Filter>,
    k: usize,
    n_excluded: usize,
) -> Plan<'a> {
    let n = index.len();
    let budget = match effort {
        effort if effort.is_exact() => None,
        Effort::Exact => None,
        // What is left out is often what lies nearest (a user's own items), so the search must
        // reach that much further.
        Effort::Recall(recall) => {
            let reach = k + n_excluded.min(EXCLUDED_REACH);
            Some(index.calibration().budget(reach, recall, n))
        }
        Effort::Budget(budget) => Some(budget.min(n)),
    };
    match (filter, budget) {
        (Some(filter), None) => Plan::Listed(filter),
        (None, None) => Plan::All,
        (None, Some(budget)) => Plan::Budget(budget),
        (Some(filter), Some(budget)) => filtered_plan(filter, budget, n),
    }
}

pub(super) enum Plan<'a> {
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
