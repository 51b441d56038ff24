//! Columns of ids, and the positions they name.

use nearwood::error::quoted;
use nearwood::recommend::IdColumn;
use nearwood::{Id, Ids, Index};
use numpy::PyUntypedArrayMethods;
use numpy::{PyArray1, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::arrow::{self, Alone};
use crate::bulk;
use crate::convert::{as_array, kind};
use crate::errors::{unknown_id, value_error};
use crate::scalar::{Scalar, id_of, shown};

/// What an argument of one dimension holds.
pub enum Given {
    /// Bools, one a row.
    Mask(Vec<bool>),
    /// Ids.
    Ids(IdColumn),
}

/// Whether the order of a column's values matters.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    /// A value for each row: a set has none.
    Rows,
    /// Ids that are asked for or allowed.
    Any,
}

/// An argument of one dimension, of whatever make: numpy's and pandas' arrays, Arrow's and polars'
/// columns, lists, tuples, sets, views, generators, a single id.
///
/// Errors: `ValueError` for another shape or kind, a value that is missing, or an integer beyond
/// int64; `TypeError` for what is no column at all.
pub fn given(object: &Bound<'_, PyAny>, what: &str, order: Order) -> PyResult<Given> {
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return from_objects(object, what);
    }
    if let Ok(array) = object.cast_exact::<PyUntypedArray>() {
        return from_array(array, what);
    }
    if let Some(found) = arrow::given(object, what)? {
        return Ok(found);
    }
    let by_row = order == Order::Rows;
    let plain = inputs(object.py())?.call_method1("column", (object, what, by_row))?;
    match plain.cast::<PyUntypedArray>() {
        Ok(array) => from_array(array, what),
        Err(_) => from_objects(&plain, what),
    }
}

/// The module that makes Python's many makes of columns plain.
pub fn inputs(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    Ok(py.import(intern!(py, "nearwood._inputs"))?.into_any())
}

/// A column of ids, one a row.
///
/// Errors: as [`given`], and `ValueError` for bools.
pub fn column(object: &Bound<'_, PyAny>, what: &str) -> PyResult<IdColumn> {
    no_mask(given(object, what, Order::Rows)?, what)
}

/// Ids that are asked for, in any order and as a set, too.
///
/// Errors: as [`column`].
pub fn several(object: &Bound<'_, PyAny>, what: &str) -> PyResult<IdColumn> {
    no_mask(given(object, what, Order::Any)?, what)
}

/// Ids that are no mask.
pub fn no_mask(given: Given, what: &str) -> PyResult<IdColumn> {
    match given {
        Given::Ids(ids) => Ok(ids),
        // Nothing is nothing, whatever its type.
        Given::Mask(mask) if mask.is_empty() => Ok(IdColumn::Int(Vec::new())),
        Given::Mask(_) => Err(value_error(format!(
            "{what} holds bools, expected ids, which are integers or strings: where a mask is meant, \
             give the ids that it picks, ids[mask]"
        ))),
    }
}

fn from_array(array: &Bound<'_, PyUntypedArray>, what: &str) -> PyResult<Given> {
    if array.ndim() == 0 {
        return from_objects(
            PyList::new(array.py(), [array.call_method0("item")?])?.as_any(),
            what,
        );
    }
    if array.ndim() != 1 {
        let dimensions = array.ndim();
        return Err(value_error(format!("{what} has {dimensions} dimensions, expected 1")));
    }
    let is_mask = kind(array) == b'b';
    match kind(array) {
        _ if is_mask => {
            let mask = array.as_any().cast::<PyArray1<bool>>()?;
            let mask = mask.try_readonly()?;
            Ok(Given::Mask(bulk::collected(mask.as_array().iter().copied())?))
        }
        _ if array.is_empty() => Ok(Given::Ids(IdColumn::Int(Vec::new()))),
        b'i' | b'u' => Ok(Given::Ids(IdColumn::Int(integers(array, what)?))),
        b'O' | b'U' | b'T' | b'S' => {
            from_objects(array.call_method0(intern!(array.py(), "tolist"))?.as_any(), what)
        }
        b'f' => Err(value_error(format!(
            "{what} holds {}, expected either integers or strings, or for a filter a mask of bools: cast \
             it (.astype(\"int64\") for ids, .astype(bool) for a mask)",
            array.dtype()
        ))),
        _ => Err(wrong(what, &array.dtype().to_string())),
    }
}

/// The crate's ids of a column.
pub fn plain(column: IdColumn) -> Ids {
    match column {
        IdColumn::Int(ids) => Ids::Int(ids),
        IdColumn::Text(ids) => Ids::Text(ids),
    }
}

/// [`column`] as the crate's ids.
pub fn ids(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Ids> {
    column(object, what).map(plain)
}

fn integers(array: &Bound<'_, PyUntypedArray>, what: &str) -> PyResult<Vec<i64>> {
    let py = array.py();
    // A copy is aligned and in the machine's order of bytes, which what is given may not be.
    if kind(array) == b'u' && array.dtype().itemsize() == 8 {
        let wide = array.call_method1(intern!(py, "astype"), (numpy::dtype::<u64>(py),))?;
        let fits = |v: &u64| i64::try_from(*v).map_err(|_| beyond(what, v));
        let wide = wide.cast::<PyArray1<u64>>()?.try_readonly()?;
        return bulk::collected_ok(wide.as_array().iter().map(fits));
    }
    let wide = array.call_method1(intern!(py, "astype"), (numpy::dtype::<i64>(py),))?;
    let wide = wide.cast::<PyArray1<i64>>()?.try_readonly()?;
    bulk::collected(wide.as_array().iter().copied())
}

/// A column of times: an integer array as it is; datetimes, or what numpy makes such of, in seconds
/// since 1970.
pub fn times(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<i64>> {
    let array = as_array(object, what)?;
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
    let Ok(array) = as_array(object, "times") else { return false };
    match kind(&array) {
        b'M' | b'U' | b'T' => true,
        b'O' => array.get_item(0).is_ok_and(|first| first.extract::<i64>().is_err()),
        _ => false,
    }
}

/// numpy's NaT as an integer.
const NOT_A_TIME: i64 = i64::MIN;

/// Python's objects, all of them ids of one kind or all of them bools.
fn from_objects(objects: &Bound<'_, PyAny>, what: &str) -> PyResult<Given> {
    let mut found: Option<Given> = None;
    for (row, object) in objects.try_iter()?.enumerate() {
        let object = object?;
        match (Scalar::of(&object)?, &mut found) {
            (Scalar::Int(id), Some(Given::Ids(IdColumn::Int(ids)))) => ids.push(id),
            (Scalar::Text(id), Some(Given::Ids(IdColumn::Text(ids)))) => ids.push(id),
            (Scalar::Bool(pass), Some(Given::Mask(mask))) => mask.push(pass),
            (Scalar::Int(id), None) => found = Some(Given::Ids(IdColumn::Int(vec![id]))),
            (Scalar::Text(id), None) => found = Some(Given::Ids(IdColumn::Text(vec![id]))),
            (Scalar::Bool(pass), None) => found = Some(Given::Mask(vec![pass])),
            (Scalar::Missing, _) => return Err(missing(objects, what, row, &object)),
            (Scalar::Beyond, _) => return Err(beyond(what, &shown(&object))),
            (Scalar::Other(why), _) => {
                let shown = shown(&object);
                let text = format!("{what}: row {row} is {shown}{why}, expected an int64 or a str");
                return Err(value_error(text));
            }
            (Scalar::Bool(_), Some(_)) | (_, Some(Given::Mask(_))) => {
                let shown = shown(&object);
                return Err(value_error(format!(
                    "{what}: row {row} is {shown}, among others of another type: give ids, integers \
                     or strings, or a mask of bools alone"
                )));
            }
            _ => return Err(wrong(what, "integers and strings")),
        }
    }
    Ok(found.unwrap_or(Given::Ids(IdColumn::Int(Vec::new()))))
}

/// The error of a value that is missing: in a mask if there are bools.
fn missing(objects: &Bound<'_, PyAny>, what: &str, row: usize, object: &Bound<'_, PyAny>) -> PyErr {
    let is_bool = |object: PyResult<Bound<'_, PyAny>>| {
        object.is_ok_and(|object| matches!(Scalar::of(&object), Ok(Scalar::Bool(_))))
    };
    let shown = shown(object);
    let is_mask = objects.try_iter().is_ok_and(|mut objects| objects.any(is_bool));
    value_error(match is_mask {
        true => format!(
            "{what}: row {row} of the mask is {shown}: fill it in first, as .fillna(False) does"
        ),
        false => format!("{what}: row {row} is {shown}, expected an int64 or a str"),
    })
}

fn wrong(what: &str, got: &str) -> PyErr {
    value_error(format!("{what} holds {got}, expected either integers or strings"))
}

fn beyond(what: &str, value: &dyn std::fmt::Display) -> PyErr {
    let most = i64::MAX;
    value_error(format!(
        "{what} holds {value}, ids are at most {most}: make them text (.astype(str))"
    ))
}

/// A name for people for each of `ids`, the ids of some `of`: from a mapping in which what has no name
/// is named by its id, or from a sequence in their order.
///
/// Errors: `TypeError` for keys of another type than the ids or names that are no str, `ValueError` for
/// another number of names, or a mapping that names nothing.
pub fn names(
    object: &Bound<'_, PyAny>,
    ids: &Ids,
    what: &str,
    of: &str,
    order: Order,
) -> PyResult<Vec<String>> {
    let py = object.py();
    let exported = arrow::mapping(object, what, "names", Alone::Names)?;
    let object = exported.as_ref().unwrap_or(object);
    let asked = (object, array(py, ids), what, of, order == Order::Rows);
    let names = inputs(py)?.call_method1("names", asked)?;
    let name = |(row, name): (usize, PyResult<Bound<'_, PyAny>>)| {
        let name = name?;
        let text = name.cast::<PyString>()?.to_str().map_err(|_| {
            let shown = shown(&name);
            value_error(format!("{what}: row {row} is {shown}, which is no Unicode text"))
        });
        text.map(str::to_string)
    };
    names.try_iter()?.enumerate().map(name).collect()
}

/// Whether an argument is a single id rather than a column of them.
pub fn is_one(object: &Bound<'_, PyAny>) -> bool {
    let py = object.py();
    if object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
        return true;
    }
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        return array.ndim() == 0;
    }
    if object.hasattr(intern!(py, "__len__")).unwrap_or(false) {
        // Numbers of other libraries have a length and raise when it is asked for.
        return object.hasattr(intern!(py, "__index__")).unwrap_or(false) && object.len().is_err();
    }
    !object.hasattr(intern!(py, "__iter__")).unwrap_or(false)
        && !arrow::is_exported(object).unwrap_or(false)
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
    match several(object, "ids")? {
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
