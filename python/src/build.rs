//! Running a build that Python has described.

use nearwood::Index;
use nearwood::index::Builder;
use pyo3::prelude::*;

use crate::errors::OrRaise;
use crate::input::Rows;
use crate::options::{Progress, path_of};
use crate::watch;

/// Runs a build with the interpreter released.
pub fn run(
    py: Python<'_>,
    builder: &Builder,
    rows: &Rows<'_>,
    path: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Index> {
    let path = path.map(path_of).transpose()?;
    let progress = Progress::new(progress, "building")?;
    let heard = progress.is_heard();
    let work = |watched: &watch::Watched| -> Result<Index, nearwood::Error> {
        let told = |done, total| watched.go_on(heard, done, total);
        let vectors = rows.vectors()?;
        match path {
            None => Ok(builder.build_with(vectors, &told)?),
            Some(path) => builder.build_to_with(path, vectors, &told),
        }
    };
    let index = watch::run(py, work, progress.listener())?;
    index.or_raise()
}
