//! The `nearwood` command, for `python -m nearwood`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command; its exit code: 0 done, 1 failed with one line, 2 wrong usage.
///
/// Args:
///     command: The words that start it in another process.
///     args: What stands after its name.
#[pyfunction]
pub fn run_cli(py: Python<'_>, command: Vec<OsString>, args: Vec<OsString>) -> u8 {
    let words = std::iter::once(OsString::from("nearwood")).chain(args);
    py.detach(|| nearwood::cli::main(words, &command))
}
