//! Large copies, made with the interpreter released; a lack of memory is a `MemoryError`.

use nearwood::{Index, memory, progress};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert;
use crate::watch;

/// Bytes, and rows, that are copied between two looks for an interruption.
const PART: usize = 1 << 24;
const ROWS: usize = 1 << 10;

/// The values of an iterator that knows their number.
pub fn collected<T>(values: impl Iterator<Item = T>) -> PyResult<Vec<T>> {
    memory::catch(|| memory::collect(values)).map_err(|out| watch::out_of_memory(&out))
}

/// As [`collected`], up to the first error.
pub fn collected_ok<T>(values: impl ExactSizeIterator<Item = PyResult<T>>) -> PyResult<Vec<T>> {
    let mut all = memory::catch(|| memory::with_capacity(values.len()))
        .map_err(|out| watch::out_of_memory(&out))?;
    for value in values {
        all.push(value?);
    }
    Ok(all)
}

/// Python's `bytes` of some bytes.
pub fn bytes<'py>(py: Python<'py>, from: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, from.len(), |to| {
        watch::detach(py, || {
            for (to, from) in to.chunks_mut(PART).zip(from.chunks(PART)) {
                progress::check();
                to.copy_from_slice(from);
            }
        })
    })
}

/// A copy of some values.
pub fn copied<T: Copy + Send + Sync>(py: Python<'_>, from: &[T]) -> PyResult<Vec<T>> {
    watch::detach(py, || {
        let mut to = memory::with_capacity(from.len());
        for from in from.chunks(PART) {
            progress::check();
            to.extend_from_slice(from);
        }
        to
    })
}

/// The vectors of positions, (m, d).
pub fn vectors<'py>(
    py: Python<'py>,
    index: &Index,
    positions: &[u32],
) -> PyResult<Bound<'py, PyAny>> {
    let dim = index.dim();
    let values = watch::detach(py, || {
        let mut values = memory::with_capacity(positions.len().saturating_mul(dim));
        for &position in progress::checked(positions.iter(), ROWS) {
            values.extend(index.vector(position).iter().flat_map(|row| row.iter()));
        }
        values
    })?;
    Ok(convert::owned_matrix(py, values, dim)?.into_any())
}
