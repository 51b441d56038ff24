//! Epochs.

use std::ops::ControlFlow;

use super::csr::Csr;
use super::gramian::Gramian;
use super::half_step::HalfStep;
use super::loss::Terms;
use super::method::{self, Method};
use super::model::Model;
use super::objective::Objective;
use super::params::Params;
use super::start::{self, Start};
use crate::error::TrainError;
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

    /// Asks `f` before every block of 64 rows, on any thread; once it says true the training ends
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
    pub fn fit(mut self, users: &Csr) -> Result<Model, TrainError> {
        self.params.check()?;
        check_matrix(users)?;
        let objective = Objective::new(&self.params);
        objective.check(users)?;
        let items = users.transpose();
        let solver = method::chosen(&self.params, users, &items);
        let method = Method::new(&Params { solver, ..self.params.clone() });
        let mut state =
            State::new(&self.params, objective, method, users, &*self.stop, self.start)?;
        let mut loss_history = Vec::with_capacity(self.params.iterations);
        for number in 1..=self.params.iterations {
            let loss = state.epoch(users, &items)?;
            loss_history.push(loss);
            let (user_factors, item_factors) = (&state.users[..], &state.items[..]);
            let of = self.params.iterations;
            let epoch = Epoch { number, of, loss, user_factors, item_factors };
            if (self.progress)(&epoch).is_break() {
                break;
            }
        }
        Ok(Model {
            user_factors: state.users,
            item_factors: state.items,
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

struct State<'a> {
    objective: Objective,
    method: Method,
    d: usize,
    n_threads: Option<usize>,
    stop: &'a (dyn Fn() -> bool + Sync),
    users: Vec<f32>,
    items: Vec<f32>,
    /// Of `users`.
    user_gramian: Gramian,
}

impl<'a> State<'a> {
    fn new(
        params: &Params,
        objective: Objective,
        method: Method,
        users: &Csr,
        stop: &'a (dyn Fn() -> bool + Sync),
        start: Start<'_>,
    ) -> Result<State<'a>, TrainError> {
        let (d, n_threads) = (params.factors, params.n_threads);
        let (n_users, n_items) = (users.n_rows(), users.n_cols());
        let mut state = State {
            objective,
            method,
            d,
            n_threads,
            stop,
            users: vec![],
            items: vec![0.0; n_items * d],
            user_gramian: Gramian::of(&[], d),
        };
        match start {
            Start::Random => {
                state.users = threads::run(n_threads, || start::random(params.seed, n_users, d));
            }
            Start::Users(x) => state.users = start::given("users", x, n_users, d)?,
            Start::Items(y) => {
                state.items = start::given("items", y, n_items, d)?;
                state.users = vec![0.0; n_users * d];
                let gramian = state.gramian(&state.items);
                state.solve_users(users, &gramian)?;
            }
        }
        state.user_gramian = state.gramian(&state.users);
        Ok(state)
    }

    /// One epoch; returns the loss after it.
    fn epoch(&mut self, users: &Csr, items: &Csr) -> Result<f64, TrainError> {
        let item_ridges = self.solve_items(items)?;
        let item_gramian = self.gramian(&self.items);
        let rows = self.solve_users(users, &item_gramian)?;
        self.user_gramian = self.gramian(&self.users);
        let pairs = self.user_gramian.inner(&item_gramian);
        Ok(f64::from(self.objective.unobserved) * pairs + rows + item_ridges)
    }

    fn gramian(&self, factors: &[f32]) -> Gramian {
        threads::run(self.n_threads, || Gramian::of(factors, self.d))
    }

    fn solve_items(&mut self, rows: &Csr) -> Result<f64, TrainError> {
        let step = HalfStep {
            objective: self.objective,
            factors: &self.users,
            d: self.d,
            method: self.method,
            gramian: &self.user_gramian,
            side: "item",
            interrupt: self.stop,
        };
        threads::run(self.n_threads, || step.run(rows, &mut self.items, Terms::Ridge))
    }

    fn solve_users(&mut self, rows: &Csr, item_gramian: &Gramian) -> Result<f64, TrainError> {
        let step = HalfStep {
            objective: self.objective,
            factors: &self.items,
            d: self.d,
            method: self.method,
            gramian: item_gramian,
            side: "user",
            interrupt: self.stop,
        };
        threads::run(self.n_threads, || step.run(rows, &mut self.users, Terms::RidgeAndEntries))
    }
}
