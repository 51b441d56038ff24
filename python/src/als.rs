//! `nearwood.AlternatingLeastSquares`.

use std::sync::{Arc, RwLock};

use nearwood::Interactions;
use nearwood::als::{Csr, Model, Params, Ranking, Trainer};
use numpy::PyArray2;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::{self, Pair};
use crate::errors::{OrRaise, value_error};
use crate::ids::is_one;
use crate::interactions::interactions;
use crate::options::{Count, optional};
use crate::sparse;
use crate::train;

struct Fitted {
    model: Model,
    data: Arc<Interactions>,
}

/// Implicit-feedback alternating least squares: a vector for every user and every item.
///
/// Users and items are rows and columns of the matrix, by number; `Recommender` knows them by id.
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
///     solver: "auto" or "cholesky".
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
    fitted: RwLock<Option<Arc<Fitted>>>,
}

#[pymethods]
impl PyAls {
    #[new]
    #[pyo3(signature = (factors=Count(64), *, regularization=0.01, alpha=1.0,
        iterations=Count(15), confidence="ials", unobserved_weight=1.0,
        regularization_scaling=0.0, solver="auto", random_state=0, n_threads=None),
        text_signature = "(factors=64, *, regularization=0.01, alpha=1.0, iterations=15, confidence=\"ials\", unobserved_weight=1.0, regularization_scaling=0.0, solver=\"auto\", random_state=0, n_threads=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
    fn new(
        factors: Count,
        regularization: f32,
        alpha: f32,
        iterations: Count,
        confidence: &str,
        unobserved_weight: f32,
        regularization_scaling: f32,
        solver: &str,
        random_state: u64,
        n_threads: Option<Count>,
    ) -> PyResult<PyAls> {
        let params = Params {
            factors: factors.0,
            regularization,
            alpha,
            iterations: iterations.0,
            unobserved_weight,
            regularization_scaling,
            seed: random_state,
            n_threads: optional(n_threads),
            ..Params::default()
        };
        let params = train::named(params, confidence, solver)?;
        Ok(PyAls { params, fitted: RwLock::new(None) })
    }

    /// Trains on users x items; returns the model itself.
    ///
    /// Args:
    ///     user_items: A scipy sparse matrix or `Interactions`, weights as they are to be trained on.
    ///     progress: True: a bar on a terminal's standard error; or a callable(done, total).
    ///     callback: Called with (iteration, loss) after each epoch; a true answer ends the training
    ///         and keeps the model as it is.
    ///
    /// Raises:
    ///     ValueError: If the matrix is empty or a weight is NaN or infinite.
    ///     KeyboardInterrupt: On Ctrl-C; the model is then as it was before.
    #[pyo3(signature = (user_items, *, progress=None, callback=None),
        text_signature = "($self, user_items, *, progress=True, callback=None)")]
    fn fit<'py>(
        slf: Bound<'py, Self>,
        user_items: &Bound<'py, PyAny>,
        progress: Option<&Bound<'py, PyAny>>,
        callback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let data = interactions(user_items, "user_items")?;
        let progress = train::shown(py, progress);
        let params = &slf.get().params;
        let model = train::run(py, Some(&progress), callback, |watched| {
            train::attend(Trainer::new(params.clone()), watched).fit(&data.matrix)
        })?;
        let fitted = Arc::new(Fitted { model: model.or_raise()?, data });
        *slf.get().fitted.write().unwrap_or_else(|e| e.into_inner()) = Some(fitted);
        Ok(slf)
    }

    /// (n_users, factors) float32; zeros for a user without interactions. A copy.
    #[getter]
    fn user_factors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let fitted = self.fitted()?;
        convert::owned_matrix(py, fitted.model.user_factors.clone(), self.params.factors)
    }

    /// (n_items, factors) float32; zeros for an item without interactions. A copy.
    #[getter]
    fn item_factors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let fitted = self.fitted()?;
        convert::owned_matrix(py, fitted.model.item_factors.clone(), self.params.factors)
    }

    /// The objective after each epoch.
    #[getter]
    fn loss_history(&self) -> PyResult<Vec<f64>> {
        Ok(self.fitted()?.model.loss_history.clone())
    }

    /// Vectors for users from their interactions alone, the items' staying as they are.
    ///
    /// Args:
    ///     user_items: (m, n_items) sparse matrix or `Interactions`, weighted as in the training.
    ///
    /// Returns:
    ///     (m, factors) float32; zeros for an empty row.
    fn fold_in<'py>(
        &self,
        py: Python<'py>,
        user_items: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let fitted = self.fitted()?;
        let rows = interactions(user_items, "user_items")?;
        let vectors = py.detach(|| fitted.model.fold_in(&rows.matrix)).or_raise()?;
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
        N: Count,
        filter_already_liked_items: bool,
        filter_items: Option<&Bound<'py, PyAny>>,
        items: Option<&Bound<'py, PyAny>>,
        recalculate_user: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let fitted = self.fitted()?;
        let (users, one) = numbers(userid, "userid")?;
        let given = user_items.map(|rows| interactions(rows, "user_items")).transpose()?;
        if let Some(rows) = &given {
            convert::same_rows("user_items", rows.matrix.n_rows(), users.len())?;
        }
        let vectors = match (&given, recalculate_user) {
            (Some(rows), true) => py.detach(|| fitted.model.fold_in(&rows.matrix)).or_raise()?,
            (None, true) => return Err(value_error("recalculate_user needs user_items")),
            (_, false) => fitted.model.users(&users).or_raise()?,
        };
        let mask = item_mask(fitted.model.n_items, filter_items, items)?;
        let seen = |at: usize| match &given {
            Some(rows) => rows.matrix.row(at).0,
            None => row(&fitted.data.matrix, users[at]),
        };
        let allowed = |at: usize, item: u32| {
            mask.as_ref().is_none_or(|mask| mask[item as usize])
                && !(filter_already_liked_items && seen(at).binary_search(&item).is_ok())
        };
        let lists = py.detach(|| fitted.model.best_items(&vectors, N.0, &allowed)).or_raise()?;
        convert::tuple(py, rankings(py, &lists, N.0, one)?)
    }

    /// The items at the smallest angle to one item or many; themselves and items without
    /// interactions are left out.
    ///
    /// Returns:
    ///     (ids, scores): (N,) or (m, N), int64 and float32 cosines, best first; -1 and -inf where
    ///     there are no more.
    ///
    /// Raises:
    ///     KeyError: If there is no such item.
    #[pyo3(signature = (itemid, N=Count(10)), text_signature = "($self, itemid, N=10)")]
    #[expect(non_snake_case, reason = "the name that users type")]
    fn similar_items<'py>(
        &self,
        py: Python<'py>,
        itemid: &Bound<'py, PyAny>,
        N: Count,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let fitted = self.fitted()?;
        let (items, one) = numbers(itemid, "itemid")?;
        let lists = py.detach(|| fitted.model.similar_items(&items, N.0)).or_raise()?;
        convert::tuple(py, rankings(py, &lists, N.0, one)?)
    }

    /// The users at the smallest angle to one user or many, in the shapes of
    /// :meth:`similar_items`.
    #[pyo3(signature = (userid, N=Count(10)), text_signature = "($self, userid, N=10)")]
    #[expect(non_snake_case, reason = "the name that users type")]
    fn similar_users<'py>(
        &self,
        py: Python<'py>,
        userid: &Bound<'py, PyAny>,
        N: Count,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let fitted = self.fitted()?;
        let (users, one) = numbers(userid, "userid")?;
        let lists = py.detach(|| fitted.model.similar_users(&users, N.0)).or_raise()?;
        convert::tuple(py, rankings(py, &lists, N.0, one)?)
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
    fn fitted(&self) -> PyResult<Arc<Fitted>> {
        let fitted = self.fitted.read().unwrap_or_else(|e| e.into_inner()).clone();
        fitted
            .ok_or_else(|| PyRuntimeError::new_err("the model is not trained yet: call fit first"))
    }
}

/// A user's columns; none where there is no such row.
fn row(matrix: &Csr, row: u32) -> &[u32] {
    if (row as usize) < matrix.n_rows() { matrix.row(row as usize).0 } else { &[] }
}

/// Row numbers, and whether there was just one, not in an array.
fn numbers(object: &Bound<'_, PyAny>, what: &str) -> PyResult<(Vec<u32>, bool)> {
    if is_one(object) {
        let number: i64 = object.extract()?;
        let number = u32::try_from(number).map_err(|_| convert::no_such(what, number))?;
        return Ok((vec![number], true));
    }
    Ok((sparse::whole(object, what)?, false))
}

/// Which items may come up; None: all.
fn item_mask(
    n_items: usize,
    without: Option<&Bound<'_, PyAny>>,
    only: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Vec<bool>>> {
    if without.is_none() && only.is_none() {
        return Ok(None);
    }
    let mut mask = vec![only.is_none(); n_items];
    for (object, what, allowed) in [(only, "items", true), (without, "filter_items", false)] {
        let Some(object) = object else { continue };
        for item in sparse::whole::<u32>(object, what)? {
            let unknown = || convert::no_such("item", i64::from(item));
            *mask.get_mut(item as usize).ok_or_else(unknown)? = allowed;
        }
    }
    Ok(Some(mask))
}

fn rankings<'py>(py: Python<'py>, lists: &[Ranking], n: usize, flat: bool) -> PyResult<Pair<'py>> {
    let hit = |at: usize| lists.get(at / n).and_then(|list| list.get(at % n)).copied();
    let id = |at| hit(at).map_or(-1, |(id, _)| i64::from(id));
    let score = |at| hit(at).map_or(f32::NEG_INFINITY, |(_, score)| score);
    let ids = convert::array(py, convert::collect(lists.len(), n, id)?);
    let scores = convert::array(py, convert::collect(lists.len(), n, score)?);
    if flat { Ok((ids, scores)) } else { convert::fold(ids, scores, n) }
}
