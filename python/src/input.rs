//! Vectors and queries as numbers or as packed bits.

use nearwood::error::BuildError;
use nearwood::{Index, Metric, Vectors};
use numpy::{PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray2};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::bulk;
use crate::convert::{self, Queries};
use crate::errors::{OrRaise, value_error};

/// What a build was given.
pub enum Given<'py> {
    /// (n, d) numbers.
    Floats(PyReadonlyArray2<'py, f32>),
    /// Packed rows of so many bits.
    Bits(Vec<u8>, usize),
}

impl<'py> Given<'py> {
    /// Takes an argument named `what`; `dim` is the bits of a packed row.
    pub fn new(
        object: &Bound<'py, PyAny>,
        what: &str,
        is_packed: bool,
        dim: Option<usize>,
    ) -> PyResult<Given<'py>> {
        if is_packed {
            let bits = packed(object, what)?;
            let dim = packed_dim(&bits, dim)?;
            return Ok(Given::Bits(bits.bytes()?, dim));
        }
        match dim {
            Some(dim) => Err(value_error(format!("dim is {dim}: it is for packed=True alone"))),
            None => Ok(Given::Floats(convert::matrix(object, what)?)),
        }
    }

    /// The rows, without the interpreter.
    pub fn rows(&self) -> PyResult<Rows<'_>> {
        Ok(match self {
            Given::Floats(m) => Rows::Floats(convert::values(m)?, m.as_array().ncols()),
            Given::Bits(bits, dim) => Rows::Bits(bits, *dim),
        })
    }
}

/// Rows of a [`Given`].
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// Values and the dimension.
    Floats(&'a [f32], usize),
    /// Packed bits and the dimension.
    Bits(&'a [u8], usize),
}

impl<'a> Rows<'a> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match *self {
            Rows::Floats(values, dim) => values.len().checked_div(dim).unwrap_or(0),
            Rows::Bits(bits, dim) => bits.len().checked_div(dim.div_ceil(8)).unwrap_or(0),
        }
    }

    /// Values, or bits, a row.
    pub fn dim(&self) -> usize {
        match self {
            Rows::Floats(_, dim) | Rows::Bits(_, dim) => *dim,
        }
    }

    /// What the crate builds over.
    pub fn vectors(&self) -> Result<Vectors<'a>, BuildError> {
        match self {
            Rows::Floats(values, dim) => Vectors::new(values, *dim),
            Rows::Bits(bits, dim) => Vectors::packed(bits, *dim),
        }
    }

    /// As float32.
    pub fn to_values(self) -> PyResult<Vec<f32>> {
        match self {
            // What is wrong with them, the build says.
            Rows::Floats(values, _) => bulk::collected(values.iter().copied()),
            Rows::Bits(..) => Ok(self.vectors().or_raise()?.to_values()),
        }
    }
}

/// Packed bits, uint8 in C order, (n, bytes) or (bytes,).
struct Bits<'py> {
    array: Bound<'py, PyUntypedArray>,
    columns: usize,
}

/// The uint8 values of an array; `None` for any other.
fn bits<'py>(object: &Bound<'py, PyAny>, what: &str) -> PyResult<Option<Bits<'py>>> {
    if !object.is_instance_of::<PyUntypedArray>() && !crate::arrow::is_exported(object)? {
        // A list of lists that is no matrix, and the like: `float_queries` says what is wrong.
        let numpy = object.py().import(intern!(object.py(), "numpy"))?;
        let array = numpy.call_method1(intern!(object.py(), "asarray"), (object,));
        if array.is_err() {
            return Ok(None);
        }
    }
    let array = convert::as_array(object, what)?;
    let is_bytes = convert::kind(&array) == b'u' && array.dtype().itemsize() == 1;
    let Some(&columns) = array.shape().last().filter(|_| is_bytes && array.ndim() <= 2) else {
        return Ok(None);
    };
    let numpy = object.py().import(intern!(object.py(), "numpy"))?;
    let array = numpy.call_method1(intern!(object.py(), "ascontiguousarray"), (array,))?;
    Ok(Some(Bits { array: array.cast_into::<PyUntypedArray>()?, columns }))
}

impl Bits<'_> {
    /// Row after row.
    fn bytes(&self) -> PyResult<Vec<u8>> {
        let flat = self.array.call_method1(intern!(self.array.py(), "reshape"), (-1,))?;
        let flat = flat.cast::<PyArray1<u8>>()?.try_readonly()?;
        bulk::collected(flat.as_slice()?.iter().copied())
    }

    /// Whether it is one row without an axis for rows.
    fn is_one(&self) -> bool {
        self.array.ndim() == 1
    }
}

/// Packed bits of an argument that must be them: (n, bytes).
fn packed<'py>(object: &Bound<'py, PyAny>, what: &str) -> PyResult<Bits<'py>> {
    let found = bits(object, what)?.filter(|bits| !bits.is_one());
    found.ok_or_else(|| {
        PyTypeError::new_err(format!(
            "packed {what} must be a uint8 array of shape (n, bytes), as numpy.packbits(x, axis=1) \
             makes it"
        ))
    })
}

/// The columns that packed rows of `dim` bits have, or 8 bits a column.
fn packed_dim(bits: &Bits<'_>, dim: Option<usize>) -> PyResult<usize> {
    let dim = dim.unwrap_or(8 * bits.columns);
    match dim.div_ceil(8) == bits.columns {
        true => Ok(dim),
        false => Err(value_error(format!(
            "got {} columns of packed bits, expected {} for dim={dim}",
            bits.columns,
            dim.div_ceil(8)
        ))),
    }
}

/// Queries to an index: numbers, or, to one of hamming, packed bits.
pub fn queries<'py>(object: &Bound<'py, PyAny>, index: &Index) -> PyResult<Queries<'py>> {
    let dim = index.dim();
    if index.metric() != Metric::Hamming {
        return convert::float_queries(object, dim);
    }
    let columns = dim.div_ceil(8);
    // Read once: a stream has nothing left to read again.
    let exported = match crate::arrow::is_exported(object)? {
        true => Some(convert::as_array(object, "queries")?.into_any()),
        false => None,
    };
    let object = exported.as_ref().unwrap_or(object);
    let Some(bits) = bits(object, "queries")?.filter(|b| b.columns == columns && columns != dim)
    else {
        return convert::float_queries(object, dim);
    };
    let values = index.unpack(&bits.bytes()?).or_raise()?;
    Ok(match bits.is_one() {
        true => Queries::One(PyArray1::from_vec(object.py(), values).try_readonly()?),
        false => Queries::Many(convert::owned_matrix(object.py(), values, dim)?.try_readonly()?),
    })
}
