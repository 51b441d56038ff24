//! Factors, index and who-has-seen-what: recommendations.
mod builder;
pub mod interactions;
mod interner;

pub use builder::InteractionsBuilder;
pub use interactions::{IdColumn, Interactions, Weighting};
