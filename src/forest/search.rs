//! Best-first search of all trees.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::members::{MemberQuery, append_member_query};
use super::tree::{Leaf, Tree};
use crate::exact::Best;
use crate::kernel::code::{self, CodeQuery, CodeRows};
use crate::kernel::float;
use crate::kernel::product::{self, ProductRows};
use crate::kernel::vector;
use crate::metric::Metric;
use crate::progress;
use crate::quant::{self, QueryTables};

/// How many leaves or groups are taken from the queue between two looks for an interruption.
const LEAVES: usize = 64;

/// What to search for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The query as `Rows::prepare` left it.
    pub query: &'a [f32],
    /// How near two vectors are.
    pub metric: Metric,
    /// The mean that the codes are taken from.
    pub mean: &'a [f32],
    /// What a unit of a member's byte is worth under `Manhattan`.
    pub code_scale: f32,
    /// How many distinct rows may be evaluated; the leaf that passes the mark is finished.
    pub budget: usize,
    /// The search goes on past its budget until so many rows were found, or all were seen.
    pub at_least: usize,
    /// How many of the best to keep.
    pub keep: usize,
    /// Rows that score beyond this are not kept.
    pub within: f32,
    /// Bit `row` says whether a row may be found; `None`: all may.
    pub allowed: Option<&'a [u64]>,
    /// The number of rows.
    pub n_rows: usize,
}

/// What a search did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Distinct rows evaluated.
    pub evaluated: usize,
    /// Whether every row was evaluated.
    pub all: bool,
}

/// Memory that searches use again: nothing is allocated once it has grown to what they need.
#[derive(Default)]
pub struct Scratch {
    codes: Vec<i8>,
    bytes: Vec<u8>,
    scores: Vec<f32>,
    near: Vec<u32>,
    nearest_leaves: Option<Best>,
    queue: BinaryHeap<Entry>,
    scanned: Vec<(u16, u32)>,
    found: Option<Best>,
    /// For each tree, what the query makes of its codebooks, and for which query they are.
    tables: Vec<(u32, QueryTables)>,
    stamps: Vec<u32>,
    epoch: u32,
    excludes: bool,
}

impl Scratch {
    /// Begins a query: forgets the last one's exclusions and candidates.
    pub fn begin(&mut self) {
        self.excludes = false;
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.stamps.fill(0);
            self.tables.clear();
            self.epoch = 1;
        }
    }

    /// Leaves a row out of the query that has begun.
    pub fn exclude(&mut self, row: u32, n_rows: usize) {
        self.stamps.resize(n_rows, 0);
        self.excludes = true;
        if let Some(stamp) = self.stamps.get_mut(row as usize) {
            *stamp = self.epoch;
        }
    }

    /// Whether a row was left out of the query that has begun.
    #[must_use]
    pub fn is_excluded(&self, row: u32) -> bool {
        self.excludes && self.stamps.get(row as usize) == Some(&self.epoch)
    }

    /// The best candidates of the last search, (score, row), in no order.
    pub fn candidates(&mut self) -> &[(f32, u32)] {
        self.found.as_mut().map_or(&[], Best::unsorted)
    }
}

/// A group or a leaf to open, the smallest key first.
struct Entry {
    key: f32,
    tree: u16,
    is_leaf: bool,
    at: u32,
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        let place = |e: &Entry| (e.is_leaf, e.tree, e.at);
        other.key.total_cmp(&self.key).then_with(|| place(other).cmp(&place(self)))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// Searches all trees as [`search`] with a budget of every row does, and shows the best candidates
/// as they stand wherever a search with a budget of `marks` (ascending) would have ended, until
/// `watch` (the mark's number, candidates in no order) says to stop.
pub fn trace(
    trees: &[Tree<'_>],
    request: Request<'_>,
    scratch: &mut Scratch,
    marks: &[usize],
    mut watch: impl FnMut(usize, &[(f32, u32)]) -> bool,
) {
    let mut search = Search::new(trees, request, scratch);
    let mut passed = 0;
    search.visit(|search| {
        while passed < marks.len() && search.evaluated >= marks[passed] {
            if !watch(passed, search.found.unsorted()) {
                return false;
            }
            passed += 1;
        }
        passed < marks.len()
    });
    search.s.found = Some(search.found);
}

/// Searches all trees; the candidates are then in `scratch`. [`Scratch::begin`] comes first.
pub fn search(trees: &[Tree<'_>], request: Request<'_>, scratch: &mut Scratch) -> Found {
    Search::new(trees, request, scratch).run()
}

/// The leaves that a search without a filter scans for its budget, as (tree, leaf), the nearest
/// first as a rule; nothing is scored or found. For one tree: several count rows that they have in
/// common once.
pub fn choose<'s>(
    trees: &[Tree<'_>],
    request: Request<'_>,
    scratch: &'s mut Scratch,
) -> &'s [(u16, u32)] {
    Search::new(trees, request, scratch).choose()
}

/// Rows to begin a walk from: the first `members` of the `leaves` nearest leaves of a tree
/// (of its two nearest groups, where leaves stand in groups).
pub fn enter(
    tree: &Tree<'_>,
    request: Request<'_>,
    (leaves, members): (usize, usize),
    scratch: &mut Scratch,
    rows: &mut Vec<u32>,
) {
    let trees = std::slice::from_ref(tree);
    let mut search = Search::new(trees, request, scratch);
    let mut groups = [(f32::INFINITY, 0u32); 2];
    if !tree.has_one_group() {
        search.score(tree.groups);
        smallest(&search.s.scores, 0, &mut groups);
    }
    let mut nearest = [(f32::INFINITY, 0u32); 8];
    let nearest = &mut nearest[..leaves.min(8)];
    for (_, group) in groups.into_iter().take(if tree.has_one_group() { 1 } else { 2 }) {
        if let Some((first, centres)) = tree.group(group) {
            search.score(centres);
            smallest(&search.s.scores, first as u32, nearest);
        }
    }
    for &(_, leaf) in nearest.iter().filter(|n| n.0 < f32::INFINITY) {
        if let Some((found, codes)) = tree.leaf(leaf) {
            rows.extend(found[..codes.n_filled()].iter().take(members));
        }
    }
    search.s.found = Some(search.found);
}

/// Puts the smallest scores into their places among `best`, the smallest first.
fn smallest(scores: &[f32], first: u32, best: &mut [(f32, u32)]) {
    for (at, &score) in scores.iter().enumerate() {
        if score < best[best.len() - 1].0 {
            let mut place = best.len() - 1;
            while place > 0 && best[place - 1].0 > score {
                best[place] = best[place - 1];
                place -= 1;
            }
            best[place] = (score, first + at as u32);
        }
    }
}

pub(super) struct Search<'a, 's> {
    trees: &'a [Tree<'a>],
    request: Request<'a>,
    s: &'s mut Scratch,
    found: Best,
    /// What belongs to the query's codes.
    shift: i32,
    multiplier: f32,
    /// How many leaves of a group are queued.
    leaves: usize,
    /// So many of the scanned leaves are from an earlier ranking, sorted.
    scanned_before: usize,
    evaluated: usize,
    /// Member slots and leaves that this search may still look at. In a damaged file offsets may name
    /// the same ones again and again: without these bounds the work would be their product.
    slots_left: usize,
    leaves_left: usize,
    /// Leaves are counted and not scanned.
    only_choose: bool,
}

impl<'a, 's> Search<'a, 's> {
    pub fn new(trees: &'a [Tree<'a>], request: Request<'a>, s: &'s mut Scratch) -> Self {
        s.codes.resize(quant::code_len(request.query.len()), 0);
        let (shift, multiplier) =
            coded_query(request.metric, request.query, request.mean, &mut s.codes);
        s.bytes.clear();
        let Request { metric, query, mean, code_scale, .. } = request;
        append_member_query(metric, query, mean, code_scale, &mut s.bytes);
        if trees.len() > 1 {
            s.stamps.resize(request.n_rows, 0);
        }
        s.scanned.clear();
        let mut found = s.found.take().unwrap_or_else(|| Best::new(0));
        found.reset_below(request.keep, request.within);
        let leaves = leaves_needed(trees, request.budget);
        Search {
            trees,
            request,
            s,
            found,
            shift,
            multiplier,
            leaves,
            scanned_before: 0,
            evaluated: 0,
            slots_left: trees.iter().map(|t| t.members.len()).sum(),
            leaves_left: 0,
            only_choose: false,
        }
    }

    fn run(mut self) -> Found {
        self.visit(|_| true);
        self.found.cut();
        self.s.found = Some(self.found);
        Found { evaluated: self.evaluated, all: self.evaluated >= self.request.n_rows }
    }

    /// See [`choose()`].
    pub fn choose(mut self) -> &'s [(u16, u32)] {
        self.only_choose = true;
        self.visit(|_| true);
        self.s.found = Some(self.found);
        &self.s.scanned
    }

    /// Scans leaves until the budget is used; `go_on` is asked after each.
    fn visit(&mut self, mut go_on: impl FnMut(&mut Self) -> bool) {
        while !self.is_done() {
            let complete = self.rank();
            let mut scanned = 0usize;
            while !self.is_done() {
                // A look at the clock for each leaf would be seen in the time of a search.
                scanned += 1;
                if scanned.is_multiple_of(LEAVES) {
                    progress::check();
                }
                match self.s.queue.pop() {
                    Some(Entry { is_leaf: true, tree, at, key }) => {
                        self.scan(tree, at, key);
                        if !go_on(self) {
                            return;
                        }
                    }
                    Some(Entry { is_leaf: false, tree, at, .. }) => self.open(tree, at),
                    None => break,
                }
            }
            if complete {
                break;
            }
            // The leaves ranked held fewer rows than the budget asks for (a filter, or small
            // leaves): if so, rank more of them, and pass over those already scanned.
            self.leaves = self.leaves.saturating_mul(8);
            self.s.scanned.sort_unstable();
            self.scanned_before = self.s.scanned.len();
        }
    }

    fn is_done(&self) -> bool {
        self.evaluated >= self.request.budget && self.found.len() >= self.request.at_least
    }

    /// Queues the groups of every tree (or, of a tree with one group, its leaves). Returns whether
    /// every leaf will come up.
    fn rank(&mut self) -> bool {
        self.s.queue.clear();
        self.leaves_left = self.trees.iter().map(|t| t.leaves.bias.len()).sum();
        for tree in 0..self.trees.len() as u16 {
            let t = &self.trees[tree as usize];
            if t.has_one_group() {
                self.open(tree, 0);
                continue;
            }
            self.score(t.groups);
            let finite = self.s.scores.iter().enumerate().filter(|(_, k)| **k < f32::INFINITY);
            self.s.queue.extend(finite.map(|(at, &key)| Entry {
                key,
                tree,
                is_leaf: false,
                at: at as u32,
            }));
        }
        self.trees.iter().all(|t| t.leaves.bias.len() <= self.leaves)
    }

    /// Queues the nearest leaves of a group.
    fn open(&mut self, tree: u16, group: u32) {
        let Some((first, centres)) = self.trees[tree as usize].group(group) else { return };
        let Some(left) = self.leaves_left.checked_sub(centres.bias.len()) else { return };
        self.leaves_left = left;
        self.score(centres);
        let mut nearest = self.s.nearest_leaves.take().unwrap_or_else(|| Best::new(0));
        nearest.reset(self.leaves);
        for (at, &key) in self.s.scores.iter().enumerate() {
            if key < f32::INFINITY {
                nearest.push(key, (first + at) as u32);
            }
        }
        let entry = |&(key, at): &(f32, u32)| Entry { key, tree, is_leaf: true, at };
        self.s.queue.extend(nearest.unsorted().iter().map(entry));
        self.s.nearest_leaves = Some(nearest);
    }

    /// Scores the members of a leaf and keeps the best of them.
    fn scan(&mut self, tree: u16, leaf: u32, key: f32) {
        if self.s.scanned[..self.scanned_before].binary_search(&(tree, leaf)).is_ok() {
            return;
        }
        self.s.scanned.push((tree, leaf));
        let Some(found) = self.trees[tree as usize].leaf_and_products(leaf) else { return };
        let Leaf { members, codes, products } = found;
        let Some(left) = self.slots_left.checked_sub(members.len()) else { return };
        self.slots_left = left;
        if !self.only_choose {
            match products {
                Some(rows) => {
                    let own = self.trees[tree as usize].leaves.bias[leaf as usize];
                    self.look_up(tree, rows, key - own);
                }
                None => self.score_members(codes),
            }
            self.keep(members);
        }
        self.evaluated += self.count(members, codes);
    }

    /// Scores members by their product codes; `base` is their leaf's centre's part of it.
    fn look_up(&mut self, tree: u16, rows: ProductRows<'_>, base: f32) {
        self.make_tables(tree);
        // The leaf that comes next, unless a group comes before it.
        let next = self.s.queue.peek().filter(|entry| entry.is_leaf);
        let next = next.and_then(|e| self.trees[e.tree as usize].leaf_and_products(e.at)?.products);
        let next = next.map_or(&[][..], |rows| rows.tiles);
        self.s.scores.resize(rows.bias.len(), 0.0);
        let query = self.s.tables[tree as usize].1.query(base);
        product::scan(query, rows, next, &mut self.s.scores);
    }

    fn make_tables(&mut self, tree: u16) {
        let Some(product) = self.trees[tree as usize].product else { return };
        let Request { query, metric, mean, .. } = self.request;
        let Scratch { tables, epoch, .. } = &mut *self.s;
        tables.resize_with(self.trees.len().max(tables.len()), Default::default);
        let (made, tables) = &mut tables[tree as usize];
        if std::mem::replace(made, *epoch) == *epoch {
            return;
        }
        match metric {
            Metric::Dot => tables.fill(product.books, query.iter().copied(), inverse_length(query)),
            _ => tables.fill(product.books, query.iter().zip(mean).map(|(q, m)| q - m), 2.0),
        }
    }

    /// Offers the members just scored.
    fn keep(&mut self, members: &[u32]) {
        self.s.near.clear();
        // Equal scores too: what is kept must not depend on the order of the leaves.
        code::positions_below(&self.s.scores, self.found.bound().next_up(), &mut self.s.near);
        for &at in &self.s.near {
            let row = members[at as usize];
            if self.may_be_found(row) {
                self.found.push(self.s.scores[at as usize], row);
            }
        }
    }

    fn may_be_found(&self, row: u32) -> bool {
        (row as usize) < self.request.n_rows
            && self.request.allowed.is_none_or(|bits| is_set(bits, row))
            && !((self.s.excludes || self.trees.len() > 1)
                && self.s.stamps[row as usize] == self.s.epoch)
    }

    /// How many rows of a leaf had not been evaluated. In one tree none had; in several, each row
    /// is marked.
    fn count(&mut self, members: &[u32], codes: CodeRows<'_>) -> usize {
        if self.trees.len() == 1 {
            return codes.n_filled();
        }
        let mut new = 0;
        for &row in members {
            if let Some(stamp) = self.s.stamps.get_mut(row as usize) {
                new += usize::from(*stamp != self.s.epoch);
                *stamp = self.s.epoch;
            }
        }
        new
    }

    /// Scores centres.
    fn score(&mut self, rows: CodeRows<'_>) {
        self.s.scores.resize(rows.bias.len(), 0.0);
        let (shift, multiplier) = (self.shift, self.multiplier);
        let query = CodeQuery { codes: &self.s.codes, shift, multiplier };
        code::score(query, rows, &mut self.s.scores);
    }

    fn score_members(&mut self, rows: CodeRows<'_>) {
        self.s.scores.resize(rows.bias.len(), 0.0);
        let (shift, multiplier) = (self.shift, self.multiplier);
        let codes = CodeQuery { codes: &self.s.codes, shift, multiplier };
        let Request { metric, code_scale: scale, .. } = self.request;
        let query = MemberQuery { metric, codes, bytes: &self.s.bytes, scale };
        query.score(rows, &mut self.s.scores);
    }
}

/// Codes a query: 128 times the sum of its codes, and what a unit of a row's product is worth.
pub(super) fn coded_query(
    metric: Metric,
    query: &[f32],
    mean: &[f32],
    codes: &mut [i8],
) -> (i32, f32) {
    // A product with x is a product with x - mean and a constant, so the query itself is coded;
    // distances are between x - mean and query - mean.
    let (about, factor) = match metric {
        Metric::Dot => (quant::encode_plain(query, codes), -inverse_length(query)),
        _ => (quant::encode(query, 1.0, mean, codes), -2.0),
    };
    (128 * about.sum, factor * about.scale)
}

/// Products are taken with the query at length 1, which is what the leaves' bias counts on: what
/// they are multiplied with for it.
#[must_use]
pub fn inverse_length(query: &[f32]) -> f32 {
    let length = float::dot(query, query).sqrt();
    if length > 1e-15 {
        return 1.0 / length;
    }
    // Squares of small values are lost in float32.
    let length = vector::squares(query).sqrt();
    if length > 1e-37 { (1.0 / length) as f32 } else { 0.0 }
}

/// How many leaves may be needed for the budget: half as many again as leaves of mean size would
/// hold, since those near a query are often the smaller ones.
pub(super) fn leaves_needed(trees: &[Tree<'_>], budget: usize) -> usize {
    let slots: usize = trees.iter().map(|t| t.leaves.bias.len()).sum();
    let members: usize = trees.iter().map(|t| t.members.len()).sum();
    let share = budget as f64 / members.max(1) as f64;
    (share * slots as f64 * 1.5) as usize + 4
}

/// Whether the bit of a row is set; rows beyond the bits are not.
#[must_use]
pub fn is_set(bits: &[u64], row: u32) -> bool {
    bits.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
}
