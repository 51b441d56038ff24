//! Annoy's own files: the vectors in them, by item number.
//!
//! Such a file has no header: it is an array of nodes of one size, items first, then the nodes of
//! trees, then a copy of every root. Metric and dimension are not in it and must be told; which
//! version wrote it is found out by trying. Trees are checked, for they tell whether metric,
//! dimension and version are right, and then left: the index built from the vectors has its own.

mod layout;
mod nodes;

use std::path::{Path, PathBuf};

pub use layout::{AnnoyLayout, AnnoyMetric};

use super::matrix::Matrix;
use super::source::format_error;
use crate::error::{Error, OpenError, ReadError};
use crate::index::{Builder, Ids, Index, Vectors};
use crate::kernel::code::MAX_DIM;
use crate::progress::Report;
use crate::store::Bytes;
use nodes::{Found, Nodes, check};

/// A file of Annoy's, mapped and checked.
pub struct AnnoyFile {
    path: PathBuf,
    bytes: Bytes,
    metric: AnnoyMetric,
    layout: AnnoyLayout,
    dim: usize,
    found: Found,
}

impl AnnoyFile {
    /// Maps a file and checks all of its nodes: that every item is one or a hole, and that trees
    /// name nothing but items and nodes before them.
    ///
    /// `dim` is what `AnnoyIndex` was made with. Without a `layout` every one of the metric's is
    /// tried. Reads the whole file once; holds nothing but the map.
    ///
    /// A file of dot vectors of f (release 1.17.3) has the very bytes of an angular one of f + 1,
    /// so that telling the wrong one of these is not found out.
    ///
    /// # Errors
    /// If the file cannot be mapped; if no layout fits, saying why each does not; if several do,
    /// so that one must be named.
    pub fn open(
        path: impl AsRef<Path>,
        metric: AnnoyMetric,
        dim: usize,
        layout: Option<AnnoyLayout>,
    ) -> Result<AnnoyFile, ReadError> {
        let path = path.as_ref();
        let bytes = Bytes::map_or_read(path).map_err(|error| match error {
            OpenError::Io { path, source } | OpenError::Map { path, source } => {
                ReadError::Io { path, source }
            }
            other => format_error(path, other.to_string()),
        })?;
        AnnoyFile::from_shared(bytes, path, metric, dim, layout)
    }

    /// [`open`](Self::open) of bytes that are there already; `path` is what errors call them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_shared(
        bytes: Bytes,
        path: impl AsRef<Path>,
        metric: AnnoyMetric,
        dim: usize,
        layout: Option<AnnoyLayout>,
    ) -> Result<AnnoyFile, ReadError> {
        let path = path.as_ref().to_path_buf();
        let (layout, found) =
            fitting(&bytes, metric, dim, layout).map_err(|problem| format_error(&path, problem))?;
        Ok(AnnoyFile { path, bytes, metric, layout, dim, found })
    }

    /// How near two vectors are, as was told.
    #[must_use]
    pub fn metric(&self) -> AnnoyMetric {
        self.metric
    }

    /// The layout that fits.
    #[must_use]
    pub fn layout(&self) -> AnnoyLayout {
        self.layout
    }

    /// Values a vector, as was told.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The largest item number plus one: Annoy's own count, which includes holes.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.found.n_items
    }

    /// How many items there are, holes left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.n_present
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The trees that were built.
    #[must_use]
    pub fn n_trees(&self) -> usize {
        self.found.n_trees
    }

    /// The numbers of the items that are there, ascending.
    #[must_use]
    pub fn ids(&self) -> Vec<i64> {
        self.items().map(|item| item as i64).collect()
    }

    /// The vector of an item as it was added (of hamming: zeros and ones); `None` for a hole.
    #[must_use]
    pub fn vector(&self, item: usize) -> Option<Vec<f32>> {
        let is_there = item < self.n_items() && self.nodes().is_present(item);
        is_there.then(|| self.values(item).collect())
    }

    /// All vectors as float32, in the order of [`ids`](Self::ids). What dot adds to them is left
    /// out. Holds the result: 4 x [`len`](Self::len) x [`dim`](Self::dim) bytes.
    ///
    /// # Errors
    /// At the first value that cannot be searched with: NaN, an infinity, or 1e16 and above in
    /// size. Annoy takes them in silence and finds nonsense near them.
    pub fn vectors(&self) -> Result<Matrix, ReadError> {
        let mut data = Vec::with_capacity(self.len() * self.dim);
        for item in self.items() {
            let start = data.len();
            data.extend(self.values(item));
            if let Some(at) = crate::index::first_unusable(&data[start..]) {
                return Err(self.unusable(item, at, data[start + at]));
            }
        }
        Ok(Matrix { data, rows: self.len(), cols: self.dim })
    }

    /// Builds an index over the vectors; ids are item numbers.
    ///
    /// # Errors
    /// If a vector cannot be searched with, there are none, or the build fails or is stopped.
    pub fn build(&self, builder: Builder, progress: Report<'_>) -> Result<Index, Error> {
        let matrix = self.vectors()?;
        let builder = match self.len() == self.n_items() {
            true => builder,
            false => builder.ids(Ids::Int(self.ids())),
        };
        Ok(builder.build_with(Vectors::new(&matrix.data, matrix.cols)?, progress)?)
    }

    fn unusable(&self, item: usize, column: usize, value: f32) -> ReadError {
        let problem = format!(
            "item {item} has {value} in column {column}: vectors must be finite and below 1e16 in \
             size; leave that item out and write the file again"
        );
        format_error(&self.path, problem)
    }

    fn nodes(&self) -> Nodes<'_> {
        Nodes::new(&self.bytes, self.layout.shape(self.dim))
    }

    fn items(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes();
        (0..self.n_items()).filter(move |&item| nodes.is_present(item))
    }

    fn values(&self, item: usize) -> impl Iterator<Item = f32> {
        let (bytes, bits) = (self.nodes().vector(item), self.metric == AnnoyMetric::Hamming);
        (0..self.dim).map(move |at| if bits { bit(bytes, at) } else { float(bytes, at) })
    }
}

/// Words are little-endian, so that bit `at` of the words is bit `at` of the bytes.
fn bit(bytes: &[u8], at: usize) -> f32 {
    f32::from(bytes[at / 8] >> (at % 8) & 1)
}

fn float(bytes: &[u8], at: usize) -> f32 {
    bytes[4 * at..].first_chunk().map_or(f32::NAN, |&bytes| f32::from_le_bytes(bytes))
}

/// The one layout that fits.
fn fitting(
    bytes: &[u8],
    metric: AnnoyMetric,
    dim: usize,
    layout: Option<AnnoyLayout>,
) -> Result<(AnnoyLayout, Found), String> {
    if dim == 0 || dim > MAX_DIM {
        return Err(format!("got dimension {dim}, expected 1 to {MAX_DIM}"));
    }
    let asked = layout.as_slice();
    if let Some(other) = asked.iter().find(|layout| !metric.layouts().contains(layout)) {
        let known: Vec<&str> = metric.layouts().iter().map(|layout| layout.name()).collect();
        return Err(format!("{metric} has no layout {other}, expected {}", known.join(" or ")));
    }
    let tried = if asked.is_empty() { metric.layouts() } else { asked };
    let (mut fits, mut faults) = (Vec::new(), Vec::new());
    for &layout in tried {
        match check(bytes, layout, dim) {
            Ok(found) => fits.push((layout, found)),
            Err(fault) => faults.push(format!("as {layout}, {fault}")),
        }
    }
    match fits[..] {
        [one] => Ok(one),
        [] => Err(format!(
            "not a file that Annoy wrote for {metric} vectors of {dim}: {}; check metric and \
             dimension, which such files do not name",
            faults.join("; ")
        )),
        _ => {
            let names: Vec<&str> = fits.iter().map(|(layout, _)| layout.name()).collect();
            Err(format!("could be any of the layouts {}: say which", names.join(" and ")))
        }
    }
}
