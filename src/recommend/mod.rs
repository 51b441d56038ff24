//! Factors, index and who-has-seen-what: recommendations.

mod artefact;
mod builder;
mod interactions;
mod interner;
mod recommender;
mod weighting;

pub use builder::InteractionsBuilder;
pub use interactions::{IdColumn, Interactions};
pub use recommender::{FitOptions, RecommendOptions, Recommender};
pub use weighting::Weighting;
