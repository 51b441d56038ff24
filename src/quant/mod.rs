//! Compressed vectors: 8-bit scalar codes, whole and in halves, and 4-bit product codes.

pub mod halves;
mod product;
mod scalar;
mod shared;

pub use product::{Books, Encoded, QueryTables, n_parts, part_width};
pub use scalar::{Coded, code_len, encode, encode_plain, mean};
pub use shared::{encode_shared, shared_scale};
