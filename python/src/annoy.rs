//! What `nearwood.annoy` stands on: the items being added, and the forest built or opened.

use std::sync::Arc;

use nearwood::Error;
use nearwood::annoy::{BuildOptions, Forest, Items, Neighbour, distance};
use nearwood::io::annoy::AnnoyMetric;
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::errors::OrRaise;
use crate::options::{Progress, path_of};
use crate::watch;

/// A vector as Annoy takes it: anything with a length and items that are numbers.
fn vector(object: &Bound<'_, PyAny>, dim: usize) -> PyResult<Vec<f32>> {
    let len = object.len()?;
    if len != dim {
        let text = format!("Vector has wrong length (expected {dim}, got {len})");
        return Err(PyIndexError::new_err(text));
    }
    if let Ok(array) = object.cast_exact::<PyArray1<f32>>()
        && crate::convert::is_aligned(array)
    {
        return Ok(array.try_readonly()?.as_array().to_vec());
    }
    if let Ok(list) = object.cast::<PyList>() {
        return list.iter().map(|value| number(&value)).collect();
    }
    (0..dim).map(|at| number(&object.get_item(at)?)).collect()
}

fn number(object: &Bound<'_, PyAny>) -> PyResult<f32> {
    object.extract::<f64>().map(|value| value as f32)
}

/// A list of floats; zeros for a hole, as Annoy has them.
fn list<'py>(py: Python<'py>, vector: Option<&[f32]>, dim: usize) -> PyResult<Bound<'py, PyList>> {
    match vector {
        Some(vector) => PyList::new(py, vector),
        None => PyList::new(py, vec![0f32; dim]),
    }
}

/// The distance of two items; holes are zeros.
fn between(metric: AnnoyMetric, x: Option<&[f32]>, y: Option<&[f32]>, dim: usize) -> f32 {
    let zeros = vec![0f32; dim];
    distance(metric, x.unwrap_or(&zeros), y.unwrap_or(&zeros))
}

/// Runs a build that Ctrl-C stops.
fn watched(
    py: Python<'_>,
    verbose: bool,
    label: &str,
    work: impl FnOnce(&(dyn Fn(usize, usize) -> bool + Sync)) -> Result<Forest, Error> + Send,
) -> PyResult<AnnoyForest> {
    let bar = verbose.into_pyobject(py)?.to_owned().into_any();
    let progress = Progress::new(Some(&bar), label)?;
    let heard = progress.is_heard();
    let work = |watched: &watch::Watched| work(&|done, total| watched.go_on(heard, done, total));
    let forest = watch::run(py, work, progress.listener())?;
    Ok(AnnoyForest(Arc::new(forest.or_raise()?)))
}

/// Vectors being added to an AnnoyIndex.
#[pyclass(module = "nearwood._core")]
pub struct AnnoyItems(Items);

#[pymethods]
impl AnnoyItems {
    #[new]
    fn new(f: usize, metric: &str) -> PyResult<AnnoyItems> {
        Ok(AnnoyItems(Items::new(metric.parse().or_raise()?, f).or_raise()?))
    }

    /// Adds or overwrites an item.
    fn set(&mut self, i: u32, vector: &Bound<'_, PyAny>) -> PyResult<()> {
        let vector = self::vector(vector, self.0.dim())?;
        self.0.set(i, &vector).or_raise()
    }

    /// Whether a vector is one that :meth:`set` would take.
    fn check(&self, vector: &Bound<'_, PyAny>) -> PyResult<()> {
        self::vector(vector, self.0.dim()).map(drop)
    }

    /// The vector of an item.
    fn vector<'py>(&self, py: Python<'py>, i: u32) -> PyResult<Bound<'py, PyList>> {
        list(py, self.0.get(i), self.0.dim())
    }

    /// The distance of two items.
    fn distance(&self, i: u32, j: u32) -> f32 {
        between(self.0.metric(), self.0.get(i), self.0.get(j), self.0.dim())
    }

    /// Builds a forest over the items, which stay.
    fn build(
        &self,
        py: Python<'_>,
        n_trees: Option<usize>,
        n_threads: Option<usize>,
        seed: u64,
        verbose: bool,
    ) -> PyResult<AnnoyForest> {
        let options = BuildOptions { n_trees, n_threads, seed };
        let items = &self.0;
        watched(py, verbose, "building", |told| Forest::build(items, options, told))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// What an AnnoyIndex was built into, or loaded.
#[pyclass(module = "nearwood._core", frozen)]
pub struct AnnoyForest(Arc<Forest>);

impl AnnoyForest {
    fn dim(&self) -> usize {
        self.0.index().dim()
    }

    fn answer<'py>(
        &self,
        py: Python<'py>,
        query: &[f32],
        n: Option<usize>,
        search_k: Option<usize>,
        include_distances: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let n = n.unwrap_or(self.0.n_items());
        let found = watch::detach(py, || self.0.search(query, n, search_k))?.or_raise()?;
        let items = PyList::new(py, found.iter().map(|hit: &Neighbour| hit.item))?;
        if !include_distances {
            return Ok(items.into_any());
        }
        let distances = PyList::new(py, found.iter().map(|hit| hit.distance))?;
        Ok(PyTuple::new(py, [items, distances])?.into_any())
    }
}

#[pymethods]
impl AnnoyForest {
    /// Opens a file of Annoy's or of ours.
    #[staticmethod]
    fn open(
        path: &Bound<'_, PyAny>,
        f: usize,
        metric: &str,
        prefault: bool,
        verbose: bool,
    ) -> PyResult<AnnoyForest> {
        let file = path_of(path)?;
        let metric: AnnoyMetric = metric.parse().or_raise()?;
        watched(path.py(), verbose, "loading", |told| Forest::open(file, metric, f, prefault, told))
    }

    /// Writes our file.
    fn save(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let file = path_of(path)?;
        watch::detach(path.py(), || self.0.save(file))?.or_raise()
    }

    /// The n nearest to a vector, all if None; search_k of None: n times the trees.
    fn search<'py>(
        &self,
        py: Python<'py>,
        vector: &Bound<'py, PyAny>,
        n: Option<usize>,
        search_k: Option<usize>,
        include_distances: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let query = self::vector(vector, self.dim())?;
        self.answer(py, &query, n, search_k, include_distances)
    }

    /// The n nearest to an item, itself among them.
    fn search_item<'py>(
        &self,
        py: Python<'py>,
        i: u32,
        n: Option<usize>,
        search_k: Option<usize>,
        include_distances: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.0.vector(i) {
            Some(query) => self.answer(py, &query, n, search_k, include_distances),
            None => self.answer(py, &vec![0f32; self.dim()], n, search_k, include_distances),
        }
    }

    /// The vector of an item.
    fn vector<'py>(&self, py: Python<'py>, i: u32) -> PyResult<Bound<'py, PyList>> {
        list(py, self.0.vector(i).as_deref(), self.dim())
    }

    /// The distance of two items.
    fn distance(&self, i: u32, j: u32) -> f32 {
        let (x, y) = (self.0.vector(i), self.0.vector(j));
        between(self.0.metric(), x.as_deref(), y.as_deref(), self.dim())
    }

    /// The items again, to add more to them.
    fn items(&self, py: Python<'_>) -> PyResult<AnnoyItems> {
        Ok(AnnoyItems(watch::detach(py, || self.0.items())?.or_raise()?))
    }

    /// The largest item number plus one.
    #[getter]
    fn n_items(&self) -> usize {
        self.0.n_items()
    }

    /// The trees that were asked for.
    #[getter]
    fn n_trees(&self) -> usize {
        self.0.n_trees()
    }
}
