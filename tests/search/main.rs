//! What an index answers, to one query and to many.
//!
//! One program: each takes seconds to compile and link.
// Helpers are no test functions in the eyes of clippy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod batch;
mod concurrency;
mod filters;
mod graph;
mod metrics;
mod oracle;
mod promises;
mod radius;
mod single;
