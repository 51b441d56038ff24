//! Many users at once: a nightly job for all, or a batch of some.
//!
//! Two ways lead to the same lists. A *sweep* ([`exact::sweep`]) compares every user with the items
//! in the order of their lengths and is exact; the *index*, searched in batches, looks through the
//! items that the recall asked for takes. [`UNMEASURED`] and [`MEASURED`] say which is faster.

use std::ops::Range;

use rayon::prelude::*;

use super::{RecommendOptions, Recommender};
use crate::error::QueryError;
use crate::exact::{self, Panel, Rows, SweepScratch};
use crate::index::{
    Answers, BatchOptions, Effort, Filter, Hit, check_effort, check_finite, check_k, likely_budget,
    search_batch,
};
use crate::memory;
use crate::threads;

/// How users are answered.
enum Way {
    /// One by one or in batches, by the index.
    Index,
    /// By a sweep.
    Sweep,
    /// By a sweep if it compares few rows, measured on some users, beside those that the index
    /// would look through.
    Measured(usize),
}

/// Unmeasured, a sweep is taken where the index would look through more than one item in so many.
const UNMEASURED: usize = 8;
/// Measured, a sweep is taken if it compares no more than so many rows for each that the index
/// would look through: rows in their order, of which most are only compared, cost half as much.
const MEASURED: usize = 2;
/// From one user in so many items on, coding the items is little beside answering.
const ITEMS_A_USER: usize = 100;
/// Users that are measured.
const SAMPLE: usize = 64;
/// From so many users on, the items are coded for a sweep even if a single search would do.
const WORTH_CODING: usize = 32;
/// The most users answered together, and the most items that are listed for them.
const MOST_USERS: usize = 4096;
const MOST_HITS: usize = 1 << 20;
/// The most users that read the items' codes one after the other.
const SHARE: usize = 128;

/// A recommender made ready to answer for many users, block after block.
///
/// An answer depends neither on the threads nor, in a sweep or with [`Effort::Exact`], on the block
/// that its user comes in. Searched by the index, users who come together may be scored by more
/// precise codes than one who comes alone.
pub struct Everybody<'a> {
    recommender: &'a Recommender,
    options: RecommendOptions<'a>,
    panel: Option<Panel>,
}

impl Recommender {
    /// Makes ready for `n_users` users in all. Where sweeping is faster the items are coded, which
    /// takes about as long as 30 exact searches, and a byte a factor and 5 bytes an item meanwhile.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn everybody<'a>(
        &'a self,
        n_users: usize,
        options: RecommendOptions<'a>,
    ) -> Result<Everybody<'a>, QueryError> {
        check_effort(options.k, options.effort)?;
        check_k(options.k, self.items().len())?;
        let mut everybody = Everybody { recommender: self, options, panel: None };
        everybody.panel = match self.way(n_users, options) {
            Way::Index => None,
            Way::Sweep => Some(self.panel(options)),
            Way::Measured(budget) => {
                let panel = self.panel(options);
                let most = budget.saturating_mul(MEASURED);
                (everybody.compared(&panel)? <= most).then_some(panel)
            }
        };
        Ok(everybody)
    }

    fn panel(&self, options: RecommendOptions<'_>) -> Panel {
        let (rows, positions) = (self.rows(), self.items().positions());
        let vectorless = self.vectorless();
        let known = |&row: &u32| {
            let position = positions.get(row as usize);
            position.is_some_and(|position| vectorless.binary_search(position).is_err())
        };
        let listed = match options.filter {
            Some(filter) => filter.rows(rows.len()).filter(known).collect(),
            None => (0..rows.len() as u32).filter(known).collect(),
        };
        threads::run(options.n_threads, || Panel::new(rows, listed))
    }

    /// Decided by the file, the options and the number of users alone, so that neither the threads
    /// nor who is asked for shows in the answers.
    fn way(&self, n_users: usize, o: RecommendOptions<'_>) -> Way {
        // So much work and no more was asked for.
        if n_users < WORTH_CODING || matches!(o.effort, Effort::Budget(_)) {
            return Way::Index;
        }
        let n_seen = self.n_seen() / self.n_users().max(1);
        let n_excluded = if o.include_seen { 0 } else { n_seen };
        let budget = likely_budget(self.items(), o.effort, o.filter, o.k, n_excluded);
        let n_items = o.filter.map_or(self.items().len(), Filter::len);
        match budget.filter(|_| !o.effort.is_exact()) {
            None => Way::Sweep,
            Some(budget) if budget.saturating_mul(UNMEASURED) > n_items => Way::Sweep,
            Some(budget) if n_users.saturating_mul(ITEMS_A_USER) >= n_items => {
                Way::Measured(budget)
            }
            Some(_) => Way::Index,
        }
    }

    /// The items as they lie in the file.
    fn rows(&self) -> Rows<'_> {
        self.items().space().rows(self.items().file())
    }

    /// The best items for many users, over `options.n_threads` threads: k a user, what is missing
    /// filled with position `u32::MAX` and score -inf. From 32 users on they are answered together,
    /// as [`everybody`](Self::everybody) says; fewer are as [`recommend`](Self::recommend) for each.
    ///
    /// # Errors
    /// As [`recommend`](Self::recommend).
    pub fn recommend_batch(
        &self,
        users: &[u32],
        options: RecommendOptions<'_>,
    ) -> Result<Answers, QueryError> {
        self.everybody(users.len(), options)?.answer(users)
    }

    /// Recommends to every user, in blocks so that memory stays bounded; `each` gets a user's
    /// number and items in order and stops it by returning false.
    ///
    /// # Errors
    /// If an option is out of its range, or what `each` fails with.
    pub fn recommend_all<E: From<QueryError>>(
        &self,
        options: RecommendOptions<'_>,
        mut each: impl FnMut(u32, &[Hit]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let everybody = self.everybody(self.n_users(), options)?;
        let n = self.n_users();
        for first in (0..n).step_by(everybody.block()) {
            let users = first..n.min(first + everybody.block());
            let users: Vec<u32> = users.map(|user| user as u32).collect();
            let answers = everybody.answer(&users)?;
            for (at, &user) in users.iter().enumerate() {
                if !each(user, &answers.hits(at))? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl<'a> Everybody<'a> {
    /// How many users to answer at a time: as many as keep the threads busy and memory bounded.
    #[must_use]
    pub fn block(&self) -> usize {
        Everybody::block_of(self.options.k)
    }

    /// [`block`](Self::block) for so many items a user.
    pub(crate) fn block_of(k: usize) -> usize {
        (MOST_HITS / k.max(1)).clamp(1, MOST_USERS)
    }

    /// Whether answers are exact because every item is swept over.
    #[must_use]
    pub fn is_swept(&self) -> bool {
        self.panel.is_some()
    }

    /// How many rows a sweep compares a user, over users spread over all.
    fn compared(&self, panel: &Panel) -> Result<usize, QueryError> {
        let n = self.recommender.n_users();
        let users: Vec<u32> = (0..n).step_by(n.div_ceil(SAMPLE).max(1)).map(|u| u as u32).collect();
        let (vectors, known) = self.vectors(&users)?;
        let block = Block { everybody: self, users: &users, vectors: &vectors, known: &known };
        let (_, compared) = block.part(panel, 0..known.len(), &mut SweepScratch::default());
        Ok(compared / known.len().max(1))
    }

    /// The vectors of users, and which of them have one.
    fn vectors(&self, users: &[u32]) -> Result<(Vec<f32>, Vec<usize>), QueryError> {
        let dim = self.recommender.items().dim();
        let mut vectors = memory::with_capacity(users.len() * dim);
        for &user in users {
            vectors.extend_from_slice(self.recommender.user_vector(user)?);
        }
        check_finite(&vectors, dim)?;
        let is_known = |at: &usize| vectors[at * dim..][..dim].iter().any(|&x| x != 0.0);
        let known = (0..users.len()).filter(is_known).collect();
        Ok((vectors, known))
    }

    /// The best items for some users, as [`Recommender::recommend_batch`] gives them.
    ///
    /// # Errors
    /// If there is no such user or a stored vector is not finite.
    pub fn answer(&self, users: &[u32]) -> Result<Answers, QueryError> {
        memory::attempt(|| {
            let (recommender, k) = (self.recommender, self.options.k);
            let (vectors, known) = self.vectors(users)?;
            let block = Block { everybody: self, users, vectors: &vectors, known: &known };
            let found = match &self.panel {
                Some(panel) => block.sweep(panel),
                None if users.len() < WORTH_CODING => block.one_by_one()?,
                None => block.search()?,
            };
            // Nothing is known about a user whose vector is zero: any order would be invented.
            let mut lists = memory::filled((Vec::new(), true), users.len());
            for (at, list) in known.into_iter().zip(found) {
                lists[at] = list;
            }
            Answers::from_lists(&lists, k, recommender.items().metric().missing())
        })
    }
}

type List = (Vec<Hit>, bool);

/// Some users of whom something is known.
struct Block<'a> {
    everybody: &'a Everybody<'a>,
    users: &'a [u32],
    /// Of all users.
    vectors: &'a [f32],
    known: &'a [usize],
}

impl Block<'_> {
    fn seen(&self, at: usize) -> &[u32] {
        match self.everybody.options.include_seen {
            true => &[],
            false => self.everybody.recommender.seen(self.users[self.known[at]]),
        }
    }

    /// The vectors of some of the known.
    fn vectors(&self, range: Range<usize>) -> Vec<f32> {
        let dim = self.everybody.recommender.items().dim();
        let of = |&at: &usize| &self.vectors[at * dim..][..dim];
        self.known[range].iter().flat_map(of).copied().collect()
    }

    fn sweep(&self, panel: &Panel) -> Vec<List> {
        let n_threads = self.everybody.options.n_threads;
        let share = self.known.len().div_ceil(4 * threads::count(n_threads)).clamp(4, SHARE);
        let starts: Vec<usize> = (0..self.known.len()).step_by(share).collect();
        let part = |scratch: &mut SweepScratch, &first: &usize| {
            let range = first..self.known.len().min(first + share);
            self.part(panel, range, scratch)
        };
        threads::run(n_threads, || {
            let parts = threads::map_init(starts.par_iter(), SweepScratch::default, part);
            parts.flat_map_iter(|part| part.0).collect()
        })
    }

    /// The lists of some of the known, and how many rows were compared for them.
    fn part(
        &self,
        panel: &Panel,
        range: Range<usize>,
        scratch: &mut SweepScratch,
    ) -> (Vec<List>, usize) {
        let Everybody { recommender, options, .. } = self.everybody;
        let (rows, positions) = (recommender.rows(), recommender.items().positions());
        let tag = |query: usize, row: u32| {
            let position = positions.get(row as usize).copied()?;
            self.seen(range.start + query).binary_search(&position).is_err().then_some(position)
        };
        let hit = |&(key, position): &(f32, u32)| Hit { position, distance: rows.distance(key) };
        let mut lists = Vec::with_capacity(range.len());
        let each = |_, best: &[(f32, u32)]| lists.push((best.iter().map(hit).collect(), true));
        let k = options.k.min(rows.len());
        let vectors = self.vectors(range.clone());
        let compared = exact::sweep(rows, panel, &vectors, k, scratch, tag, each);
        (lists, compared)
    }

    fn search(&self) -> Result<Vec<List>, QueryError> {
        let Everybody { recommender, options, .. } = self.everybody;
        let RecommendOptions { k, effort, filter, n_threads, .. } = *options;
        let k = k.min(recommender.items().len());
        let batch = BatchOptions { k, effort, filter, n_threads };
        let vectors = self.vectors(0..self.known.len());
        let found = search_batch(recommender.items(), &vectors, batch, |at| self.seen(at))?;
        // The same rule as for one user: an answer with items that have no vector is made again.
        let list = |at: usize| match found.hits(at) {
            hits if recommender.all_have_vectors(&hits) => Ok((hits, found.exact[at])),
            _ => recommender.list(self.users[self.known[at]], *options),
        };
        threads::run(n_threads, || (0..self.known.len()).into_par_iter().map(list).collect())
    }

    fn one_by_one(&self) -> Result<Vec<List>, QueryError> {
        let Everybody { recommender, options, .. } = self.everybody;
        let list = |&at: &usize| recommender.list(self.users[at], *options);
        if threads::count(options.n_threads) == 1 || self.known.len() < 2 {
            return self.known.iter().map(list).collect();
        }
        threads::run(options.n_threads, || threads::map(self.known.par_iter(), list).collect())
    }
}
