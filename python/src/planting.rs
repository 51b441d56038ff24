//! What appending, dropping and merging trees have in common.

use std::path::PathBuf;

use nearwood::{Index, TreeOptions};
use pyo3::prelude::*;

use crate::convert;
use crate::errors::OrRaise;
use crate::index::PyIndex;
use crate::options::{Progress, Threads, path_of, threads};
use crate::watch;

/// What belongs to a new index of trees.
pub struct Planting<'a, 'py> {
    queries: Option<&'a Bound<'py, PyAny>>,
    n_threads: Option<usize>,
    progress: Progress,
    path: Option<PathBuf>,
}

impl<'a, 'py> Planting<'a, 'py> {
    /// From the keyword arguments of a call.
    pub fn new(
        queries: Option<&'a Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
        progress: Option<&Bound<'_, PyAny>>,
        path: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let path = path.map(path_of).transpose()?;
        let progress = Progress::new(progress, "building")?;
        Ok(Planting { queries, n_threads: threads(n_threads), progress, path })
    }

    /// Makes the index with the interpreter released.
    pub fn run(
        &self,
        py: Python<'_>,
        dim: usize,
        make: impl FnOnce(TreeOptions<'_>) -> Result<Index, nearwood::Error> + Send,
    ) -> PyResult<PyIndex> {
        let mut given = None;
        if let Some(queries) = self.queries {
            let queries = convert::matrix(queries, "calibration_queries")?;
            convert::same_dim("calibration_queries", queries.as_array().ncols(), dim)?;
            given = Some(convert::values(&queries)?.to_vec());
        }
        let (heard, n_threads, path) = (self.progress.is_heard(), self.n_threads, &self.path);
        let work = |watched: &watch::Watched| {
            let progress = |done, total| watched.go_on(heard, done, total);
            let (queries, path) = (given.as_deref(), path.as_deref());
            make(TreeOptions { queries, n_threads, path, progress: &progress })
        };
        let index = watch::run(py, work, self.progress.listener())?;
        Ok(PyIndex::new(index.or_raise()?))
    }
}
