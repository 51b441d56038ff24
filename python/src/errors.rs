//! The crate's errors as Python's.
//!
//! | what | Python |
//! |---|---|
//! | a bad argument | `ValueError` (`TypeError` where the type is wrong) |
//! | an id that is not there | `nearwood.UnknownIdError`, a `KeyError` |
//! | the system refuses | `OSError`; a missing file `FileNotFoundError` |
//! | a damaged or foreign file | `nearwood.FormatError`, a `ValueError` |
//!
//! The messages are the crate's.

use std::io;

use nearwood::Error;
use nearwood::error::{
    BuildError, OpenError, QueryError, ReadError, SaveError, TrainError, printable,
};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;

pyo3::import_exception!(nearwood._errors, FormatError);
pyo3::import_exception!(nearwood._errors, UnknownIdError);

/// What a call into the crate yields, as Python sees it.
pub trait OrRaise<T> {
    /// The value, or the Python exception.
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: Into<Error>> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|e| exception(e.into()))
    }
}

/// The exception of an error.
pub fn exception(error: Error) -> PyErr {
    let text = printable(&error.to_string());
    match error {
        Error::Open(
            OpenError::Io { source, .. }
            | OpenError::Lock { source, .. }
            | OpenError::Map { source, .. },
        )
        | Error::Build(BuildError::Room(source))
        | Error::Save(
            SaveError::Io { source, .. }
            | SaveError::Replaced { source, .. }
            | SaveError::Stream { source, .. },
        )
        | Error::Read(ReadError::Io { source, .. }) => system(&source, text),
        // EINVAL.
        Error::Open(OpenError::NotAFile { .. }) => PyOSError::new_err((22, text)),
        Error::Open(_) => FormatError::new_err(text),
        Error::Read(ReadError::Format { .. } | ReadError::Line { .. } | ReadError::Rows { .. }) => {
            FormatError::new_err(text)
        }
        Error::Query(QueryError::UnknownId { .. }) => UnknownIdError::new_err(text),
        Error::Build(BuildError::Cancelled) | Error::Train(TrainError::Cancelled) => {
            PyRuntimeError::new_err(text)
        }
        _ => PyValueError::new_err(text),
    }
}

/// With an errno Python picks the class: `FileNotFoundError`, `PermissionError`, ...
fn system(source: &io::Error, text: String) -> PyErr {
    match (errno(source), source.kind()) {
        (Some(number), _) => PyOSError::new_err((number, text)),
        (None, io::ErrorKind::InvalidInput) => PyValueError::new_err(text),
        (None, _) => PyOSError::new_err(text),
    }
}

/// The system's number. Where another library put its own words around the system's, only the kind
/// is left: the number of the kinds that Python has classes for.
fn errno(error: &io::Error) -> Option<i32> {
    let of_kind = || match error.kind() {
        io::ErrorKind::NotFound => Some(2),
        // Python: BlockingIOError.
        io::ErrorKind::WouldBlock => Some(11),
        io::ErrorKind::PermissionDenied => Some(13),
        io::ErrorKind::NotADirectory => Some(20),
        io::ErrorKind::IsADirectory => Some(21),
        _ => None,
    };
    error.raw_os_error().or_else(of_kind)
}

/// A `UserWarning` where the caller of Python called.
pub fn warn(py: Python<'_>, text: &str) -> PyResult<()> {
    // A printable text has no zero byte.
    let text = std::ffi::CString::new(printable(text)).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)
}

/// The `KeyError` of an id or a name that is not there.
pub fn unknown_id(text: impl Into<String>) -> PyErr {
    UnknownIdError::new_err(printable(&text.into()))
}

/// A `ValueError`.
pub fn value_error(text: impl Into<String>) -> PyErr {
    PyValueError::new_err(printable(&text.into()))
}
