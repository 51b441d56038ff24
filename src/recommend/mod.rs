//! Factors, index and who-has-seen-what: recommendations.

mod artefact;
mod builder;
mod curve;
mod decay;
mod everybody;
mod fit;
mod interactions;
mod interner;
mod matching;
mod recommender;
mod vectorless;
mod weighting;
mod words;

pub use builder::InteractionsBuilder;
pub use decay::{Faded, HalfLife};
pub use everybody::Everybody;
pub use fit::FitOptions;
pub use interactions::{IdColumn, Interactions, TimeUnit};
pub use matching::Continued;
pub(crate) use matching::{numbers, numbers_among};
pub use recommender::{RecommendOptions, Recommender};
pub use weighting::Weighting;
