//! From vectors to an index.

use serde_json::json;

use super::calibration::{self, Calibration, Sample, Source};
use super::names::{fill_ids, fill_labels, plan_ids, plan_labels};
use super::space::{MAX_TREES, Space, SpaceData, check_bits, check_vectors};
use super::stored::{StoredVectors, fill_vectors, plan_vectors, unpacked};
use super::{Ids, Index};
use crate::error::{BuildError, IdsError};
use crate::exact::{Storage, Values};
use crate::forest::{TreeParams, tree_work};
use crate::format::{AlignedBytes, Content, Header, Image, Key, Kind, Layout};
use crate::kernel::bytes::packed_len;
use crate::metric::Metric;
use crate::progress::{Report, Work};
use crate::random::Random;
use crate::threads;

/// Vectors of one dimension, row after row, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    input: Input<'a>,
    dim: usize,
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

/// Settings of a build.
#[derive(Clone)]
pub struct Builder {
    metric: Metric,
    trees: usize,
    seed: u64,
    notes: serde_json::Map<String, serde_json::Value>,
    n_threads: Option<usize>,
    shape: TreeParams,
    ids: Option<Ids>,
    labels: Option<Vec<String>>,
    queries: Option<Vec<f32>>,
    storage: Storage,
}

impl Builder {
    pub(crate) fn new(metric: Metric) -> Builder {
        Builder {
            metric,
            trees: 1,
            seed: 0,
            notes: serde_json::Map::new(),
            n_threads: None,
            shape: TreeParams::for_metric(metric),
            ids: None,
            labels: None,
            queries: None,
            storage: Storage::default(),
        }
    }

    /// How many trees; 1 unless told. One tree of coded leaves beats several of them at the same
    /// work; more trees find more only where leaves are small.
    #[must_use]
    pub fn trees(mut self, trees: usize) -> Builder {
        self.trees = trees;
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
        self.check(vectors)?;
        let ids = self.ids.clone().unwrap_or(Ids::Sequential(vectors.len()));
        ids.check(vectors.len())?;
        let work = Work::new(self.work(vectors.len()), progress);
        let bytes = threads::run(self.n_threads, || {
            let stored = StoredVectors::new(vectors.input, vectors.dim, self.metric, self.storage)?;
            let space = self.space(stored.values(), vectors.dim, &work)?;
            let source = self.queries.as_deref().map_or(Source::Rows, Source::Vectors);
            Ok::<_, BuildError>(compose(Composition {
                content: Content::Index,
                values: stored.values(),
                dim: vectors.dim,
                spaces: vec![space],
                calibrate_with: vec![source],
                seed: self.seed,
                ids: &ids,
                labels: self.labels.as_deref(),
                users: 0,
                metadata: self.metadata(),
                plan: &|_| {},
                fill: &|_| {},
                work: &work,
            }))
        })?;
        if work.is_stopped() {
            return Err(BuildError::Cancelled);
        }
        work.finish();
        Index::from_shared(bytes.into()).map_err(|defect| BuildError::composed(&defect))
    }

    /// Builds the trees alone, for a composition of several spaces. Runs on the threads of the
    /// caller.
    pub(crate) fn space(
        &self,
        values: Values<'_>,
        dim: usize,
        work: &Work<'_>,
    ) -> Result<SpaceData, BuildError> {
        let seeds: Vec<u64> =
            (0..self.trees as u64).map(|tree| Random::new(self.seed, tree).word()).collect();
        SpaceData::build(values, dim, self.metric, &seeds, self.shape, work)
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
        if self.shape.leaf_size < 8 {
            return bad("leaf_size", self.shape.leaf_size, "at least 8");
        }
        if let Some(labels) = self.labels.as_ref().filter(|l| l.len() != vectors.len()) {
            return Err(IdsError::Count { got: labels.len(), expected: vectors.len() }.into());
        }
        match &self.queries {
            Some(queries) => check_vectors(queries, vectors.dim),
            None => Ok(()),
        }
    }

    fn metadata(&self) -> serde_json::Value {
        let mut metadata = json!({
            "library": concat!("nearwood ", env!("CARGO_PKG_VERSION")),
            "metric": self.metric.name(),
            "n_trees": self.trees,
            "leaf_size": self.shape.leaf_size,
            "seed": self.seed,
        });
        if !self.notes.is_empty() {
            metadata["notes"] = self.notes.clone().into();
        }
        metadata
    }
}

/// Everything that a file is made of.
pub(crate) struct Composition<'a> {
    pub content: Content,
    pub values: Values<'a>,
    pub dim: usize,
    pub spaces: Vec<SpaceData>,
    /// For each space, what looks like its queries.
    pub calibrate_with: Vec<Source<'a>>,
    pub seed: u64,
    pub ids: &'a Ids,
    pub labels: Option<&'a [String]>,
    pub users: u64,
    pub metadata: serde_json::Value,
    /// Adds further sections.
    pub plan: &'a (dyn Fn(&mut Layout) + Sync),
    /// Writes them.
    pub fill: &'a (dyn Fn(&mut Image) + Sync),
    /// Who is told, and may stop it.
    pub work: &'a Work<'a>,
}

/// Lays out and fills a file in memory.
pub(crate) fn compose(c: Composition<'_>) -> AlignedBytes {
    let order = c.spaces[0].order();
    let mut row_of = vec![0u32; order.len()];
    order.iter().enumerate().for_each(|(row, &position)| row_of[position as usize] = row as u32);
    let metadata = c.metadata.to_string();
    let mut image = plan(&c, &metadata).image();
    image.fill(Key::new(Kind::Metadata, 0), metadata.as_bytes());
    fill_vectors(&mut image, c.values, c.dim, &order);
    image.fill(Key::new(Kind::Positions, 0), &order);
    image.fill(Key::new(Kind::Rows, 0), &row_of);
    fill_ids(&mut image, c.ids, 0);
    if let Some(labels) = c.labels {
        fill_labels(&mut image, labels, 0);
    }
    for (space, data) in c.spaces.iter().enumerate() {
        data.fill(&mut image, space as u16, c.values, &row_of);
    }
    (c.fill)(&mut image);
    let header = Header {
        content: c.content,
        rows: order.len() as u64,
        dim: c.dim as u32,
        metric: c.spaces[0].metric.code(),
        users: c.users,
    };
    calibrate(&mut image, header, &c, &row_of);
    image.finish(&header)
}

fn plan(c: &Composition<'_>, metadata: &str) -> Layout {
    let n = c.values.n_rows(c.dim);
    let mut layout = Layout::default();
    layout.add(Key::new(Kind::Metadata, 0), metadata.len());
    plan_vectors(&mut layout, c.values);
    layout.add(Key::new(Kind::Positions, 0), n);
    layout.add(Key::new(Kind::Rows, 0), n);
    plan_ids(&mut layout, c.ids, 0);
    if let Some(labels) = c.labels {
        plan_labels(&mut layout, labels, 0);
    }
    for (space, data) in c.spaces.iter().enumerate() {
        data.plan(&mut layout, space as u16);
        layout.add(Key::new(Kind::Calibration, space as u16), calibration::LEN);
    }
    (c.plan)(&mut layout);
    layout
}

fn calibrate(image: &mut Image, header: Header, c: &Composition<'_>, row_of: &[u32]) {
    let directory = image.directory(header);
    for (number, (data, &source)) in c.spaces.iter().zip(&c.calibrate_with).enumerate() {
        // The sections were laid out just before, so they are there.
        let Ok(space) = Space::open(&directory, number as u16, data.metric) else { continue };
        let file = image.bytes();
        let sample = Sample::draw(&space, file, source, row_of, c.seed);
        let measured = Calibration::measure(&space, file, &sample, c.work);
        measured.write(image.section(Key::new(Kind::Calibration, number as u16)));
    }
}
