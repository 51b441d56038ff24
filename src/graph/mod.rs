//! A neighbour graph over the rows, grown from a tree's partition.
//!
//! Every row has a list of rows that lie near it in different directions. A search starts from rows
//! near the query, which the partition names, and walks from the nearest row known to those on its
//! list until nothing nearer turns up. It compares the query with a tenth of the rows that a scan of
//! leaves does, one cache miss each, and so is bound by memory: rows are compared by bytes that share
//! one scale, a row on as few lines as it can be, and asked for before they are needed.
//!
//! The graph is built from lists of nearest rows (which the index asks the partition for): neighbours
//! of neighbours are tried too, each list is thinned to rows in different directions and completed by
//! the rows that list this one ([`link`]). The rule of thinning is that of
//! HNSW (Malkov and Yashunin 2018), with the slack of Vamana (Subramanya et al. 2019).

mod chain;
mod link;
mod pool;
mod walk;

pub use chain::chain;
pub use link::{Links, link};
pub use walk::{Scratch, Until, walk};

use crate::kernel::scattered::{ByteRows, Measure};

/// The largest number of rows that a walk keeps. They are kept sorted, so that taking one in moves up to
/// this many: without a bound a walk over all rows would be quadratic. Calibrations measure up to 6,163.
pub const MAX_REACH: usize = 8192;

/// What fills a list up.
pub const NONE: u32 = u32::MAX;

/// Rows and the lists of their neighbours: slices of the file. What lists name is checked where it is
/// used, so that a damaged payload costs an answer and nothing worse.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'a> {
    /// The rows in bytes; fewer than 2^31.
    pub rows: ByteRows<'a>,
    /// How near two of them are.
    pub measure: Measure,
    /// `degree` rows for each row, then [`NONE`].
    pub lists: &'a [u32],
    /// Places in a list.
    pub degree: usize,
}

impl<'a> Graph<'a> {
    /// The places of a row that exists.
    #[inline]
    fn list(&self, row: u32) -> &'a [u32] {
        &self.lists[row as usize * self.degree..][..self.degree]
    }
}
