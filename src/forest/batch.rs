//! Search of one tree for many queries at once.
//!
//! A single search reads a leaf's product codes for one query. Here every query first chooses its
//! leaves, as a single search does, then each leaf is scored for all queries that chose it, four at
//! a time, by its 8-bit codes: four times the bytes, read once for many, and more precise for less
//! arithmetic, since a product of bytes takes one instruction for 64 of them and a look-up two.
//! What a query chooses, scores and keeps does not depend on the other queries of the block. It chooses
//! what a single search would, but for a tree of few leaves in groups: of these a block ranks all,
//! where a single search opens the nearest groups.

use super::members::{self, MemberQuery, append_member_query, member_width};
use super::search::{Search, coded_query, is_set, leaves_needed};
use super::tree::{Tree, slice};
use super::{Request, Scratch};
use crate::exact::Best;
use crate::kernel::code::{self, CodeQuery, CodeRows, TILE};
use crate::metric::Metric;
use crate::progress;
use crate::quant;

/// Bytes of tiles that are scored together: they stay in the second cache level while one four of
/// queries after another reads them. With a quarter, which the first level holds, all takes 5 to 8
/// per cent longer: what is done for each query and step is more than a line's longer way.
const STEP_BYTES: usize = 96 << 10;

/// Of so many leaves a block ranks all, though they stand in groups: four queries at a time, that takes
/// a third of what a queue of groups and leaves takes for each.
const RANKED_TOGETHER: usize = 4096;

/// How many leaves of a query are scanned before further ones: the nearest, and those up to the fourth.
const TIERS: [usize; 2] = [1, 4];

/// Keys of leaves that are compared with one bound.
const CHUNK: usize = 128;

/// Rows scored together.
fn step(width: usize) -> usize {
    (STEP_BYTES / width.max(1)).clamp(4 * TILE, 64 * TILE) / (4 * TILE) * (4 * TILE)
}

/// What one query of a block asks for, besides what all ask for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// As [`Request::budget`].
    pub budget: usize,
    /// Rows that may not be found, ascending.
    pub excluded: &'a [u32],
}

/// What to search for: the queries of a block.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// The tree to search.
    pub tree: Tree<'a>,
    /// Row after row, each as `Rows::prepare` left it.
    pub queries: &'a [f32],
    /// One a query.
    pub asks: &'a [Ask<'a>],
    /// How near two vectors are.
    pub metric: Metric,
    /// The mean that the codes are taken from.
    pub mean: &'a [f32],
    /// As [`Request::code_scale`].
    pub code_scale: f32,
    /// How many of the best to keep for each query.
    pub keep: usize,
    /// Bit `row` says whether a row may be found; `None`: all may.
    pub allowed: Option<&'a [u64]>,
    /// The number of rows.
    pub n_rows: usize,
}

/// Memory that blocks use again.
#[derive(Default)]
pub struct BlockScratch {
    codes: Vec<i8>,
    /// What members are scanned with, if not the codes.
    bytes: Vec<u8>,
    /// Shift and multiplier of each coded query.
    about: Vec<(i32, f32)>,
    scores: Vec<f32>,
    near: Vec<u32>,
    found: Vec<Best>,
    choice: Choice,
}

impl BlockScratch {
    /// The best candidates of a query of the last block, (score, row), sorted.
    ///
    /// # Panics
    /// If the block had no such query.
    pub fn candidates(&mut self, query: usize) -> &[(f32, u32)] {
        self.found[query].sorted()
    }
}

/// The leaves that queries chose, as (leaf, query).
#[derive(Default)]
struct Choice {
    /// The nearest of each query; those after it; the others.
    tiers: [Vec<(u32, u32)>; TIERS.len() + 1],
    leaf_lens: Vec<u32>,
    ranked: Vec<(f32, u32)>,
    best: Option<Best>,
    near: Vec<u32>,
    single: Scratch,
}

/// Searches the tree for every query of the block; the candidates are then in `scratch`. Unlike a
/// single search it never goes past its budget for more candidates: where a query has too few (a
/// filter let few pass), search for it alone.
pub fn search_block(block: Block<'_>, scratch: &mut BlockScratch) {
    let n = block.asks.len();
    let dim = block.mean.len();
    scratch.encode(&block, dim);
    scratch.found.resize_with(n.max(scratch.found.len()), || Best::new(0));
    scratch.found[..n].iter_mut().for_each(|best| best.reset(block.keep));
    let step = step(block.tree.member_width);
    scratch.scores.resize(4 * step, 0.0);
    let mut scan = Scan { block, width: quant::code_len(dim), step, s: scratch };
    let mut choice = std::mem::take(&mut scan.s.choice);
    if block.asks.iter().all(|ask| ask.budget >= block.n_rows) {
        // Every leaf would be chosen, so only as many are as give a bound to begin with; all rows
        // are then scanned as they lie.
        scan.choose(&mut choice, block.keep);
        scan.tiers(&choice);
        for best in &mut scan.s.found[..n] {
            let bound = if best.len() >= block.keep { best.bound() } else { f32::INFINITY };
            best.reset_below(block.keep, bound);
        }
        let all: Vec<u32> = (0..n as u32).collect();
        scan.rows(block.tree.members, block.tree.codes, &all);
    } else {
        scan.choose(&mut choice, usize::MAX);
        scan.tiers(&choice);
    }
    scan.s.choice = choice;
}

impl BlockScratch {
    fn encode(&mut self, block: &Block<'_>, dim: usize) {
        let width = quant::code_len(dim);
        self.codes.resize(block.asks.len() * width, 0);
        self.about.clear();
        self.bytes.clear();
        for query in block.queries.chunks_exact(dim) {
            append_member_query(block.metric, query, block.mean, block.code_scale, &mut self.bytes);
        }
        let codes = self.codes.chunks_exact_mut(width);
        for (query, codes) in block.queries.chunks_exact(dim).zip(codes) {
            self.about.push(coded_query(block.metric, query, block.mean, codes));
        }
    }

    fn query(&self, at: u32, width: usize) -> CodeQuery<'_> {
        let (shift, multiplier) = self.about[at as usize];
        CodeQuery { codes: &self.codes[at as usize * width..][..width], shift, multiplier }
    }
}

struct Scan<'a, 's> {
    block: Block<'a>,
    width: usize,
    /// Rows scored together.
    step: usize,
    s: &'s mut BlockScratch,
}

impl Scan<'_, '_> {
    /// Scans the leaves that were chosen, the nearest first: they make the bounds tight before the many
    /// others are scanned.
    fn tiers(&mut self, choice: &Choice) {
        for pairs in &choice.tiers {
            self.leaves(pairs);
            self.s.found[..self.block.asks.len()].iter_mut().for_each(Best::cut);
        }
    }

    /// Scans each leaf for the queries that chose it, which come as (leaf, query).
    fn leaves(&mut self, pairs: &[(u32, u32)]) {
        let tree = self.block.tree;
        for (leaf, queries) in ByLeaf::new(pairs, tree.leaves.bias.len()).groups() {
            progress::check();
            if let Some((members, codes)) = tree.leaf(leaf) {
                self.rows(members, codes, queries);
            }
        }
    }

    /// Scores rows for the queries named and keeps the best.
    fn rows(&mut self, members: &[u32], codes: CodeRows<'_>, queries: &[u32]) {
        for start in (0..members.len()).step_by(self.step) {
            progress::check();
            let end = members.len().min(start + self.step);
            let codes = slice(codes, start, end, self.block.tree.member_width);
            for queries in queries.chunks(4) {
                self.score(queries, codes);
                for (at, &query) in queries.iter().enumerate() {
                    self.offer(query, at * self.step, &members[start..end]);
                }
            }
        }
    }

    /// Scores rows for up to four queries, each in its quarter of the scores.
    fn score(&mut self, queries: &[u32], codes: CodeRows<'_>) {
        let n = codes.bias.len();
        let mut scores = std::mem::take(&mut self.s.scores);
        let query = |at: usize| self.member_query(queries[at.min(queries.len() - 1)]);
        if queries.len() == 1 {
            query(0).score(codes, &mut scores[..n]);
        } else {
            // Two or three are filled up to four: cheaper than one by one.
            let mut quarters = scores.chunks_exact_mut(self.step);
            let out = [(); 4].map(|()| quarters.next().map_or(&mut [][..], |q| &mut q[..n]));
            members::score4([query(0), query(1), query(2), query(3)], codes, out);
        }
        self.s.scores = scores;
    }

    fn member_query(&self, at: u32) -> MemberQuery<'_> {
        let Block { metric, mean, code_scale: scale, .. } = self.block;
        let codes = self.s.query(at, self.width);
        let width = if self.s.bytes.is_empty() { 0 } else { member_width(metric, mean.len()) };
        let bytes = &self.s.bytes[at as usize * width..][..width];
        MemberQuery { metric, codes, bytes, scale }
    }

    /// Keeps the best of the members scored from `first` on.
    fn offer(&mut self, query: u32, first: usize, members: &[u32]) {
        let BlockScratch { scores, near, found, .. } = &mut *self.s;
        let (scores, best) = (&scores[first..][..members.len()], &mut found[query as usize]);
        near.clear();
        code::positions_below(scores, best.bound().next_up(), near);
        let excluded = self.block.asks[query as usize].excluded;
        for &at in near.iter() {
            let row = members[at as usize];
            let may_be_found = (row as usize) < self.block.n_rows
                && excluded.binary_search(&row).is_err()
                && self.block.allowed.is_none_or(|bits| is_set(bits, row));
            if may_be_found {
                best.push(scores[at as usize], row);
            }
        }
    }

    /// Chooses for every query the leaves that a search of its own would scan with its budget, but
    /// at most with `most`.
    fn choose(&mut self, choice: &mut Choice, most: usize) {
        choice.tiers.iter_mut().for_each(Vec::clear);
        let tree = self.block.tree;
        let slots = tree.leaves.bias.len();
        choice.leaf_lens.clear();
        choice.leaf_lens.extend(tree.leaf_lens().map(|len| len as u32));
        if slots == 0 {
            return;
        }
        if !tree.has_one_group() && slots > RANKED_TOGETHER {
            return self.choose_by_groups(choice, most);
        }
        let mut scores = vec![0f32; 4 * slots];
        for first in (0..self.block.asks.len() as u32).step_by(4) {
            progress::check();
            let last = self.block.asks.len() as u32 - 1;
            let queries = [0, 1, 2, 3].map(|i| self.s.query(last.min(first + i), self.width));
            let mut quarters = scores.chunks_exact_mut(slots);
            let out = [(); 4].map(|()| quarters.next().unwrap_or(&mut []));
            code::score4(queries, tree.leaves, out);
            for (query, keys) in (first..=last).zip(scores.chunks_exact(slots)) {
                let ask = &self.block.asks[query as usize];
                let budget = ask.budget.min(most);
                choice.add(query, keys, budget, leaves_needed(&[tree], budget));
            }
        }
    }

    /// Where many leaves stand in groups, a search's own queue chooses.
    fn choose_by_groups(&self, choice: &mut Choice, most: usize) {
        let block = &self.block;
        for (at, query) in block.queries.chunks_exact(block.mean.len()).enumerate() {
            progress::check();
            let request = Request {
                query,
                metric: block.metric,
                mean: block.mean,
                code_scale: block.code_scale,
                budget: block.asks[at].budget.min(most),
                at_least: 0,
                keep: 0,
                within: f32::INFINITY,
                allowed: None,
                n_rows: block.n_rows,
            };
            choice.single.begin();
            let leaves = Search::new(&[block.tree], request, &mut choice.single).choose();
            let lens = &choice.leaf_lens;
            // In a damaged file groups may share leaves.
            let filled = leaves.iter().filter(|l| lens[l.1 as usize] > 0).take(lens.len());
            // They come the nearest first as a rule.
            spread(filled.map(|&(_, leaf)| (leaf, at as u32)), &mut choice.tiers);
        }
    }
}

impl Choice {
    /// Adds a query's leaves: the nearest, until their members reach the budget.
    fn add(&mut self, query: u32, keys: &[f32], budget: usize, likely: usize) {
        let mut best = self.best.take().unwrap_or_else(|| Best::new(0));
        let mut likely = likely;
        loop {
            best.reset(likely.min(keys.len()));
            for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
                self.near.clear();
                code::positions_below(keys, best.bound().next_up(), &mut self.near);
                for &at in &self.near {
                    let leaf = (chunk * CHUNK) as u32 + at;
                    // Empty leaves would cost memory and find nothing.
                    if self.leaf_lens[leaf as usize] > 0 {
                        best.push(keys[at as usize], leaf);
                    }
                }
            }
            self.ranked.clear();
            self.ranked.extend_from_slice(best.unsorted());
            let members: usize = self.ranked.iter().map(|r| self.len_of(r)).sum();
            if members >= budget || likely >= keys.len() {
                break;
            }
            likely = likely.saturating_mul(8);
        }
        self.best = Some(best);
        let mut ranked = std::mem::take(&mut self.ranked);
        let chosen = self.until(&mut ranked, budget);
        ranked.truncate(chosen);
        let mut upto = chosen;
        for n in TIERS.into_iter().rev().filter(|&n| n < chosen) {
            ranked[..upto].select_nth_unstable_by(n - 1, order);
            upto = n;
        }
        spread(ranked.iter().map(|&(_, leaf)| (leaf, query)), &mut self.tiers);
        self.ranked = ranked;
    }

    fn len_of(&self, &(_, leaf): &(f32, u32)) -> usize {
        self.leaf_lens[leaf as usize] as usize
    }

    /// Partitions leaves so that the first ones, as many as returned, are the nearest whose members
    /// reach the budget: a selection by weight, since their order among themselves says nothing.
    fn until(&self, ranked: &mut [(f32, u32)], budget: usize) -> usize {
        let (mut low, mut high, mut missing) = (0, ranked.len(), budget);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            ranked[low..high].select_nth_unstable_by(middle - low, order);
            let members: usize = ranked[low..middle].iter().map(|r| self.len_of(r)).sum();
            if members >= missing {
                high = middle;
            } else {
                (low, missing) = (middle, missing - members);
            }
        }
        high
    }
}

/// Gives each tier its leaves, which come the nearest first.
fn spread(mut pairs: impl Iterator<Item = (u32, u32)>, tiers: &mut [Vec<(u32, u32)>]) {
    let mut before = 0;
    for (tier, n) in tiers.iter_mut().zip(TIERS) {
        tier.extend(pairs.by_ref().take(n - before));
        before = n;
    }
    if let Some(last) = tiers.last_mut() {
        last.extend(pairs);
    }
}

fn order(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Queries side by side for each leaf.
struct ByLeaf {
    ends: Vec<usize>,
    queries: Vec<u32>,
}

impl ByLeaf {
    /// A counting sort of (leaf, query).
    fn new(pairs: &[(u32, u32)], slots: usize) -> ByLeaf {
        let mut ends = vec![0; slots];
        pairs.iter().for_each(|&(leaf, _)| ends[leaf as usize] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut queries = vec![0; pairs.len()];
        for &(leaf, query) in pairs {
            let end = &mut ends[leaf as usize];
            queries[*end] = query;
            *end += 1;
        }
        ByLeaf { ends, queries }
    }

    /// Every leaf that a query chose, with its queries.
    fn groups(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let groups = (0..).zip(starts.zip(&self.ends));
        groups
            .map(|(leaf, (start, &end))| (leaf, &self.queries[start..end]))
            .filter(|(_, queries)| !queries.is_empty())
    }
}
