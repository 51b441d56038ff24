//! Questions to an index: asked with the interpreter released, answered in numpy arrays.

use std::sync::Arc;

use nearwood::error::QueryError;
use nearwood::{BatchOptions, Filter, Within};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyTuple};

use crate::convert::{self, Queries};
use crate::errors::OrRaise;
use crate::filter::filter;
use crate::index::PyIndex;
use crate::watch;

impl PyIndex {
    /// The filter of a call.
    pub(crate) fn filter(
        &self,
        object: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Arc<Filter>>> {
        filter(object, &self.index, self.token)
    }

    /// Ids and distances, and if `told` whether they are exact.
    pub(crate) fn answer<'py>(
        &self,
        py: Python<'py>,
        queries: Queries<'py>,
        options: BatchOptions<'_>,
        told: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        match queries {
            Queries::One(query) => self.one(py, convert::values(&query)?, options, told),
            Queries::Many(queries) => {
                let (index, queries) = (&*self.index, convert::values(&queries)?);
                let found = watch::detach(py, || index.search_batch(queries, options))?;
                let mut answers = found.or_raise()?;
                let exact = std::mem::take(&mut answers.exact);
                let pair = convert::answers(py, &self.index, answers, false)?;
                match told {
                    true => convert::triple(py, pair, PyArray1::from_vec(py, exact).into_any()),
                    false => convert::tuple(py, pair),
                }
            }
        }
    }

    fn one<'py>(
        &self,
        py: Python<'py>,
        query: &[f32],
        options: BatchOptions<'_>,
        told: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (index, k) = (&*self.index, options.k);
        let found = watch::detach(py, || {
            index.with_searcher(|searcher| {
                searcher.k(k).effort(options.effort).filter(options.filter);
                let hits = searcher.search(query).map(<[_]>::to_vec)?;
                Ok::<_, QueryError>((hits, searcher.was_exact()))
            })
        })?;
        let (hits, exact) = found.or_raise()?;
        let pair = convert::hits(py, index, &hits, k)?;
        match told {
            true => convert::triple(py, pair, PyBool::new(py, exact).to_owned().into_any()),
            false => convert::tuple(py, pair),
        }
    }

    /// What lies within a radius of one query: ids and distances.
    pub(crate) fn within<'py>(
        &self,
        py: Python<'py>,
        within: &Within,
        told: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let pair = convert::hits(py, &self.index, &within.hits, within.hits.len())?;
        match told {
            true => convert::triple(py, pair, PyBool::new(py, within.exact).to_owned().into_any()),
            false => convert::tuple(py, pair),
        }
    }
}
