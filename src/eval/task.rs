//! A training and a test matrix, and what rankings are worth by them.

use rayon::prelude::*;

use super::baselines::{ItemKnn, Popularity};
use super::measure::{AtK, Measure, Ruler, Target, UserFigures};
use super::ties::Ties;
use crate::als::Csr;
use crate::error::QueryError;
use crate::exact::{self, Rows};
use crate::metric::Metric;
use crate::progress;
use crate::threads;

/// Users whose lists are held at a time.
const BLOCK: usize = 1024;

/// How lists are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where lists are cut, each at least 1.
    pub ks: Vec<usize>,
    /// Of the order of items with equal scores.
    pub seed: u64,
    /// Whether items of a user's training may be recommended to them, and are wanted if the test
    /// has them: for listening again, not for discovering.
    pub include_seen: bool,
    /// Threads; all cores for `None`. The figures do not depend on it.
    pub n_threads: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options { ks: vec![20], seed: 0, include_seen: false, n_threads: None }
    }
}

/// Who is asked, what they want, and what was left out on the way.
///
/// Wanted are a user's entries of the test with a weight above 0. Those that the user has in the
/// training are left out, since nobody recommends them ([`Options::include_seen`]). Users who want
/// nothing are not asked. Users without a training entry are: whatever gives them no list has no
/// hit with them.
pub struct Task<'a> {
    train: &'a Csr,
    options: Options,
    /// Asked, ascending.
    users: Vec<u32>,
    /// `users.len() + 1` offsets into `wanted`.
    offsets: Vec<usize>,
    /// Items, ascending within a user.
    wanted: Vec<u32>,
    counts: LeftOut,
    stop: &'a (dyn Fn() -> bool + Sync),
}

#[derive(Debug, Clone, Copy, Default)]
struct LeftOut {
    users_without_test: usize,
    users_without_history: usize,
    entries_seen: usize,
    entries_not_positive: usize,
    entries_trained_on: usize,
}

/// Figures, and over whom they were taken.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// For each k, in the order of [`Options::ks`].
    pub at: Vec<AtK>,
    /// Users who were asked: the means are over them.
    pub n_users: usize,
    /// The catalogue: columns of the matrices.
    pub n_items: usize,
    /// Users who were not asked because the test has nothing for them to find.
    pub users_without_test: usize,
    /// Users who were asked although the training has nothing of them.
    pub users_without_history: usize,
    /// Entries that were to be found.
    pub test_entries: usize,
    /// Entries of the test that were left out because the training has them.
    pub entries_seen: usize,
    /// Entries of the test that were left out because their weight is not above 0.
    pub entries_not_positive: usize,
    /// Entries to be found that the model was trained on although the training lacks them: 0 unless
    /// the model's own history is known ([`Task::served`], [`Task::trained_on`]). A recommender
    /// never lists them; another model finds them too easily.
    pub entries_trained_on: usize,
}

impl Evaluation {
    /// One figure, if lists were cut there.
    #[must_use]
    pub fn get(&self, target: Target) -> Option<f64> {
        self.at.iter().find(|at| at.k == target.k).map(|at| at.get(target.measure))
    }
}

impl<'a> Task<'a> {
    /// Finds out who is to be asked. Takes time and memory in proportion to the test.
    ///
    /// # Errors
    /// If the matrices differ in shape, or a k is 0 or there is none.
    pub fn new(train: &'a Csr, test: &Csr, options: &Options) -> Result<Task<'a>, QueryError> {
        check(train, test, &options.ks)?;
        let mut task = Task::empty(train, options);
        for user in progress::checked(0..test.n_rows(), 1024) {
            task.want(user, test.row(user));
            task.ask(user);
        }
        Ok(task)
    }

    /// A task in which every entry of the test is wanted, for matrices of one shape.
    pub(super) fn wanting_all(train: &'a Csr, test: &Csr, options: &Options) -> Task<'a> {
        let mut task = Task::empty(train, options);
        for user in 0..test.n_rows() {
            task.wanted.extend_from_slice(test.row(user).0);
            task.ask(user);
        }
        task
    }

    fn empty(train: &'a Csr, options: &Options) -> Task<'a> {
        Task {
            train,
            options: options.clone(),
            users: Vec::new(),
            offsets: vec![0],
            wanted: Vec::new(),
            counts: LeftOut::default(),
            stop: &|| false,
        }
    }

    fn want(&mut self, user: usize, (items, weights): (&[u32], &[f32])) {
        let history = self.train.row(user).0;
        for (item, &weight) in items.iter().zip(weights) {
            if weight <= 0.0 {
                self.counts.entries_not_positive += 1;
            } else if !self.options.include_seen && history.binary_search(item).is_ok() {
                self.counts.entries_seen += 1;
            } else {
                self.wanted.push(*item);
            }
        }
    }

    /// Asks a user, if anything was wanted since the one before.
    fn ask(&mut self, user: usize) {
        if self.offsets.last() == Some(&self.wanted.len()) {
            self.counts.users_without_test += 1;
            return;
        }
        let history = self.train.row(user).0;
        self.counts.users_without_history += usize::from(history.is_empty());
        self.users.push(user as u32);
        self.offsets.push(self.wanted.len());
    }

    /// Compares what is to be found with what the measured model was trained on: users x items in
    /// the task's numbers. The evaluations then count
    /// [`entries_trained_on`](Evaluation::entries_trained_on).
    ///
    /// # Errors
    /// [`QueryError::TrainedOnTest`] if the model has at least half of what is to be found and the
    /// training lacks it, or if nothing is to be found because the model has all of it.
    pub fn trained_on(mut self, own: &Csr) -> Result<Task<'a>, QueryError> {
        let none: &[u32] = &[];
        let own = |user: u32| match (user as usize) < own.n_rows() {
            true => own.row(user as usize).0,
            false => none,
        };
        self.counts.entries_trained_on = self.check_history("model", own)?;
        Ok(self)
    }

    /// How many of the entries to be found are in a model's own history and not in the training.
    pub(super) fn check_history<'h>(
        &self,
        what: &'static str,
        own: impl Fn(u32) -> &'h [u32],
    ) -> Result<usize, QueryError> {
        let mut leaked = 0;
        for (at, &user) in self.users.iter().enumerate() {
            let (own, train) = (own(user), self.train.row(user as usize).0);
            let wanted = &self.wanted[self.offsets[at]..self.offsets[at + 1]];
            let has = |list: &[u32], item: &u32| list.binary_search(item).is_ok();
            leaked += wanted.iter().filter(|item| has(own, item) && !has(train, item)).count();
        }
        let (wanted, seen) = (self.wanted.len(), self.counts.entries_seen);
        let nothing_left = wanted == 0 && seen > 0;
        match nothing_left || (leaked > 0 && 2 * leaked >= wanted) {
            true => {
                Err(QueryError::TrainedOnTest { what, entries: leaked + seen, of: wanted + seen })
            }
            false => Ok(leaked),
        }
    }

    /// Asks `f` before every 1024 users; once it says true, nobody else is measured. What is then
    /// returned is of some of the users: whoever stops it throws it away.
    #[must_use]
    pub fn interrupt(mut self, f: &'a (dyn Fn() -> bool + Sync)) -> Task<'a> {
        self.stop = f;
        self
    }

    /// The users that are asked, ascending.
    #[must_use]
    pub fn users(&self) -> &[u32] {
        &self.users
    }

    /// Whether a model can find anything: a user with a history wants an item that somebody has in
    /// the training.
    #[must_use]
    pub fn has_findable(&self) -> bool {
        let mut has_entries = vec![false; self.train.n_cols()];
        self.train.indices().iter().for_each(|&item| has_entries[item as usize] = true);
        self.users.iter().enumerate().any(|(at, &user)| {
            let history = self.train.row(user as usize).0;
            let wanted = &self.wanted[self.offsets[at]..self.offsets[at + 1]];
            let may = |item: &u32| {
                has_entries[*item as usize]
                    && (self.options.include_seen || history.binary_search(item).is_err())
            };
            !history.is_empty() && wanted.iter().any(may)
        })
    }

    pub(super) fn includes_seen(&self) -> bool {
        self.options.include_seen
    }

    /// Measures whatever ranks: `rank(user, n)` gives at most n items for a user, best first, on
    /// any thread. What it gives is taken as it is; an item beyond the catalogue is no hit.
    ///
    /// Holds the lists of 1024 users.
    ///
    /// # Errors
    /// What `rank` fails with.
    pub fn lists<E: Send>(
        &self,
        rank: impl Fn(u32, usize) -> Result<Vec<u32>, E> + Sync,
    ) -> Result<Evaluation, E> {
        let n = self.longest();
        self.blocks(|users| threads::map(users.par_iter(), |&user| rank(user, n)).collect())
    }

    /// Measures lists that are there already: `length` items for each user of the matrices, row
    /// after row; `u32::MAX` stands for none.
    ///
    /// # Errors
    /// If there are not as many lists as users.
    pub fn table(&self, lists: &[u32], length: usize) -> Result<Evaluation, QueryError> {
        let users = self.train.n_rows();
        if length == 0 || Some(lists.len()) != users.checked_mul(length) {
            return Err(QueryError::Parameter {
                name: "the number of lists",
                got: lists.len().checked_div(length).unwrap_or(0).to_string(),
                expected: format!("{users}, one for each user, of at least 1 item"),
            });
        }
        let row = |user: u32| &lists[user as usize * length..][..length];
        self.lists(|user, n| Ok(row(user)[..length.min(n)].to_vec()))
    }

    /// Measures factors, by exact inner products with all items; those of the training are left
    /// out. A user whose vector is zero has no list: see [`Model::best_items`].
    ///
    /// Takes users x items x factors multiplications; holds vectors and lists of 1024 users.
    ///
    /// [`Model::best_items`]: crate::als::Model::best_items
    ///
    /// # Errors
    /// If the factors are not as many as the matrix has users and items.
    pub fn factors(
        &self,
        user_factors: &[f32],
        item_factors: &[f32],
        factors: usize,
    ) -> Result<Evaluation, QueryError> {
        let (users, items) = (self.train.n_rows(), self.train.n_cols());
        for (name, got, rows) in [
            ("the number of values in user_factors", user_factors.len(), users),
            ("the number of values in item_factors", item_factors.len(), items),
        ] {
            if Some(got) != rows.checked_mul(factors) || factors == 0 {
                let expected = format!("{rows} x {factors} factors");
                return Err(QueryError::Parameter { name, got: got.to_string(), expected });
            }
        }
        let vector = |user: u32| &user_factors[user as usize * factors..][..factors];
        self.blocks(|users| Ok(self.block(users, vector, item_factors, factors)))
    }

    /// Measures what recommends to everybody the items that most have.
    #[must_use]
    pub fn popularity(&self, popularity: &Popularity) -> Evaluation {
        let measured =
            self.lists(|user, n| Ok(popularity.rank(self.left_out(user), n, self.ties(user))));
        let Ok(evaluation) = measured.map_err(|never: std::convert::Infallible| match never {});
        evaluation
    }

    /// Measures neighbours of the items that a user has.
    #[must_use]
    pub fn item_knn(&self, neighbours: &ItemKnn) -> Evaluation {
        let measured = self.lists(|user, n| {
            let (history, ties) = (self.train.row(user as usize), self.ties(user));
            Ok(neighbours.rank(history, self.left_out(user), n, ties))
        });
        let Ok(evaluation) = measured.map_err(|never: std::convert::Infallible| match never {});
        evaluation
    }

    /// Items that are not recommended to a user, ascending.
    fn left_out(&self, user: u32) -> &[u32] {
        if self.options.include_seen { &[] } else { self.train.row(user as usize).0 }
    }

    fn ties(&self, user: u32) -> Ties {
        Ties::new(self.options.seed, user)
    }

    /// The lists of some users by exact search.
    fn block<'f>(
        &self,
        users: &[u32],
        vector: impl Fn(u32) -> &'f [f32],
        items: &[f32],
        dim: usize,
    ) -> Vec<Vec<u32>> {
        let queries: Vec<f32> = users.iter().flat_map(|&user| vector(user)).copied().collect();
        let ties: Vec<Ties> = users.iter().map(|&user| self.ties(user)).collect();
        let left_out: Vec<&[u32]> = users.iter().map(|&user| self.left_out(user)).collect();
        let known = |vector: &[f32]| vector.iter().any(|&x| x != 0.0);
        let tag = |at: usize, item: u32| {
            let may = known(&items[item as usize * dim..][..dim])
                && left_out[at].binary_search(&item).is_err();
            may.then(|| ties[at].tag(item))
        };
        let rows = Rows { metric: Metric::Dot, dim, values: items.into(), inverse_norms: &[] };
        let found = exact::search(rows, &queries, self.longest(), tag);
        let list = |(at, list): (usize, Vec<(f32, u32)>)| match known(&queries[at * dim..][..dim]) {
            true => list.into_iter().map(|(_, tag)| ties[at].item(tag)).collect(),
            false => Vec::new(),
        };
        found.into_iter().enumerate().map(list).collect()
    }

    /// How many items a list may have.
    fn longest(&self) -> usize {
        self.options.ks.iter().copied().max().unwrap_or(0).min(self.train.n_cols())
    }

    /// Adds up what `lists` gives for a block of users after the other. Users are added in their
    /// order whatever the threads do, so the figures are the same to the bit.
    fn blocks<E: Send>(
        &self,
        lists: impl Fn(&[u32]) -> Result<Vec<Vec<u32>>, E> + Sync,
    ) -> Result<Evaluation, E> {
        let ruler = Ruler::new(&self.options.ks, self.longest());
        let mut sums = Sums::new(self.options.ks.len(), self.train.n_cols());
        for first in (0..self.users.len()).step_by(BLOCK) {
            if (self.stop)() {
                break;
            }
            let users = &self.users[first..self.users.len().min(first + BLOCK)];
            let (lists, figures) = threads::run(self.options.n_threads, || {
                let mut lists = lists(users)?;
                let measure = |(at, list): (usize, &mut Vec<u32>)| {
                    list.truncate(self.longest());
                    let wanted = self.offsets[first + at]..self.offsets[first + at + 1];
                    ruler.measure(list, &self.wanted[wanted])
                };
                let figures: Vec<_> = lists.par_iter_mut().enumerate().map(measure).collect();
                Ok((lists, figures))
            })?;
            sums.add(&lists, &figures);
        }
        Ok(self.evaluation(&sums))
    }

    fn evaluation(&self, sums: &Sums) -> Evaluation {
        let n_users = self.users.len();
        let at = |(&k, sums_at): (&usize, &UserFigures)| {
            let mut values = [0.0; Measure::ALL.len()];
            for (value, sum) in values.iter_mut().zip(sums_at) {
                *value = sum / n_users.max(1) as f64;
            }
            values[Measure::Coverage as usize] = sums.coverage(k);
            AtK { k, values }
        };
        Evaluation {
            at: self.options.ks.iter().zip(&sums.figures).map(at).collect(),
            n_users,
            n_items: self.train.n_cols(),
            users_without_test: self.counts.users_without_test,
            users_without_history: self.counts.users_without_history,
            test_entries: self.wanted.len(),
            entries_seen: self.counts.entries_seen,
            entries_not_positive: self.counts.entries_not_positive,
            entries_trained_on: self.counts.entries_trained_on,
        }
    }
}

fn check(train: &Csr, test: &Csr, ks: &[usize]) -> Result<(), QueryError> {
    let shape = |m: &Csr| format!("{} users x {} items", m.n_rows(), m.n_cols());
    if shape(train) != shape(test) {
        return Err(QueryError::Parameter {
            name: "the test matrix",
            got: shape(test),
            expected: format!("{}, as the training matrix", shape(train)),
        });
    }
    if ks.is_empty() || ks.contains(&0) {
        return Err(QueryError::Parameter {
            name: "k",
            got: format!("{ks:?}"),
            expected: "at least one number, each at least 1".into(),
        });
    }
    Ok(())
}

struct Sums {
    figures: Vec<UserFigures>,
    /// The best place that each item has in any list.
    places: Vec<u32>,
}

impl Sums {
    fn new(ks: usize, items: usize) -> Sums {
        Sums { figures: vec![[0.0; Measure::PER_USER]; ks], places: vec![u32::MAX; items] }
    }

    fn add(&mut self, lists: &[Vec<u32>], users: &[Vec<UserFigures>]) {
        for user in users {
            for (sums, figures) in self.figures.iter_mut().zip(user) {
                sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
            }
        }
        for (place, &item) in lists.iter().flat_map(|list| (0..).zip(list)) {
            if let Some(best) = self.places.get_mut(item as usize) {
                *best = place.min(*best);
            }
        }
    }

    fn coverage(&self, k: usize) -> f64 {
        let recommended = self.places.iter().filter(|&&place| (place as usize) < k).count();
        recommended as f64 / self.places.len().max(1) as f64
    }
}
