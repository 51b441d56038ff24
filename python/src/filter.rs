//! Which ids a search may find.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nearwood::store::FileIdentity;
use nearwood::{Filter, Ids, Index};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use crate::errors::value_error;
use crate::ids::{self, Given, Order};

/// Tells one opened index from another.
#[derive(Clone, Copy, PartialEq)]
pub enum Token {
    /// An index in memory, by a number of its own.
    Handle(u64),
    /// A mapped file, however often it is open.
    File(FileIdentity),
}

impl Token {
    /// Of an index that was just built or opened.
    pub fn new(index: &Index) -> Token {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let handle = || Token::Handle(NEXT.fetch_add(1, Ordering::Relaxed));
        index.file_identity().map_or_else(handle, Token::File)
    }
}

enum Allowed {
    Mask(Vec<bool>),
    Ids(Ids),
}

impl Allowed {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Allowed> {
        Ok(match ids::given(object, "filter", Order::Any)? {
            Given::Mask(mask) => Allowed::Mask(mask),
            Given::Ids(ids) => Allowed::Ids(ids::plain(ids)),
        })
    }

    fn resolve(&self, index: &Index) -> PyResult<Filter> {
        match self {
            Allowed::Mask(mask) if mask.len() == index.len() => Ok(Filter::from_mask(index, mask)),
            Allowed::Mask(mask) => Err(value_error(format!(
                "filter: the mask has {} values, expected {}, one for each vector",
                mask.len(),
                index.len()
            ))),
            Allowed::Ids(ids) => of_ids(index, ids),
        }
    }

    fn len(&self) -> usize {
        match self {
            Allowed::Mask(mask) => mask.iter().filter(|&&pass| pass).count(),
            Allowed::Ids(ids) => ids.len(),
        }
    }

    /// As numpy, from which it is made again.
    fn to_array<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Allowed::Mask(mask) => PyArray1::from_slice(py, mask).into_any(),
            Allowed::Ids(ids) => ids::array(py, ids),
        }
    }
}

/// That ids are no mask of another type: a value for each of `n` rows, all of them 0 or 1 (or True
/// and False as text), one of them twice. Ids that are meant name nothing twice.
pub fn no_mask_of_numbers(ids: &Ids, n: usize, what: &str, remedy: &str) -> PyResult<()> {
    let (zeros, ones) = match ids {
        Ids::Int(ids) => {
            (ids.iter().filter(|&&id| id == 0).count(), ids.iter().filter(|&&id| id == 1).count())
        }
        Ids::Text(ids) => {
            let count = |name| ids.iter().filter(|id| id.eq_ignore_ascii_case(name)).count();
            (count("false"), count("true"))
        }
        Ids::Sequential(_) => return Ok(()),
    };
    if ids.len() != n || zeros + ones != n || zeros.max(ones) < 2 {
        return Ok(());
    }
    let names = match ids {
        Ids::Text(_) => "the strings True and False",
        _ => "zeros and ones",
    };
    Err(value_error(format!(
        "{what} holds {n} {names}, one for each row, which are read as ids: if it is a mask, {remedy}"
    )))
}

/// Ids that are not there are passed over: a shop's list may be ahead of last night's index. Ids of
/// the other type are a mistake.
fn of_ids(index: &Index, ids: &Ids) -> PyResult<Filter> {
    let remedy = match ids {
        Ids::Text(_) => "make bools of it (filter == \"True\")",
        _ => "make bools of it (.astype(bool))",
    };
    no_mask_of_numbers(ids, index.len(), "filter", remedy)?;
    let text = matches!(ids, Ids::Text(_));
    if !ids.is_empty() && text != index.has_text_ids() {
        let name = |text| if text { "strings" } else { "integers" };
        let (got, expected) = (name(text), name(index.has_text_ids()));
        return Err(value_error(format!("the filter's ids are {got}, the index's are {expected}")));
    }
    let place = |row| index.position(&ids.get(row));
    Ok(Filter::from_positions(index, (0..ids.len()).filter_map(place)))
}

/// How many indexes a filter stays ready for: shards, or an old and a new file next to each other. The
/// one used longest ago goes first.
const READY: usize = 16;

/// Which ids a search may find, made ready once for many searches.
///
/// Args:
///     allowed: Ids, as an array, a list, a set or a single one; or a mask of bools of shape (n,) in the
///         order in which the vectors were given. Ids that an index does not have are passed over.
///
/// The first search of an index resolves it; later searches of that index, or of another handle of the
/// same file, use what the first one found, for up to 16 indexes in turn. Filters can be pickled and
/// copied.
///
/// >>> import numpy as np, nearwood as nw
/// >>> index = nw.Index.build(np.eye(4, dtype=np.float32))
/// >>> odd = nw.Filter([1, 3])
/// >>> index.search(np.ones(4), k=4, filter=odd)[0]
/// array([ 1,  3, -1, -1])
#[pyclass(name = "Filter", module = "nearwood", frozen, weakref)]
pub struct PyFilter {
    allowed: Arc<Allowed>,
    /// The last used at the end.
    resolved: Mutex<Vec<(Token, Arc<Filter>)>>,
}

#[pymethods]
impl PyFilter {
    #[new]
    fn new(allowed: &Bound<'_, PyAny>) -> PyResult<PyFilter> {
        let allowed = match allowed.cast::<PyFilter>() {
            Ok(filter) => filter.get().allowed.clone(),
            Err(_) => Arc::new(Allowed::new(allowed)?),
        };
        Ok(PyFilter { allowed, resolved: Mutex::new(Vec::new()) })
    }

    fn __len__(&self) -> usize {
        self.allowed.len()
    }

    fn __repr__(&self) -> String {
        format!("Filter({} ids)", self.allowed.len())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (PyType::new::<PyFilter>(py), (self.allowed.to_array(py),)).into_pyobject(py)
    }

    /// A filter never changes: its copy is itself.
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }
}

impl PyFilter {
    fn for_index(&self, index: &Index, token: Token) -> PyResult<Arc<Filter>> {
        let mut resolved = self.resolved.lock().unwrap_or_else(|e| e.into_inner());
        let filter = match resolved.iter().position(|(of, _)| *of == token) {
            Some(at) => resolved.remove(at).1,
            None => Arc::new(self.allowed.resolve(index)?),
        };
        if resolved.len() >= READY {
            resolved.remove(0);
        }
        resolved.push((token, filter.clone()));
        Ok(filter)
    }
}

/// The filter of a call: None, a mask, ids, or a `Filter`.
pub fn filter(
    object: Option<&Bound<'_, PyAny>>,
    index: &Index,
    token: Token,
) -> PyResult<Option<Arc<Filter>>> {
    let Some(object) = object else { return Ok(None) };
    match object.cast::<PyFilter>() {
        Ok(filter) => filter.get().for_index(index, token).map(Some),
        Err(_) => Ok(Some(Arc::new(Allowed::new(object)?.resolve(index)?))),
    }
}
