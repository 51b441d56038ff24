//! Queries that look like users, where an index by inner product is given none.
//!
//! Factors of items do not look like queries: asked for its neighbours by inner product, an item
//! finds the largest vectors near its direction in a few leaves, a user's are spread over many. But
//! a user's factors are what the trainer solves for from the items that the user played, so users
//! can be made from items alone: here from five that lie together.

use super::sample::Kinds;
use crate::als::{FoldIn, Params};
use crate::exact::Rows;
use crate::random::Random;

/// Items that a user is made from: rows that follow each other in the file, mostly of one leaf.
const ITEMS: usize = 5;
/// Users' worth of rows whose Gramian stands for that of all.
const RUNS: usize = 13_000;
/// Beyond this dimension a user's equations would take longer than the rest of the calibration.
const MAX_DIM: usize = 512;

/// The fewest users to calibrate with.
const LEAST: usize = 50;

/// `size` users, row-major, or fewer; if there are items enough to make them from. Items that are empty or
/// copies of others make no users.
pub(super) fn users(rows: Rows<'_>, size: usize, random: &mut Random) -> Option<Vec<f32>> {
    let runs = rows.len() / ITEMS;
    if runs < size || rows.dim > MAX_DIM {
        return None;
    }
    let mut items = Vec::with_capacity(runs.min(RUNS) * ITEMS * rows.dim);
    let mut kinds = Kinds::default();
    for run in random.sample(runs, RUNS) {
        let before = items.len();
        let mut are_new = true;
        for row in run * ITEMS..(run + 1) * ITEMS {
            let item = rows.row(row);
            are_new &= kinds.is_new(&item) && item.iter().any(|&x| x != 0.0);
            items.extend_from_slice(&item);
        }
        if !are_new {
            items.truncate(before);
        }
    }
    let size = size.min(items.len() / (ITEMS * rows.dim));
    if size < LEAST {
        return None;
    }
    let squares: f64 = items.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let params = Params {
        factors: rows.dim,
        // Against directions that hardly any item has, and small against the others.
        regularization: (1e-3 * squares / rows.dim as f64) as f32,
        ..Params::default()
    };
    let fold_in = FoldIn::new(&items[..], &params).ok()?;
    let (mut scratch, mut users) = (fold_in.scratch(), vec![0f32; size * rows.dim]);
    for (user, x) in users.chunks_exact_mut(rows.dim).enumerate() {
        let first = (user * ITEMS) as u32;
        let own: Vec<u32> = (first..first + ITEMS as u32).collect();
        fold_in.solve(&mut scratch, &own, &[1.0; ITEMS], x).ok()?;
    }
    users.iter().all(|x| x.is_finite()).then_some(users)
}
