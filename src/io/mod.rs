//! Readers and writers: tables, lists and arrays in; recommendations and neighbours out.
//!
//! `read_interactions` and [`read_vectors`] are the front doors: they tell formats apart and
//! give one type each. The formats' own readers are public where they offer more. Input compressed
//! with gzip, zstd or bzip2 is known by its first bytes, not its name, and `-` is standard input. Writers put a file beside
//! their target and rename it, so that the target is the old file or the whole new one.
//!
//! Without the feature `tables` there are vectors, ids and names, but no compression.

pub mod annoy;
#[cfg(feature = "tables")]
mod arrow;
#[cfg(feature = "tables")]
mod arrow_ids;
mod bad_rows;
mod delimited;
mod delimiter;
#[cfg(feature = "tables")]
mod encoding;
#[cfg(feature = "tables")]
mod everybody;
#[cfg(test)]
mod failing;
pub mod fvecs;
#[cfg(feature = "tables")]
mod header;
#[cfg(feature = "tables")]
mod inputs;
#[cfg(feature = "tables")]
mod interactions;
#[cfg(feature = "tables")]
mod ipc;
mod journal;
mod lines;
pub mod lists;
mod magic;
mod matrix;
pub mod names;
pub mod npy;
mod npy_header;
mod numbers;
#[cfg(feature = "tables")]
mod parquet;
#[cfg(feature = "tables")]
mod parquet_vectors;
#[cfg(feature = "tables")]
mod parts;
mod quoting;
mod source;
#[cfg(feature = "tables")]
mod table;
#[cfg(feature = "tables")]
mod times;
mod vectors;
#[cfg(feature = "tables")]
mod wanted;
#[cfg(feature = "tables")]
mod writer;

#[cfg(feature = "tables")]
pub use arrow::ArrowRows;
#[cfg(feature = "tables")]
pub use arrow_ids::arrow_ids;
pub use bad_rows::BadRows;
pub use delimiter::Delimiter;
#[cfg(feature = "tables")]
pub use encoding::Encoding;
#[cfg(feature = "tables")]
pub use everybody::{EverybodyOptions, Written, recommend_everybody};
#[cfg(feature = "tables")]
pub use interactions::{
    Format, ReadOptions, read_all_interactions, read_interactions, read_interactions_counted,
};
pub use journal::Journal;
pub use matrix::Matrix;
pub use names::{
    NamesOptions, read as read_names, read_ids, read_labels, read_with as read_names_with,
};
pub use quoting::Quote;
#[cfg(feature = "tables")]
pub use times::parse_time;
pub use vectors::{VectorFile, map_vectors, read_vectors, write_matrix};
#[cfg(feature = "tables")]
pub use writer::{IdKind, RankingWriter};

use std::path::Path;

use crate::error::SaveError;

/// How many rows of `cols` values there are in `len`.
fn whole_rows(path: &Path, len: usize, cols: usize) -> Result<usize, SaveError> {
    match cols {
        0 if len == 0 => Ok(0),
        cols if cols > 0 && len.is_multiple_of(cols) => Ok(len / cols),
        _ => Err(crate::store::refused(path, format!("{len} values are not whole rows of {cols}"))),
    }
}
