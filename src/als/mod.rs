//! Implicit-feedback alternating least squares.
pub mod csr;
pub use csr::Csr;
