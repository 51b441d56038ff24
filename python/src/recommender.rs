//! `nearwood.Recommender`.

use std::sync::Arc;

use nearwood::als::Params;
use nearwood::error::OpenError;
use nearwood::io::{EverybodyOptions, recommend_everybody};
use nearwood::recommend::{FitOptions, RecommendOptions};
use nearwood::store::Bytes;
use nearwood::{Effort, Error, Filter, Hit, Id, Recommender};
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::bulk;
use crate::convert::{self, Pair};
use crate::errors::OrRaise;
use crate::filter::{Token, filter, no_mask_of_numbers};
use crate::history;
use crate::ids::{self, Order};
use crate::interactions::interactions;
use crate::options::{Count, Progress, Threads, named, path_named, path_of, threads};
use crate::train;
use crate::unknown::Unknown;
use crate::watch;

/// Trained factors, their indexes, names and who has seen what: one artefact that answers "what
/// would this user play next?" and "what is near this?".
///
/// :meth:`recommend` ranks by inner product, :meth:`similar` by cosine. Make one with :meth:`fit`,
/// :meth:`open` or :meth:`from_bytes`; it never changes.
///
/// >>> import nearwood as nw
/// >>> plays = nw.Interactions.from_columns(
/// ...     ["ann", "ann", "bob", "cy", "cy"], ["jazz", "blues", "jazz", "punk", "ska"])
/// >>> rec = nw.Recommender.fit(plays, factors=4, regularization=0.01)
/// >>> ids, scores = rec.recommend("bob", k=1)
/// >>> ids
/// array(['blues'], dtype=object)
/// >>> rec.similar("punk", k=1)[0]
/// array(['ska'], dtype=object)
/// >>> rec.recommend_for(["punk"], k=1)[0]
/// array(['ska'], dtype=object)
#[pyclass(name = "Recommender", module = "nearwood", frozen, weakref)]
pub struct PyRecommender {
    rec: Arc<Recommender>,
    token: Token,
}

/// What a call asks for, filter resolved.
struct Asked {
    k: usize,
    include_seen: bool,
    effort: Effort,
    filter: Option<Arc<Filter>>,
    n_threads: Option<usize>,
}

impl Asked {
    fn options(&self) -> RecommendOptions<'_> {
        RecommendOptions {
            k: self.k,
            include_seen: self.include_seen,
            effort: self.effort,
            filter: self.filter.as_deref(),
            n_threads: self.n_threads,
        }
    }
}

#[pymethods]
impl PyRecommender {
    /// Trains on interactions and builds the indexes.
    ///
    /// Args:
    ///     data: `Interactions` with raw weights, or a scipy sparse matrix (users x items).
    ///     factors: The length of a vector, 1 to 4096.
    ///     weighting: What makes raw weights ready: "log1p", "raw", "bm25", "normalized" or
    ///         "normalized:0.3": see `Interactions.weighted`.
    ///     item_names: Names for people: a mapping from item id, as a dict, a Series with the ids as
    ///         its index or a table of two columns is; or a list in the order of `data.item_ids`. An
    ///         item without a name in a mapping is named by its id.
    ///     progress: True: a bar on a terminal's standard error; or a callable(done, total).
    ///     callback: Called with (iteration, loss) after each epoch; a true answer ends the training
    ///         and keeps the model as it is.
    ///
    /// The others are those of `AlternatingLeastSquares`; an unobserved weight of 0.2 and a
    /// regularization of 1 serve listening and check-ins alike.
    ///
    /// Raises:
    ///     ValueError: If there are no interactions or a weight is NaN or infinite.
    #[staticmethod]
    #[pyo3(signature = (data, factors=Count(64), *, weighting="log1p", item_names=None,
        regularization=1.0, alpha=1.0, iterations=Count(15), confidence="ials",
        unobserved_weight=0.2, regularization_scaling=0.0, solver="auto", cg_steps=Count(3),
        random_state=0, n_threads=None, progress=None, callback=None),
        text_signature = "(data, factors=64, *, weighting=\"log1p\", item_names=None, regularization=1.0, alpha=1.0, iterations=15, confidence=\"ials\", unobserved_weight=0.2, regularization_scaling=0.0, solver=\"auto\", cg_steps=3, random_state=0, n_threads=None, progress=True, callback=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
    fn fit(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = named::factors)] factors: Count,
        weighting: &str,
        item_names: Option<&Bound<'_, PyAny>>,
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
        progress: Option<&Bound<'_, PyAny>>,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyRecommender> {
        let data = interactions(data, "data")?;
        let params = Params {
            factors: factors.0,
            regularization,
            alpha,
            iterations: iterations.0,
            cg_steps: cg_steps.0,
            unobserved_weight,
            regularization_scaling,
            seed: random_state,
            n_threads: threads(n_threads),
            ..Params::default()
        };
        let options = FitOptions {
            params: train::named(params, confidence, solver)?,
            weighting: weighting.parse().or_raise()?,
            labels: item_names
                .map(|names| ids::names(names, &data.items, "item_names", "item", Order::Any))
                .transpose()?,
        };
        let progress = train::shown(py, progress);
        let fitted = train::run(py, Some(&progress), callback, |watched| {
            let go_on = |_, _| !watched.stopped();
            Recommender::fit_with(&data, &options, |t| train::attend(t, watched), &go_on)
        })?;
        Ok(PyRecommender::new(fitted.or_raise()?))
    }

    /// Opens a file by mapping it; nothing is read until a question needs it.
    ///
    /// Args:
    ///     path: str or PathLike.
    ///     prefault: Read the whole file into memory now.
    ///     verify: Check every checksum and every section; reads the whole file.
    ///     in_memory: Copy the file into the memory of this process rather than map it. For file
    ///         systems that do not map files (some network and container mounts).
    ///
    /// Raises:
    ///     FileNotFoundError: If there is no such file.
    ///     FormatError: If the file is damaged, cut short, or not a recommender.
    ///     OSError: If the path names a pipe, a socket or a device, or the file system does not map
    ///         files.
    #[staticmethod]
    #[pyo3(signature = (path, *, prefault=false, verify=false, in_memory=false))]
    fn open(
        path: &Bound<'_, PyAny>,
        prefault: bool,
        verify: bool,
        in_memory: bool,
    ) -> PyResult<PyRecommender> {
        let file = path_of(path)?;
        let opened = watch::detach(path.py(), || {
            let rec = match (in_memory, prefault) {
                (true, _) => Recommender::open_in_memory(file),
                (_, true) => Recommender::open_prefault(file),
                _ => Recommender::open(file),
            }?;
            if verify {
                rec.verify()?;
            }
            Ok::<_, OpenError>(rec)
        })?;
        Ok(PyRecommender::new(opened.or_raise()?))
    }

    /// Opens the bytes of a file: `bytes` or anything with a buffer. They are copied.
    ///
    /// Raises:
    ///     FormatError: If the bytes are damaged, cut short, or something else's.
    #[staticmethod]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<PyRecommender> {
        let bytes = convert::bytes_of(data)?;
        let bytes = bytes.as_bytes();
        let opened = watch::detach(data.py(), || Recommender::from_bytes(bytes))?;
        Ok(PyRecommender::new(opened.or_raise()?))
    }

    /// Checks every checksum of a file and everything that its sections name.
    ///
    /// Raises:
    ///     FormatError: At the first thing that is wrong.
    #[staticmethod]
    fn verify(path: &Bound<'_, PyAny>) -> PyResult<()> {
        let file = path_of(path)?;
        let verified = watch::detach(path.py(), || {
            let rec = Recommender::from_shared(Bytes::map_or_read(&file)?)?;
            rec.verify()
        })?;
        verified.or_raise()
    }

    /// Writes the file so that a crash leaves the old one or the whole new one.
    ///
    /// Raises:
    ///     OSError: If the path cannot be written.
    fn save(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let file = path_of(path)?;
        watch::detach(path.py(), || self.rec.save(file))?.or_raise()
    }

    /// The bytes of the file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        bulk::bytes(py, self.rec.as_bytes())
    }

    /// The best items for one user or many.
    ///
    /// Args:
    ///     user: An id, or a sequence of m ids.
    ///     k: How many items.
    ///     include_seen: Whether items that the user has already may come up.
    ///     recall: The share of the true best items to find on average; 0.95 unless told.
    ///     exact: Look at every item.
    ///     filter: Which items may come up: a bool mask in the order of `items`, an array of ids, or
    ///         a `Filter`.
    ///     n_threads: Threads for many users; None: all cores.
    ///     unknown: What becomes of users that the model does not know: "raise", or "skip" to give
    ///         each an empty row, with an `UnknownIdWarning` that names them.
    ///
    /// Returns:
    ///     (ids, scores): (k,) or (m, k), scores float32, best first; -1 (None for string ids) and
    ///     -inf where there are no more. A user without history gets none; an item that no user has
    ///     is never recommended.
    ///
    /// Raises:
    ///     KeyError: If there is no such user, unless `unknown` is "skip".
    #[pyo3(signature = (user, k=Count(20), *, include_seen=false, recall=None, exact=false,
        filter=None, n_threads=None, unknown="raise"),
        text_signature = "($self, user, k=20, *, include_seen=False, recall=None, exact=False, filter=None, n_threads=None, unknown=\"raise\")")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
    fn recommend<'py>(
        &self,
        py: Python<'py>,
        user: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::k)] k: Count,
        include_seen: bool,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        exact: bool,
        filter: Option<&Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
        unknown: &str,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let asked = self.asked(k, include_seen, recall, exact, filter, n_threads)?;
        if ids::is_one(user) {
            let Some(user) = self.one_user(user, unknown)? else {
                return self.hits(py, &[], asked.k);
            };
            let hits =
                watch::detach(py, || self.rec.recommend(user, asked.options()))?.or_raise()?;
            return self.hits(py, &hits, asked.k);
        }
        convert::tuple(py, self.lists(py, &self.users_of(user, "user", unknown)?, &asked)?)
    }

    /// The best items for every user, or for many.
    ///
    /// Args:
    ///     k: How many items a user.
    ///     out: A file to write `user, item, rank, score` to: `.parquet`, `.csv`, `.tsv` or
    ///         `.jsonl`. Memory stays bounded. None: arrays are returned.
    ///     users: Ids, in the order wanted; None: all users of the training.
    ///     unknown: What becomes of users that the model does not know: "raise", or "skip" to give each
    ///         an empty row, or no row in a file, with an `UnknownIdWarning` that names them.
    ///     resume: Go on with an earlier call for the same `out` that was ended before it was done:
    ///         what that had done is kept in the folder `<out>.parts` until the file is whole.
    ///         Without it such a folder is thrown away. Only with `out`.
    ///     progress: True: a bar on a terminal's standard error; or a callable(done, total). Only
    ///         with `out`.
    ///
    /// The others are those of :meth:`recommend`. Every item is looked at if `recall` is 1 or
    /// `exact` is true, and where that is faster than the index: see docs/tuning.md.
    ///
    /// Returns:
    ///     (ids, scores), (n, k) in the order of `users`; or with `out` the number of rows written.
    ///
    /// Raises:
    ///     KeyError: If there is no such user, unless `unknown` is "skip".
    ///     OSError: If the file cannot be written; BlockingIOError if another job is writing it.
    ///     ValueError: If `resume` finds the parts of another job.
    #[pyo3(signature = (k=Count(20), out=None, *, users=None, include_seen=false, recall=None,
        exact=false, filter=None, n_threads=None, resume=false, progress=None, unknown="raise"),
        text_signature = "($self, k=20, out=None, *, users=None, include_seen=False, recall=None, exact=False, filter=None, n_threads=None, resume=False, progress=False, unknown=\"raise\")")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
    fn recommend_all<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = named::k)] k: Count,
        out: Option<&Bound<'py, PyAny>>,
        users: Option<&Bound<'py, PyAny>>,
        include_seen: bool,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        exact: bool,
        filter: Option<&Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
        resume: bool,
        progress: Option<&Bound<'py, PyAny>>,
        unknown: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = self.asked(k, include_seen, recall, exact, filter, n_threads)?;
        let progress = Progress::new(progress, "recommending")?;
        let users = users.map(|users| self.chosen(users, unknown)).transpose()?;
        let Some(out) = out else {
            let all = || (0..self.rec.n_users() as u32).map(Some).collect();
            let users = users.unwrap_or_else(all);
            return Ok(convert::tuple(py, self.lists(py, &users, &asked)?)?.into_any());
        };
        let out = path_named(out, "out")?;
        let recommend = asked.options();
        let users: Option<Vec<u32>> = users.map(|users| users.into_iter().flatten().collect());
        let options = EverybodyOptions { recommend, users: users.as_deref(), resume };
        let work = |watched: &watch::Watched| self.write(&out, options, watched);
        let rows = watch::run(py, work, progress.listener())?;
        Ok(rows.or_raise()?.into_pyobject(py)?.into_any())
    }

    /// The items at the smallest angle to one, itself left out. An item without a vector, which no
    /// user has or whose weights are all 0, has none and is never one.
    ///
    /// Args:
    ///     item: An id, or a name.
    ///     k: How many items.
    ///
    /// Returns:
    ///     (ids, distances): (k,), distances 1 - cos, float32; -1 (None for string ids) and inf
    ///     where there are no more.
    ///
    /// Raises:
    ///     KeyError: If nothing bears the id or the name.
    ///     ValueError: If several items bear the name; they are listed.
    #[pyo3(signature = (item, k=Count(10), *, recall=None, exact=false, filter=None),
        text_signature = "($self, item, k=10, *, recall=None, exact=False, filter=None)")]
    fn similar<'py>(
        &self,
        py: Python<'py>,
        item: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::k)] k: Count,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        exact: bool,
        filter: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let position = self.item(item)?;
        let asked = self.asked(k, false, recall, exact, filter, Some(Threads(Some(1))))?;
        let options = convert::batch(k.0, asked.effort, asked.filter.as_deref(), Some(1));
        let hits = watch::detach(py, || self.rec.similar(position, options))?.or_raise()?;
        convert::tuple(py, convert::hits(py, self.rec.similarity(), &hits, k.0)?)
    }

    /// The best items for somebody who was not in the training, from their history.
    ///
    /// Args:
    ///     history: Item ids, (id, weight) pairs, or a mapping from id to weight, as a dict, a Series
    ///         with the ids as its index or a table of two columns is; raw weights, as the training's.
    ///         An id alone weighs 1; what stands twice is summed.
    ///     unknown: What becomes of items that the model does not know: "raise", or "skip" to leave
    ///         them out, with an `UnknownIdWarning` that names them.
    ///
    /// The others and the result are those of :meth:`recommend`.
    ///
    /// Raises:
    ///     KeyError: If an item is not there.
    ///     ValueError: If a weight is NaN or infinite.
    #[pyo3(signature = (history, k=Count(20), *, include_seen=false, recall=None, exact=false,
        filter=None, unknown="raise"),
        text_signature = "($self, history, k=20, *, include_seen=False, recall=None, exact=False, filter=None, unknown=\"raise\")")]
    fn recommend_for<'py>(
        &self,
        py: Python<'py>,
        history: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::k)] k: Count,
        include_seen: bool,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        exact: bool,
        filter: Option<&Bound<'py, PyAny>>,
        unknown: &str,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let history = history::of(history, self.rec.items(), unknown)?;
        let asked = self.asked(k, include_seen, recall, exact, filter, Some(Threads(Some(1))))?;
        let hits =
            watch::detach(py, || self.rec.recommend_for(&history, asked.options()))?.or_raise()?;
        self.hits(py, &hits, asked.k)
    }

    /// The vector of somebody known by their history alone, (factors,) float32.
    ///
    /// Raises:
    ///     KeyError: If there is no such item, unless `unknown` is "skip".
    #[pyo3(signature = (history, *, unknown="raise"))]
    fn fold_in<'py>(
        &self,
        py: Python<'py>,
        history: &Bound<'py, PyAny>,
        unknown: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let history = history::of(history, self.rec.items(), unknown)?;
        let vector = watch::detach(py, || self.rec.fold_in(&history))?.or_raise()?;
        Ok(numpy::PyArray1::from_vec(py, vector).into_any())
    }

    /// The ids of the items that a user has, in no order.
    ///
    /// Raises:
    ///     KeyError: If there is no such user.
    fn seen<'py>(&self, py: Python<'py>, user: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let user = self.user(&convert::id_of(user)?)?;
        let seen = self.rec.seen(user);
        convert::ids_of(py, self.rec.items(), seen.len(), |at| seen[at])
    }

    /// The id that a person means by `name`: an item's id, or else its name.
    ///
    /// Raises:
    ///     KeyError: If nothing bears the name.
    ///     ValueError: If several items bear it; they are listed.
    fn find<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let position = self.rec.items().find(name).or_raise()?;
        convert::id_object(py, &self.rec.items().id(position))
    }

    /// The name of an item; None if the items have no names.
    ///
    /// Raises:
    ///     KeyError: If there is no such item.
    fn label(&self, item: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let items = self.rec.items();
        Ok(items.label(ids::position(items, item)?))
    }

    /// (n_users, factors) float32 in the order of `users`. A copy.
    #[getter]
    fn user_factors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        convert::owned_matrix(py, self.rec.user_factors().to_vec(), self.rec.items().dim())
    }

    /// (n_items, factors) float32 in the order of `items`. A copy.
    #[getter]
    fn item_factors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let all: Vec<u32> = (0..self.rec.items().len() as u32).collect();
        bulk::vectors(py, self.rec.items(), &all)
    }

    /// The users' ids: int64, or an object array of str. A copy.
    #[getter]
    fn users<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        ids::array(py, &self.rec.user_ids())
    }

    /// The items' ids: int64, or an object array of str. A copy.
    #[getter]
    fn items<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        ids::array(py, &self.rec.items().ids())
    }

    /// The objective after each epoch of the training.
    #[getter]
    fn loss_history(&self) -> Vec<f64> {
        self.rec.loss_history().to_vec()
    }

    /// What the recommender was trained with, by the names of the arguments:
    /// `Recommender.fit(data, **rec.params)` trains in the same way.
    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let arguments = train::arguments(py, self.rec.params())?;
        arguments.set_item("weighting", self.rec.weighting().to_string())?;
        Ok(arguments)
    }

    /// What the file is and was made with.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = convert::info(py, self.rec.items())?;
        info.set_item("n_users", self.rec.n_users())?;
        Ok(info)
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        convert::html(slf, &[])
    }

    fn __repr__(&self) -> String {
        let r = &self.rec;
        let factors = r.items().dim();
        format!("Recommender({} users, {} items, {factors} factors)", r.n_users(), r.items().len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let make = PyType::new::<PyRecommender>(py).getattr("from_bytes")?;
        (make, (self.to_bytes(py)?,)).into_pyobject(py)
    }

    /// A recommender never changes: its copy is itself.
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }
}

impl PyRecommender {
    /// The recommender itself.
    pub fn shared(&self) -> Arc<Recommender> {
        self.rec.clone()
    }

    fn new(rec: Recommender) -> PyRecommender {
        PyRecommender { token: Token::new(rec.items()), rec: Arc::new(rec) }
    }

    fn asked(
        &self,
        k: Count,
        include_seen: bool,
        recall: Option<f64>,
        exact: bool,
        allowed: Option<&Bound<'_, PyAny>>,
        n_threads: Option<Threads>,
    ) -> PyResult<Asked> {
        Ok(Asked {
            k: k.0,
            include_seen,
            effort: convert::effort(recall, None, exact)?,
            filter: filter(allowed, self.rec.items(), self.token)?,
            n_threads: threads(n_threads),
        })
    }

    fn user(&self, id: &Id) -> PyResult<u32> {
        let text = self.rec.has_text_user_ids();
        self.rec.user(id).ok_or_else(|| ids::unknown("user", id, self.rec.n_users(), text))
    }

    /// The one user that is asked for; `None` if unknown and to be skipped.
    fn one_user(&self, user: &Bound<'_, PyAny>, unknown: &str) -> PyResult<Option<u32>> {
        let (mut unknown, id) = (Unknown::new(unknown, "user")?, convert::id_of(user)?);
        let found = unknown.or_skip(self.user(&id), || id.clone())?;
        unknown.warn(user.py(), 1)?;
        Ok(found)
    }

    /// A number for each of `users`; `None` for those that are unknown and to be skipped.
    fn users_of(
        &self,
        users: &Bound<'_, PyAny>,
        what: &str,
        unknown: &str,
    ) -> PyResult<Vec<Option<u32>>> {
        let mut unknown = Unknown::new(unknown, "user")?;
        let ids = ids::plain(ids::several(users, what)?);
        let number = |row| {
            let id = ids.get(row);
            unknown.or_skip(self.user(&id), || id.clone())
        };
        let found = (0..ids.len()).map(number).collect::<PyResult<_>>()?;
        unknown.warn(users.py(), ids.len())?;
        Ok(found)
    }

    /// [`users_of`](Self::users_of) for `users=`, which is no mask.
    fn chosen(&self, users: &Bound<'_, PyAny>, unknown: &str) -> PyResult<Vec<Option<u32>>> {
        let ids = ids::plain(ids::several(users, "users")?);
        let remedy = "give rec.users[mask.astype(bool)]";
        no_mask_of_numbers(&ids, self.rec.n_users(), "users", remedy)?;
        self.users_of(&ids::array(users.py(), &ids), "users", unknown)
    }

    fn item(&self, item: &Bound<'_, PyAny>) -> PyResult<u32> {
        match item.cast::<PyString>() {
            Ok(name) => self.rec.items().find(name.to_str()?).or_raise(),
            Err(_) => ids::position(self.rec.items(), item),
        }
    }

    fn hits<'py>(&self, py: Python<'py>, hits: &[Hit], k: usize) -> PyResult<Bound<'py, PyTuple>> {
        convert::tuple(py, convert::hits(py, self.rec.items(), hits, k)?)
    }

    /// Lists for users, an empty one for each that is not known.
    fn lists<'py>(
        &self,
        py: Python<'py>,
        users: &[Option<u32>],
        asked: &Asked,
    ) -> PyResult<Pair<'py>> {
        let known: Vec<u32> = users.iter().flatten().copied().collect();
        let answers =
            watch::detach(py, || self.rec.recommend_batch(&known, asked.options()))?.or_raise()?;
        let answers = match known.len() == users.len() {
            true => answers,
            false => {
                let asked: Vec<bool> = users.iter().map(Option::is_some).collect();
                answers.spread(&asked, self.rec.items().metric().missing()).or_raise()?
            }
        };
        convert::answers(py, self.rec.items(), answers, false)
    }

    /// The number of rows written.
    fn write(
        &self,
        out: &std::path::Path,
        options: EverybodyOptions<'_>,
        watched: &watch::Watched,
    ) -> Result<u64, Error> {
        let go_on = |done, total| watched.report(done, total, f64::NAN) && !watched.stopped();
        let written = recommend_everybody(&self.rec, out, options, go_on)?;
        // Stopped: what stopped it is raised instead.
        Ok(written.map_or(0, |written| written.rows))
    }
}
