//! Questions to an index, one at a time.

use std::cmp::Ordering;
use std::ops::Range;

use super::Index;
use super::code_error::{CodeError, Compared, misses_allowed};
use super::filter::Filter;
use super::graph::Linked;
use super::plan::{self, Plan, check_effort, plan};
use super::radius::{lies_within, takes_all};
use super::reach::Walk;
use super::space::{MemberTiles, Space, first_unusable};
use super::walk::{Kept, WalkMemory};
use crate::error::QueryError;
use crate::exact::{self, Best, Rows};
use crate::forest::{self, Request, Scratch, Tree};
use crate::kernel::code::CodeRows;
use crate::memory;
use crate::metric::Metric;
use crate::progress;

/// How hard a search tries.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Effort {
    /// The share of the true neighbours to find on average, above 0; 1 and above searches exactly.
    /// The budget, or how far a walk over the graph reaches, comes from the calibration that was
    /// measured when the index was built; where that found no way to reach the recall, all rows are
    /// compared.
    Recall(f64),
    /// How many vectors may be evaluated, by code or by row; at least 1. With a graph a walk comes first,
    /// which compares about as many, or as many as the graph leads to; what it leaves of the budget is
    /// spent on the leaves. A budget of all rows or more compares every row exactly.
    Budget(usize),
    /// Every row, by its stored vector.
    Exact,
}

impl Effort {
    pub(crate) fn is_exact(self) -> bool {
        match self {
            Effort::Exact => true,
            Effort::Recall(recall) => recall >= 1.0,
            Effort::Budget(_) => false,
        }
    }

    /// Whether every one of `n` rows is compared: exactly, then, whatever was asked for.
    pub(super) fn covers(self, n: usize) -> bool {
        match self {
            Effort::Budget(budget) => budget >= n,
            effort => effort.is_exact(),
        }
    }

    /// How many of `k` neighbours cuts by code may lose.
    pub(super) fn misses_allowed(self, k: usize) -> f64 {
        match self {
            Effort::Recall(recall) => misses_allowed(k, Some(recall)),
            Effort::Budget(_) | Effort::Exact => misses_allowed(k, None),
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
    pub(super) graph: Option<Linked<'a>>,
}

/// How many rows ahead of the one compared the memory is asked for.
const AHEAD: usize = 8;

/// How many rows are compared between two looks for an interruption.
const ROWS: usize = 1024;

/// How many times as many rows as usual are looked through for a query far from everything.
const FAR: usize = 4;

/// Smaller values are coded as zeros.
const LEAST_CODED: f32 = 1e-29;

/// How many times candidates that were cut off are looked for at most.
const LOOKS: usize = 4;

/// How many candidates are re-ranked for `k` results found by product codes. They are coarse, so
/// that more rows looked through put more strangers before a true neighbour; and who looks through
/// few has no time for many rows. On SIFT descriptors 50 are as fast as any at recall 0.95, where 6,400
/// rows are looked through, and 80 at 0.99 with 15,000; with 35 there, 0.99 is out of reach.
fn keep_for_products(k: usize, budget: usize) -> usize {
    k.saturating_mul(2).saturating_add((budget / 256).clamp(20, 80))
}

/// How many candidates are re-ranked for `k` results: their 8-bit codes are precise enough that
/// half as many again and ten lose less than a thousandth of the recall.
pub(crate) fn keep_for(k: usize) -> usize {
    k.saturating_add(k / 2).saturating_add(10)
}

impl<'a> Engine<'a> {
    pub fn new(space: &Space, file: &'a [u8]) -> Engine<'a> {
        Engine { graph: space.graph(file), ..Engine::of_head(space, file) }
    }

    /// An engine over the bytes of a file before its graph, which is yet to be grown.
    pub fn of_head(space: &Space, head: &'a [u8]) -> Engine<'a> {
        Engine {
            rows: space.rows(head),
            mean: space.mean(head),
            code_scale: space.code_scale(head),
            trees: space.trees(head),
            graph: None,
        }
    }

    /// This engine with the first tree's members in 8-bit codes that are not in the file.
    pub fn with_tiles(mut self, tiles: Option<&'a MemberTiles>) -> Engine<'a> {
        if let Some(MemberTiles { tiles, scale }) = tiles {
            self.trees[0].codes = CodeRows { tiles: tiles.as_ref(), scale, ..self.trees[0].codes };
        }
        self
    }

    /// How many candidates a single search with a budget re-ranks.
    pub fn keep_for(&self, k: usize, budget: usize) -> usize {
        match self.trees.iter().any(|tree| tree.product.is_some()) {
            true => keep_for_products(k, budget),
            false => keep_for(k),
        }
    }

    /// Whether a query is large enough to be coded. By inner product it is searched for at the length that
    /// it has, and the smallest of users that a training yields have next to none.
    pub fn has_codes_for(&self, query: &[f32]) -> bool {
        self.rows.metric != Metric::Dot || query.iter().any(|x| x.abs() >= LEAST_CODED)
    }

    /// Whether the best, which are cut to `k`, are farther than the neighbours of nearly all queries that
    /// the recall was measured with.
    pub fn is_far(&self, index: &Index, query: &[f32], k: usize, best: &Best) -> bool {
        best.len() == k
            && index.is_far(query, k, self.rows.distance(best.bound())).unwrap_or_default()
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
            within: f32::INFINITY,
            allowed: None,
            n_rows: self.rows.len(),
        }
    }

    /// The leaves of the first tree that a search without a filter scans for its budget, the
    /// nearest first as a rule: the rows in each, which stand together.
    pub fn choose<'s>(
        &'s self,
        query: &'s [f32],
        budget: usize,
        scratch: &'s mut Scratch,
    ) -> impl Iterator<Item = Range<u32>> {
        let request = self.request(query, budget);
        let tree = &self.trees[..1];
        forest::choose(tree, request, scratch).iter().filter_map(|&(_, leaf)| {
            let (members, codes) = tree[0].leaf(leaf)?;
            let first = *members.first()?;
            Some(first..first.saturating_add(codes.n_filled() as u32))
        })
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
    is_exact: bool,
    memory: Memory,
}

/// What a searcher can hand on to the next one.
#[derive(Default)]
pub(crate) struct Memory {
    scratch: Scratch,
    walk: WalkMemory,
    query: Vec<f32>,
    scan: exact::ScanMemory,
    best: Option<Best>,
    compared: Compared,
    /// Candidates that a first look left out.
    further: Vec<(f32, u32)>,
    /// What a walk found before leaves were searched.
    walked: Vec<(f32, u32)>,
    within: Vec<(f32, u32)>,
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
            is_exact: false,
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
        progress::check();
        let prepared = self.begin(query);
        self.answer(&prepared);
        self.memory.query = prepared;
        Ok(&self.memory.hits)
    }

    /// Whether the last answer is certain to be exact: every row that might be found was compared
    /// in float32. That is so if it was asked for, and where a filter lets so few rows pass that
    /// looking at just those was the least work. Other answers may be exact too; nobody looked.
    #[must_use]
    pub fn was_exact(&self) -> bool {
        self.is_exact
    }

    pub(super) fn metric(&self) -> Metric {
        self.engine.rows.metric
    }

    /// How many neighbours a search returns, and how hard it tries.
    pub(super) fn asked(&self) -> (usize, Effort) {
        (self.k, self.effort)
    }

    /// Whether so many neighbours are better found by brute force.
    pub(super) fn takes_all(&self, k: usize) -> bool {
        takes_all(self.index, self.effort, self.filter, k, self.excluded.len())
    }

    /// Drops what the last search found beyond a radius.
    pub(super) fn keep_within(&mut self, radius: f64) -> &[Hit] {
        let metric = self.metric();
        let hits = &mut self.memory.hits;
        hits.truncate(hits.partition_point(|hit| lies_within(metric, hit.distance, radius)));
        hits
    }

    /// Everything within a radius, by brute force over what may be found.
    pub(super) fn scan(&mut self, query: &[f32], radius: f64) -> Result<&[Hit], QueryError> {
        self.check(query)?;
        let n = self.engine.rows.len();
        let prepared = self.begin(query);
        let mut within = std::mem::take(&mut self.memory.within);
        within.clear();
        let rows = self.engine.rows;
        let offer = |row: u32| {
            let key = rows.key(&prepared, row as usize);
            let is_near = lies_within(rows.metric, rows.distance(key), radius);
            if is_near
                && !self.memory.scratch.is_excluded(row)
                && let Some(&position) = self.positions.get(row as usize)
            {
                memory::push(&mut within, (key, position));
            }
        };
        match self.filter {
            Some(filter) => progress::checked(filter.rows(n), ROWS).for_each(offer),
            None => progress::checked(0..n as u32, ROWS).for_each(offer),
        }
        within.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let hit = |&(key, position): &(f32, u32)| Hit { position, distance: rows.distance(key) };
        self.memory.hits.clear();
        memory::reserve(&mut self.memory.hits, within.len());
        self.memory.hits.extend(within.iter().map(hit));
        self.is_exact = true;
        self.memory.query = prepared;
        self.memory.within = within;
        Ok(&self.memory.hits)
    }

    /// Begins a question: the query made ready, what is excluded marked.
    fn begin(&mut self, query: &[f32]) -> Vec<f32> {
        let mut prepared = std::mem::take(&mut self.memory.query);
        prepared.clear();
        prepared.extend_from_slice(query);
        self.engine.rows.prepare(&mut prepared);
        self.mark_excluded();
        prepared
    }

    /// Begins a pass over the rows: what is excluded is marked.
    fn mark_excluded(&mut self) {
        let scratch = &mut self.memory.scratch;
        scratch.begin();
        for &position in &self.excluded {
            if let Some(&row) = self.row_of.get(position as usize) {
                scratch.exclude(row, self.engine.rows.len());
            }
        }
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
        let mut best = self.memory.best.take().unwrap_or_else(|| Best::new(0));
        best.reset(k);
        let plan = plan(self.index, self.effort, self.filter, k, self.excluded.len());
        let plan = match (self.engine.has_codes_for(query), self.filter) {
            (true, _) => self.engine.settle(self.index, plan, query, &mut self.memory.scratch),
            (false, None) => Plan::All,
            (false, Some(filter)) => Plan::Listed(filter),
        };
        self.is_exact = plan.is_exact();
        match plan {
            Plan::All => self.exact(query, &mut best),
            Plan::Listed(filter) => self.listed(query, filter, &mut best),
            Plan::Walk(walk) => self.walked(query, k, walk, &mut best),
            plan => self.ranked(query, k, plan.budget().unwrap_or(k), &mut best),
        }
        self.look_further(query, k, plan, &mut best);
        self.memory.hits.clear();
        for &(key, position) in best.sorted() {
            let distance = self.engine.rows.distance(key);
            self.memory.hits.push(Hit { position, distance });
        }
        self.memory.best = Some(best);
    }

    fn exact(&mut self, query: &[f32], best: &mut Best) {
        let mut memory = std::mem::take(&mut self.memory.scan);
        let (scratch, positions) = (&self.memory.scratch, self.positions);
        let free =
            |row: u32| (!scratch.is_excluded(row)).then(|| positions.get(row as usize).copied());
        exact::search_into(self.engine.rows, query, best, &mut memory, |row| free(row)?);
        self.memory.scan = memory;
    }

    fn listed(&mut self, query: &[f32], filter: &Filter, best: &mut Best) {
        let (engine, n) = (&self.engine, self.engine.rows.len());
        let (scratch, positions) = (&self.memory.scratch, self.positions);
        // Rows in no order: each is asked for a few before it is compared.
        let mut coming = filter.rows(n).skip(AHEAD);
        filter.rows(n).take(AHEAD).for_each(|row| engine.prefetch(row));
        let rows = filter
            .rows(n)
            .inspect(|_| coming.next().into_iter().for_each(|row| engine.prefetch(row)));
        let rows = progress::checked(rows, ROWS).filter(|&row| !scratch.is_excluded(row));
        let rows = rows.map(|row| row as usize);
        engine.rows.keys(query, rows, |row, key| {
            if let Some(&position) = positions.get(row) {
                best.push(key, position);
            }
        });
    }

    /// Walks, and goes on over the leaves where the walk found too few, may have lost neighbours among
    /// the rows it met, or left most of a budget.
    fn walked(&mut self, query: &[f32], k: usize, walk: Walk, best: &mut Best) {
        let Some(linked) = self.engine.graph else { return };
        let allowed = self.effort.misses_allowed(k);
        let kept = Kept { walk, k, keep: keep_for(k), allowed };
        let Memory { scratch, walk: memory, compared, .. } = &mut self.memory;
        let met = self.engine.walk(linked, query, None, kept, scratch, memory);
        compared.clear();
        let found = memory.found();
        let cut = self.engine.rerank_sorted(query, found, self.positions, k, best, compared);
        let is_short = memory.is_short()
            || !cut && self.engine.loses(query, k, memory.limit(), allowed, compared);
        let budget = match self.effort {
            Effort::Budget(budget) => budget.saturating_sub(met),
            Effort::Recall(recall) => plan::budget(self.index, k + self.excluded.len(), recall),
            Effort::Exact => self.engine.rows.len(),
        };
        let is_rest = matches!(self.effort, Effort::Budget(_)) && budget > met;
        if best.len() < k || is_short && budget > 0 || is_rest {
            self.on_to_leaves(query, k, budget, best);
        }
    }

    /// A query far from everything is unlike those that the effort was measured with: it gets several
    /// times as much.
    fn look_further(&mut self, query: &[f32], k: usize, plan: Plan<'_>, best: &mut Best) {
        let Effort::Recall(recall) = self.effort else { return };
        if plan.is_exact() || !self.excluded.is_empty() || self.filter.is_some() {
            return;
        }
        best.cut();
        if self.engine.is_far(self.index, query, k, best) {
            let usual = plan.budget().unwrap_or_else(|| plan::budget(self.index, k, recall));
            let budget = usual.saturating_mul(FAR).min(self.engine.rows.len());
            self.on_to_leaves(query, k, budget, best);
        }
    }

    /// Searches the leaves after a walk, of which the answer keeps what they do not find.
    fn on_to_leaves(&mut self, query: &[f32], k: usize, budget: usize, best: &mut Best) {
        let mut walked = std::mem::take(&mut self.memory.walked);
        walked.clear();
        walked.extend_from_slice(best.sorted());
        best.reset(k);
        self.mark_excluded();
        self.ranked(query, k, budget, best);
        let found = best.sorted();
        walked.retain(|own| !found.iter().any(|other| other.1 == own.1));
        walked.iter().for_each(|&(key, position)| best.push(key, position));
        self.memory.walked = walked;
    }

    fn ranked(&mut self, query: &[f32], k: usize, budget: usize, best: &mut Best) {
        let keep = self.engine.keep_for(k, budget);
        let allowed = self.filter.map(Filter::bits);
        let request = Request { at_least: k, keep, allowed, ..self.engine.request(query, budget) };
        let Memory { scratch, compared, .. } = &mut self.memory;
        let done = forest::search(&self.engine.trees, request, scratch);
        let found = scratch.candidates();
        compared.clear();
        self.engine.rerank(query, found, self.positions, best, compared);
        if found.len() < keep || self.engine.rows.metric == Metric::Hamming {
            return;
        }
        let last = found.iter().copied().max_by(by_score).unwrap_or_default();
        self.look_again(query, k, done.evaluated, last, best);
    }

    /// Where more neighbours than allowed are expected among the rows that were scored and not kept,
    /// those after `last`, ranks these too. The best by code are a biased sample of how codes err, so the
    /// expectation is formed again when more are known.
    fn look_again(
        &mut self,
        query: &[f32],
        k: usize,
        budget: usize,
        mut last: (f32, u32),
        best: &mut Best,
    ) {
        let (misses, worth) = (self.effort.misses_allowed(k), self.engine.worth(query));
        for _ in 0..LOOKS {
            let error = self.memory.compared.error(k, worth, 0.0);
            let loses =
                |error: &CodeError| self.memory.compared.expected_misses(*error, last.0) > misses;
            let Some(error) = error.filter(loses) else { return };
            self.mark_excluded();
            let Memory { scratch, compared, further, .. } = &mut self.memory;
            let request = Request {
                keep: usize::MAX,
                within: error.limit(),
                allowed: self.filter.map(Filter::bits),
                ..self.engine.request(query, budget)
            };
            forest::search(&self.engine.trees, request, scratch);
            let others = scratch.candidates().iter().filter(|other| by_score(other, &last).is_gt());
            further.clear();
            further.extend(others);
            further.sort_unstable_by(by_score);
            further.truncate(error.needed(further, misses));
            let Some(&next) = further.last() else { return };
            self.engine.rerank(query, further, self.positions, best, compared);
            last = next;
        }
    }
}

/// The order in which candidates are kept.
fn by_score(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
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
