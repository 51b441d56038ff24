//! What a user holds: an index, built or opened, and the questions it answers.
//!
//! An index is the bytes of one file, mapped or in memory; everything is read from there through
//! typed slices, so that a built index and an opened one are the same thing. Where sections are
//! (`space`), how names are looked up (`names`) and how much work a recall takes (`calibration`)
//! stay private.

mod algebra;
mod audience;
mod batch;
mod builder;
mod calibration;
mod code_error;
mod compose;
mod curve;
mod far;
mod filter;
mod fits;
mod graph;
mod grow;
#[cfg(test)]
mod hostile;
mod ids;
mod memory;
mod names;
mod plan;
mod radius;
mod reach;
mod recall;
mod rerank;
mod sample;
mod search;
mod shape;
mod space;
mod spans;
mod stored;
mod suggest;
mod verify;
mod walk;

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub use crate::exact::Storage;
pub use algebra::TreeOptions;
pub use batch::{Answers, BatchOptions};
pub use builder::{Builder, Vectors};
pub use calibration::Calibration;
pub use curve::{CurveOptions, CurveStep, Probe, RecallCurve};
pub use filter::Filter;
pub use ids::{Id, IdRef, Ids};
pub use radius::{RadiusOptions, Within};
pub use search::{Effort, Hit, Searcher};
pub use shape::TreeShape;

pub(crate) use batch::search_batch;
pub(crate) use compose::{Composition, compose};
pub(crate) use curve::Probes;
pub(crate) use ids::canonical_int;
pub(crate) use names::{StoredIds, fill_ids, plan_ids, view};
pub use plan::check_k;
pub(crate) use plan::{check_effort, likely_budget};
pub(crate) use sample::Source;
pub(crate) use search::check_finite;
pub(crate) use space::first_unusable;
pub(crate) use spans::SpanGuard;
pub(crate) use verify::usable;

use crate::error::{Error, OpenError, QueryError, SaveError};
use crate::forest::Tree;
use crate::format::{Content, Directory, Key, Kind};
use crate::kernel::bytes::packed_len;
use crate::metric::Metric;
use crate::store::{self, Bytes};
use far::Far;
use names::TextsAndTable;
use reach::Reaches;
use search::Memory;
use space::Space;

/// Vectors and the trees to search them, in one file or in memory.
///
/// `Send + Sync`: any number of threads may search at once, and any number of processes may map
/// the same file.
pub struct Index {
    bytes: Bytes,
    directory: Arc<Directory>,
    space: Space,
    positions: Range<usize>,
    row_of: Range<usize>,
    ids: StoredIds,
    labels: Option<TextsAndTable>,
    calibration: Calibration,
    reaches: Reaches,
    far: Far,
    /// Memory of searchers that are done, for the next ones.
    memories: Mutex<Vec<Memory>>,
}

impl Index {
    /// Begins a build.
    #[must_use]
    pub fn builder(metric: Metric) -> Builder {
        Builder::new(metric)
    }

    /// Opens a file by mapping it: checks header, table and the lengths of all sections in
    /// microseconds and reads nothing else.
    ///
    /// # Errors
    /// If the file cannot be mapped, or is not a whole nearwood file of a version that is known.
    pub fn open(path: impl AsRef<Path>) -> Result<Index, OpenError> {
        Index::from_shared(Bytes::map(path.as_ref(), false)?)
    }

    /// [`open`](Self::open), with the whole file read into memory at once.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_prefault(path: impl AsRef<Path>) -> Result<Index, OpenError> {
        Index::from_shared(Bytes::map(path.as_ref(), true)?)
    }

    /// [`open`](Self::open), with the whole file copied into memory rather than mapped: for file
    /// systems that do not map files ([`OpenError::is_unmappable`]). Each process has its own copy.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in_memory(path: impl AsRef<Path>) -> Result<Index, OpenError> {
        Index::from_shared(Bytes::read(path.as_ref())?)
    }

    /// [`open`](Self::open), with the whole file read into memory and kept there until the index is
    /// dropped.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if the system does not let so much be locked.
    pub fn open_locked(path: impl AsRef<Path>) -> Result<Index, OpenError> {
        let path = path.as_ref();
        let index = Index::open(path)?;
        index.bytes.lock().map_err(|source| OpenError::Lock {
            path: path.to_path_buf(),
            bytes: index.bytes.len() as u64,
            limit: store::lock_limit(),
            source,
        })?;
        Ok(index)
    }

    /// Opens the bytes of a file; they are copied.
    ///
    /// # Errors
    /// If they are not a whole nearwood file of a version that is known.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Index, OpenError> {
        crate::memory::attempt(|| Index::from_shared(Bytes::copy(bytes.as_ref())))
    }

    /// Opens bytes that are mapped or in memory already.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_shared(bytes: Bytes) -> Result<Index, OpenError> {
        let directory = Arc::new(Directory::parse(&bytes)?);
        if directory.header.content == Content::Model {
            let (got, expected) = (Content::Model.name(), Content::Index.name());
            return Err(OpenError::Content { got, expected });
        }
        let metric = main_metric(&directory)?;
        Index::of_space(bytes, directory, 0, metric)
    }

    /// Opens what was just written to a path: it is in its place, whatever comes of this.
    fn of_written(path: &Path) -> Result<Index, Error> {
        let opened = Bytes::map_or_read(path).and_then(Index::from_shared);
        opened.map_err(|error| {
            let source = match error {
                OpenError::Io { source, .. } => source,
                error => std::io::Error::other(error),
            };
            let (step, remedy) = ("opening it".into(), "the file is whole: open it again".into());
            SaveError::Replaced { path: path.to_path_buf(), step, source, remedy }.into()
        })
    }

    pub(crate) fn of_space(
        bytes: Bytes,
        directory: Arc<Directory>,
        space: u16,
        metric: Metric,
    ) -> Result<Index, OpenError> {
        let d = &directory;
        let n = d.header.rows as usize;
        Ok(Index {
            space: Space::open(d, space, metric)?,
            positions: d.sized(Key::new(Kind::Positions, 0), n, "search")?,
            row_of: d.sized(Key::new(Kind::Rows, 0), n, "search")?,
            ids: StoredIds::open(d, 0, n)?,
            labels: TextsAndTable::open_labels(d, 0, n)?,
            calibration: Calibration::open(&bytes, d.range(Key::new(Kind::Calibration, space))),
            reaches: Reaches::open(d, &bytes, space)?,
            far: Far::open(d, &bytes, space)?,
            memories: Mutex::new(Vec::new()),
            bytes,
            directory,
        })
    }

    /// Writes the index: a temporary file beside `path`, synced, then renamed over it, with the
    /// owner, group and mode of the file that it replaces. `-` is standard output.
    ///
    /// # Errors
    /// If the system refuses; what stood at `path` is then untouched, but for
    /// [`SaveError::Replaced`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        store::write_atomic(path.as_ref(), &self.bytes)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which file is mapped, so that two handles of one can be told; `None` for an index in memory.
    #[must_use]
    pub fn file_identity(&self) -> Option<store::FileIdentity> {
        self.bytes.file_identity()
    }

    /// Whether the bytes are a mapped file's rather than in memory.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        self.bytes.is_mapped()
    }

    /// Recomputes every checksum and checks everything that sections name. Reads the whole file.
    ///
    /// # Errors
    /// At the first thing that is wrong.
    pub fn verify(&self) -> Result<(), OpenError> {
        crate::memory::attempt(|| verify::verify(self))
    }

    /// The number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.space.n_rows
    }

    /// Whether there are no vectors; an index always has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.space.dim
    }

    /// How near two vectors are.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.space.metric
    }

    /// The number of trees.
    #[must_use]
    pub fn n_trees(&self) -> usize {
        self.space.n_trees()
    }

    /// The number of leaves with members, over all trees. Reads every tree's offsets.
    #[must_use]
    pub fn n_leaves(&self) -> usize {
        self.space.trees(&self.bytes).iter().map(Tree::n_leaves).sum()
    }

    /// What the file was written as.
    #[must_use]
    pub fn content(&self) -> Content {
        self.directory.header.content
    }

    /// The file's table of sections.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The parameters it was built with, as JSON; `{}` where a damaged file holds something else.
    #[must_use]
    pub fn metadata(&self) -> serde_json::Value {
        let range = self.directory.range(Key::new(Kind::Metadata, 0));
        // Copied first: another process may write to a mapped file while its text is checked.
        let bytes = range.map_or(Vec::new(), |range| self.bytes[range].to_vec());
        let parsed: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        parsed.filter(serde_json::Value::is_object).unwrap_or_else(|| serde_json::json!({}))
    }

    /// The recall measured at each budget when the index was built.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Whether searches walk over a neighbour graph.
    #[must_use]
    pub fn has_graph(&self) -> bool {
        self.space.has_graph()
    }

    /// (rows compared, recall) of walks for 10 neighbours, measured when the index was built; empty
    /// without a graph.
    #[must_use]
    pub fn walk_curve(&self) -> Vec<(f64, f64)> {
        self.reaches.curve()
    }

    /// Whether a query lies farther from its neighbours than nearly all (99.5%) of the queries that the
    /// recall was measured with: `distance` is that of its `k`-th neighbour (a product by `Dot`) in a
    /// search without a filter. Such a query may find less than the recall that it asked for; with
    /// queries like it as [`Builder::calibration_queries`] it would not. `None` where this was not
    /// measured: for `k` above 100, and in files of formats before 1.3.
    #[must_use]
    pub fn is_far(&self, query: &[f32], k: usize, distance: f32) -> Option<bool> {
        self.far.is_far(self.metric(), query, k, distance)
    }

    fn reaches(&self) -> &Reaches {
        &self.reaches
    }

    /// Whether ids are strings.
    #[must_use]
    pub fn has_text_ids(&self) -> bool {
        self.ids.is_text()
    }

    /// The id of a position; -1 or an empty string where there is none.
    #[must_use]
    pub fn id(&self, position: u32) -> Id {
        self.ids.get(&self.bytes, position as usize)
    }

    /// The id of a position as an integer; `None` where ids are strings or there is no such
    /// position.
    #[must_use]
    pub fn int_id(&self, position: u32) -> Option<i64> {
        self.ids.int(&self.bytes, position as usize)
    }

    /// All ids, copied out of the file.
    #[must_use]
    pub fn ids(&self) -> Ids {
        self.ids.to_ids(&self.bytes, self.len())
    }

    /// The position of an id, if it is there.
    #[must_use]
    pub fn position(&self, id: &Id) -> Option<u32> {
        self.ids.position(&self.bytes, id).filter(|&p| (p as usize) < self.len())
    }

    /// The label of a position, if the index has labels.
    #[must_use]
    pub fn label(&self, position: u32) -> Option<String> {
        self.labels.as_ref().map(|labels| labels.get(&self.bytes, position as usize))
    }

    /// The position that a person means by `name`: an id, or else a label. An integer id may be
    /// written in digits.
    ///
    /// # Errors
    /// If nothing bears the name, or several rows bear it as a label.
    pub fn find(&self, name: &str) -> Result<u32, QueryError> {
        let id = match self.has_text_ids() {
            true => Some(Id::Text(name.to_string())),
            false => ids::canonical_int(name).map(Id::Int),
        };
        if let Some(position) = id.and_then(|id| self.position(&id)) {
            return Ok(position);
        }
        let labels = self.labels.as_ref();
        let mut bearers: Vec<u32> =
            labels.map_or(Vec::new(), |l| l.positions(&self.bytes, name).collect());
        bearers.retain(|&p| (p as usize) < self.len());
        match bearers[..] {
            [one] => Ok(one),
            [] => Err(self.unknown(name)),
            _ => Err(QueryError::AmbiguousLabel {
                label: name.to_string(),
                ids: bearers.iter().map(|&p| self.id(p).to_string()).collect(),
            }),
        }
    }

    /// Up to `n` labels (and string ids) that look like `name`, the likeliest first: the same but
    /// for case, or else those that contain it, or else the fewest letters away. What to say when
    /// [`find`](Self::find) finds nothing; reads every name, so it is not for a hot path.
    #[must_use]
    pub fn suggest(&self, name: &str, n: usize) -> Vec<String> {
        let label = |position| self.label(position);
        let id = |position| self.has_text_ids().then(|| self.id(position).to_string());
        let names = (0..self.len() as u32).flat_map(|p| label(p).into_iter().chain(id(p)));
        suggest::nearest(name, names, n)
    }

    fn unknown(&self, name: &str) -> QueryError {
        let kind = if self.has_text_ids() { "strings" } else { "integers" };
        let labels =
            if self.labels.is_some() { ", labels are compared letter by letter" } else { "" };
        let hint = format!("the {} ids here are {kind}{labels}", self.len());
        QueryError::UnknownId { what: "item", id: name.to_string(), hint }
    }

    /// The vector of a position, as it is stored (zeros and ones under `Hamming`); `None` if there
    /// is no such position. Borrowed where it is stored as float32.
    #[must_use]
    pub fn vector(&self, position: u32) -> Option<Cow<'_, [f32]>> {
        let row = *self.row_of().get(position as usize)? as usize;
        (row < self.len()).then(|| self.space.rows(&self.bytes).row(row))
    }

    /// Queries of packed bits, as [`Vectors::packed`] takes rows, as the values to search with.
    ///
    /// # Errors
    /// If they do not fill whole rows of this dimension, or a bit beyond it is set.
    pub fn unpack(&self, bits: &[u8]) -> Result<Vec<f32>, QueryError> {
        let dim = self.dim();
        let len = packed_len(dim);
        if !bits.len().is_multiple_of(len) {
            return Err(QueryError::Dimension { got: bits.len() % len * 8, expected: dim });
        }
        match stored::first_beyond(bits, dim) {
            Some(row) => Err(QueryError::Parameter {
                name: "queries",
                got: format!("bits with a one beyond dimension {dim} in row {row}"),
                expected: "zeros there, as numpy.packbits pads".into(),
            }),
            None => Ok(stored::unpacked(bits, dim)),
        }
    }

    /// What the vectors are stored as: `float32`, `float16`, `int8`, or `bits` under hamming.
    #[must_use]
    pub fn storage(&self) -> &'static str {
        self.space.storage()
    }

    /// A searcher, which owns the memory that questions need.
    #[must_use]
    pub fn searcher(&self) -> Searcher<'_> {
        Searcher::new(self, Memory::default())
    }

    /// Runs `f` with a searcher whose memory is used again by later calls.
    pub fn with_searcher<'a, T>(&'a self, f: impl FnOnce(&mut Searcher<'a>) -> T) -> T {
        let memory = self.memories.try_lock().ok().and_then(|mut m| m.pop()).unwrap_or_default();
        let mut searcher = Searcher::new(self, memory);
        let result = f(&mut searcher);
        if let Ok(mut memories) = self.memories.try_lock() {
            memories.push(searcher.into_memory());
        }
        result
    }

    /// Answers many queries, row-major, over `n_threads` threads. An answer depends neither on the
    /// threads nor on the other queries; where queries share leaves they are scored by more precise
    /// codes than a single search's, so that an answer may be nearer the truth than that.
    ///
    /// # Errors
    /// If the queries have another dimension or are not finite, or a parameter is out of its range.
    pub fn search_batch(
        &self,
        queries: &[f32],
        options: BatchOptions<'_>,
    ) -> Result<Answers, QueryError> {
        crate::memory::attempt(|| batch::search_batch(self, queries, options, |_| &[]))
    }

    /// Everything within `radius` of many queries, row-major, over `n_threads` threads: for each
    /// as [`Searcher::radius`], as near the truth or nearer.
    ///
    /// # Errors
    /// As [`search_batch`](Self::search_batch), and if `radius` is NaN.
    pub fn radius(
        &self,
        queries: &[f32],
        radius: f64,
        options: RadiusOptions<'_>,
    ) -> Result<Vec<Within>, QueryError> {
        crate::memory::attempt(|| radius::radius_batch(self, queries, radius, options))
    }

    /// The neighbours of stored vectors; each leaves itself out unless `include_self`.
    ///
    /// # Errors
    /// If a position does not exist or a parameter is out of its range.
    pub fn search_positions<'a>(
        &'a self,
        positions: &[u32],
        options: BatchOptions<'a>,
        include_self: bool,
    ) -> Result<Answers, QueryError> {
        crate::memory::attempt(|| {
            let mut queries =
                crate::memory::with_capacity(positions.len().saturating_mul(self.dim()));
            for &position in positions {
                let vector =
                    self.vector(position).ok_or_else(|| self.unknown(&position.to_string()))?;
                queries.extend_from_slice(&vector);
            }
            let own = |at| if include_self { &[][..] } else { &positions[at..=at] };
            batch::search_batch(self, &queries, options, own)
        })
    }

    pub(crate) fn file(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    pub(crate) fn positions(&self) -> &[u32] {
        view(&self.bytes, &self.positions)
    }

    pub(crate) fn row_of(&self) -> &[u32] {
        view(&self.bytes, &self.row_of)
    }
}

/// The metric that a header names.
pub(crate) fn main_metric(directory: &Directory) -> Result<Metric, OpenError> {
    let code = directory.header.metric;
    Metric::from_code(code).ok_or_else(|| OpenError::Invalid {
        what: "the metric's code".into(),
        got: code.to_string(),
        expected: format!("0 to {}; a newer nearwood may know it", Metric::ALL.len() - 1),
    })
}
