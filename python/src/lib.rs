//! The extension module `nearwood._core`.
use pyo3::prelude::*;

#[pymodule]
mod _core {}
