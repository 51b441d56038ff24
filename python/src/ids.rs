//! Columns of ids, and the positions they name.

use nearwood::error::quoted;
use nearwood::recommend::IdColumn;
use nearwood::{Id, Ids, Index};
use numpy::{PyArray1, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::arrow;
use crate::convert::{as_array, id_of, kind};
use crate::errors::{unknown_id, value_error};

/// A column of ids: an integer array of any width, or strings; lists, Series and Index too.
///
/// Errors: `ValueError` for another shape or kind, or an integer beyond int64.
pub fn column(object: &Bound<'_, PyAny>, what: &str) -> PyResult<IdColumn> {
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return from_objects(object, what);
    }
    let array = as_array(object)?;
    if array.ndim() != 1 {
        return Err(value_error(format!("{what} has {} dimensions, expected 1", array.ndim())));
    }
    match kind(&array) {
        b'i' | b'u' => integers(&array, what).map(IdColumn::Int),
        b'O' | b'U' | b'T' => {
            from_objects(array.call_method0(intern!(object.py(), "tolist"))?.as_any(), what)
        }
        _ => Err(wrong(what, &array.dtype().to_string())),
    }
}

/// The same as the crate's ids.
pub fn ids(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Ids> {
    Ok(match column(object, what)? {
        IdColumn::Int(ids) => Ids::Int(ids),
        IdColumn::Text(ids) => Ids::Text(ids),
    })
}

fn integers(array: &Bound<'_, PyUntypedArray>, what: &str) -> PyResult<Vec<i64>> {
    let py = array.py();
    if let Ok(large) = array.as_any().cast::<PyArray1<u64>>() {
        let fits = |v: &u64| i64::try_from(*v).map_err(|_| beyond(what, v));
        return large.try_readonly()?.as_array().iter().map(fits).collect();
    }
    let wide = array.call_method1(intern!(py, "astype"), (numpy::dtype::<i64>(py),))?;
    Ok(wide.cast::<PyArray1<i64>>()?.try_readonly()?.as_array().iter().copied().collect())
}

/// A column of times: an integer array as it is; datetimes, or what numpy makes such of, in seconds
/// since 1970.
pub fn times(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<i64>> {
    let array = as_array(object)?;
    if array.ndim() != 1 {
        return Err(value_error(format!("{what} has {} dimensions, expected 1", array.ndim())));
    }
    match kind(&array) {
        b'i' | b'u' => integers(&array, what),
        b'M' | b'O' | b'U' | b'T' => {
            let seconds = array.call_method1(intern!(object.py(), "astype"), ("M8[s]",))?;
            let seconds: Vec<i64> = integers(seconds.cast()?, what)?;
            match seconds.iter().position(|&time| time == NOT_A_TIME) {
                Some(row) => Err(value_error(format!("{what}: row {row} is not a time"))),
                None => Ok(seconds),
            }
        }
        _ => {
            let got = array.dtype();
            Err(value_error(format!("{what} holds {got}, expected integers or datetimes")))
        }
    }
}

/// Whether times are dates or datetimes rather than numbers.
pub fn are_dates(object: &Bound<'_, PyAny>) -> bool {
    let Ok(array) = as_array(object) else { return false };
    match kind(&array) {
        b'M' | b'U' | b'T' => true,
        b'O' => array.get_item(0).is_ok_and(|first| first.extract::<i64>().is_err()),
        _ => false,
    }
}

/// numpy's NaT as an integer.
const NOT_A_TIME: i64 = i64::MIN;

fn from_objects(objects: &Bound<'_, PyAny>, what: &str) -> PyResult<IdColumn> {
    let mut column: Option<IdColumn> = None;
    for (row, object) in objects.try_iter()?.enumerate() {
        let object = object?;
        match (id_of(&object).map_err(|_| missing(what, row, &object))?, &mut column) {
            (Id::Int(id), Some(IdColumn::Int(ids))) => ids.push(id),
            (Id::Text(id), Some(IdColumn::Text(ids))) => ids.push(id),
            (Id::Int(id), None) => column = Some(IdColumn::Int(vec![id])),
            (Id::Text(id), None) => column = Some(IdColumn::Text(vec![id])),
            _ => return Err(wrong(what, "integers and strings")),
        }
    }
    Ok(column.unwrap_or(IdColumn::Int(Vec::new())))
}

fn missing(what: &str, row: usize, object: &Bound<'_, PyAny>) -> PyErr {
    let shown = object.repr().map_or_else(|_| "?".into(), |r| r.to_string());
    value_error(format!("{what}: row {row} is {shown}, expected an int64 or a str"))
}

fn wrong(what: &str, got: &str) -> PyErr {
    value_error(format!("{what} holds {got}, expected either integers or strings"))
}

fn beyond(what: &str, value: &u64) -> PyErr {
    value_error(format!("{what} holds {value}, ids are at most {}", i64::MAX))
}

/// Names for people: any sequence of str, as many as there are ids.
pub fn texts(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    let text = |item: PyResult<Bound<'_, PyAny>>| -> PyResult<String> {
        let item = item?;
        let shown = || item.repr().map_or_else(|_| "?".into(), |r| r.to_string());
        match item.cast::<PyString>() {
            Ok(text) => Ok(text.to_str()?.to_string()),
            Err(_) => Err(PyTypeError::new_err(format!("{what} holds {}, expected str", shown()))),
        }
    };
    // pyarrow's own iterator gives scalars that are no str.
    match arrow::is_exported(object)? {
        true => as_array(object)?.call_method0("tolist")?.try_iter()?.map(text).collect(),
        false => object.try_iter()?.map(text).collect(),
    }
}

/// Whether an argument is a single id rather than a column of them.
pub fn is_one(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyString>()
        || (object.hasattr(intern!(object.py(), "__index__")).unwrap_or(false)
            && object.len().is_err())
}

/// The position of an id.
///
/// Errors: `KeyError` if it is not there.
pub fn position(index: &Index, object: &Bound<'_, PyAny>) -> PyResult<u32> {
    let id = id_of(object)?;
    index.position(&id).ok_or_else(|| unknown("id", &id, index.len(), index.has_text_ids()))
}

/// The positions of ids.
///
/// Errors: `KeyError` at the first that is not there.
pub fn positions(index: &Index, object: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    let place = |id: Id| {
        let unknown = || unknown("id", &id, index.len(), index.has_text_ids());
        index.position(&id).ok_or_else(unknown)
    };
    match column(object, "ids")? {
        IdColumn::Int(ids) => ids.into_iter().map(|id| place(Id::Int(id))).collect(),
        IdColumn::Text(ids) => ids.into_iter().map(|id| place(Id::Text(id))).collect(),
    }
}

/// The `KeyError` of an id that is not there.
pub fn unknown(what: &str, id: &Id, count: usize, text: bool) -> PyErr {
    let kind = if text { "strings" } else { "integers" };
    let shown = match id {
        Id::Int(id) => id.to_string(),
        Id::Text(id) => quoted(id),
    };
    unknown_id(format!("there is no {what} {shown}: the {count} {what}s are {kind}"))
}

/// Ids as Python sees them: int64, or an object array of str.
pub fn array<'py>(py: Python<'py>, ids: &Ids) -> Bound<'py, PyAny> {
    match ids {
        Ids::Sequential(n) => {
            let all: Vec<i64> = (0..*n as i64).collect();
            PyArray1::from_vec(py, all).into_any()
        }
        Ids::Int(ids) => PyArray1::from_slice(py, ids).into_any(),
        Ids::Text(ids) => {
            let texts: Vec<Py<PyAny>> =
                ids.iter().map(|id| PyString::new(py, id).into_any().unbind()).collect();
            PyArray1::from_vec(py, texts).into_any()
        }
    }
}
