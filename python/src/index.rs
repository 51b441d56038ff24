//! `nearwood.Index`.

use std::sync::Arc;

use nearwood::store::Bytes;
use nearwood::{Ids, Index, Metric, RadiusOptions};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PyTuple, PyType};

use crate::build;
use crate::bulk;
use crate::convert::{self, Queries};
use crate::errors::{OrRaise, value_error};
use crate::filter::Token;
use crate::ids::{self, Order};
use crate::input;
use crate::looking::recall_curve;
use crate::options::{Count, Counts, Threads, named, optional, path_of, threads};
use crate::planting::Planting;
use crate::watch;

/// Vectors and the trees to search them: built here, or mapped from a file.
///
/// Any number of threads may search one index at once; the interpreter is released meanwhile.
/// Make one with :meth:`build`, :meth:`open` or :meth:`from_bytes`.
///
/// >>> import numpy as np, nearwood as nw
/// >>> vectors = np.random.default_rng(0).normal(size=(1000, 16)).astype(np.float32)
/// >>> index = nw.Index.build(vectors, metric="angular")
/// >>> ids, distances = index.search(vectors[7], k=3)
/// >>> ids.shape, ids.dtype, distances.dtype
/// ((3,), dtype('int64'), dtype('float32'))
/// >>> int(ids[0])
/// 7
/// >>> ids, distances = index.search(vectors[:5], k=3)
/// >>> ids.shape
/// (5, 3)
#[pyclass(name = "Index", module = "nearwood", frozen, weakref)]
pub struct PyIndex {
    pub(crate) index: Arc<Index>,
    pub(crate) token: Token,
}

impl PyIndex {
    pub fn new(index: Index) -> PyIndex {
        PyIndex { token: Token::new(&index), index: Arc::new(index) }
    }
}

#[pymethods]
impl PyIndex {
    /// Builds an index over the rows of `vectors`.
    ///
    /// Args:
    ///     vectors: (n, d) numbers: float32, float64, float16, integers or bools, in any order;
    ///         anything that `numpy.asarray` takes, or an Arrow column of lists. Searched as float32.
    ///     metric: "euclidean" (L2), "angular" (1 - cos), "dot" (inner product, largest first),
    ///         "manhattan" (L1) or "hamming" (how many components differ, each 1 above 0.5, else 0);
    ///         also by the names "l2", "cosine", "ip" and "l1", in any case.
    ///     packed: For "hamming": `vectors` (and `calibration_queries`) are uint8 rows of packed
    ///         bits, as `numpy.packbits(x, axis=1)` makes them.
    ///     dim: The bits of a packed row; None: 8 a byte.
    ///     storage: What is kept of the vectors for exact distances: "float32", "float16" (an error
    ///         beyond 65504) or "int8" (lossless where all values are integers of one byte).
    ///         "hamming" always keeps bits.
    ///     ids: n unique ints (any int64 but -1) or strings; None: 0 to n - 1. UUIDs become their
    ///         canonical text; bools and floats are refused.
    ///     labels: n names for people, found by :meth:`find`, which may repeat; or a mapping from id to
    ///         name, in which what has none is named by its id.
    ///     n_trees: How many trees; None: 1, which serves best where leaves are large.
    ///     leaf_size: The most rows that a split leaves together; None: 400, by "dot" 200.
    ///     seed: The same seed gives the same bytes at any number of threads.
    ///     n_threads: None: all cores.
    ///     progress: True: a bar on a terminal's standard error; or a callable(done, total), in
    ///         percent.
    ///     calibration_queries: (m, d) vectors that look like the queries to come; None: rows, and by
    ///         "dot" users made up from them, up to 512 dimensions. Give them where queries differ
    ///         from rows, as users differ from items.
    ///     path: Build straight into a file, which appears when it is whole; the index returned is
    ///         mapped from there. A build that ends before that leaves the file as it was.
    ///     first_tree: The number of the first tree: trees 0 and 1 built here, 2 and 3 elsewhere,
    ///         and merged by :meth:`merge`, are the four trees of one build.
    ///     graph: Whether to grow a neighbour graph, which searches without a filter then walk over:
    ///         faster, for about four times the CPU time of the trees and 120 bytes a vector. None:
    ///         from 10,000 vectors on by "euclidean" and "angular", never with a `memory_limit`. Not
    ///         by "dot", whose searches are fastest over the trees.
    ///     memory_limit: With `path`, how many bytes the build may allocate, `vectors`, ids and
    ///         labels apart. Give the vectors as ``np.load(file, mmap_mode="r")``, float32 in C
    ///         order, to build a file several times larger than the memory: the same bytes as
    ///         without a limit and ``graph=False``.
    ///
    /// Raises:
    ///     ValueError: For another shape, NaN, infinities, ids that repeat, ``graph=True`` by "dot"
    ///         or with a `memory_limit`, and the like.
    ///     TypeError: If `vectors` are not numbers.
    ///     OSError: If `path` cannot be written.
    ///
    /// >>> import nearwood as nw
    /// >>> index = nw.Index.build([[0, 1], [1, 0]], ids=["north", "east"])
    /// >>> index.search([0.9, 0.1], k=1)[0]
    /// array(['east'], dtype=object)
    #[staticmethod]
    #[pyo3(signature = (vectors, metric="euclidean", *, packed=false, dim=None, storage="float32",
        ids=None, labels=None, n_trees=None, leaf_size=None, seed=0, n_threads=None, progress=None,
        calibration_queries=None, path=None, first_tree=None, graph=None,
        memory_limit=None), text_signature = "(vectors, metric=\"euclidean\", *, packed=False, dim=None, storage=\"float32\", ids=None, labels=None, n_trees=None, leaf_size=None, seed=0, n_threads=None, progress=False, calibration_queries=None, path=None, first_tree=0, graph=None, memory_limit=None)")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one call")]
    fn build(
        vectors: &Bound<'_, PyAny>,
        metric: &str,
        packed: bool,
        #[pyo3(from_py_with = named::dim)] dim: Option<Count>,
        storage: &str,
        ids: Option<&Bound<'_, PyAny>>,
        labels: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = named::n_trees)] n_trees: Option<Count>,
        #[pyo3(from_py_with = named::leaf_size)] leaf_size: Option<Count>,
        #[pyo3(from_py_with = named::seed)] seed: u64,
        n_threads: Option<Threads>,
        progress: Option<&Bound<'_, PyAny>>,
        calibration_queries: Option<&Bound<'_, PyAny>>,
        path: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = named::first_tree)] first_tree: Option<Count>,
        graph: Option<bool>,
        #[pyo3(from_py_with = named::memory_limit)] memory_limit: Option<Count>,
    ) -> PyResult<PyIndex> {
        let metric: Metric = metric.parse().or_raise()?;
        let mut builder = Index::builder(metric).seed(seed).threads(threads(n_threads));
        builder = builder.storage(storage.parse().or_raise()?);
        builder = builder.memory_limit(optional(memory_limit)).graph(graph);
        builder = builder.first_tree(optional(first_tree).unwrap_or(0));
        if let Some(trees) = n_trees {
            builder = builder.trees(trees.0);
        }
        if let Some(rows) = leaf_size {
            builder = builder.leaf_size(rows.0);
        }
        let ids = ids.map(|ids| ids::ids(ids, "ids")).transpose()?;
        if memory_limit.is_some() {
            convert::used_as_it_lies(vectors)?;
        }
        let given = input::Given::new(vectors, "vectors", packed, optional(dim))?;
        let rows = given.rows()?;
        if let Some(labels) = labels {
            let of_rows = Ids::Sequential(rows.len());
            let ids = ids.as_ref().unwrap_or(&of_rows);
            let names = ids::names(labels, ids, "labels", "vector", Order::Rows)?;
            builder = builder.labels(names);
        }
        if let Some(ids) = ids {
            builder = builder.ids(ids);
        }
        if let Some(queries) = calibration_queries {
            let dim = packed.then_some(rows.dim());
            let queries = input::Given::new(queries, "calibration_queries", packed, dim)?;
            let queries = queries.rows()?;
            convert::same_dim("calibration_queries", queries.dim(), rows.dim())?;
            builder = builder.calibration_queries(queries.to_values()?);
        }
        build::run(vectors.py(), &builder, &rows, path, progress).map(PyIndex::new)
    }

    /// Opens a file by mapping it, in microseconds: nothing is read until a search needs it.
    ///
    /// Args:
    ///     path: str or PathLike.
    ///     prefault: Read the whole file into memory now.
    ///     lock: Read it and keep it in physical memory, never paged out, until the index is gone.
    ///     verify: Check every checksum and every section; reads the whole file.
    ///     in_memory: Copy the file into the memory of this process rather than map it. For file
    ///         systems that do not map files (some network and container mounts).
    ///
    /// Raises:
    ///     FileNotFoundError: If there is no such file.
    ///     FormatError: If the file is damaged, cut short, or something else.
    ///     OSError: If the path names a pipe, a socket or a device; if the file system does not map
    ///         files; if the system does not let so much be locked. The message says what to do.
    ///     ValueError: If both `lock` and `in_memory` are asked for.
    #[staticmethod]
    #[pyo3(signature = (path, *, prefault=false, lock=false, verify=false, in_memory=false))]
    fn open(
        path: &Bound<'_, PyAny>,
        prefault: bool,
        lock: bool,
        verify: bool,
        in_memory: bool,
    ) -> PyResult<PyIndex> {
        let file = path_of(path)?;
        if lock && in_memory {
            return Err(value_error(
                "lock and in_memory are both True: lock keeps a map in memory",
            ));
        }
        let opened = watch::detach(path.py(), || {
            let index = match (in_memory, lock, prefault) {
                (true, ..) => Index::open_in_memory(file),
                (_, true, _) => Index::open_locked(file),
                (.., true) => Index::open_prefault(file),
                _ => Index::open(file),
            }?;
            if verify {
                index.verify()?;
            }
            Ok::<_, nearwood::error::OpenError>(index)
        })?;
        Ok(PyIndex::new(opened.or_raise()?))
    }

    /// Opens the bytes of a file: `bytes` or anything with a buffer. They are copied.
    ///
    /// Raises:
    ///     FormatError: If they are damaged, cut short, or something else.
    ///     TypeError: If `data` has no buffer.
    #[staticmethod]
    fn from_bytes(data: &Bound<'_, PyAny>) -> PyResult<PyIndex> {
        let bytes = convert::bytes_of(data)?;
        let bytes = bytes.as_bytes();
        let opened = watch::detach(data.py(), || Index::from_bytes(bytes))?;
        Ok(PyIndex::new(opened.or_raise()?))
    }

    /// Checks every checksum of a file and everything that its sections name.
    ///
    /// Raises:
    ///     FormatError: At the first thing that is wrong.
    #[staticmethod]
    fn verify(path: &Bound<'_, PyAny>) -> PyResult<()> {
        let file = path_of(path)?;
        let verified = watch::detach(path.py(), || {
            let index = Index::from_shared(Bytes::map_or_read(&file)?)?;
            index.verify()
        })?;
        verified.or_raise()
    }

    /// A new index with `n` more trees; this one stays as it is.
    ///
    /// The new trees are numbered from the last one's on, and the index is to the byte what one
    /// build of all of them gives.
    ///
    /// Args:
    ///     n: How many trees to append.
    ///     calibration_queries: (m, d) vectors that look like the queries to come; None: as for
    ///         :meth:`build`. The recall is measured again, and those given to the build are not
    ///         kept: give them again.
    ///     n_threads: None: all cores.
    ///     progress: As for :meth:`build`.
    ///     path: Where to write the index; the one returned is mapped from there.
    ///
    /// Raises:
    ///     ValueError: If `n` is 0, there would be more than 1,000 trees, or queries are of
    ///         another dimension.
    ///     OSError: If `path` cannot be written.
    ///
    /// >>> import numpy as np, nearwood as nw
    /// >>> vectors = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    /// >>> index = nw.Index.build(vectors).append_trees(2)
    /// >>> index.trees, index.drop_trees([0]).trees
    /// ([0, 1, 2], [1, 2])
    #[pyo3(signature = (n, *, calibration_queries=None, n_threads=None, progress=None, path=None),
        text_signature = "($self, n, *, calibration_queries=None, n_threads=None, progress=False, path=None)")]
    fn append_trees(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = named::n)] n: Count,
        calibration_queries: Option<&Bound<'_, PyAny>>,
        n_threads: Option<Threads>,
        progress: Option<&Bound<'_, PyAny>>,
        path: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyIndex> {
        let planting = Planting::new(calibration_queries, n_threads, progress, path)?;
        planting.run(py, self.index.dim(), |options| self.index.append_trees(n.0, options))
    }

    /// A new index without the trees of these numbers (see :attr:`trees`); at least one stays.
    ///
    /// Arguments as for :meth:`append_trees`, which this undoes to the byte.
    ///
    /// Raises:
    ///     ValueError: If a number is no tree's, or none would stay.
    ///     OSError: If `path` cannot be written.
    #[pyo3(signature = (numbers, *, calibration_queries=None, n_threads=None, progress=None,
        path=None), text_signature = "($self, numbers, *, calibration_queries=None, n_threads=None, progress=False, path=None)")]
    fn drop_trees(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = named::numbers)] numbers: Counts,
        calibration_queries: Option<&Bound<'_, PyAny>>,
        n_threads: Option<Threads>,
        progress: Option<&Bound<'_, PyAny>>,
        path: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyIndex> {
        let planting = Planting::new(calibration_queries, n_threads, progress, path)?;
        planting.run(py, self.index.dim(), |options| self.index.drop_trees(&numbers.0, options))
    }

    /// One index with the trees of several over the same vectors, ids and labels, built with the
    /// same metric, seed and leaf size, each from another `first_tree`: to the byte what one build
    /// of all trees gives, in whatever order they come.
    ///
    /// Arguments as for :meth:`append_trees`.
    ///
    /// Raises:
    ///     ValueError: If they do not belong together; says what differs.
    #[staticmethod]
    #[pyo3(signature = (indexes, *, calibration_queries=None, n_threads=None, progress=None,
        path=None), text_signature = "(indexes, *, calibration_queries=None, n_threads=None, progress=False, path=None)")]
    fn merge(
        py: Python<'_>,
        indexes: Vec<PyRef<'_, PyIndex>>,
        calibration_queries: Option<&Bound<'_, PyAny>>,
        n_threads: Option<Threads>,
        progress: Option<&Bound<'_, PyAny>>,
        path: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyIndex> {
        let planting = Planting::new(calibration_queries, n_threads, progress, path)?;
        let indexes: Vec<Arc<Index>> = indexes.iter().map(|i| i.index.clone()).collect();
        let dim = indexes.first().map_or(0, |index| index.dim());
        let indexes: Vec<&Index> = indexes.iter().map(|index| &**index).collect();
        planting.run(py, dim, |options| Index::merge(&indexes, options))
    }

    /// The numbers of the trees, ascending.
    #[getter]
    fn trees(&self) -> Vec<usize> {
        self.index.tree_numbers()
    }

    /// Writes the index so that a crash leaves the old file or the whole new one. The new file has
    /// the owner, group and mode of the one that it replaces, where the system allows.
    ///
    /// Raises:
    ///     OSError: If it cannot be written; the message says whether the old file was replaced.
    fn save(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let file = path_of(path)?;
        watch::detach(path.py(), || self.index.save(file))?.or_raise()
    }

    /// The bytes of the file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        bulk::bytes(py, self.index.as_bytes())
    }

    /// The k nearest vectors of one query or of many.
    ///
    /// Args:
    ///     queries: (d,) or (m, d) numbers. float32 in C order is used as it lies. To an index by
    ///         "hamming" also packed bits, uint8 with d / 8 columns, rounded up.
    ///     k: How many neighbours.
    ///     recall: The share of the true neighbours to find on average; 0.95 unless told. The
    ///         budget comes from the calibration measured when the index was built.
    ///     budget: How many vectors may be evaluated (over a graph: are on average) in its place.
    ///     filter: Which may be found: a mask of n bools, ids (an array, a list, a set, a single one), or
    ///         a `Filter`. n zeros and ones are refused: `.astype(bool)` makes a mask of them.
    ///     n_threads: Threads of a batch; None: all cores. One query never uses more than its own.
    ///     return_exact: Return also whether the answer is certain to be exact.
    ///
    /// Returns:
    ///     ids: (k,) or (m, k); int64, or an object array of str.
    ///     distances: float32 of the same shape, nearest first.
    ///     exact: With `return_exact`: a bool, or an array of (m,). True where everything that
    ///         might be found was compared in float32: with recall=1, and with a filter where
    ///         looking at all that pass was the least work. What is not certain may still be exact.
    ///
    ///     Where fewer than k pass, the rest is -1 (None for string ids) and inf (-inf for "dot").
    ///
    /// Raises:
    ///     ValueError: If k is 0, the dimension differs, or a query has NaN or infinities.
    #[pyo3(signature = (queries, k=Count(10), *, recall=None, budget=None, filter=None,
        n_threads=None, return_exact=false), text_signature = "($self, queries, k=10, *, recall=None, budget=None, filter=None, n_threads=None, return_exact=False)")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::k)] k: Count,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        #[pyo3(from_py_with = named::budget)] budget: Option<Count>,
        filter: Option<&Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
        return_exact: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let effort = convert::effort(recall, optional(budget), false)?;
        let allowed = self.filter(filter)?;
        let options = convert::batch(k.0, effort, allowed.as_deref(), threads(n_threads));
        self.answer(py, input::queries(queries, &self.index)?, options, return_exact)
    }

    /// Everything within a radius of one query or of many.
    ///
    /// Args:
    ///     queries: (d,) or (m, d) numbers.
    ///     r: The largest distance; for "dot" the smallest product. NaN is refused; a radius below
    ///         any distance finds nothing, an infinite one (-inf for "dot") everything.
    ///     recall: The share of what lies within r to find on average; 0.95 unless told, 1 finds
    ///         all of it.
    ///     budget: How many vectors may be evaluated, in place of a recall: about so many.
    ///     filter: Which may be found: a bool mask of shape (n,), an array of ids, or a `Filter`.
    ///     n_threads: Threads of a batch; None: all cores.
    ///     return_exact: Add to each pair whether it is certain to be exact.
    ///
    /// Returns:
    ///     For (d,) a pair of arrays, ids and float32 distances, nearest first; for (m, d) a list of
    ///     m such pairs. Memory grows with what is found.
    ///
    /// Raises:
    ///     ValueError: If r is NaN, the dimension differs, or a query has NaN or infinities.
    ///
    /// >>> import nearwood as nw
    /// >>> index = nw.Index.build([[0, 1], [1, 0], [0.9, 0.1]], ids=["n", "e", "ene"])
    /// >>> index.radius([1.0, 0.0], 0.5)[0]
    /// array(['e', 'ene'], dtype=object)
    /// >>> [len(ids) for ids, distances in index.radius([[1, 0], [0, 1], [5, 5]], 0.5)]
    /// [2, 1, 0]
    #[pyo3(signature = (queries, r, *, recall=None, budget=None, filter=None, n_threads=None,
        return_exact=false), text_signature = "($self, queries, r, *, recall=None, budget=None, filter=None, n_threads=None, return_exact=False)")]
    fn radius<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::r)] r: f64,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        #[pyo3(from_py_with = named::budget)] budget: Option<Count>,
        filter: Option<&Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
        return_exact: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let effort = convert::effort(recall, optional(budget), false)?;
        let allowed = self.filter(filter)?;
        let n_threads = threads(n_threads);
        let options = RadiusOptions { effort, filter: allowed.as_deref(), n_threads };
        let index = &*self.index;
        match input::queries(queries, &self.index)? {
            Queries::One(query) => {
                let query = convert::values(&query)?;
                convert::same_dim("the query", query.len(), self.index.dim())?;
                let found = watch::detach(py, || index.radius(query, r, options))?.or_raise()?;
                let first = found.first().cloned().unwrap_or_default();
                self.within(py, &first, return_exact).map(Bound::into_any)
            }
            Queries::Many(queries) => {
                let values = convert::values(&queries)?;
                let found = watch::detach(py, || index.radius(values, r, options))?.or_raise()?;
                let pairs: PyResult<Vec<_>> =
                    found.iter().map(|within| self.within(py, within, return_exact)).collect();
                Ok(PyList::new(py, pairs?)?.into_any())
            }
        }
    }

    /// The k nearest by brute force over every vector, in the shapes of :meth:`search`.
    ///
    /// Raises:
    ///     ValueError: As for :meth:`search`.
    #[pyo3(signature = (queries, k=Count(10), *, filter=None, n_threads=None),
        text_signature = "($self, queries, k=10, *, filter=None, n_threads=None)")]
    fn search_exact<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::k)] k: Count,
        filter: Option<&Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let effort = convert::effort(None, None, true)?;
        let allowed = self.filter(filter)?;
        let options = convert::batch(k.0, effort, allowed.as_deref(), threads(n_threads));
        self.answer(py, input::queries(queries, &self.index)?, options, false)
    }

    /// The neighbours of vectors in the index, named by id: one id gives (k,), many give (m, k).
    ///
    /// Each leaves itself out unless `include_self`.
    ///
    /// Raises:
    ///     KeyError: If an id is not there.
    ///
    /// >>> import nearwood as nw
    /// >>> index = nw.Index.build([[0, 1], [1, 0], [0.8, 0.1]], ids=["n", "e", "ene"])
    /// >>> index.search_ids("e", k=1)[0]
    /// array(['ene'], dtype=object)
    #[pyo3(signature = (ids, k=Count(10), *, include_self=false, recall=None, budget=None,
        filter=None, n_threads=None), text_signature = "($self, ids, k=10, *, include_self=False, recall=None, budget=None, filter=None, n_threads=None)")]
    fn search_ids<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::k)] k: Count,
        include_self: bool,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        #[pyo3(from_py_with = named::budget)] budget: Option<Count>,
        filter: Option<&Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let one = ids::is_one(ids);
        let positions = match one {
            true => vec![ids::position(&self.index, ids)?],
            false => ids::positions(&self.index, ids)?,
        };
        let effort = convert::effort(recall, optional(budget), false)?;
        let allowed = self.filter(filter)?;
        let options = convert::batch(k.0, effort, allowed.as_deref(), threads(n_threads));
        let answers =
            watch::detach(py, || self.index.search_positions(&positions, options, include_self))?;
        convert::tuple(py, convert::answers(py, &self.index, answers.or_raise()?, one)?)
    }

    /// The share of the true k nearest that :meth:`search` finds, the mean over (m, d) queries;
    /// anything no farther than the last true neighbour counts. Searches by brute force too.
    ///
    /// Raises:
    ///     ValueError: As for :meth:`search`, and if `queries` is one vector.
    #[pyo3(signature = (queries, k=Count(10), *, recall=None, budget=None, filter=None,
        n_threads=None), text_signature = "($self, queries, k=10, *, recall=None, budget=None, filter=None, n_threads=None)")]
    fn recall<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = named::k)] k: Count,
        #[pyo3(from_py_with = named::recall)] recall: Option<f64>,
        #[pyo3(from_py_with = named::budget)] budget: Option<Count>,
        filter: Option<&Bound<'py, PyAny>>,
        n_threads: Option<Threads>,
    ) -> PyResult<f64> {
        let effort = convert::effort(recall, optional(budget), false)?;
        let allowed = self.filter(filter)?;
        let options = convert::batch(k.0, effort, allowed.as_deref(), threads(n_threads));
        let Queries::Many(queries) = input::queries(queries, &self.index)? else {
            return Err(value_error("queries have 1 dimensions, expected 2, (m, d)"));
        };
        let values = convert::values(&queries)?;
        watch::detach(py, || self.index.recall(values, options))?.or_raise()
    }

    /// Whether queries lie far from everything: farther from their neighbours than 99.5% of the
    /// queries that the recall was measured with. Such queries may find less than the recall that they
    /// asked for. Build with queries like them as `calibration_queries`, or search with recall=1.
    ///
    /// Args:
    ///     queries: (d,) or (m, d) numbers.
    ///     distances: (k,) or (m, k), what a search of them without a filter returned, k at most 100.
    ///
    /// Returns:
    ///     A bool for (d,), else an array of m bools. A query that found nothing is not far.
    ///
    /// Raises:
    ///     ValueError: If the shapes do not fit, k is above 100, or the file was written before
    ///         format 1.3.
    ///
    /// >>> import numpy as np, nearwood as nw
    /// >>> rows = np.random.default_rng(0).normal(size=(2000, 8))
    /// >>> index = nw.Index.build(rows)
    /// >>> queries = [[0] * 8, [50] * 8]
    /// >>> index.is_far(queries, index.search(queries, 10)[1])
    /// array([False,  True])
    fn is_far<'py>(
        &self,
        py: Python<'py>,
        queries: &Bound<'py, PyAny>,
        distances: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let distances = convert::floats(distances, "distances")?;
        match input::queries(queries, &self.index)? {
            Queries::One(query) => {
                let far = self.index.are_far(convert::values(&query)?, &distances).or_raise()?;
                Ok(PyBool::new(py, far[0]).to_owned().into_any())
            }
            Queries::Many(queries) => {
                let values = convert::values(&queries)?;
                let far = watch::detach(py, || self.index.are_far(values, &distances))?;
                Ok(convert::array(py, far.or_raise()?))
            }
        }
    }

    /// What searches find and how fast, by the work they may do: measured against brute force, one
    /// query after another on one thread.
    ///
    /// Args:
    ///     queries: (m, d) vectors; None: 200 to 600 stored vectors drawn at random, each left out
    ///         of its own answer, or by "dot" users made up from them.
    ///     k: Neighbours a query.
    ///     budgets: How many vectors searches may evaluate; None: those of the calibration.
    ///     n_threads: Of the brute force. None: all cores.
    ///
    /// Returns:
    ///     A dict: "steps", one dict a budget with "budget", "recall", "microseconds" and
    ///     "queries_per_second"; "asked", the same for recall=0.9, 0.95 and 0.99, with "asked" in
    ///     place of "budget"; "exact", brute force; "k", "n_queries", and "queries", where they came
    ///     from: "given", "stored" or "made-up".
    ///
    /// Raises:
    ///     ValueError: As for :meth:`recall`, and if a budget is 0.
    ///
    /// >>> import numpy as np, nearwood as nw
    /// >>> index = nw.Index.build(np.random.default_rng(0).normal(size=(2000, 8)))
    /// >>> curve = index.recall_curve(budgets=[100, 2000])
    /// >>> [step["budget"] for step in curve["steps"]], curve["steps"][1]["recall"] > 0.9
    /// ([100, 2000], True)
    #[pyo3(signature = (queries=None, k=Count(10), *, budgets=None, n_threads=None),
        text_signature = "($self, queries=None, k=10, *, budgets=None, n_threads=None)")]
    fn recall_curve<'py>(
        &self,
        py: Python<'py>,
        queries: Option<&Bound<'py, PyAny>>,
        #[pyo3(from_py_with = named::k)] k: Count,
        #[pyo3(from_py_with = named::budgets)] budgets: Option<Counts>,
        n_threads: Option<Threads>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let budgets = budgets.map(|budgets| budgets.0);
        let n_threads = threads(n_threads);
        recall_curve(py, &self.index, queries, k.0, budgets.as_deref(), n_threads)
    }

    /// The vector of an id, (d,) float32, as it is stored.
    ///
    /// Raises:
    ///     KeyError: If the id is not there.
    fn vector<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let position = ids::position(&self.index, id)?;
        bulk::vectors(py, &self.index, &[position])?.call_method1("reshape", (-1,))
    }

    /// The vectors of ids, (m, d) float32.
    ///
    /// Raises:
    ///     KeyError: If an id is not there.
    fn vectors<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        bulk::vectors(py, &self.index, &ids::positions(&self.index, ids)?)
    }

    /// The id that a person means by `name`: an id itself, or else a label.
    ///
    /// Raises:
    ///     KeyError: If nothing bears the name.
    ///     ValueError: If several ids bear it as their label; they are listed.
    ///
    /// >>> import nearwood as nw
    /// >>> index = nw.Index.build([[0, 1], [1, 0]], ids=[10, 20], labels=["north", "east"])
    /// >>> index.find("east"), index.find("10"), index.label(10)
    /// (20, 10, 'north')
    fn find<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let position = self.index.find(name).or_raise()?;
        convert::id_object(py, &self.index.id(position))
    }

    /// The label of an id; None if the index has no labels.
    ///
    /// Raises:
    ///     KeyError: If the id is not there.
    fn label(&self, id: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        Ok(self.index.label(ids::position(&self.index, id)?))
    }

    /// What the index is and was built with.
    ///
    /// "calibration" has (budget, recall) pairs for 10 neighbours over the trees, "walk_curve" over
    /// the graph, empty without one.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        convert::info(py, &self.index)
    }

    /// The metric's name; equals the member of `nearwood.Metric`.
    #[getter]
    fn metric(&self) -> &'static str {
        self.index.metric().name()
    }

    /// Values a vector.
    #[getter]
    fn dim(&self) -> usize {
        self.index.dim()
    }

    /// Whether there is a neighbour graph, over which searches without a filter walk.
    #[getter]
    fn has_graph(&self) -> bool {
        self.index.has_graph()
    }

    /// The number of trees.
    #[getter]
    fn n_trees(&self) -> usize {
        self.index.n_trees()
    }

    /// All ids in the order of the vectors given: int64, or an object array of str. A copy.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        ids::array(py, &self.index.ids())
    }

    /// All labels in the order of the vectors given; None if there are none.
    #[getter]
    fn labels(&self) -> Option<Vec<String>> {
        (0..self.index.len() as u32).map(|position| self.index.label(position)).collect()
    }

    fn __len__(&self) -> usize {
        self.index.len()
    }

    fn __contains__(&self, id: &Bound<'_, PyAny>) -> bool {
        convert::id_of(id).is_ok_and(|id| self.index.position(&id).is_some())
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        convert::html(slf, &[])
    }

    fn __repr__(&self) -> String {
        let i = &self.index;
        let trees =
            if i.n_trees() == 1 { "1 tree".into() } else { format!("{} trees", i.n_trees()) };
        format!("Index({} vectors of {}, {}, {trees})", i.len(), i.dim(), i.metric())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let make = PyType::new::<PyIndex>(py).getattr("from_bytes")?;
        (make, (self.to_bytes(py)?,)).into_pyobject(py)
    }

    /// An index never changes: its copy is itself.
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }
}
