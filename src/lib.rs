//! Interactions in, recommendations out; vectors in, neighbours out; one memory-mapped file
//! between.
//!
//! The floors of the house, imports running downwards only, are in `docs/architecture.md`.

#[cfg(target_endian = "big")]
compile_error!("nearwood maps little-endian files and serves little-endian machines only");

pub mod error;
mod metric;
mod random;
mod threads;

pub mod kernel;

pub mod als;

pub mod index;

pub mod recommend;

pub mod io;

pub use error::Error;
pub use metric::Metric;
