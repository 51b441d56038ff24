//! What somebody had: items with weights, of the many makes in which Python holds such.

use nearwood::Index;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::arrow::{self, Alone};
use crate::errors::value_error;
use crate::ids;
use crate::scalar::{id_of, shown};
use crate::unknown::Unknown;

/// Item positions with weights, those of unknown items left out if `unknown` says so.
pub fn of(given: &Bound<'_, PyAny>, items: &Index, unknown: &str) -> PyResult<Vec<(u32, f32)>> {
    let py = given.py();
    let mut unknown = Unknown::new(unknown, "item")?;
    let entries = plain(given, items)?;
    let mut history = Vec::new();
    let mut asked = 0;
    for entry in entries.try_iter()? {
        asked += 1;
        let (id, weight) = pair(&entry?)?;
        let position = ids::position(items, &id);
        if let Some(position) = unknown.or_skip(position, || known_id(&id))? {
            history.push((position, weight));
        }
    }
    unknown.warn(py, asked)?;
    Ok(history)
}

/// The id of an object that was read as one before.
fn known_id(id: &Bound<'_, PyAny>) -> nearwood::Id {
    id_of(id).unwrap_or_else(|_| nearwood::Id::Text(shown(id)))
}

/// Ids or (id, weight) pairs to iterate over.
fn plain<'py>(given: &Bound<'py, PyAny>, items: &Index) -> PyResult<Bound<'py, PyAny>> {
    if given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>() {
        return Ok(given.clone());
    }
    if let Ok(weights) = given.cast_exact::<PyDict>()
        && weights.len() != 2
    {
        return Ok(weights.items().into_any());
    }
    if ids::is_one(given) {
        return Ok(PyList::new(given.py(), [given])?.into_any());
    }
    let exported = arrow::mapping(given, "history", "weights", Alone::Ids)?;
    let given = exported.as_ref().unwrap_or(given);
    let read = ids::inputs(given.py())?.call_method1("history", (given,))?;
    let (entries, weights): (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>) = read.extract()?;
    match weights {
        None => Ok(entries),
        Some(values) => series(&entries, &values, items),
    }
}

/// A Series of numbers with an index of its own is weights by item, or, cut from a longer one, items:
/// whichever side names items only.
fn series<'py>(
    index: &Bound<'py, PyAny>,
    values: &Bound<'py, PyAny>,
    items: &Index,
) -> PyResult<Bound<'py, PyAny>> {
    let known = |column: &Bound<'py, PyAny>| -> PyResult<bool> {
        let mut all = true;
        for id in column.try_iter()? {
            all &= id_of(&id?).is_ok_and(|id| items.position(&id).is_some());
        }
        Ok(all)
    };
    match (known(index)?, known(values)?) {
        (false, true) => Ok(values.clone()),
        (true, true) if index.len()? > 0 => Err(value_error(
            "history is a Series whose index and whose values are both item ids: give .to_dict() if \
             the values are weights, .tolist() if they are the items",
        )),
        _ => {
            let zip = index.py().import("builtins")?.getattr("zip")?;
            zip.call1((index, values))
        }
    }
}

/// An id and its weight, which is 1 for an id alone.
fn pair<'py>(entry: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, f32)> {
    let is_pair = entry.is_instance_of::<PyTuple>() || entry.is_instance_of::<PyList>();
    if !is_pair {
        return Ok((entry.clone(), 1.0));
    }
    if entry.len()? != 2 {
        let text =
            format!("history holds {}, expected an id or an (id, weight) pair", shown(entry));
        return Err(PyTypeError::new_err(text));
    }
    let (id, weight) = (entry.get_item(0)?, entry.get_item(1)?);
    let number = weight.extract::<f64>().map_err(|_| {
        let (weight, id) = (shown(&weight), shown(&id));
        PyTypeError::new_err(format!("history: the weight of {id} is {weight}, expected a number"))
    });
    Ok((id, number? as f32))
}
