//! The extension module `nearwood._core`: converts, releases the interpreter, calls, maps errors.
//! It computes nothing.

mod als;
mod annoy;
mod answering;
mod arrow;
mod build;
mod bulk;
mod cli;
mod convert;
mod errors;
mod evaluation;
mod export;
mod filter;
mod fitting;
mod frame;
mod held;
mod history;
mod ids;
mod implicit;
mod index;
mod input;
mod interactions;
mod looking;
mod options;
mod planting;
mod ranking;
mod recommender;
mod scalar;
mod sparse;
mod train;
mod tuning;
mod unknown;
mod watch;

use nearwood::kernel::Reserved;
use pyo3::prelude::*;

/// What Rust allocates in this module.
#[global_allocator]
static ALLOCATOR: Reserved = Reserved;

/// What nearwood is made of; use it through `nearwood`.
#[pymodule]
mod _core {
    use numpy::PyArrayMethods;
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    #[pymodule_export]
    use crate::als::PyAls;
    #[pymodule_export]
    use crate::annoy::{AnnoyForest, AnnoyItems};
    #[pymodule_export]
    use crate::cli::run_cli;
    #[pymodule_export]
    use crate::evaluation::evaluate;
    #[pymodule_export]
    use crate::filter::PyFilter;
    #[pymodule_export]
    use crate::implicit::{implicit_leave_out, implicit_ranked, implicit_weights};
    #[pymodule_export]
    use crate::index::PyIndex;
    #[pymodule_export]
    use crate::interactions::PyInteractions;
    #[pymodule_export]
    use crate::looking::report;
    #[pymodule_export]
    use crate::recommender::PyRecommender;
    #[pymodule_export]
    use crate::tuning::tune_py;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        nearwood::memory::keep_reserve();
        // rust-numpy panics where its first look at numpy's C interface fails, which a signal does.
        // Here it is looked at before any call can be interrupted, numpy itself being imported first.
        py.import("numpy")?;
        py.check_signals()?;
        drop(numpy::PyArray1::<f32>::zeros(py, 0, false).try_readonly());
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let solvers = nearwood::als::Solver::ALL.map(nearwood::als::Solver::name);
        module.add("SOLVERS", PyTuple::new(module.py(), solvers)?)
    }
}
