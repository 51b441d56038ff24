//! From interactions to recommendations: the trainer, the model, and what is made of it.
//!
//! One program: each takes seconds to compile and link.
// Helpers are no test functions in the eyes of clippy.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod als;
mod eval;
mod everybody;
mod interrupts;
mod model;
mod recommend;
mod report;
mod tune;
mod unknown;
