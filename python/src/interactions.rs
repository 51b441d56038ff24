//! `nearwood.Interactions`.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use nearwood::io::{BadRows, ReadOptions, read_all_interactions};
use nearwood::recommend::{HalfLife, TimeUnit, Weighting};
use nearwood::{Ids, Interactions};
use numpy::PyArray1;
use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyTuple};

use crate::convert;
use crate::errors::{OrRaise, value_error, warn};
use crate::evaluation;
use crate::export;
use crate::frame::{self, Names};
use crate::ids;
use crate::options::{Count, Named, named, path_as_given};
use crate::scalar::{is_bool, shown};
use crate::sparse;
use crate::watch;

/// Who had what, and how often: a users x items matrix with the ids of its rows and columns.
///
/// Make one with :meth:`from_frame`, :meth:`from_columns`, :meth:`from_matrix` or :meth:`read`.
/// Users and items are numbered in order of first appearance; rows of the same pair are summed.
///
/// >>> import nearwood as nw
/// >>> plays = nw.Interactions.from_columns(["ann", "ann", "bob"], ["x", "y", "x"], [3, 1, 2])
/// >>> plays
/// Interactions(2 users, 2 items, 3 interactions)
/// >>> plays.user_ids
/// array(['ann', 'bob'], dtype=object)
#[pyclass(name = "Interactions", module = "nearwood", frozen)]
pub struct PyInteractions {
    /// Shared with the models trained on it.
    pub data: Arc<Interactions>,
    /// Rows that were passed over when it was read, and what was wrong with the first of them.
    skipped: (u64, Vec<String>),
    /// Of the training part of a split: users of whom nothing is held out.
    users_left_whole: Option<usize>,
}

impl PyInteractions {
    /// Interactions that no split made.
    pub fn new(data: Interactions) -> PyInteractions {
        PyInteractions { data: Arc::new(data), skipped: (0, Vec::new()), users_left_whole: None }
    }

    fn counted((data, bad): (Interactions, BadRows)) -> PyInteractions {
        PyInteractions { skipped: (bad.count(), bad.first()), ..PyInteractions::new(data) }
    }

    /// The training part of a split.
    pub fn training(data: Interactions, users_left_whole: usize) -> PyInteractions {
        PyInteractions { users_left_whole: Some(users_left_whole), ..PyInteractions::new(data) }
    }
}

/// Interactions, or a sparse matrix whose rows and columns are their own ids.
pub fn interactions(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Arc<Interactions>> {
    match object.cast::<PyInteractions>() {
        Ok(data) => Ok(data.get().data.clone()),
        Err(_) => Ok(Arc::new(Interactions::from_matrix(sparse::csr(object, what)?))),
    }
}

#[pymethods]
impl PyInteractions {
    /// From a table's columns, by name.
    ///
    /// Args:
    ///     table: A pandas or polars DataFrame, a pyarrow Table, anything with the Arrow C stream;
    ///         or a dict of columns, and whatever else gives numpy a column as `table[name]`.
    ///     user: The column of user ids, integers or strings.
    ///     item: The column of item ids, integers or strings.
    ///     weight: The column of weights, any numbers; None: each row weighs 1.
    ///     time: The column of times: integers, kept as they are, or timestamps, dates and ISO 8601
    ///         strings, which become seconds since 1970.
    ///     errors: What becomes of rows that cannot be read: "raise", or "skip" to count them
    ///         (`n_skipped`), which takes a table with the Arrow C stream.
    ///
    /// Raises:
    ///     KeyError: If there is no such column.
    ///     ValueError: If an id or a time is missing, or a weight is NaN or infinite; the first such
    ///         rows are named.
    #[staticmethod]
    #[pyo3(signature = (table, *, user, item, weight=None, time=None, errors="raise"))]
    fn from_frame(
        table: &Bound<'_, PyAny>,
        user: &Bound<'_, PyAny>,
        item: &Bound<'_, PyAny>,
        weight: Option<&Bound<'_, PyAny>>,
        time: Option<&Bound<'_, PyAny>>,
        errors: &str,
    ) -> PyResult<PyInteractions> {
        let skip = is_skip(errors)?;
        let table = &frame::table(table, [Some(user), Some(item), weight, time])?;
        if let Some(names) = names(user, item, weight, time)
            && let Some(read) = frame::interactions(table, &names, skip)?
        {
            return Ok(PyInteractions::counted(read));
        }
        if skip {
            let text = "errors=\"skip\" needs a table with the Arrow C stream (pandas with pyarrow, \
                        polars, pyarrow, DuckDB) and columns named by strings";
            return Err(value_error(text));
        }
        let weights = weight.map(|name| column(table, name)).transpose()?;
        let times = time.map(|name| column(table, name)).transpose()?;
        let (users, items) = (column(table, user)?, column(table, item)?);
        Self::from_columns(&users, &items, weights.as_ref(), times.as_ref())
    }

    /// From columns of equal length.
    ///
    /// Args:
    ///     users: (n,) integers or strings.
    ///     items: (n,) integers or strings.
    ///     weights: (n,) numbers; None: each row weighs 1.
    ///     times: (n,) integers, kept as they are, or datetimes and ISO 8601 strings, which become
    ///         seconds since 1970.
    ///
    /// Raises:
    ///     ValueError: If the lengths differ, an id is -1, a time is missing, or a weight is NaN or
    ///         infinite.
    #[staticmethod]
    #[pyo3(signature = (users, items, weights=None, times=None))]
    fn from_columns(
        users: &Bound<'_, PyAny>,
        items: &Bound<'_, PyAny>,
        weights: Option<&Bound<'_, PyAny>>,
        times: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyInteractions> {
        let weights = weights.map(|weights| sparse::weights(weights, "weights")).transpose()?;
        let dated = times.is_some_and(ids::are_dates);
        let times = times.map(|times| ids::times(times, "times")).transpose()?;
        let (user_ids, item_ids) = (ids::column(users, "users")?, ids::column(items, "items")?);
        let made = watch::detach(users.py(), || {
            Interactions::from_columns(user_ids, item_ids, weights, times)
        })?
        .or_raise();
        let time_unit = if dated { TimeUnit::Seconds } else { TimeUnit::Unknown };
        made.map(|data| PyInteractions::new(Interactions { time_unit, ..data }))
    }

    /// From a scipy sparse matrix, users x items.
    ///
    /// Args:
    ///     matrix: CSR or COO; others are converted by their `tocsr`.
    ///     user_ids: An id for each row; None: 0, 1, 2, ...
    ///     item_ids: An id for each column; None: 0, 1, 2, ...
    ///
    /// Raises:
    ///     ValueError: If the ids are not one for each row or column.
    #[staticmethod]
    #[pyo3(signature = (matrix, *, user_ids=None, item_ids=None))]
    fn from_matrix(
        matrix: &Bound<'_, PyAny>,
        user_ids: Option<&Bound<'_, PyAny>>,
        item_ids: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyInteractions> {
        let mut data = Interactions::from_matrix(sparse::csr(matrix, "matrix")?);
        if let Some(given) = user_ids {
            data.users = checked(ids::ids(given, "user_ids")?, data.matrix.n_rows(), "user_ids")?;
        }
        if let Some(given) = item_ids {
            data.items = checked(ids::ids(given, "item_ids")?, data.matrix.n_cols(), "item_ids")?;
        }
        Ok(PyInteractions::new(data))
    }

    /// Reads files: csv, tsv, Parquet, Feather or lists `user item item ...`; each may be compressed
    /// with gzip, zstd or bzip2.
    ///
    /// Args:
    ///     path: str or PathLike, or a list of them, whose rows are read as one table: files; folders,
    ///         which stand for the files in them (`day=2024-01-31` in a folder's name is a column
    ///         `day`); or patterns with `*`.
    ///     user: The column of users, by name or by number from 0; lists need none.
    ///     item: The column of items, likewise.
    ///     weight: The column of weights, likewise; None: each row weighs 1.
    ///     time: The column of times, likewise: whole numbers, kept as they are, or dates, which
    ///         become seconds since 1970.
    ///     format: "table", "lists", "parquet" or "arrow"; None: told from the file.
    ///     errors: What becomes of rows that cannot be read: "raise", or "skip" to count them
    ///         (`n_skipped`).
    ///     delimiter: Delimiter of a table: a character, "tab", "space" (any run of blanks) or "::";
    ///         None: taken from the first lines.
    ///     quote: Quotes around fields: "double", "single", "none" or a character; None: double quotes,
    ///         unless the first lines show that the file quotes nothing.
    ///     header: Whether the first line of a table names its columns; None: unless all columns are
    ///         given by number.
    ///     encoding: Of text, such as "latin-1"; None: UTF-8, or UTF-16 if a mark says so.
    ///     keep_null_ids: Take `NULL`, `NaN`, `NA`, `None` and `\\N` in text for ids like others, rather
    ///         than for rows that cannot be read.
    ///
    /// Raises:
    ///     FileNotFoundError: If there is no such file.
    ///     FormatError: If lines are not what their format asks for; the first are named.
    ///     ValueError: If there is no such column; those there are are named.
    #[staticmethod]
    #[pyo3(signature = (path, *, user=None, item=None, weight=None, time=None, format=None,
        errors="raise", delimiter=None, quote=None, header=None, encoding=None,
        keep_null_ids=false))]
    #[allow(clippy::too_many_arguments)]
    fn read(
        path: &Bound<'_, PyAny>,
        user: Option<&Bound<'_, PyAny>>,
        item: Option<&Bound<'_, PyAny>>,
        weight: Option<&Bound<'_, PyAny>>,
        time: Option<&Bound<'_, PyAny>>,
        format: Option<&str>,
        errors: &str,
        delimiter: Option<&str>,
        quote: Option<&str>,
        header: Option<bool>,
        encoding: Option<&str>,
        keep_null_ids: bool,
    ) -> PyResult<PyInteractions> {
        let paths = paths(path)?;
        let name =
            |column: Option<&Bound<'_, PyAny>>| column.map(|c| c.str().map(|s| s.to_string()));
        let options = ReadOptions {
            user: name(user).transpose()?,
            item: name(item).transpose()?,
            weight: name(weight).transpose()?,
            time: name(time).transpose()?,
            format: parsed(format)?,
            delimiter: parsed(delimiter)?,
            quote: parsed(quote)?,
            header,
            encoding: parsed(encoding)?,
            skip_bad_rows: is_skip(errors)?,
            keep_null_ids,
        };
        let read = watch::detach(path.py(), || read_all_interactions(&paths, &options))?;
        read.or_raise().map(PyInteractions::counted)
    }

    /// The same interactions with weights made ready for training: "raw", "log1p" (sign(w) ln(1 +
    /// |w|)), "bm25", "normalized" (w divided by the root of how many items the user has times how
    /// many users the item has) or "normalized:0.3" for another exponent than 0.5. A `Recommender`
    /// does this itself: give it the raw ones.
    ///
    /// Args:
    ///     weighting: Its name.
    ///     half_life: Let the weights decay after the weighting, by the rules of :meth:`decayed`.
    ///         `data.decayed(h).weighted(w)`, and `nearwood train --half-life`, let the raw weights
    ///         decay before it, which gives other weights: log1p of a decayed count is not a decayed
    ///         log1p.
    ///     now: As there.
    ///
    /// Raises:
    ///     ValueError: If there is no such weighting, or as :meth:`decayed`.
    #[pyo3(signature = (weighting, *, half_life=None, now=None))]
    fn weighted(
        &self,
        py: Python<'_>,
        weighting: &str,
        half_life: Option<&Bound<'_, PyAny>>,
        now: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyInteractions> {
        let weighting: Weighting = weighting.parse().or_raise()?;
        let half_life = half_life.map(half_life_of).transpose()?;
        let now = now.map(moment).transpose()?;
        let data = watch::detach(py, || (*self.data).clone().weighted(weighting))?.or_raise()?;
        match half_life {
            Some(half_life) => faded(py, data, half_life, now),
            None => Ok(PyInteractions::new(data)),
        }
    }

    /// The same interactions, each weight halved for every `half_life` that it is older than `now`. Of
    /// rows that were summed only the latest time is known, and the sum decays by that.
    ///
    /// Args:
    ///     half_life: A number in the unit of the times; or a timedelta or text such as "90d", "12h" or
    ///         "30min", for times that are seconds (dates are).
    ///     now: A time, or a datetime, UTC unless it says otherwise; None: the latest of all times.
    ///         What is newer keeps its weight.
    ///
    /// Warns:
    ///     UserWarning: If some users keep less than a millionth of their weight.
    ///
    /// Raises:
    ///     ValueError: If there are no times, the half-life is not above 0 or its unit is not that of
    ///         the times, the latest time lies far beyond the others and `now` is not given, `now` is
    ///         before all times, or more than half of the users would keep next to nothing.
    #[pyo3(signature = (half_life, now=None))]
    fn decayed(
        &self,
        half_life: &Bound<'_, PyAny>,
        now: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyInteractions> {
        let (py, now) = (half_life.py(), now.map(moment).transpose()?);
        let half_life = half_life_of(half_life)?;
        let data = watch::detach(py, || (*self.data).clone())?;
        faded(py, data, half_life, now)
    }

    /// How many rows were passed over because they could not be read.
    #[getter]
    fn n_skipped(&self) -> u64 {
        self.skipped.0
    }

    /// What was wrong with the first rows that were passed over, at most five.
    #[getter]
    fn skipped(&self) -> Vec<String> {
        self.skipped.1.clone()
    }

    /// Two parts of the same users and items: one to train on, one to be measured on.
    ///
    /// Args:
    ///     method: "random", a share of all entries; "leave_k_out", k entries of each user, drawn;
    ///         "user_time", the latest k of each user; "time", the latest share of all entries. The
    ///         last two know only the latest time of a pair that was summed of several rows, and move
    ///         it whole: see the warning.
    ///     share: Of "random" and "time", above 0 and below 1.
    ///     k: Of "leave_k_out" and "user_time". Users with k entries or fewer stay whole in the
    ///         training: `train.users_left_whole` says how many.
    ///     seed: The same seed gives the same parts.
    ///
    /// Returns:
    ///     (train, test). A warning says that nothing is held out.
    ///
    /// Warns:
    ///     UserWarning: If pairs of the test were summed of rows on both sides of the cut. Cut the rows
    ///         by time before you make `Interactions` of each part.
    ///
    /// Raises:
    ///     ValueError: If an argument is out of its range, times are needed and not there, or no
    ///         time is later than the others.
    #[pyo3(signature = (method="random", *, share=0.2, k=Count(1), seed=0),
        text_signature = "($self, method=\"random\", *, share=0.2, k=1, seed=0)")]
    fn split(
        &self,
        py: Python<'_>,
        method: &str,
        #[pyo3(from_py_with = named::share)] share: f64,
        #[pyo3(from_py_with = named::k)] k: Count,
        #[pyo3(from_py_with = named::seed)] seed: u64,
    ) -> PyResult<(PyInteractions, PyInteractions)> {
        evaluation::split(py, &self.data, method, share, k.0, seed)
    }

    /// Of the training part of a split: users with entries of whom none is held out; else None.
    #[getter]
    fn users_left_whole(&self) -> Option<usize> {
        self.users_left_whole
    }

    /// The matrix in compressed rows: (indptr, indices, data), int64, int32 (int64 beyond 2^31
    /// items) and float32. Copies.
    #[getter]
    fn matrix<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let matrix = &self.data.matrix;
        let indptr: Vec<i64> = matrix.indptr().iter().map(|&at| at as i64).collect();
        let indices = match i32::try_from(matrix.n_cols()) {
            Ok(_) => {
                let narrow: Vec<i32> = matrix.indices().iter().map(|&c| c as i32).collect();
                PyArray1::from_vec(py, narrow).into_any()
            }
            Err(_) => {
                let wide: Vec<i64> = matrix.indices().iter().map(|&c| i64::from(c)).collect();
                PyArray1::from_vec(py, wide).into_any()
            }
        };
        let data = PyArray1::from_slice(py, matrix.values());
        (PyArray1::from_vec(py, indptr), indices, data).into_pyobject(py)
    }

    /// The matrix as a `scipy.sparse.csr_matrix`, which implicit and LightFM take too; its indices
    /// are int32 where they fit. Needs SciPy: ImportError where there is none.
    fn to_scipy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (indptr, indices, data): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
            self.matrix(py)?.extract()?;
        let sparse = py.import("scipy.sparse").map_err(|error| {
            let told = "to_scipy needs SciPy: pip install 'nearwood[scipy]'";
            let wanted = PyImportError::new_err(told);
            wanted.set_cause(py, Some(error));
            wanted
        })?;
        // SciPy widens the indices to the type of the offsets.
        let indptr = match i32::try_from(self.nnz()) {
            Ok(_) => indptr.call_method1("astype", (numpy::dtype::<i32>(py),))?,
            Err(_) => indptr,
        };
        sparse.call_method1("csr_matrix", ((data, indices, indptr), self.shape()))
    }

    /// When each interaction was, int64, in the order of `matrix`; of summed rows the latest. None
    /// if no times were given. A copy.
    #[getter]
    fn times<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<i64>>> {
        self.data.times.as_ref().map(|times| PyArray1::from_slice(py, times))
    }

    /// The interactions as a table for polars, pyarrow, DuckDB and whatever else reads Arrow streams:
    /// user, item, weight and, where there are times, time; a row each, in the order of `matrix`.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        export::stream(py, self.data.clone(), requested_schema)
    }

    /// The ids of the rows: int64, or an object array of str. A copy.
    #[getter]
    fn user_ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        ids::array(py, &self.data.users)
    }

    /// The ids of the columns: int64, or an object array of str. A copy.
    #[getter]
    fn item_ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        ids::array(py, &self.data.items)
    }

    /// (users, items).
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.data.matrix.n_rows(), self.data.matrix.n_cols())
    }

    /// The number of interactions, pairs counted once.
    #[getter]
    fn nnz(&self) -> usize {
        self.data.matrix.nnz()
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let times = slf.get().data.times.as_ref().map_or(0, Vec::len);
        convert::html(slf, &[("times", times)])
    }

    fn __repr__(&self) -> String {
        let (users, items) = self.shape();
        format!("Interactions({users} users, {items} items, {} interactions)", self.nnz())
    }
}

fn is_skip(errors: &str) -> PyResult<bool> {
    match errors {
        "raise" => Ok(false),
        "skip" => Ok(true),
        other => Err(value_error(format!("errors is {other:?}, expected \"raise\" or \"skip\""))),
    }
}

/// Parses a name, if there is one.
fn parsed<T: FromStr<Err = String>>(name: Option<&str>) -> PyResult<Option<T>> {
    name.map(|name| name.parse().map_err(value_error)).transpose()
}

/// One path, or several; `-` is standard input.
fn paths(object: &Bound<'_, PyAny>) -> PyResult<Vec<PathBuf>> {
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return object.try_iter()?.map(|path| path_as_given(&path?, "path")).collect();
    }
    Ok(vec![path_as_given(object, "path")?])
}

/// A number, text such as "90d", or a timedelta.
fn half_life_of(object: &Bound<'_, PyAny>) -> PyResult<HalfLife> {
    if let Ok(text) = object.extract::<String>() {
        return text.parse().map_err(value_error);
    }
    if object.hasattr("total_seconds")? {
        return Ok(HalfLife::Seconds(object.call_method0("total_seconds")?.extract()?));
    }
    // numpy.timedelta64 has no such method, and one of months no seconds.
    if object.get_type().name()? == "timedelta64" {
        let micros: i64 = object
            .call_method1("astype", ("m8[us]",))?
            .call_method1("astype", ("i8",))?
            .extract()?;
        return Ok(HalfLife::Seconds(micros as f64 / 1e6));
    }
    f64::named(object, "half_life").map(HalfLife::Units)
}

/// Decayed interactions, with a warning if little is left of some users.
fn faded(
    py: Python<'_>,
    data: Interactions,
    half_life: HalfLife,
    now: Option<i64>,
) -> PyResult<PyInteractions> {
    let (data, left) = watch::detach(py, || data.decayed_counted(half_life, now))?.or_raise()?;
    if left.faded > 0 {
        let text = format!(
            "{} of {} users keep less than a millionth of their weight: nothing is learnt of them",
            left.faded, left.users
        );
        warn(py, &text)?;
    }
    Ok(PyInteractions::new(data))
}

/// An integer, or a datetime's seconds since 1970; one without a zone is taken for UTC.
fn moment(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    if is_bool(object) {
        let text = format!("now is {}, expected an int or a datetime", shown(object));
        return Err(PyTypeError::new_err(text));
    }
    if let Ok(time) = object.extract() {
        return Ok(time);
    }
    let py = object.py();
    let aware = object.getattr("tzinfo").is_ok_and(|zone| !zone.is_none());
    if aware {
        return Ok(object.call_method0("timestamp")?.extract::<f64>()?.floor() as i64);
    }
    let array = py.import("numpy")?.call_method1("array", ([object], "M8[s]"))?;
    ids::times(&array, "now")?.first().copied().ok_or_else(|| value_error("now is no time"))
}

/// The names as Arrow needs them, which are strings.
fn names(
    user: &Bound<'_, PyAny>,
    item: &Bound<'_, PyAny>,
    weight: Option<&Bound<'_, PyAny>>,
    time: Option<&Bound<'_, PyAny>>,
) -> Option<Names> {
    let weight = weight.map(|name| name.extract()).transpose().ok()?;
    let time = time.map(|name| name.extract()).transpose().ok()?;
    Some(Names { user: user.extract().ok()?, item: item.extract().ok()?, weight, time })
}

/// A table's column. Libraries differ in what they raise for one that is not there.
fn column<'py>(table: &Bound<'py, PyAny>, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    table.get_item(name).map_err(|cause| {
        let error = ids::inputs(table.py())
            .and_then(|inputs| inputs.call_method1("missing_column", (table, name)));
        match error {
            Err(error) => error,
            Ok(error) => {
                let error = PyErr::from_value(error);
                error.set_cause(table.py(), Some(cause));
                error
            }
        }
    })
}

fn checked(ids: Ids, count: usize, what: &str) -> PyResult<Ids> {
    ids.check(count).map_err(|e| value_error(format!("{what}: {e}")))?;
    Ok(ids)
}
