//! Interactions in, recommendations out; vectors in, neighbours out; one memory-mapped file
//! between.
//!
//! The floors of the house, imports running downwards only, are in `docs/architecture.md`.

#[cfg(target_endian = "big")]
compile_error!("nearwood maps little-endian files and serves little-endian machines only");

pub mod error;
pub mod memory;
mod metric;
pub mod progress;
mod random;
mod threads;

pub mod exact;
pub mod forest;
pub mod format;
pub mod kernel;
pub mod quant;
pub mod store;

pub mod als;
pub mod graph;

pub mod index;

pub mod eval;
pub mod recommend;

pub mod io;
pub mod tune;

pub mod annoy;
pub mod implicit;

pub mod report;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::Error;
pub use index::{
    Answers, BatchOptions, Effort, Filter, Hit, Id, IdRef, Ids, Index, RadiusOptions, Searcher,
    Storage, TreeOptions, Vectors, Within,
};
pub use metric::Metric;
pub use recommend::{Interactions, Recommender};

/// The README's Rust runs with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
