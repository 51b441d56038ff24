//! What `nearwood.annoy.AnnoyIndex` stands on: Annoy's habits over this crate's index.
//!
//! [`Items`] are vectors being added one at a time, [`Forest`] is what is built from them or
//! opened. Annoy's distances, its count of items and the meaning of its `search_k` are kept here
//! and nowhere else; errors and states of the Python class are that class's own.

mod distance;
mod forest;
mod items;

pub use distance::distance;
pub use forest::{BuildOptions, Forest, Neighbour};
pub use items::Items;
