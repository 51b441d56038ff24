//! What stands in files: what is built into them, read out of them, and what damage does.
//!
//! One program: each takes seconds to compile and link.
// Helpers are no test functions in the eyes of clippy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod algebra;
mod annoy;
mod costly;
mod determinism;
mod fuzz_finds;
mod golden;
mod hostile_input;
mod operations;
mod out_of_core;
mod storage;
mod whole;

/// So that what a damaged file makes a search ask for is bounded.
#[global_allocator]
static ALLOCATOR: common::allocator::Counting = common::allocator::Counting;
