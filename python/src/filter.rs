//! Which ids a search may find.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nearwood::{Filter, Ids, Index};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;

use crate::convert::as_array;
use crate::errors::value_error;
use crate::ids;

/// Tells one opened index from another.
pub fn next_token() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

enum Allowed {
    Mask(Vec<bool>),
    Ids(Ids),
}

impl Allowed {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Allowed> {
        let array = as_array(object)?;
        match array.as_any().cast::<PyArray1<bool>>() {
            Ok(mask) => {
                Ok(Allowed::Mask(mask.try_readonly()?.as_array().iter().copied().collect()))
            }
            Err(_) => Ok(Allowed::Ids(ids::ids(object, "filter")?)),
        }
    }

    fn resolve(&self, index: &Index) -> PyResult<Filter> {
        match self {
            Allowed::Mask(mask) if mask.len() == index.len() => Ok(Filter::from_mask(index, mask)),
            Allowed::Mask(mask) => Err(value_error(format!(
                "the mask has {} values, expected {}, one for each vector",
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
}

/// Ids that are not there are passed over: a shop's list may be ahead of last night's index. Ids of
/// the other type are a mistake.
fn of_ids(index: &Index, ids: &Ids) -> PyResult<Filter> {
    let text = matches!(ids, Ids::Text(_));
    if !ids.is_empty() && text != index.has_text_ids() {
        let name = |text| if text { "strings" } else { "integers" };
        let (got, expected) = (name(text), name(index.has_text_ids()));
        return Err(value_error(format!("the filter's ids are {got}, the index's are {expected}")));
    }
    let place = |row| index.position(&ids.get(row));
    Ok(Filter::from_positions(index, (0..ids.len()).filter_map(place)))
}

/// Which ids a search may find, made ready once for many searches.
///
/// Args:
///     allowed: An array of ids, or a bool mask of shape (n,) in the order in which the vectors
///         were given. Ids that an index does not have are passed over.
///
/// The first search of an index resolves it, the next ones find that done.
///
/// >>> import numpy as np, nearwood as nw
/// >>> index = nw.Index.build(np.eye(4, dtype=np.float32))
/// >>> odd = nw.Filter([1, 3])
/// >>> index.search(np.ones(4), k=4, filter=odd)[0]
/// array([ 1,  3, -1, -1])
#[pyclass(name = "Filter", module = "nearwood", frozen)]
pub struct PyFilter {
    allowed: Allowed,
    resolved: Mutex<Option<(u64, Arc<Filter>)>>,
}

#[pymethods]
impl PyFilter {
    #[new]
    fn new(allowed: &Bound<'_, PyAny>) -> PyResult<PyFilter> {
        Ok(PyFilter { allowed: Allowed::new(allowed)?, resolved: Mutex::new(None) })
    }

    fn __len__(&self) -> usize {
        self.allowed.len()
    }

    fn __repr__(&self) -> String {
        format!("Filter({} ids)", self.allowed.len())
    }
}

impl PyFilter {
    fn for_index(&self, index: &Index, token: u64) -> PyResult<Arc<Filter>> {
        let mut resolved = self.resolved.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, filter)) = resolved.as_ref().filter(|(of, _)| *of == token) {
            return Ok(filter.clone());
        }
        let filter = Arc::new(self.allowed.resolve(index)?);
        *resolved = Some((token, filter.clone()));
        Ok(filter)
    }
}

/// The filter of a call: None, a mask, ids, or a `Filter`.
pub fn filter(
    object: Option<&Bound<'_, PyAny>>,
    index: &Index,
    token: u64,
) -> PyResult<Option<Arc<Filter>>> {
    let Some(object) = object else { return Ok(None) };
    match object.cast::<PyFilter>() {
        Ok(filter) => filter.get().for_index(index, token).map(Some),
        Err(_) => Ok(Some(Arc::new(Allowed::new(object)?.resolve(index)?))),
    }
}
