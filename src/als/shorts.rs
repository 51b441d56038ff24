//! The short rows of a block, which are solved side by side.

use super::half_step::Block;
use super::objective::Objective;
use super::solve::Fixed;
use crate::kernel::dense::{ShortRow, SideBySide, padded};

/// Rows that wait until others of their length are known.
pub(super) struct Shorts {
    kernel: SideBySide,
    waiting: Vec<Waiting>,
    /// The roots of the weights of all entries, row after row, and the pulls over them.
    roots: Vec<f32>,
    pulls: Vec<f32>,
    /// The vectors of one group.
    vectors: Vec<f32>,
}

/// Ordered by length, then by place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    entries: usize,
    /// The row's number in its block.
    at: usize,
    /// Where its roots begin.
    from: usize,
}

impl Shorts {
    pub(super) fn new(d: usize) -> Shorts {
        Shorts {
            kernel: SideBySide::new(d),
            waiting: vec![],
            roots: vec![],
            pulls: vec![],
            vectors: vec![0.0; SideBySide::ROWS * padded(d)],
        }
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.roots.clear();
        self.pulls.clear();
    }

    /// Takes a row, its number in the block being `at`, if it is short and every weight above 0.
    pub(super) fn take(&mut self, objective: &Objective, at: usize, values: &[f32]) -> bool {
        if values.len() > SideBySide::MAX_ENTRIES {
            return false;
        }
        let from = self.roots.len();
        for &r in values {
            let (a, b) = objective.weigh(r);
            let root = a.sqrt();
            self.roots.push(root);
            self.pulls.push(b / root);
        }
        // Of a weight of 0 or below, root or quotient is no number.
        if self.pulls[from..].iter().all(|pull| pull.is_finite()) {
            self.waiting.push(Waiting { entries: values.len(), at, from });
            return true;
        }
        self.roots.truncate(from);
        self.pulls.truncate(from);
        false
    }

    /// Solves what waits, in groups of rows about as long as each other. `done` hears each group's
    /// rows, whether they were solved, and their vectors in the rotated basis.
    pub(super) fn solve(
        &mut self,
        fixed: &Fixed<'_>,
        rotated: &[f32],
        block: &Block<'_>,
        mut done: impl FnMut(&[usize], [bool; SideBySide::ROWS], &[f32]),
    ) {
        self.waiting.sort_unstable();
        let mut groups = self.waiting.chunks(SideBySide::ROWS).peekable();
        while let Some(group) = groups.next() {
            let row = |w: &Waiting| {
                let ladder = fixed.whitening.ladder(w.entries)?;
                let of_row = w.from..w.from + w.entries;
                let (roots, pulls) = (&self.roots[of_row.clone()], &self.pulls[of_row]);
                Some(ShortRow { columns: block.row(w.at).0, roots, pulls, ladder })
            };
            let rows: Vec<ShortRow<'_>> = group.iter().filter_map(row).collect();
            let next = groups.peek().copied().unwrap_or_default();
            let next: Vec<&[u32]> = next.iter().map(|w| block.row(w.at).0).collect();
            let held = self.kernel.solve(rotated, &rows, &next, &mut self.vectors);
            let at: Vec<usize> = group.iter().map(|w| w.at).collect();
            done(&at, held, &self.vectors);
        }
    }
}
