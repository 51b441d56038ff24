//! The inner loops: one portable reference, one file an instruction set, one dispatch.
//!
//! Every function has the same bits on every instruction set: float sums run in a fixed number of
//! lanes with fused multiply-add and end in a fixed tree; integer sums are exact. So the portable
//! file is the definition, and the tests hold the others to it bit for bit.
//!
//! This is one of the two rooms where `unsafe` may live (the other is `store`).
#![allow(unsafe_code)]

pub mod code;
pub mod dense;
pub mod float;
pub mod isa;

pub use isa::Isa;
