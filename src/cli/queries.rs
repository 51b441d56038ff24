//! How a file of queries is read, for every command that takes one.

use std::path::{Path, PathBuf};

use crate::error::QueryError;
use crate::io::{Matrix, npy, read_vectors};
use crate::{Index, Metric};

use super::failure::Failure;

/// Queries that may be left away.
#[derive(clap::Args)]
pub(super) struct QueryArgs {
    /// The queries: .npy, .fvecs, .bvecs, .csv, .tsv, .txt or .parquet; - is .npy on standard input
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// The queries are packed bits, a uint8 .npy array as numpy.packbits makes it
    #[arg(long, requires = "queries")]
    packed: bool,
}

impl QueryArgs {
    /// The queries, if there are any.
    pub fn read(&self, index: &Index) -> Result<Option<Matrix>, Failure> {
        self.queries.as_deref().map(|file| read_queries(file, self.packed, index)).transpose()
    }
}

/// Reads queries of the index's dimension.
pub(super) fn read_queries(file: &Path, packed: bool, index: &Index) -> Result<Matrix, Failure> {
    if packed {
        return read_packed(file, index);
    }
    let (queries, dim) = (read_vectors(file)?, index.dim());
    match queries.rows == 0 || queries.cols == dim {
        true => Ok(queries),
        false => {
            let error = QueryError::Dimension { got: queries.cols, expected: dim };
            Err(Failure::new(format!("{}: {error}", file.display())))
        }
    }
}

fn read_packed(file: &Path, index: &Index) -> Result<Matrix, Failure> {
    let dim = index.dim();
    let bits = npy::read_bytes(file)?;
    if index.metric() != Metric::Hamming || (bits.rows > 0 && bits.cols != dim.div_ceil(8)) {
        return Err(Failure::new(format!(
            "{}: got packed rows of {} bytes for an index of {} in dimension {dim}, expected {} \
             bytes for one of hamming",
            file.display(),
            bits.cols,
            index.metric(),
            dim.div_ceil(8)
        )));
    }
    Ok(Matrix { data: index.unpack(&bits.data)?, rows: bits.rows, cols: dim })
}
