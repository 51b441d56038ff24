//! The command, run as people run it.
//!
//! One program: each takes seconds to compile and link.
#![cfg(feature = "cli")]
// Helpers are no test functions in the eyes of clippy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod annoy;
mod commands;
mod evaluate;
mod index;
mod looks;
mod reading;
mod real_data;
mod terminal;
mod trees;
