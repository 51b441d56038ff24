//! What a user holds.
pub mod ids;
pub use ids::{Id, IdRef, Ids};
