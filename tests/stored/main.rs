//! What stands in files: what is built into them, read out of them, and what damage does.
//!
//! One program: each takes seconds to compile and link.
// Helpers are no test functions in the eyes of clippy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod algebra;
mod annoy;
mod determinism;
mod fuzz_finds;
mod golden;
mod hostile_input;
mod out_of_core;
mod storage;
