//! Arguments that several classes share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use crate::scalar::{is_bool, shown};
use crate::watch::Report;

/// A number of things: an int of 0 or more.
#[derive(Clone, Copy)]
pub struct Count(pub usize);

impl<'a, 'py> FromPyObject<'a, 'py> for Count {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Count> {
        Count::named(&object, "the number")
    }
}

/// One number of things, or several.
pub struct Counts(pub Vec<usize>);

/// The number within, if one was given.
pub fn optional(count: Option<Count>) -> Option<usize> {
    count.map(|count| count.0)
}

/// An argument whose errors have its name. PyO3 adds the name to a `TypeError` alone.
pub trait Named: Sized {
    /// The value of the argument `name`.
    fn named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Self>;
}

impl<T: Named> Named for Option<T> {
    fn named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<T>> {
        if object.is_none() { Ok(None) } else { T::named(object, name).map(Some) }
    }
}

impl Named for Count {
    fn named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Count> {
        no_bool(object, name, "an int")?;
        let value = match object.extract::<i64>() {
            // More than there is of anything: as much as can be.
            Err(error)
                if error.is_instance_of::<PyOverflowError>(object.py()) && object.gt(0)? =>
            {
                i64::MAX
            }
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => i64::MIN,
            other => other?,
        };
        usize::try_from(value).map(Count).map_err(|_| {
            PyValueError::new_err(format!("{name} is {}, expected 0 or more", shown(object)))
        })
    }
}

impl Named for Counts {
    fn named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Counts> {
        let is_text = object.is_instance_of::<PyString>();
        match object.try_iter() {
            Ok(several) if !is_text => {
                several.map(|count| Ok(Count::named(&count?, name)?.0)).collect::<PyResult<_>>()
            }
            _ => Count::named(object, name).map(|one| vec![one.0]),
        }
        .map(Counts)
    }
}

/// A seed.
impl Named for u64 {
    fn named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<u64> {
        no_bool(object, name, "an int")?;
        object.extract::<u64>().map_err(|error| {
            if !error.is_instance_of::<PyOverflowError>(object.py()) {
                return error;
            }
            let most = u64::MAX;
            PyValueError::new_err(format!("{name} is {}, expected 0 to {most}", shown(object)))
        })
    }
}

/// A number that may have a fraction.
impl Named for f64 {
    fn named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<f64> {
        no_bool(object, name, "a number")?;
        object.extract()
    }
}

impl Named for f32 {
    fn named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<f32> {
        f64::named(object, name).map(|value| value as f32)
    }
}

fn no_bool(object: &Bound<'_, PyAny>, name: &str, expected: &str) -> PyResult<()> {
    match is_bool(object) {
        false => Ok(()),
        true => {
            let text = format!("{name} is {}, a bool, expected {expected}", shown(object));
            Err(PyTypeError::new_err(text))
        }
    }
}

/// Arguments by their names, for `from_py_with`.
macro_rules! named {
    ($($name:ident)*) => {
        #[doc = "Arguments by their names, for `from_py_with`."]
        #[allow(non_snake_case, reason = "the names that users type")]
        pub mod named {
            use super::*;
            $(pub fn $name<T: Named>(object: &Bound<'_, PyAny>) -> PyResult<T> {
                T::named(object, stringify!($name))
            })*
        }
    };
}

named! {
    N alpha budget budgets cg_steps dim factors first_tree items iterations k leaf_size memory_limit n
    n_trees numbers patience r random_state recall refine regularization regularization_scaling seed
    share trials unobserved_weight users validation
}

/// The path of an argument called `path`: str, bytes or PathLike.
pub fn path_of(object: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    path_named(object, "path")
}

/// The path of the argument `name`. `-` is a file of that name, as everywhere in Python: standard output
/// is the command line's.
pub fn path_named(object: &Bound<'_, PyAny>, name: &str) -> PyResult<PathBuf> {
    let path = path_as_given(object, name)?;
    Ok(if path == Path::new("-") { Path::new(".").join(path) } else { path })
}

/// The path of the argument `name`, of which `-` is left as it is.
pub fn path_as_given(object: &Bound<'_, PyAny>, name: &str) -> PyResult<PathBuf> {
    let os = object.py().import("os")?;
    // fsdecode takes what os.fspath does, and gives str for bytes, undecodable ones as surrogates.
    let path = os.call_method1("fsdecode", (object,)).map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(object.py()) {
            return error;
        }
        let text =
            format!("{name} is {}, expected a path: str, bytes or os.PathLike", shown(object));
        PyTypeError::new_err(text)
    })?;
    path.extract()
}

/// A number of threads; `None` within: all cores.
#[derive(Clone, Copy)]
pub struct Threads(pub Option<usize>);

impl<'a, 'py> FromPyObject<'a, 'py> for Threads {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Threads> {
        if object.is_instance_of::<PyBool>() {
            let text = format!("n_threads is {}, expected an int", *object);
            return Err(PyTypeError::new_err(text));
        }
        // More than fits is as much as can be: the crate has a limit of its own.
        let is_huge = |error: &PyErr| error.is_instance_of::<PyOverflowError>(object.py());
        let value = match object.extract::<i64>() {
            Err(error) if is_huge(&error) && object.gt(0)? => i64::MAX,
            other => other?,
        };
        match value {
            -1 => Ok(Threads(None)),
            1.. => Ok(Threads(Some(value as usize))),
            _ => Err(PyValueError::new_err(format!(
                "n_threads is {value}, expected at least 1, or -1 or None for all cores"
            ))),
        }
    }
}

/// The number of threads that was asked for.
pub fn threads(n_threads: Option<Threads>) -> Option<usize> {
    n_threads.and_then(|threads| threads.0)
}

/// Who is told how far a long call is.
#[derive(Clone)]
pub enum Progress {
    /// Nobody.
    Silent,
    /// A callable(done, total).
    Call(Arc<Py<PyAny>>),
}

impl Progress {
    /// False or None: nobody. True: a bar. Else a callable.
    pub fn new(object: Option<&Bound<'_, PyAny>>, label: &str) -> PyResult<Progress> {
        let Some(object) = object.filter(|object| !object.is_none()) else {
            return Ok(Progress::Silent);
        };
        if let Ok(wanted) = object.cast::<PyBool>() {
            if !wanted.is_true() {
                return Ok(Progress::Silent);
            }
            let bar = object.py().import("nearwood._progress")?.call_method1("bar", (label,))?;
            return Ok(match bar.is_none() {
                true => Progress::Silent,
                false => Progress::Call(Arc::new(bar.unbind())),
            });
        }
        match object.is_callable() {
            true => Ok(Progress::Call(Arc::new(object.clone().unbind()))),
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

    /// Passes reports on, and goes on.
    pub fn listener(&self) -> impl FnMut(Python<'_>, &Report) -> PyResult<bool> + Send + 'static {
        let progress = self.clone();
        move |py, report| progress.tell(py, report).map(|()| true)
    }
}
