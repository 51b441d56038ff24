//! `nearwood.AlternatingLeastSquares`.

use std::sync::Arc;

use nearwood::als::{ModelFile, Params};
use nearwood::eval::HeldOut;
use nearwood::recommend::Weighting;
use nearwood::{Interactions, Storage};
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::bulk;
use crate::convert;
use crate::errors::OrRaise;
use crate::fitting::{self, Fit, Validation};
use crate::held::Held;
use crate::interactions::interactions;
use crate::options::{Count, Threads, named, path_of, threads};
use crate::ranking::{Fitted, Question, at_most, mask, number, numbers, others, rankings};
use crate::ranking::{distinct, whole_or_none};
use crate::train;
use crate::watch;

/// Implicit-feedback alternating least squares: a vector for every user and every item.
///
/// Users and items are rows and columns of the matrix, by number; `Recommender` knows them by id.
/// A model fitted on `Interactions` keeps their ids, and finds the items of other `Interactions` by
/// them; files keep none. The columns of a matrix are taken as the model's.
/// The same data and `random_state` give the same bits at any number of threads.
///
/// Args:
///     factors: The length of a vector, 1 to 4096.
///     regularization: Lambda, at least 0.
///     alpha: The weight of one unit of a rating, above 0.
///     iterations: Epochs, at least 1.
///     confidence: What a weight means: "ials", "implicit" or "spark".
///     unobserved_weight: The weight of every pair, seen or not; 1 unless confidence is "ials".
///     regularization_scaling: From 0 (the same lambda for all) to 1 (in proportion to a row's
///         entries).
///     solver: How a row is solved, one of `nearwood.SOLVERS`: "cholesky" exactly, "cg" and "block"
///         from the last epoch's vector, "auto" by the number of factors and the rows' lengths.
///     cg_steps: Steps of conjugate gradients a row and epoch, for that solver.
///     random_state: The seed.
///     n_threads: None: all cores.
///
/// >>> import scipy.sparse as sp, nearwood as nw
/// >>> plays = sp.csr_matrix([[3, 1, 0], [2, 0, 0], [0, 0, 5]])
/// >>> model = nw.AlternatingLeastSquares(factors=2).fit(plays)
/// >>> ids, scores = model.recommend(1, N=2)
/// >>> int(ids[0])
/// 1
/// >>> model.user_factors.shape
/// (3, 2)
#[pyclass(name = "AlternatingLeastSquares", module = "nearwood", frozen)]
pub struct PyAls {
    params: Params,
    held: Held,
}

#[pymethods]
impl PyAls {
    #[new]
    #[pyo3(signature = (factors=Count(64), *, regularization=0.01, alpha=1.0,
        iterations=Count(15), confidence="ials", unobserved_weight=1.0,
        regularization_scaling=0.0, solver="auto", cg_steps=Count(3), random_state=0, n_threads=None),
        text_signature = "(factors=64, *, regularization=0.01, alpha=1.0, iterations=15, confidence=\"ials\", unobserved_weight=1.0, regularization_scaling=0.0, solver=\"auto\", cg_steps=3, random_state=0, n_threads=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
    fn new(
        #[pyo3(from_py_with = named::factors)] factors: Count,
        #[pyo3(from_py_with = named::regularization)] regularization: f32,
        #[pyo3(from_py_with = named::alpha)] alpha: f32,
        #[pyo3(from_py_with = named::iterations)] iterations: Count,
        confidence: &str,
        #[pyo3(from_py_with = named::unobserved_weight)] unobserved_weight: f32,
        #[pyo3(from_py_with = named::regularization_scaling)] regularization_scaling: f32,
        solver: &str,
        #[pyo3(from_py_with = named::cg_steps)] cg_steps: Count,
        #[pyo3(from_py_with = named::random_state)] random_state: u64,
        n_threads: Option<Threads>,
    ) -> PyResult<PyAls> {
        let params = Params {
            factors: factors.0,
            cg_steps: cg_steps.0,
            regularization,
            alpha,
            iterations: iterations.0,
            unobserved_weight,
            regularization_scaling,
            seed: random_state,
            n_threads: threads(n_threads),
            ..Params::default()
        };
        let params = train::named(params, confidence, solver)?;
        Ok(PyAls::of(params, None))
    }

    /// Trains on users x items; returns the model itself.
    ///
    /// Args:
    ///     user_items: A scipy sparse matrix or `Interactions`, weights as they are to be trained on.
    ///     progress: True: a bar on a terminal's standard error; or a callable(done, total).
    ///     callback: Called with (iteration, loss) after each epoch; a true answer ends the training
    ///         and keeps the model as it is.
    ///     warm_start: Continue from this model's items: users are solved from them, new items by
    ///         the first epoch. Items of `Interactions` are found by id, in any order, and those
    ///         that are gone are dropped with a warning; a matrix has the model's columns, and new
    ///         ones at the end.
    ///     validation: Measure by entries that are not trained on, after each epoch, and keep the
    ///         best one: `Interactions`, matched by id, a matrix of the shape of `user_items`, or a
    ///         share of its entries, drawn from `random_state`.
    ///     patience: With `validation`, end the training after so many epochs that were no better;
    ///         0: never.
    ///     metric: With `validation`, "ndcg@k" or "recall@k", over all items not trained on; of
    ///         recall a user's denominator is min(k, held out).
    ///
    /// Raises:
    ///     ValueError: If the matrix is empty or a weight is NaN or infinite.
    ///     KeyboardInterrupt: On Ctrl-C; the model is then as it was before.
    #[pyo3(signature = (user_items, *, progress=None, callback=None, warm_start=false,
        validation=None, patience=Count(3), metric="ndcg@20"),
        text_signature = "($self, user_items, *, progress=True, callback=None, warm_start=False, validation=None, patience=3, metric=\"ndcg@20\")")]
    fn fit<'py>(
        slf: Bound<'py, Self>,
        user_items: &Bound<'py, PyAny>,
        progress: Option<&Bound<'py, PyAny>>,
        callback: Option<&Bound<'py, PyAny>>,
        warm_start: bool,
        validation: Option<&Bound<'py, PyAny>>,
        #[pyo3(from_py_with = named::patience)] patience: Count,
        metric: &str,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let data = interactions(user_items, "user_items")?;
        let before = if warm_start { Some(slf.get().fitted()?) } else { None };
        let start = before.map(|before| fitting::start(py, &data, &before)).transpose()?;
        let validation = validation.map(Validation::new).transpose()?;
        let validation = validation.map(|held| held.matched(py, &data)).transpose()?;
        let target = HeldOut::target(metric).or_raise()?;
        let progress = train::shown(py, progress);
        let fit = Fit {
            params: &slf.get().params,
            data: &data,
            start: start.as_deref(),
            validation: validation.as_ref(),
            patience: patience.0,
            target,
        };
        let done = train::run(py, Some(&progress), callback, |watched| fit.run(watched))?;
        let (model, measured) = done.or_raise()?;
        slf.get().held.store(Fitted::new(model, data, measured));
        Ok(slf)
    }

    /// Takes factors that came from elsewhere; returns the model itself, trained.
    ///
    /// Args:
    ///     user_factors: (n_users, factors) numbers.
    ///     item_factors: (n_items, factors) numbers.
    ///     user_items: What the users have, for :meth:`recommend` and :meth:`explain`; None: it is
    ///         given there.
    ///
    /// Raises:
    ///     ValueError: If a shape differs from what the model and `user_items` expect.
    #[pyo3(signature = (user_factors, item_factors, user_items=None))]
    fn set_factors<'py>(
        slf: Bound<'py, Self>,
        user_factors: &Bound<'py, PyAny>,
        item_factors: &Bound<'py, PyAny>,
        user_items: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let own = slf.get();
        own.held.store(fitting::of_factors(user_factors, item_factors, user_items, &own.params)?);
        Ok(slf)
    }

    /// (n_users, factors) float32; zeros for a user without interactions. A copy.
    #[getter]
    fn user_factors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let fitted = self.fitted()?;
        convert::owned_matrix(
            py,
            bulk::copied(py, &fitted.model.user_factors)?,
            self.params.factors,
        )
    }

    /// (n_items, factors) float32; zeros for an item without interactions. A copy.
    #[getter]
    fn item_factors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let fitted = self.fitted()?;
        convert::owned_matrix(
            py,
            bulk::copied(py, &fitted.model.item_factors)?,
            self.params.factors,
        )
    }

    /// The objective after each epoch.
    #[getter]
    fn loss_history(&self) -> PyResult<Vec<f64>> {
        Ok(self.fitted()?.model.loss_history.clone())
    }

    /// What `validation` measured after each epoch of the last training, those after the best one
    /// too; empty without.
    #[getter]
    fn validation_history(&self) -> PyResult<Vec<f64>> {
        Ok(self.fitted()?.measured.clone())
    }

    /// The parameters by the names of the arguments: `AlternatingLeastSquares(**model.params)`.
    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        train::arguments(py, &self.params)
    }

    /// Vectors for users from their interactions alone, the items' staying as they are.
    ///
    /// Args:
    ///     user_items: (m, n_items) sparse matrix or `Interactions`, weighted as in the training.
    ///
    /// Returns:
    ///     (m, factors) float32; zeros for an empty row.
    ///
    /// Raises:
    ///     ValueError: If the columns are not the model's items.
    ///     RuntimeError: If the model is not trained.
    fn fold_in<'py>(
        &self,
        py: Python<'py>,
        user_items: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let fitted = self.fitted()?;
        let rows = fitted.rows(user_items, "user_items")?;
        let vectors = watch::detach(py, || fitted.folded(&rows))?.or_raise()?;
        convert::owned_matrix(py, vectors, self.params.factors)
    }

    /// Vectors for items from who has them, the users' staying as they are.
    ///
    /// Args:
    ///     item_users: (m, n_users) sparse matrix or `Interactions`, weighted as in the training.
    ///
    /// Returns:
    ///     (m, factors) float32; zeros for an empty row.
    ///
    /// Raises:
    ///     ValueError: If the columns are not the model's users.
    ///     RuntimeError: If the model is not trained.
    fn fold_in_items<'py>(
        &self,
        py: Python<'py>,
        item_users: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let fitted = self.fitted()?;
        let rows = interactions(item_users, "item_users")?;
        let vectors = watch::detach(py, || fitted.model.fold_in_items(&rows.matrix))?.or_raise()?;
        convert::owned_matrix(py, vectors, self.params.factors)
    }

    /// The best items for one user or many, by exact search.
    ///
    /// Args:
    ///     userid: A user's number, or an array of m.
    ///     user_items: The users' rows, one for each of `userid`; None: those of the training.
    ///     N: How many items.
    ///     filter_already_liked_items: Leave out the items of `user_items`.
    ///     filter_items: Items to leave out.
    ///     items: The only items to choose from.
    ///     recalculate_user: Fold the users in from `user_items` in place of their stored vectors.
    ///
    /// Returns:
    ///     (ids, scores): (N,) or (m, N), int64 and float32, best first; -1 and -inf where there
    ///     are no more. A user without interactions gets none.
    ///
    /// Raises:
    ///     KeyError: If there is no such user.
    #[pyo3(signature = (userid, user_items=None, N=Count(10), filter_already_liked_items=true,
        filter_items=None, items=None, recalculate_user=false),
        text_signature = "($self, userid, user_items=None, N=10, filter_already_liked_items=True, filter_items=None, items=None, recalculate_user=False)")]
    #[expect(non_snake_case, reason = "the name that users type")]
    fn recommend<'py>(
        &self,
        py: Python<'py>,
        userid: &Bound<'py, PyAny>,
        user_items: Option<&Bound<'py, PyAny>>,
        #[pyo3(from_py_with = named::N)] N: Count,
        filter_already_liked_items: bool,
        filter_items: Option<&Bound<'py, PyAny>>,
        items: Option<&Bound<'py, PyAny>>,
        recalculate_user: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let fitted = self.fitted()?;
        let (users, one) = numbers(userid, "userid")?;
        let given = user_items.map(|rows| fitted.rows(rows, "user_items")).transpose()?;
        if let Some(rows) = &given {
            convert::same_rows("user_items", rows.matrix.n_rows(), users.len())?;
        }
        let vectors = fitted.vectors(py, &users, given.as_ref(), recalculate_user)?;
        let given = given.as_ref().map(|rows| &rows.matrix);
        at_most("N", N.0, fitted.model.n_items)?;
        let mask = mask(fitted.model.n_items, "item", items, filter_items)?;
        let question = Question {
            fitted: &fitted,
            users: &users,
            given,
            vectors: &vectors,
            mask: mask.as_deref(),
            without_liked: filter_already_liked_items,
            n: N.0,
        };
        convert::tuple(py, rankings(py, &question.answer(py)?, N.0, one)?)
    }

    /// The best items for every user, by exact search; as :meth:`recommend` with all numbers. Stops
    /// on Ctrl-C.
    ///
    /// Returns:
    ///     (ids, scores): (n_users, N), int64 and float32.
    #[pyo3(signature = (N=Count(10), *, filter_already_liked_items=true, filter_items=None,
        items=None),
        text_signature = "($self, N=10, *, filter_already_liked_items=True, filter_items=None, items=None)")]
    #[expect(non_snake_case, reason = "the name that users type")]
    fn recommend_all<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = named::N)] N: Count,
        filter_already_liked_items: bool,
        filter_items: Option<&Bound<'py, PyAny>>,
        items: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let fitted = self.fitted()?;
        at_most("N", N.0, fitted.model.n_items)?;
        let mask = mask(fitted.model.n_items, "item", items, filter_items)?;
        let users: Vec<u32> = (0..fitted.model.n_users as u32).collect();
        let question = Question {
            fitted: &fitted,
            users: &users,
            given: None,
            vectors: &fitted.model.user_factors,
            mask: mask.as_deref(),
            without_liked: filter_already_liked_items,
            n: N.0,
        };
        convert::tuple(py, rankings(py, &question.answer(py)?, N.0, false)?)
    }

    /// Why an item suits a user: its score as a sum over what the user has.
    ///
    /// Args:
    ///     userid: A user's number.
    ///     itemid: An item's number.
    ///     user_items: The user's row, (1, n_items); None: that of the training.
    ///     N: How many contributions to list.
    ///
    /// Returns:
    ///     (score, [(item, contribution), ...]): the largest contributions first; those of all the
    ///     user's items that pull add up to the score, which is that of the user folded in.
    ///
    /// Raises:
    ///     KeyError: If there is no such user or item.
    #[pyo3(signature = (userid, itemid, user_items=None, N=Count(10)),
        text_signature = "($self, userid, itemid, user_items=None, N=10)")]
    #[expect(non_snake_case, reason = "the name that users type")]
    fn explain(
        &self,
        py: Python<'_>,
        userid: &Bound<'_, PyAny>,
        itemid: &Bound<'_, PyAny>,
        user_items: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = named::N)] N: Count,
    ) -> PyResult<(f64, Vec<(u32, f64)>)> {
        let fitted = self.fitted()?;
        let (userid, itemid) = (number(userid, "userid")?, number(itemid, "itemid")?);
        fitted.model.items(&[itemid]).or_raise()?;
        let given = user_items.map(|rows| fitted.rows(rows, "user_items")).transpose()?;
        let (items, weights) = fitted.row(userid, given.as_ref().map(|rows| &rows.matrix))?;
        let why =
            watch::detach(py, || fitted.fold_in()?.explain(items, weights, itemid))?.or_raise()?;
        Ok((why.score, why.contributions.into_iter().take(N.0).collect()))
    }

    /// The items at the smallest angle to one item or many; items without interactions are left
    /// out.
    ///
    /// Args:
    ///     itemid: An item's number, or an array of m.
    ///     N: How many.
    ///     include_self: Whether an item may be its own answer.
    ///     filter_items: Items to leave out.
    ///     items: The only items to choose from.
    ///     item_users: Rows of (m, n_users) to fold the items in from, in place of their stored
    ///         vectors.
    ///
    /// Returns:
    ///     (ids, scores): (N,) or (m, N), int64 and float32 cosines, best first; -1 and -inf where
    ///     there are no more.
    ///
    /// Raises:
    ///     KeyError: If there is no such item.
    #[pyo3(signature = (itemid, N=Count(10), *, include_self=false, filter_items=None, items=None,
        item_users=None),
        text_signature = "($self, itemid, N=10, *, include_self=False, filter_items=None, items=None, item_users=None)")]
    #[expect(non_snake_case, reason = "the name that users type")]
    fn similar_items<'py>(
        &self,
        py: Python<'py>,
        itemid: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::N)] N: Count,
        include_self: bool,
        filter_items: Option<&Bound<'py, PyAny>>,
        items: Option<&Bound<'py, PyAny>>,
        item_users: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let fitted = self.fitted()?;
        let (own, one) = numbers(itemid, "itemid")?;
        at_most("N", N.0, fitted.model.n_items)?;
        let mask = mask(fitted.model.n_items, "item", items, filter_items)?;
        let vectors = match item_users {
            None => fitted.model.items(&own).or_raise()?,
            Some(rows) => {
                let rows = interactions(rows, "item_users")?;
                convert::same_rows("item_users", rows.matrix.n_rows(), own.len())?;
                watch::detach(py, || fitted.model.fold_in_items(&rows.matrix))?.or_raise()?
            }
        };
        let allowed = others(&own, include_self, mask.as_deref());
        let lists = watch::detach(py, || fitted.model.nearest_items(&vectors, N.0, &allowed))?
            .or_raise()?;
        convert::tuple(py, rankings(py, &lists, N.0, one)?)
    }

    /// The users at the smallest angle to one user or many, as :meth:`similar_items`.
    ///
    /// Raises:
    ///     KeyError: If there is no such user.
    #[pyo3(signature = (userid, N=Count(10), *, include_self=false, filter_users=None, users=None),
        text_signature = "($self, userid, N=10, *, include_self=False, filter_users=None, users=None)")]
    #[expect(non_snake_case, reason = "the name that users type")]
    fn similar_users<'py>(
        &self,
        py: Python<'py>,
        userid: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::N)] N: Count,
        include_self: bool,
        filter_users: Option<&Bound<'py, PyAny>>,
        users: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let fitted = self.fitted()?;
        let (own, one) = numbers(userid, "userid")?;
        at_most("N", N.0, fitted.model.n_users)?;
        let mask = mask(fitted.model.n_users, "user", users, filter_users)?;
        let vectors = fitted.model.users(&own).or_raise()?;
        let allowed = others(&own, include_self, mask.as_deref());
        let lists = watch::detach(py, || fitted.model.nearest_users(&vectors, N.0, &allowed))?
            .or_raise()?;
        convert::tuple(py, rankings(py, &lists, N.0, one)?)
    }

    /// Solves some users anew from their rows, the items staying as they are, and stores them with
    /// their rows. Numbers from n_users on are new users; a gap between gets zero vectors. Works on a
    /// copy: nothing changes on an error, and who asks meanwhile is answered by the model before.
    ///
    /// Args:
    ///     userids: m numbers.
    ///     user_items: (m, n_items) sparse matrix or `Interactions`, a row for each of them.
    fn partial_fit_users(
        &self,
        py: Python<'_>,
        userids: &Bound<'_, PyAny>,
        user_items: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let users = whole_or_none(userids, "userids")?;
        let rows = self.fitted()?.rows(user_items, "user_items")?;
        self.held.edit(py, |model, data| {
            let solved = model.partial_fit_users(&users, &rows.matrix);
            solved.map_err(|error| rows.in_words(error, Weighting::Raw))?;
            let matrix = data.matrix.with_rows(&users, &rows.matrix)?;
            let (users, items) = (data.users.resized(matrix.n_rows()), data.items.clone());
            Ok(Interactions { users, items, ..Interactions::from_matrix(matrix) })
        })
    }

    /// Solves some items anew from who has them, as :meth:`partial_fit_users`. The users' vectors
    /// stay as they are.
    ///
    /// Args:
    ///     itemids: m numbers.
    ///     item_users: (m, n_users) sparse matrix or `Interactions`, a row for each of them.
    fn partial_fit_items(
        &self,
        py: Python<'_>,
        itemids: &Bound<'_, PyAny>,
        item_users: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let items = whole_or_none(itemids, "itemids")?;
        let rows = interactions(item_users, "item_users")?;
        self.held.edit(py, |model, data| {
            model.partial_fit_items(&items, &rows.matrix)?;
            let matrix = data.matrix.with_columns(&items, &rows.matrix)?;
            let (users, items) = (data.users.clone(), data.items.resized(matrix.n_cols()));
            Ok(Interactions { users, items, ..Interactions::from_matrix(matrix) })
        })
    }

    /// Takes users out; those after them move up. One at least stays.
    ///
    /// Raises:
    ///     ValueError: If there is no such user, or none would stay.
    fn remove_users(&self, py: Python<'_>, userids: &Bound<'_, PyAny>) -> PyResult<()> {
        let n = self.fitted()?.model.n_users;
        let users = distinct(userids, "userids", n)?;
        self.held.edit(py, |model, data| {
            model.remove_users(&users)?;
            let matrix = data.matrix.without_rows(&users)?;
            let (users, items) = (data.users.without(&users), data.items.clone());
            Ok(Interactions { users, items, ..Interactions::from_matrix(matrix) })
        })
    }

    /// Takes items out; those after them move up. One at least stays. The other vectors stay as
    /// they are until `fit(..., warm_start=True)`.
    ///
    /// Raises:
    ///     ValueError: If there is no such item, or none would stay.
    fn remove_items(&self, py: Python<'_>, itemids: &Bound<'_, PyAny>) -> PyResult<()> {
        let n = self.fitted()?.model.n_items;
        let items = distinct(itemids, "itemids", n)?;
        self.held.edit(py, |model, data| {
            model.remove_items(&items)?;
            let matrix = data.matrix.without_columns(&items)?;
            let (users, items) = (data.users.clone(), data.items.without(&items));
            Ok(Interactions { users, items, ..Interactions::from_matrix(matrix) })
        })
    }

    /// How many entries of a matrix the model was trained on, users and items by number.
    fn _trained_on(&self, user_items: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (fitted, rows) = (self.fitted()?, interactions(user_items, "user_items")?);
        watch::detach(user_items.py(), || rows.matrix.n_shared(&fitted.data.matrix))
    }

    /// Writes the trained model to a file, atomically.
    ///
    /// Args:
    ///     path: str or PathLike.
    ///     storage: "float32", or "float16": half the bytes, scores differ by about 1e-3 of their
    ///         size.
    ///     interactions: Whether the interactions are kept too, without which a loaded model needs
    ///         `user_items` to leave out what is liked and to explain.
    #[pyo3(signature = (path, *, storage="float32", interactions=true))]
    fn save(
        &self,
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        storage: &str,
        interactions: bool,
    ) -> PyResult<()> {
        let (fitted, path) = (self.fitted()?, path_of(path)?);
        let storage: Storage = storage.parse().or_raise()?;
        let data = interactions.then_some(&fitted.data.matrix);
        watch::detach(py, || ModelFile::write(path, &fitted.model, data, storage))?.or_raise()
    }

    /// Reads a model that :meth:`save` wrote, checking every byte.
    ///
    /// Args:
    ///     path: str or PathLike.
    ///     n_threads: None: all cores.
    ///
    /// Raises:
    ///     FileNotFoundError: If there is no such file.
    ///     FormatError: If it is damaged or no model.
    #[staticmethod]
    #[pyo3(signature = (path, *, n_threads=None))]
    fn load(path: &Bound<'_, PyAny>, n_threads: Option<Threads>) -> PyResult<PyAls> {
        let file = path_of(path)?;
        let file = watch::detach(path.py(), || ModelFile::open(file))?.or_raise()?;
        let params = Params { n_threads: threads(n_threads), ..file.model.params.clone() };
        PyAls::of_file(params, file)
    }

    /// Pickling and copying: the parameters, and the bytes of a file if there is a model.
    fn __reduce__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let (py, own) = (slf.py(), slf.get());
        let file = |fitted: Arc<Fitted>| -> PyResult<Bound<'py, PyBytes>> {
            let (model, data) = (&fitted.model, &fitted.data.matrix);
            let made = || ModelFile::to_bytes(model, Some(data), Storage::Float32);
            let file = watch::detach(py, made)?.or_raise()?;
            bulk::bytes(py, file.as_ref())
        };
        let bytes = own.fitted().ok().map(file).transpose()?;
        let restore = slf.get_type().getattr("_restore")?;
        (restore, (own.params.to_json(), bytes)).into_pyobject(py)
    }

    #[staticmethod]
    #[pyo3(signature = (params, file=None))]
    fn _restore(py: Python<'_>, params: &str, file: Option<&[u8]>) -> PyResult<PyAls> {
        let params = Params::from_json(params).or_raise()?;
        match file {
            None => Ok(PyAls::of(params, None)),
            Some(bytes) => {
                let file = watch::detach(py, || ModelFile::from_bytes(bytes))?;
                PyAls::of_file(params, file.or_raise()?)
            }
        }
    }

    fn __copy__(&self) -> PyAls {
        PyAls::of(self.params.clone(), self.fitted().ok())
    }

    /// What is shared never changes: the copy may.
    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> PyAls {
        self.__copy__()
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let Ok(fitted) = slf.get().fitted() else { return convert::html(slf, &[]) };
        let (users, items) = (fitted.model.n_users, fitted.model.n_items);
        convert::html(slf, &[("users", users), ("items", items)])
    }

    fn __repr__(&self) -> String {
        let p = &self.params;
        format!(
            "AlternatingLeastSquares(factors={}, regularization={}, alpha={}, iterations={}, \
             confidence=\"{}\", random_state={})",
            p.factors, p.regularization, p.alpha, p.iterations, p.confidence, p.seed
        )
    }
}

impl PyAls {
    fn of(params: Params, fitted: Option<Arc<Fitted>>) -> PyAls {
        PyAls { params, held: Held::new(fitted) }
    }

    fn of_file(params: Params, file: ModelFile) -> PyResult<PyAls> {
        let fitted = fitting::of_file(&params, file).or_raise()?;
        Ok(PyAls::of(params, Some(Arc::new(fitted))))
    }

    /// The model, once there is one.
    pub fn fitted(&self) -> PyResult<Arc<Fitted>> {
        self.held.fitted()
    }
}
