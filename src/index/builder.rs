//! From vectors to an index.

use std::ops::Range;
use std::path::Path;

use serde_json::json;

use super::calibration;
use super::compose::{Composition, compose};
use super::graph;
use super::grow;
use super::memory;
use super::sample::Source;
use super::space::{MAX_TREES, SpaceData, check_bits, check_size, check_vectors};
use super::stored::{StoredVectors, unpacked};
use super::{Ids, Index};
use crate::error::{BuildError, Error, IdsError};
use crate::exact::{Storage, Values};
use crate::forest::{TreeParams, Workspace, tree_work};
use crate::format::Content;
use crate::kernel::bytes::packed_len;
use crate::metric::Metric;
use crate::progress::{Report, Work};
use crate::random::Random;
use crate::store::{Buffer, Draft};
use crate::threads;

/// Vectors of one dimension, row after row, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    pub(super) input: Input<'a>,
    pub(super) dim: usize,
}

/// What vectors were given as.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    Floats(&'a [f32]),
    Bits(&'a [u8]),
}

impl<'a> Vectors<'a> {
    /// Row-major values, `dim` a row.
    ///
    /// # Errors
    /// If there are none, they do not fill whole rows, the dimension is 0 or above 65,536, or a
    /// value is not finite or 1e16 or more in size.
    pub fn new(values: &'a [f32], dim: usize) -> Result<Vectors<'a>, BuildError> {
        check_vectors(values, dim)?;
        Ok(Vectors { input: Input::Floats(values), dim })
    }

    /// Packed bits for `Hamming`: `dim / 8` bytes a row, rounded up, the first bit the highest of
    /// the first byte and what is beyond `dim` zero, as `numpy.packbits` packs rows.
    ///
    /// # Errors
    /// If there are none, they do not fill whole rows, the dimension is 0 or above 65,536, or a bit
    /// beyond it is set.
    pub fn packed(bits: &'a [u8], dim: usize) -> Result<Vectors<'a>, BuildError> {
        check_bits(bits, dim)?;
        Ok(Vectors { input: Input::Bits(bits), dim })
    }

    /// The values as float32, zeros and ones of packed bits.
    #[must_use]
    pub fn to_values(&self) -> Vec<f32> {
        match self.input {
            Input::Floats(values) => values.to_vec(),
            Input::Bits(bits) => unpacked(bits, self.dim),
        }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.input {
            Input::Floats(values) => values.len() / self.dim,
            Input::Bits(bits) => bits.len() / packed_len(self.dim),
        }
    }

    /// Whether there are no rows; there always are some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// From so many rows on a graph is grown unless told.
const GRAPH_FROM: usize = 10_000;

/// The largest number that a tree may have.
pub(super) const MAX_TREE_NUMBER: usize = 1_000_000_000;

/// Settings of a build.
#[derive(Clone)]
pub struct Builder {
    metric: Metric,
    trees: usize,
    first_tree: usize,
    seed: u64,
    notes: serde_json::Map<String, serde_json::Value>,
    n_threads: Option<usize>,
    shape: TreeParams,
    ids: Option<Ids>,
    labels: Option<Vec<String>>,
    queries: Option<Vec<f32>>,
    storage: Storage,
    memory_limit: Option<usize>,
    graph: Option<bool>,
    /// The trees go into a file that has a graph.
    beside_graph: bool,
}

impl Builder {
    pub(crate) fn new(metric: Metric) -> Builder {
        Builder {
            metric,
            trees: 1,
            first_tree: 0,
            seed: 0,
            notes: serde_json::Map::new(),
            n_threads: None,
            shape: TreeParams::for_metric(metric),
            ids: None,
            labels: None,
            queries: None,
            storage: Storage::default(),
            memory_limit: None,
            graph: None,
            beside_graph: false,
        }
    }

    /// How many trees; 1 unless told. One tree of coded leaves beats several of them at the same
    /// work; more trees find more only where leaves are small.
    #[must_use]
    pub fn trees(mut self, trees: usize) -> Builder {
        self.trees = trees;
        self
    }

    /// The number of the first tree; 0 unless told. A tree depends on the seed and its own number
    /// alone, so trees 0 and 1 built here and 2 and 3 on another machine, merged by
    /// [`Index::merge`], are the four trees that one build makes.
    #[must_use]
    pub fn first_tree(mut self, number: usize) -> Builder {
        self.first_tree = number;
        self
    }

    /// The most rows that a split leaves in one leaf; 400 unless told, 200 by inner product.
    #[must_use]
    pub fn leaf_size(mut self, rows: usize) -> Builder {
        self.shape.leaf_size = rows;
        self
    }

    /// The seed: the same one gives the same bytes at any number of threads.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// A fact to keep in the file: [`Index::metadata`] has it under `notes`. It changes no search.
    #[must_use]
    pub fn note(mut self, key: impl Into<String>, value: serde_json::Value) -> Builder {
        self.notes.insert(key.into(), value);
        self
    }

    /// How many threads; `None`: all cores.
    #[must_use]
    pub fn threads(mut self, n_threads: Option<usize>) -> Builder {
        self.n_threads = n_threads;
        self
    }

    /// An id for each row; 0 to n - 1 unless told.
    #[must_use]
    pub fn ids(mut self, ids: Ids) -> Builder {
        self.ids = Some(ids);
        self
    }

    /// A name for people for each row; names may repeat.
    #[must_use]
    pub fn labels(mut self, labels: Vec<String>) -> Builder {
        self.labels = Some(labels);
        self
    }

    /// Row-major vectors that look like the queries to come, for the calibration. Without them rows
    /// are drawn, each left out of its own answer: right where queries look like rows, but for
    /// inner products of users with items give users.
    #[must_use]
    pub fn calibration_queries(mut self, queries: Vec<f32>) -> Builder {
        self.queries = Some(queries);
        self
    }

    /// What is kept of the vectors for exact distances; float32 unless told. The index is built
    /// over what is kept, and exact searches are exact to it. Hamming always keeps a bit a
    /// component.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Builder {
        self.storage = storage;
        self
    }

    /// Whether a neighbour graph is grown from the first tree: searches are then a walk over it. A
    /// graph takes four times as long to build as the trees, and about 120 bytes a row more. `None`:
    /// the rule of `docs/tuning.md`, by metric and number of rows. Not by inner product, whose
    /// searches are fastest over the trees' leaves.
    #[must_use]
    pub fn graph(mut self, graph: Option<bool>) -> Builder {
        self.graph = graph;
        self
    }

    /// Builds trees as they stand beside a graph, and no graph.
    pub(super) fn beside_graph(mut self, beside_graph: bool) -> Builder {
        (self.beside_graph, self.graph) = (beside_graph, Some(false));
        self
    }

    /// How many bytes [`build_to`](Self::build_to) may allocate; `None`: as many as are of use.
    ///
    /// Counted is what the build allocates, its threads' stacks included; the vectors given, ids
    /// and labels are the caller's, and pages of mapped files are the system's to keep or drop.
    #[must_use]
    pub fn memory_limit(mut self, bytes: Option<usize>) -> Builder {
        self.memory_limit = bytes;
        self
    }

    /// Builds the index in memory, as the bytes of its file: a copy of the vectors, four bytes a
    /// value, and their codes, together 5.2 bytes a value at 128 dimensions. While it builds, the
    /// codes are held once more, and so are vectors that are not stored as float32.
    ///
    /// # Errors
    /// If a parameter is out of its range, or the ids or labels do not fit the rows.
    pub fn build(&self, vectors: Vectors<'_>) -> Result<Index, BuildError> {
        self.build_with(vectors, &|_, _| true)
    }

    /// [`build`](Self::build), telling `progress` each percent that is done, on any thread.
    ///
    /// # Errors
    /// As [`build`](Self::build), and if `progress` stops it.
    pub fn build_with(
        &self,
        vectors: Vectors<'_>,
        progress: Report<'_>,
    ) -> Result<Index, BuildError> {
        crate::memory::attempt(|| {
            if let Some(limit) = self.memory_limit {
                return Err(BuildError::Parameter {
                    name: "memory_limit",
                    got: limit.to_string(),
                    expected: "none without a path: an index built in memory is as large as its file",
                });
            }
            let workspace = Workspace::default();
            let bytes = self.compose(vectors, &workspace, progress, |length| {
                Ok::<_, BuildError>(Buffer::in_memory(length))
            })?;
            Index::from_shared(bytes.into()).map_err(|defect| BuildError::composed(&defect))
        })
    }

    /// Builds the index straight into a file and opens it: the same bytes as
    /// [`build`](Self::build) gives, composed in a mapped file without a name that becomes `path`
    /// when it is whole. Whatever ends the build before that leaves nothing behind.
    ///
    /// Allocated are the codes of all rows, a byte a value, and some forty bytes a row. With a
    /// [`memory_limit`](Self::memory_limit) that this exceeds, the codes too lie in a mapped file
    /// without a name beside `path`, and vectors are read in passes: give them mapped (as
    /// `io::map_vectors` does) to build a file several times larger than the memory. At `-`, a pipe
    /// or a device the index is built in memory.
    ///
    /// # Errors
    /// As [`build`](Self::build); if the file cannot be written; if the limit is too low, which
    /// says how much is needed.
    pub fn build_to(&self, path: impl AsRef<Path>, vectors: Vectors<'_>) -> Result<Index, Error> {
        self.build_to_with(path, vectors, &|_, _| true)
    }

    /// [`build_to`](Self::build_to), telling `progress` each percent that is done, on any thread.
    ///
    /// # Errors
    /// As [`build_to`](Self::build_to), and if `progress` stops it.
    pub fn build_to_with(
        &self,
        path: impl AsRef<Path>,
        vectors: Vectors<'_>,
        progress: Report<'_>,
    ) -> Result<Index, Error> {
        crate::memory::attempt(|| {
            let path = path.as_ref();
            if !Draft::is_possible(path) {
                let index = self.build_with(vectors, progress)?;
                index.save(path)?;
                return Ok(index);
            }
            let workspace = match self.memory_limit {
                Some(limit) => self.reckon(vectors).workspace(limit, path)?,
                None => Workspace::default(),
            };
            let draft = self.compose(vectors, &workspace, progress, |length| {
                // In memory a file would exceed a limit on it.
                let create = if self.memory_limit.is_some() {
                    Draft::create
                } else {
                    Draft::create_or_in_memory
                };
                Ok::<_, Error>(create(path, length)?)
            })?;
            draft.commit()?;
            Index::of_written(path)
        })
    }

    fn reckon<'a>(&'a self, vectors: Vectors<'a>) -> memory::Build<'a> {
        memory::Build {
            vectors,
            metric: self.metric,
            trees: self.trees,
            shape: self.shape,
            threads: threads::count(self.n_threads),
            ids: self.ids.as_ref(),
            has_labels: self.labels.is_some(),
            stored: stored_bytes(vectors, self.metric, self.storage),
        }
    }

    fn compose<S: AsMut<[u8]> + Send, E: From<BuildError> + Send>(
        &self,
        vectors: Vectors<'_>,
        workspace: &Workspace,
        progress: Report<'_>,
        room: impl FnOnce(usize) -> Result<S, E> + Send,
    ) -> Result<S, E> {
        let source = self.queries.as_deref().map_or(Source::Rows, Source::Vectors);
        self.compose_calibrated(vectors, workspace, progress, vec![source], room)
    }

    /// A file whose trees are to be merged into another: its recall is not measured.
    pub(super) fn compose_bare<S: AsMut<[u8]> + Send>(
        &self,
        vectors: Vectors<'_>,
        workspace: &Workspace,
        progress: Report<'_>,
        room: impl FnOnce(usize) -> Result<S, BuildError> + Send,
    ) -> Result<S, BuildError> {
        self.compose_calibrated(vectors, workspace, progress, Vec::new(), room)
    }

    fn compose_calibrated<S: AsMut<[u8]> + Send, E: From<BuildError> + Send>(
        &self,
        vectors: Vectors<'_>,
        workspace: &Workspace,
        progress: Report<'_>,
        calibrate_with: Vec<Source<'_>>,
        room: impl FnOnce(usize) -> Result<S, E> + Send,
    ) -> Result<S, E> {
        self.check(vectors)?;
        if let Input::Floats(values) = vectors.input {
            check_size(values, self.metric, self.storage)?;
        }
        let sequential = Ids::Sequential(vectors.len());
        let ids = self.ids.as_ref().unwrap_or(&sequential);
        ids.check(vectors.len()).map_err(BuildError::from)?;
        let growing = if self.has_graph(vectors.len()) { grow::work(vectors.len()) } else { 0 };
        let work = Work::new(self.work(vectors.len()) + growing, progress);
        let file = threads::run(self.n_threads, || {
            let stored = StoredVectors::new(vectors.input, vectors.dim, self.metric, self.storage)?;
            let mut space = self.space_in(stored.values(), vectors.dim, workspace, &work)?;
            space.graph = self.has_graph(vectors.len());
            space.bare = space.graph || self.beside_graph;
            let composition = Composition {
                content: Content::Index,
                values: stored.values(),
                dim: vectors.dim,
                spaces: vec![space],
                calibrate_with,
                seed: self.seed,
                ids,
                labels: self.labels.as_deref(),
                users: 0,
                metadata: self.metadata(self.has_graph(vectors.len())),
                window: workspace.window,
                plan: &|_| {},
                fill: &|_| {},
                work: &work,
            };
            compose(composition, room)
        })?;
        if work.is_stopped() {
            return Err(BuildError::Cancelled.into());
        }
        work.finish();
        Ok(file)
    }

    /// Builds the trees alone, for a composition of several spaces. Runs on the threads of the
    /// caller.
    pub(crate) fn space(
        &self,
        values: Values<'_>,
        dim: usize,
        work: &Work<'_>,
    ) -> Result<SpaceData, BuildError> {
        self.space_in(values, dim, &Workspace::default(), work)
    }

    fn space_in(
        &self,
        values: Values<'_>,
        dim: usize,
        workspace: &Workspace,
        work: &Work<'_>,
    ) -> Result<SpaceData, BuildError> {
        let seed = |tree: usize| Random::new(self.seed, tree as u64).word();
        let seeds: Vec<u64> = self.tree_numbers().map(seed).collect();
        let mut shape = self.shape;
        if self.has_graph(values.n_rows(dim)) || self.beside_graph {
            shape.ungrouped = TreeParams::UNGROUPED_FOR_WALKS;
        }
        SpaceData::build(values, dim, self.metric, &seeds, shape, workspace, work)
    }

    fn tree_numbers(&self) -> Range<usize> {
        self.first_tree..self.first_tree + self.trees
    }

    /// The units of work that building takes, calibration included.
    pub(crate) fn work(&self, n_rows: usize) -> u64 {
        self.trees as u64 * tree_work(n_rows, self.shape) + calibration::work(n_rows)
    }

    fn check(&self, vectors: Vectors<'_>) -> Result<(), BuildError> {
        let bad = |name, got: usize, expected| {
            Err(BuildError::Parameter { name, got: got.to_string(), expected })
        };
        if self.trees == 0 || self.trees > MAX_TREES {
            return bad("n_trees", self.trees, "1 to 1000");
        }
        if self.first_tree > MAX_TREE_NUMBER {
            return bad("first_tree", self.first_tree, "0 to 1,000,000,000");
        }
        if self.shape.leaf_size < 8 {
            return bad("leaf_size", self.shape.leaf_size, "at least 8");
        }
        if self.graph == Some(true) {
            self.check_graph(vectors.len())?;
        }
        if let Some(labels) = self.labels.as_ref().filter(|l| l.len() != vectors.len()) {
            return Err(IdsError::Count { got: labels.len(), expected: vectors.len() }.into());
        }
        match &self.queries {
            Some(queries) => check_queries(queries, vectors.dim),
            None => Ok(()),
        }
    }

    fn check_graph(&self, n_rows: usize) -> Result<(), BuildError> {
        let bad = |got: String, expected| {
            Err(BuildError::Parameter { name: "graph", got: format!("true {got}"), expected })
        };
        if !graph::serves(self.metric) {
            return bad(
                format!("by {}", self.metric),
                "none: its searches are fastest over leaves",
            );
        }
        if self.memory_limit.is_some() {
            return bad("with a memory limit".into(), "one of the two: a graph is grown in memory");
        }
        match n_rows {
            0..graph::MAX_ROWS => Ok(()),
            n => bad(format!("for {n} rows"), "fewer than 2^31 rows"),
        }
    }

    /// Whether a build of so many rows has a graph.
    fn has_graph(&self, n_rows: usize) -> bool {
        match self.graph {
            Some(graph) => graph,
            None => {
                matches!(self.metric, Metric::Euclidean | Metric::Angular)
                    && self.memory_limit.is_none()
                    && n_rows >= GRAPH_FROM
            }
        }
    }

    fn metadata(&self, graph: bool) -> serde_json::Value {
        let mut metadata = json!({
            "library": concat!("nearwood ", env!("CARGO_PKG_VERSION")),
            "metric": self.metric.name(),
            "n_trees": self.trees,
            "trees": self.tree_numbers().collect::<Vec<usize>>(),
            "leaf_size": self.shape.leaf_size,
            "graph": graph,
            "seed": self.seed,
            "calibrated_with": calibrated_with(self.queries.as_deref()),
        });
        if !self.notes.is_empty() {
            metadata["notes"] = self.notes.clone().into();
        }
        metadata
    }
}

/// Bytes a row that a build converts before it begins.
fn stored_bytes(vectors: Vectors<'_>, metric: Metric, storage: Storage) -> usize {
    match (metric, vectors.input, storage) {
        (Metric::Hamming, Input::Bits(_), _) => 0,
        (Metric::Hamming, ..) => packed_len(vectors.dim),
        (_, _, Storage::Float32) => 0,
        (_, _, Storage::Float16) => 2 * vectors.dim,
        (_, _, Storage::Int8) => vectors.dim + 4,
    }
}

/// That there are queries to calibrate with, of the right dimension.
pub(super) fn check_queries(queries: &[f32], dim: usize) -> Result<(), BuildError> {
    match queries.is_empty() {
        true => Err(BuildError::Parameter {
            name: "calibration_queries",
            got: "no row".into(),
            expected: "at least one row, or none given: rows are drawn then",
        }),
        false => check_vectors(queries, dim),
    }
}

/// What the metadata says about the queries that the recall was measured with.
pub(super) fn calibrated_with(queries: Option<&[f32]>) -> &'static str {
    if queries.is_some() { "queries" } else { "rows" }
}
