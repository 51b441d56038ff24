//! Arguments that several classes share.

use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::watch::Report;

/// A number of things: an int of 0 or more.
#[derive(Clone, Copy)]
pub struct Count(pub usize);

impl<'a, 'py> FromPyObject<'a, 'py> for Count {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Count> {
        let value: i64 = object.extract()?;
        usize::try_from(value)
            .map(Count)
            .map_err(|_| PyValueError::new_err(format!("got {value}, expected 0 or more")))
    }
}

/// One number of things, or several.
pub struct Counts(pub Vec<usize>);

impl<'a, 'py> FromPyObject<'a, 'py> for Counts {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Counts> {
        match object.extract::<Count>() {
            Ok(one) => Ok(Counts(vec![one.0])),
            Err(_) => {
                let several = object.extract::<Vec<Count>>()?;
                Ok(Counts(several.into_iter().map(|count| count.0).collect()))
            }
        }
    }
}

/// The number within, if one was given.
pub fn optional(count: Option<Count>) -> Option<usize> {
    count.map(|count| count.0)
}

/// A path: str or PathLike. `-` is a file of that name, as everywhere in Python: standard output is
/// the command line's.
pub fn path_of(object: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    let path: PathBuf = object.extract()?;
    Ok(if path == Path::new("-") { Path::new(".").join(path) } else { path })
}

/// Who is told how far a long call is.
pub enum Progress {
    /// Nobody.
    Silent,
    /// A callable(done, total).
    Call(Py<PyAny>),
}

impl Progress {
    /// False or None: nobody. True: a bar, if standard error is a terminal. Else a callable.
    pub fn new(object: Option<&Bound<'_, PyAny>>, label: &str) -> PyResult<Progress> {
        let Some(object) = object else { return Ok(Progress::Silent) };
        if let Ok(wanted) = object.cast::<PyBool>() {
            if !wanted.is_true() {
                return Ok(Progress::Silent);
            }
            let bar = object.py().import("nearwood._progress")?.call_method1("bar", (label,))?;
            return Ok(if bar.is_none() { Progress::Silent } else { Progress::Call(bar.unbind()) });
        }
        match object.is_callable() {
            true => Ok(Progress::Call(object.clone().unbind())),
            false => {
                Err(PyTypeError::new_err("progress is neither a bool nor a callable(done, total)"))
            }
        }
    }

    /// Whether anybody is told.
    pub fn is_heard(&self) -> bool {
        !matches!(self, Progress::Silent)
    }

    /// Passes a report on.
    pub fn tell(&self, py: Python<'_>, report: &Report) -> PyResult<()> {
        match self {
            Progress::Silent => Ok(()),
            Progress::Call(call) => call.call1(py, (report.done, report.total)).map(drop),
        }
    }
}
