//! scipy's sparse matrices, known by their attributes: scipy itself is never imported for them.

use nearwood::als::Csr;
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::bulk;
use crate::convert::{as_array, as_f32, kind};
use crate::errors::{OrRaise, value_error};
use crate::watch;

/// A sparse matrix as the crate's: CSR and COO are read as they are, others through their `tocsr`.
pub fn csr(matrix: &Bound<'_, PyAny>, what: &str) -> PyResult<Csr> {
    let format: Option<String> = matrix.getattr("format").ok().and_then(|f| f.extract().ok());
    match format.as_deref() {
        Some("csr") => compressed(matrix),
        Some("coo") => triplets(matrix),
        _ if matrix.hasattr("tocsr")? => compressed(&matrix.call_method0("tocsr")?),
        _ => {
            let kind = matrix.get_type().name()?;
            Err(PyTypeError::new_err(format!(
                "{what} is a {kind}, expected a scipy sparse matrix (users x items) or Interactions"
            )))
        }
    }
}

fn compressed(matrix: &Bound<'_, PyAny>) -> PyResult<Csr> {
    let py = matrix.py();
    let (n_rows, n_cols) = shape(matrix)?;
    let indptr = whole::<u64>(&matrix.getattr(intern!(py, "indptr"))?, "indptr")?;
    let indices = whole::<u32>(&matrix.getattr(intern!(py, "indices"))?, "indices")?;
    let values = weights(&matrix.getattr(intern!(py, "data"))?, "data")?;
    if indptr.len() != n_rows + 1 {
        let text = format!("indptr has {} values, expected {}", indptr.len(), n_rows + 1);
        return Err(value_error(text));
    }
    watch::detach(py, || Csr::from_parts(n_cols, indptr, indices, values))?.or_raise()
}

fn triplets(matrix: &Bound<'_, PyAny>) -> PyResult<Csr> {
    let py = matrix.py();
    let (n_rows, n_cols) = shape(matrix)?;
    let rows = whole::<u32>(&matrix.getattr(intern!(py, "row"))?, "row")?;
    let columns = whole::<u32>(&matrix.getattr(intern!(py, "col"))?, "col")?;
    let values = weights(&matrix.getattr(intern!(py, "data"))?, "data")?;
    watch::detach(py, || Csr::from_triplets(n_rows, n_cols, &rows, &columns, &values))?.or_raise()
}

fn shape(matrix: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    matrix
        .getattr(intern!(matrix.py(), "shape"))?
        .extract()
        .map_err(|_| value_error("the sparse matrix does not have two dimensions, users and items"))
}

/// Whole numbers of 0 or more.
pub fn whole<T: TryFrom<i64>>(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<T>> {
    let array = as_array(object, what)?;
    if !matches!(kind(&array), b'i' | b'u') {
        let text = format!("{what} has dtype {}, expected integers", {
            use numpy::PyUntypedArrayMethods;
            array.dtype()
        });
        return Err(PyTypeError::new_err(text));
    }
    let fits = |value: i64| {
        T::try_from(value).map_err(|_| {
            value_error(format!(
                "{what} holds {value}, expected 0 to the number of rows or columns"
            ))
        })
    };
    if let Ok(narrow) = array.as_any().cast::<PyArray1<i32>>() {
        let narrow = narrow.try_readonly()?;
        return bulk::collected_ok(narrow.as_array().iter().map(|&v| fits(i64::from(v))));
    }
    let wide = array.call_method1("astype", (numpy::dtype::<i64>(array.py()),))?;
    let wide = wide.cast::<PyArray1<i64>>().map_err(|_| one_dimension(what))?;
    let wide = wide.try_readonly()?;
    bulk::collected_ok(wide.as_array().iter().map(|&v| fits(v)))
}

/// Numbers as float32.
pub fn weights(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<f32>> {
    let floats = as_f32(object, what)?;
    let floats = floats.as_any().cast::<PyArray1<f32>>().map_err(|_| one_dimension(what))?;
    let floats = floats.try_readonly()?;
    bulk::collected(floats.as_array().iter().copied())
}

fn one_dimension(what: &str) -> PyErr {
    value_error(format!("{what} does not have one dimension"))
}
