//! `unknown=`: what becomes of ids that a model does not know.

use nearwood::Id;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::convert;
use crate::errors::{UnknownIdError, value_error};

/// The ids of a request that were not there, and whether that ends it.
pub struct Unknown {
    skip: bool,
    /// "user" or "item".
    what: &'static str,
    ids: Vec<Id>,
}

impl Unknown {
    /// By the argument: "raise" or "skip".
    pub fn new(unknown: &str, what: &'static str) -> PyResult<Unknown> {
        let skip = match unknown {
            "raise" => false,
            "skip" => true,
            other => {
                let text = format!("unknown is {other:?}, expected \"raise\" or \"skip\"");
                return Err(value_error(text));
            }
        };
        Ok(Unknown { skip, what, ids: Vec::new() })
    }

    /// What was found, or `None` if it is not there and to be skipped.
    pub fn or_skip<T>(
        &mut self,
        found: PyResult<T>,
        id: impl FnOnce() -> Id,
    ) -> PyResult<Option<T>> {
        let is_unknown = |error: &PyErr| {
            Python::attach(|py| error.get_type(py).is(py.get_type::<UnknownIdError>()))
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if self.skip && is_unknown(&error) => {
                self.ids.push(id());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Warns of the ids that were skipped, of `asked` in all.
    pub fn warn(&self, py: Python<'_>, asked: usize) -> PyResult<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let ids = self.ids.iter().map(|id| convert::id_object(py, id));
        let ids = PyList::new(py, ids.collect::<PyResult<Vec<_>>>()?)?;
        let errors = py.import("nearwood._errors")?;
        errors.call_method1("warn_unknown", (self.what, ids, asked)).map(drop)
    }
}
