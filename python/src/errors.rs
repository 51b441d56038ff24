//! The crate's errors as Python's.
//!
//! | what | Python |
//! |---|---|
//! | no memory | `MemoryError` |
//! | a bad argument | `ValueError` (`TypeError` where the type is wrong) |
//! | an id that is not there | `nearwood.UnknownIdError`, a `KeyError` |
//! | the system refuses | `OSError`; a missing file `FileNotFoundError` |
//! | a damaged or foreign file | `nearwood.FormatError`, a `ValueError` |
//!
//! The messages are the crate's.

use std::io;
use std::path::Path;

use nearwood::Error;
use nearwood::error::{
    BuildError, OpenError, QueryError, ReadError, SaveError, TrainError, printable,
};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyUserWarning, PyValueError};
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
        Error::OutOfMemory(_)
        | Error::Build(BuildError::OutOfMemory(_))
        | Error::Open(OpenError::OutOfMemory(_))
        | Error::Query(QueryError::OutOfMemory(_))
        | Error::Train(TrainError::OutOfMemory(_))
        | Error::Read(ReadError::OutOfMemory(_)) => PyMemoryError::new_err(text),
        Error::Open(
            OpenError::Io { source, path }
            | OpenError::Lock { source, path, .. }
            | OpenError::Map { source, path, .. },
        )
        | Error::Save(
            SaveError::Io { source, path, .. }
            | SaveError::Replaced { source, path, .. }
            | SaveError::Stream { source, path, .. },
        )
        | Error::Read(ReadError::Io { source, path }) => system(&source, text, Some(&path)),
        Error::Build(BuildError::Room(source)) => system(&source, text, None),
        // EINVAL.
        Error::Open(OpenError::NotAFile { path, .. }) => {
            PyOSError::new_err((22, text, path.into_os_string()))
        }
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

/// With an errno Python picks the class: `FileNotFoundError`, `PermissionError`, ... `errno`, `strerror`
/// and `filename` are set as Python's own calls set them.
fn system(source: &io::Error, text: String, path: Option<&Path>) -> PyErr {
    // Python puts the number in front.
    let plain = |number: i32| text.replace(&format!(" (os error {number})"), "");
    match (errno(source), source.kind(), path) {
        (Some(number), _, Some(path)) => {
            // As text: a pathlib.Path would have to be imported, which a process in want may fail at.
            PyOSError::new_err((number, plain(number), path.as_os_str().to_os_string()))
        }
        (Some(number), _, None) => PyOSError::new_err((number, plain(number))),
        (None, io::ErrorKind::InvalidInput, _) => PyValueError::new_err(text),
        (None, ..) => PyOSError::new_err(text),
    }
}

/// The system's number, from below whatever other libraries put around it; else that of the kind.
fn errno(error: &io::Error) -> Option<i32> {
    let of_kind = || match error.kind() {
        io::ErrorKind::NotFound => Some(2),
        // Python: BlockingIOError.
        io::ErrorKind::WouldBlock => Some(11),
        io::ErrorKind::PermissionDenied => Some(13),
        io::ErrorKind::AlreadyExists => Some(17),
        io::ErrorKind::NotADirectory => Some(20),
        io::ErrorKind::IsADirectory => Some(21),
        io::ErrorKind::StorageFull => Some(28),
        io::ErrorKind::ReadOnlyFilesystem => Some(30),
        io::ErrorKind::BrokenPipe => Some(32),
        _ => None,
    };
    below(error).or_else(of_kind)
}

/// The first number in a chain of causes.
fn below(error: &io::Error) -> Option<i32> {
    if let Some(number) = error.raw_os_error() {
        return Some(number);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|cause| cause as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if let Some(number) = error.downcast_ref::<io::Error>().and_then(below) {
            return Some(number);
        }
        cause = error.source();
    }
    None
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
