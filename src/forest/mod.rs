//! Trees over the vectors: built by random two-means splits, searched best-first.
//!
//! A tree is a partition of the rows into *leaves* of a few hundred, whose members' 8-bit codes lie
//! side by side and are scanned; leaves near each other form *groups*. Splitting by random planes
//! finds the leaves, a few Lloyd rounds over all centres improve them, and the search then ranks
//! leaves by their centres, never by the planes: the rounds move members away from the side of the
//! plane that they came from, so the planes are not kept.
//!
//! The search keeps one priority queue over all trees, of groups and leaves by the distance of
//! their centres, and counts distinct rows against its budget. A block of queries shares the
//! reading of leaves.

mod batch;
mod build;
mod coded;
mod lloyd;
mod members;
mod partition;
mod product;
mod search;
mod split;
mod tree;

pub use batch::{Ask, Block, BlockScratch, search_block};
pub use build::{TreeData, TreeParams, build_tree, tree_work};
pub use coded::{CodedRows, Workspace};
pub use members::{has_products, member_width};
pub use product::ProductCodes;
pub use search::{Found, Request, Scratch, choose, enter, inverse_length, is_set, search, trace};
pub use tree::{Leaf, Tree};
