//! Which row is solved in which way, and what that costs.

use super::csr::Csr;
use super::params::{Params, Solver};

/// Rows of more entries are summed by all threads together, so that a very popular item keeps none
/// waiting; and exactly, whatever the solver.
pub(super) const GIANT: usize = 1 << 16;

/// Up to so many entries an exact solution, among others of its length, takes no longer than three
/// steps of conjugate gradients.
const SHORT_FOR_GRADIENTS: usize = 16;

/// Up to so many entries an exact solution takes no longer than a pass over blocks.
const SHORT_FOR_BLOCKS: usize = 96;

/// An exact epoch that would take more than this many times a pass over blocks is not worth it: a
/// pass nears the solution by more than half.
const WORTH: f64 = 3.0;

/// What a training solves rows with that are not short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Exactly.
    Exact,
    /// Nearer than before.
    Improving(Pass),
}

/// What brings a vector nearer to the solution of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// So many steps of conjugate gradients.
    Gradients(usize),
    /// One over blocks.
    Blocks,
}

impl Method {
    /// The one asked for, for a matrix given with its transpose; of `auto`, by the operations that
    /// an exact epoch and one of blocks would take.
    pub(super) fn new(params: &Params, users: &Csr, items: &Csr) -> Method {
        match params.solver {
            Solver::Cholesky => Method::Exact,
            Solver::Cg => Method::Improving(Pass::Gradients(params.cg_steps)),
            Solver::Block => Method::Improving(Pass::Blocks),
            Solver::Auto => {
                let epoch = |of: fn(f64, f64) -> f64| -> f64 {
                    let rows = [users, items].into_iter().flat_map(|m| m.indptr().windows(2));
                    rows.map(|w| of((w[1] - w[0]) as f64, params.factors as f64)).sum()
                };
                match epoch(exact) > WORTH * epoch(blocks) {
                    true => Method::Improving(Pass::Blocks),
                    false => Method::Exact,
                }
            }
        }
    }

    /// The most entries of a row that is solved in its entries, for `d` unknowns.
    pub(super) fn most_entries(self, d: usize) -> usize {
        match self {
            Method::Exact => most_entries(d),
            Method::Improving(Pass::Gradients(_)) => most_entries(d).min(SHORT_FOR_GRADIENTS),
            Method::Improving(Pass::Blocks) => most_entries(d).min(SHORT_FOR_BLOCKS),
        }
    }
}

/// The most entries that a row of `d` unknowns may have for its entries' equations to take less
/// time than its unknowns'.
fn most_entries(d: usize) -> usize {
    d * 3 / 4
}

/// Operations of a row with k entries and d unknowns, solved exactly.
fn exact(k: f64, d: f64) -> f64 {
    if k <= most_entries(d as usize) as f64 {
        k * k * d + k.powi(3) / 3.0 + 7.0 * k * d
    } else {
        k * (d * d + 3.0 * d) + d.powi(3) / 3.0 + 4.0 * d * d
    }
}

/// The same where long rows take a pass over blocks.
fn blocks(k: f64, d: f64) -> f64 {
    let width = 64.0;
    if k <= Method::Improving(Pass::Blocks).most_entries(d as usize) as f64 {
        exact(k, d)
    } else {
        k * d * (width + 5.0) + d * width * width / 3.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_for_many_factors_and_long_rows() {
        let dense = |rows: u32, columns: u32| {
            let entries = (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c)));
            let (r, c): (Vec<u32>, Vec<u32>) = entries.unzip();
            let users =
                Csr::from_triplets(rows as usize, columns as usize, &r, &c, &vec![1.0; r.len()]);
            let users = users.unwrap();
            let items = users.transpose();
            (users, items)
        };
        let chosen = |factors: usize, solver: Solver, (users, items): &(Csr, Csr)| {
            Method::new(&Params { factors, solver, ..Params::default() }, users, items)
        };
        let (long, short) = (dense(300, 300), dense(20, 20));
        assert_eq!(chosen(512, Solver::Auto, &long), Method::Improving(Pass::Blocks));
        assert_eq!(chosen(64, Solver::Auto, &long), Method::Exact);
        assert_eq!(chosen(512, Solver::Auto, &short), Method::Exact);
        assert_eq!(chosen(512, Solver::Cg, &short), Method::Improving(Pass::Gradients(3)));
    }
}
