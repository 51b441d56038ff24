//! Factors, index and who-has-seen-what: recommendations.
pub mod interactions;
pub use interactions::{Interactions, Weighting};
