//! How much memory a build takes beside its files, and how it keeps to a limit.
//!
//! What has the size of rows times dimension is mapped where there is a limit: the vectors are the
//! caller's to map, the file is composed in place, the codes lie in a file without a name. What
//! stays allocated are some tens of bytes a row, the centres of the leaves, and one window of rows
//! that are read in any order.

use std::path::Path;

use super::{Ids, Vectors};
use crate::error::BuildError;
use crate::forest::{TreeParams, Workspace};
use crate::metric::Metric;
use crate::quant;
use crate::store::Room;

/// What the reckoning depends on.
pub(super) struct Build<'a> {
    pub vectors: Vectors<'a>,
    pub metric: Metric,
    pub trees: usize,
    pub shape: TreeParams,
    pub threads: usize,
    pub ids: Option<&'a Ids>,
    pub has_labels: bool,
    /// Bytes a row that vectors take as they will be stored; 0 where they are used as they lie.
    pub stored: usize,
}

/// Stack and caches of a thread, and what the process allocates whatever the data.
const THREAD: f64 = 3e6;
const PROCESS: f64 = 4e6;
/// What the allocator cannot use of what it got: measured below a twentieth.
const SLACK: f64 = 1.1;
/// A window holds at least this share of the rows, so that the passes stay few.
const LEAST_WINDOW: f64 = 1.0 / 256.0;

impl Build<'_> {
    /// A workspace for a build that may allocate `limit` bytes.
    ///
    /// # Errors
    /// If it needs more.
    pub fn workspace(&self, limit: usize, target: &Path) -> Result<Workspace, BuildError> {
        let (n, dim, limit) = (self.vectors.len() as f64, self.vectors.dim as f64, limit as f64);
        let base = self.base();
        let codes = n * quant::code_len(self.vectors.dim) as f64;
        if base + codes + 4.0 * n * dim <= limit {
            return Ok(Workspace::default());
        }
        // A row of the window is copied, or its codes; half of what is left stays for the pages
        // of the files.
        let row = 4.0 * dim + 16.0;
        let need = base + 2.0 * row * (n * LEAST_WINDOW).max(1000.0);
        if need > limit {
            return Err(BuildError::Memory { need: need as u64, limit: limit as u64 });
        }
        let window = ((limit - base) / (2.0 * row)) as usize;
        Ok(Workspace { room: Room::beside(target), window })
    }

    /// Bytes allocated at the worst moment, windows and codes apart.
    fn base(&self) -> f64 {
        let (n, dim) = (self.vectors.len() as f64, self.vectors.dim as f64);
        let leaves = self.leaves();
        // Scale, sum and square of each row's codes, and 1 / its length.
        let coded = n * if self.metric == Metric::Angular { 16.0 } else { 12.0 };
        // A kept tree: the members with their padding, and the codes of the centres.
        let kept = 4.0 * (n + 16.0 * leaves) + leaves * (dim + 16.0);
        // A split: members, margins, and an order by them, then both sides. A Lloyd round: old
        // parts or new, the nearest centre of each row, sums and means of the centres.
        let split = 20.0 * n + 64.0 * leaves;
        let round = 12.0 * n + leaves * (17.0 * dim + 64.0 + 16.0 * self.threads as f64);
        let building = coded + self.trees as f64 * kept + split.max(round);
        // Rows of positions; in every thread the rows that a query has met and the leaves that a
        // block of queries has; and, by inner product, the items that users are made from.
        let audience = if self.metric == Metric::Dot { 65_000f64.min(n) * 4.0 * dim } else { 0.0 };
        let in_thread = 4.0 * n + 64.0 * 16.0 * leaves;
        let calibrating = 8.0 * n + self.threads as f64 * in_thread + audience;
        // To see that ids are unique, and to lay out a table of names.
        let named = self.has_labels || !matches!(self.ids, None | Some(Ids::Sequential(_)));
        let naming = if named { 40.0 * n } else { 0.0 };
        let stored = n * self.stored as f64;
        stored
            + PROCESS
            + THREAD * self.threads as f64
            + SLACK * building.max(calibrating).max(naming)
    }

    /// Splits leave two thirds of the largest leaf on average.
    fn leaves(&self) -> f64 {
        (1.6 * self.vectors.len() as f64 / self.shape.leaf_size as f64).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(n: usize, dim: usize, limit: usize) -> Result<Workspace, BuildError> {
        let values = vec![0f32; n * dim];
        let build = Build {
            vectors: Vectors::new(&values, dim).unwrap(),
            metric: Metric::Euclidean,
            trees: 1,
            shape: TreeParams::for_metric(Metric::Euclidean),
            threads: 2,
            ids: None,
            has_labels: false,
            stored: 0,
        };
        build.workspace(limit, Path::new("t"))
    }

    #[test]
    fn a_window_fills_what_is_left_and_no_more() {
        let all = workspace(100_000, 128, 100_000_000).unwrap();
        assert!(all.window == usize::MAX && matches!(all.room, Room::Memory));
        let some = workspace(100_000, 128, 32_000_000).unwrap();
        assert!(matches!(some.room, Room::Folder(_)));
        assert!((5_000..30_000).contains(&some.window), "{}", some.window);
        let BuildError::Memory { need, limit } = workspace(100_000, 128, 10_000_000).unwrap_err()
        else {
            panic!("another error");
        };
        assert!(limit == 10_000_000 && (10_000_000..24_000_000).contains(&need), "{need}");
        assert!(workspace(100_000, 128, need as usize + 1).is_ok());
    }
}
