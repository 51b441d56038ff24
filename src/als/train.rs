//! Epochs.

use std::ops::ControlFlow;

use super::csr::Csr;
use super::gramian::Gramian;
use super::half_step::{HalfStep, Interrupt};
use super::loss::Terms;
use super::method::Method;
use super::model::Model;
use super::objective::Objective;
use super::params::Params;
use super::solve::Fixed;
use super::start::{self, Start};
use super::whitening::Whitening;
use crate::error::TrainError;
use crate::kernel::Aligned;
use crate::memory;
use crate::threads;

/// An epoch that has just ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Epoch<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// How many there will be.
    pub of: usize,
    /// The objective's value after it.
    pub loss: f64,
    /// Users x factors, row-major, as they stand.
    pub user_factors: &'a [f32],
    /// Items x factors, row-major, as they stand.
    pub item_factors: &'a [f32],
}

type Progress<'a> = Box<dyn FnMut(&Epoch<'_>) -> ControlFlow<()> + 'a>;
type Stop<'a> = Box<dyn Fn() -> bool + Sync + 'a>;

/// Trains a [`Model`] by alternating least squares (Hu, Koren and Volinsky 2008).
///
/// ```
/// use nearwood::als::{Csr, Params, Trainer};
///
/// // Users 0 and 1 share item 0; user 2 is alone with item 2.
/// let plays = Csr::from_triplets(3, 3, &[0, 0, 1, 2], &[0, 1, 0, 2], &[3.0, 1.0, 2.0, 5.0])?;
/// let params = Params { factors: 2, iterations: 10, ..Params::default() };
/// let model = Trainer::new(params).fit(&plays)?;
/// assert!(model.score(1, 1) > model.score(1, 2));
/// # Ok::<(), nearwood::error::TrainError>(())
/// ```
pub struct Trainer<'a> {
    params: Params,
    start: Start<'a>,
    progress: Progress<'a>,
    stop: Stop<'a>,
}

impl<'a> Trainer<'a> {
    /// A trainer that starts at random and reports to nobody.
    #[must_use]
    pub fn new(params: Params) -> Trainer<'a> {
        Trainer {
            params,
            start: Start::Random,
            progress: Box::new(|_| ControlFlow::Continue(())),
            stop: Box::new(|| false),
        }
    }

    /// Starts from given factors.
    #[must_use]
    pub fn start(mut self, start: Start<'a>) -> Trainer<'a> {
        self.start = start;
        self
    }

    /// Calls `f` after every epoch, on the caller's thread. `Break` ends the training early and
    /// keeps the model as it is: with a metric inside, that is early stopping.
    #[must_use]
    pub fn progress(mut self, f: impl FnMut(&Epoch<'_>) -> ControlFlow<()> + 'a) -> Trainer<'a> {
        self.progress = Box::new(f);
        self
    }

    /// Asks `f` before every block of rows (256 at most), on any thread; once it says true the training ends
    /// with [`TrainError::Cancelled`].
    #[must_use]
    pub fn interrupt(mut self, f: impl Fn() -> bool + Sync + 'a) -> Trainer<'a> {
        self.stop = Box::new(f);
        self
    }

    /// Trains on users x items.
    ///
    /// An epoch solves every item from the users, then every user from the items: exactly, for N
    /// entries and S users and items together, in at most 2 N (d^2 + 3 d) + S (d^3 / 3 + 4 d^2)
    /// operations, and in fewer where rows have fewer entries than factors. The users go last, so
    /// that folding in an unchanged row gives the stored vector (of an exact solver). A user or item
    /// without entries gets the zero vector. Memory: the matrix once more, transposed, the factors,
    /// and the larger side's once more.
    ///
    /// # Errors
    /// If a parameter, the start or a weight is refused, the matrix is empty, a row has no finite
    /// solution, or `interrupt` said so.
    pub fn fit(self, users: &Csr) -> Result<Model, TrainError> {
        memory::attempt(|| self.train(users))
    }

    fn train(mut self, users: &Csr) -> Result<Model, TrainError> {
        self.params.check()?;
        check_matrix(users)?;
        let objective = Objective::new(&self.params);
        objective.check(users)?;
        let items = users.transpose();
        let method = Method::new(&self.params, users, &items);
        let Params { factors: d, n_threads, .. } = self.params;
        let rules = Rules { objective, method, d, n_threads, stop: &*self.stop };
        let mut state = State::new(&self.params, rules, users, self.start)?;
        let mut loss_history = Vec::with_capacity(self.params.iterations);
        for number in 1..=self.params.iterations {
            let loss = state.epoch(users, &items)?;
            loss_history.push(loss);
            let (user_factors, item_factors) = (&state.users.factors[..], &state.items.factors[..]);
            let of = self.params.iterations;
            let epoch = Epoch { number, of, loss, user_factors, item_factors };
            if (self.progress)(&epoch).is_break() {
                break;
            }
        }
        Ok(Model {
            user_factors: state.users.factors.into_vec(),
            item_factors: state.items.factors.into_vec(),
            n_users: users.n_rows(),
            n_items: users.n_cols(),
            factors: self.params.factors,
            loss_history,
            params: self.params,
        })
    }
}

fn check_matrix(matrix: &Csr) -> Result<(), TrainError> {
    let (users, items, interactions) = (matrix.n_rows(), matrix.n_cols(), matrix.nnz());
    if users == 0 || items == 0 || interactions == 0 {
        return Err(TrainError::Empty { users, items, interactions });
    }
    Ok(())
}

/// The users or the items, as they stand.
struct Side {
    /// "user" or "item", for messages.
    name: &'static str,
    factors: Aligned<f32>,
    /// Of `factors`.
    gramian: Gramian,
}

impl Side {
    fn unsolved(name: &'static str, n: usize, d: usize) -> Side {
        Side { name, factors: Aligned::zeroed(n * d), gramian: Gramian::of(&[], d) }
    }
}

/// What stays the same from epoch to epoch.
struct Rules<'a> {
    objective: Objective,
    method: Method,
    d: usize,
    n_threads: Option<usize>,
    stop: Interrupt<'a>,
}

impl Rules<'_> {
    /// Puts a start in its side's place.
    fn place(&self, side: &mut Side, factors: &[f32]) {
        side.gramian = threads::run(self.n_threads, || Gramian::of(factors, self.d));
        side.factors.copy_from_slice(factors);
    }

    /// Solves every row of a side against the other one; returns what is asked for of the loss.
    fn solve(
        &self,
        rows: &Csr,
        fixed: &Side,
        side: &mut Side,
        terms: Terms,
    ) -> Result<f64, TrainError> {
        let (d, others) = (self.d, rows.n_cols());
        threads::run(self.n_threads, || {
            let whitening = Whitening::new(&fixed.gramian, &self.objective, self.method, others, d);
            let fixed = Fixed {
                objective: self.objective,
                factors: &fixed.factors,
                d,
                method: self.method,
                gramian: &fixed.gramian,
                matrix: &fixed.gramian.scaled(self.objective.unobserved),
                whitening: &whitening,
            };
            let step = HalfStep { fixed, side: side.name, interrupt: self.stop };
            let sum = step.run(rows, &mut side.factors, terms)?;
            side.gramian = Gramian::of(&side.factors, d);
            Ok(sum)
        })
    }
}

struct State<'a> {
    rules: Rules<'a>,
    users: Side,
    items: Side,
}

impl<'a> State<'a> {
    fn new(
        params: &Params,
        rules: Rules<'a>,
        users: &Csr,
        start: Start<'_>,
    ) -> Result<State<'a>, TrainError> {
        let d = params.factors;
        let (n_users, n_items) = (users.n_rows(), users.n_cols());
        let mut user_side = Side::unsolved("user", n_users, d);
        let mut item_side = Side::unsolved("item", n_items, d);
        match start {
            Start::Random => {
                let draw = || start::random(params.seed, n_users, d);
                rules.place(&mut user_side, &threads::run(params.n_threads, draw));
            }
            Start::Users(x) => rules.place(&mut user_side, start::given("users", x, n_users, d)?),
            Start::Items(y) => {
                rules.place(&mut item_side, start::given("items", y, n_items, d)?);
                rules.solve(users, &item_side, &mut user_side, Terms::None)?;
            }
        }
        Ok(State { rules, users: user_side, items: item_side })
    }

    /// One epoch; returns the loss after it.
    fn epoch(&mut self, users: &Csr, items: &Csr) -> Result<f64, TrainError> {
        let State { rules, users: user_side, items: item_side } = self;
        let ridges = rules.solve(items, user_side, item_side, Terms::Ridge)?;
        let rest = rules.solve(users, item_side, user_side, Terms::RidgeAndEntries)?;
        let pairs = user_side.gramian.inner(&item_side.gramian);
        Ok(f64::from(rules.objective.unobserved) * pairs + rest + ridges)
    }
}
