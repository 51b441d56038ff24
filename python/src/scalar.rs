//! Single values of Python: ids, bools, and what is neither.

use nearwood::Id;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

use crate::errors::unknown_id;

/// How much of a value an error shows, in characters.
const SHOWN: usize = 80;

/// One value, where an id or a bool is expected.
pub enum Scalar {
    /// An integer of Python, numpy or Arrow, or a Decimal without a fraction.
    Int(i64),
    /// A str, bytes that are its UTF-8, or a UUID, as its canonical text.
    Text(String),
    /// A bool of Python or numpy: never an id.
    Bool(bool),
    /// None, NaN, NaT, NA.
    Missing,
    /// An integer beyond int64.
    Beyond,
    /// Anything else, and why it is no id: nothing, or words after a comma.
    Other(&'static str),
}

impl Scalar {
    /// What an object is.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
        if object.is_exact_instance_of::<PyInt>() {
            return Ok(object.extract().map_or(Scalar::Beyond, Scalar::Int));
        }
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(match text.to_str() {
                Ok(text) => Scalar::Text(text.to_string()),
                Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(object.py()) => {
                    Scalar::Other(", which is no Unicode text (it has a lone surrogate)")
                }
                Err(error) => return Err(error),
            });
        }
        if let Ok(pass) = object.cast::<PyBool>() {
            return Ok(Scalar::Bool(pass.is_true()));
        }
        if object.is_none() {
            return Ok(Scalar::Missing);
        }
        if let Ok(value) = object.cast::<PyFloat>() {
            return Ok(match value.extract::<f64>()?.is_nan() {
                true => Scalar::Missing,
                false => Scalar::Other(", a float"),
            });
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(match std::str::from_utf8(bytes.as_bytes()) {
                Ok(text) => Scalar::Text(text.to_string()),
                Err(_) => Scalar::Other(", bytes that are no UTF-8 text"),
            });
        }
        Scalar::of_library(object)
    }

    /// Of an object of numpy, pandas, pyarrow or Python's own library, known by its type's name: none
    /// of them is imported for this.
    fn of_library(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
        let py = object.py();
        let name = object.get_type().name()?;
        match name.to_str()? {
            "bool" | "bool_" => return Ok(Scalar::Bool(object.is_truthy()?)),
            "NAType" | "NaTType" => return Ok(Scalar::Missing),
            "UUID" => return Ok(Scalar::Text(object.str()?.to_str()?.to_string())),
            "Decimal" => return Scalar::of_decimal(object),
            _ => {}
        }
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            return match array.ndim() {
                0 => Scalar::of(&array.call_method0(intern!(py, "item"))?),
                _ => Ok(Scalar::Other("")),
            };
        }
        if object.hasattr(intern!(py, "as_py"))? {
            return Scalar::of(&object.call_method0(intern!(py, "as_py"))?);
        }
        if !object.hasattr(intern!(py, "__index__"))? || is_bool_tensor(object) {
            return Ok(Scalar::Other(""));
        }
        match object.call_method0(intern!(py, "__index__")) {
            Ok(index) if index.is_instance_of::<PyInt>() => {
                Ok(index.extract().map_or(Scalar::Beyond, Scalar::Int))
            }
            _ => Ok(Scalar::Other("")),
        }
    }

    fn of_decimal(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
        let py = object.py();
        if object.call_method0(intern!(py, "is_nan"))?.is_truthy()? {
            return Ok(Scalar::Missing);
        }
        // Infinities have no ratio.
        let Ok(ratio) = object.call_method0(intern!(py, "as_integer_ratio")) else {
            return Ok(Scalar::Other(""));
        };
        let (numerator, denominator): (Bound<'_, PyAny>, Bound<'_, PyAny>) = ratio.extract()?;
        match denominator.eq(1)? {
            true => Scalar::of(&numerator),
            false => Ok(Scalar::Other(", which has a fraction")),
        }
    }
}

/// A bool of a library whose numbers have a dtype, as PyTorch's.
fn is_bool_tensor(object: &Bound<'_, PyAny>) -> bool {
    let dtype = object.getattr(intern!(object.py(), "dtype")).and_then(|dtype| dtype.str());
    dtype.is_ok_and(|dtype| dtype.to_str().is_ok_and(|name| name.contains("bool")))
}

/// Whether a value is a bool, of Python or a library.
pub fn is_bool(object: &Bound<'_, PyAny>) -> bool {
    if object.is_exact_instance_of::<PyInt>() || object.is_exact_instance_of::<PyFloat>() {
        return false;
    }
    object.is_instance_of::<PyBool>()
        || matches!(Scalar::of(object), Ok(Scalar::Bool(_)))
        || is_bool_tensor(object)
}

/// One id: an int (numpy's too), a str, bytes of UTF-8, a UUID or a Decimal without a fraction.
///
/// Errors: `TypeError` for anything else, `KeyError` for an integer that no id can be.
pub fn id_of(object: &Bound<'_, PyAny>) -> PyResult<Id> {
    let why = match Scalar::of(object)? {
        Scalar::Int(id) => return Ok(Id::Int(id)),
        Scalar::Text(id) => return Ok(Id::Text(id)),
        Scalar::Beyond => {
            let text = format!("there is no id {}: ids are at most {}", shown(object), i64::MAX);
            return Err(unknown_id(text));
        }
        Scalar::Bool(_) => ", a bool",
        Scalar::Missing => "",
        Scalar::Other(why) => why,
    };
    Err(PyTypeError::new_err(format!("the id is {}{why}, expected int or str", shown(object))))
}

/// A value for an error message, not longer than a line.
pub fn shown(object: &Bound<'_, PyAny>) -> String {
    let shown =
        object.repr().map_or_else(|_| "?".into(), |repr| repr.to_string_lossy().into_owned());
    match shown.char_indices().nth(SHOWN) {
        None => shown,
        Some((at, _)) => format!("{}...", &shown[..at]),
    }
}
