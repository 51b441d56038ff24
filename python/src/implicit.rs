//! What `nearwood.implicit` computes beside training.

use nearwood::implicit;
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::errors::OrRaise;
use crate::sparse;
use crate::watch;

/// The values of a canonical CSR matrix weighted by BM25, or without k1 and b by TF-IDF.
#[pyfunction]
#[pyo3(signature = (matrix, k1=None, b=None))]
pub fn implicit_weights<'py>(
    py: Python<'py>,
    matrix: &Bound<'py, PyAny>,
    k1: Option<f64>,
    b: Option<f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let matrix = sparse::csr(matrix, "X")?;
    let weights = watch::detach(py, || match (k1, b) {
        (Some(k1), Some(b)) => implicit::bm25(&matrix, k1, b),
        _ => implicit::tfidf(&matrix),
    })?;
    Ok(PyArray1::from_vec(py, weights))
}

/// Which values of a canonical CSR matrix to hold out.
#[pyfunction]
pub fn implicit_leave_out<'py>(
    py: Python<'py>,
    matrix: &Bound<'py, PyAny>,
    k: usize,
    train_only: f64,
    seed: u64,
) -> PyResult<Bound<'py, PyArray1<bool>>> {
    let matrix = sparse::csr(matrix, "ratings")?;
    let held =
        watch::detach(py, || implicit::leave_out(&matrix, k, train_only, seed))?.or_raise()?;
    Ok(PyArray1::from_vec(py, held))
}

/// (precision, map, ndcg, auc) of rankings of k items each, a row of `held` each.
#[pyfunction]
pub fn implicit_ranked(
    py: Python<'_>,
    rankings: &Bound<'_, PyAny>,
    k: usize,
    held: &Bound<'_, PyAny>,
) -> PyResult<(f64, f64, f64, f64)> {
    let rankings: Vec<i64> = rankings.extract()?;
    let held = sparse::csr(held, "test_user_items")?;
    let ranked = watch::detach(py, || implicit::ranked(&rankings, k, &held))?.or_raise()?;
    Ok((ranked.precision, ranked.map, ranked.ndcg, ranked.auc))
}
