//! One row: its equations, and the vector that solves them.

use rayon::prelude::*;

use super::gramian::Gramian;
use super::method::{GIANT, Method, Pass};
use super::objective::Objective;
use super::repair;
use super::whitening::Whitening;
use crate::kernel::dense::{Blocks, Dual, Equations, Gradients, Ladder, Row, padded};
use crate::threads;

/// Entries summed in float32 before the sum goes over to float64: a popular item may have millions,
/// and a float32 sum of that many loses the small ones.
const SEGMENT: usize = 1024;

/// The memory that solving a row takes; reused from row to row, so that none is allocated once the
/// first long row has been seen.
///
/// About 20 d^2 + 256 d bytes, and 12 d^2 more after a row of over 1024 entries.
#[derive(Clone)]
pub struct Scratch {
    pub(super) equations: Equations,
    pub(super) dual: Dual,
    gradients: Option<Gradients>,
    blocks: Option<Blocks>,
    a: Vec<f32>,
    b: Vec<f32>,
    roots: Vec<f32>,
    alone: Alone,
    /// Sums of a long row: the matrix, then the right-hand side.
    wide: Vec<f64>,
    narrow: Vec<f32>,
}

/// What a row takes that rotates its own entries' factors.
#[derive(Default, Clone)]
struct Alone {
    /// The factors as they are, padded and rotated; then its vector, rotated.
    gathered: Vec<f32>,
    padded: Vec<f32>,
    rotated: Vec<f32>,
    /// Where they stand in `rotated`: the numbers from 0 on.
    columns: Vec<u32>,
}

impl Scratch {
    /// Memory for rows of `factors` unknowns.
    #[must_use]
    pub fn new(factors: usize) -> Scratch {
        Scratch {
            equations: Equations::new(factors),
            dual: Dual::new(factors),
            gradients: None,
            blocks: None,
            a: vec![],
            b: vec![],
            roots: vec![],
            alone: Alone::default(),
            wide: vec![],
            narrow: vec![],
        }
    }

    fn weigh(&mut self, objective: &Objective, values: &[f32]) {
        self.a.clear();
        self.b.clear();
        self.a.extend(values.iter().map(|&r| objective.weigh(r).0));
        self.b.extend(values.iter().map(|&r| objective.weigh(r).1));
    }
}

/// What all rows of a half-step share: the factors of the fixed side.
pub(super) struct Fixed<'a> {
    pub(super) objective: Objective,
    /// Row-major, rows of d.
    pub(super) factors: &'a [f32],
    pub(super) d: usize,
    pub(super) method: Method,
    pub(super) gramian: &'a Gramian,
    /// The Gramian times alpha0 in float32.
    pub(super) matrix: &'a [f32],
    pub(super) whitening: &'a Whitening,
}

impl<'a> Fixed<'a> {
    /// How many rows the fixed side has.
    pub(super) fn rows(&self) -> usize {
        self.factors.len() / self.d
    }

    /// The ridge of a row with `entries` entries.
    pub(super) fn ridge(&self, entries: usize) -> f32 {
        self.objective.ridge(entries, self.rows())
    }

    /// How a row is to be solved.
    pub(super) fn way(&self, values: &[f32]) -> Way<'a> {
        if values.iter().all(|&r| self.objective.weigh(r).1 == 0.0) {
            return Way::Zero;
        }
        if values.len() > GIANT {
            return Way::Unknowns;
        }
        match (self.whitening.ladder(values.len()), self.method) {
            (Some(ladder), _) if values.iter().all(|&r| self.objective.weigh(r).0 >= 0.0) => {
                Way::Entries(ladder)
            }
            (_, Method::Improving(_)) => Way::Improve,
            (_, Method::Exact) => Way::Unknowns,
        }
    }
}

/// How a row is solved.
pub(super) enum Way<'a> {
    /// Nothing pulls at it: the zero vector.
    Zero,
    /// As many equations as it has entries.
    Entries(&'a Ladder),
    /// As many equations as it has unknowns.
    Unknowns,
    /// Nearer than before, by the method's pass.
    Improve,
}

/// The row has no finite solution.
#[derive(Debug)]
pub(super) struct NoSolution;

/// Solves one row in its entries, in the basis of `rotated`: `out`, of `padded(d)`,
/// is its vector there. False if that loses its digits.
pub(super) fn solve_in_entries(
    scratch: &mut Scratch,
    objective: &Objective,
    rotated: &[f32],
    columns: &[u32],
    values: &[f32],
    ladder: &Ladder,
    out: &mut [f32],
) -> bool {
    scratch.weigh(objective, values);
    scratch.roots.clear();
    scratch.roots.extend(scratch.a.iter().map(|a| a.sqrt()));
    scratch.dual.solve(rotated, columns, &scratch.roots, &scratch.b, ladder, out)
}

/// Makes `x`, in the basis of `rotated`, a better vector of the row. False if digits were lost on the
/// way.
pub(super) fn improve(
    scratch: &mut Scratch,
    fixed: &Fixed<'_>,
    rotated: &[f32],
    (columns, values): (&[u32], &[f32]),
    pass: Pass,
    x: &mut [f32],
) -> bool {
    scratch.weigh(&fixed.objective, values);
    let (a, b, ridge) = (&scratch.a[..], &scratch.b[..], fixed.ridge(values.len()));
    let row = Row { z: rotated, columns, a, b, ridge };
    let (d, whitening) = (fixed.d, fixed.whitening);
    match pass {
        Pass::Gradients(steps) => {
            let gradients = scratch.gradients.get_or_insert_with(|| Gradients::new(d));
            gradients.improve(row, &whitening.banded, steps, x);
            true
        }
        Pass::Blocks => {
            let blocks = scratch.blocks.get_or_insert_with(|| Blocks::new(d));
            blocks.improve(row, &whitening.banded, &whitening.starts, x)
        }
    }
}

/// Solves one row in its unknowns into `x`: in float32, and where that loses its digits in float64.
pub(super) fn solve_in_unknowns(
    scratch: &mut Scratch,
    fixed: &Fixed<'_>,
    columns: &[u32],
    values: &[f32],
    x: &mut [f32],
) -> Result<(), NoSolution> {
    if values.len() <= SEGMENT {
        scratch.weigh(&fixed.objective, values);
        let (a, b) = (&scratch.a[..], &scratch.b[..]);
        scratch.equations.start(fixed.matrix, fixed.factors, columns, a, b);
    } else {
        sum_long_row(scratch, fixed, columns, values);
    }
    scratch.equations.add_to_diagonal(fixed.ridge(values.len()));
    if scratch.equations.solve(x) || repair::solve(fixed, columns, values, x) {
        return Ok(());
    }
    Err(NoSolution)
}

fn sum_long_row(scratch: &mut Scratch, fixed: &Fixed<'_>, columns: &[u32], values: &[f32]) {
    let side = padded(fixed.d) * padded(fixed.d);
    scratch.wide.clear();
    scratch.wide.extend(fixed.matrix.iter().map(|&v| f64::from(v)));
    scratch.wide.resize(side + fixed.d, 0.0);
    if columns.len() > GIANT {
        let chunks = columns.par_chunks(GIANT / 4).zip(values.par_chunks(GIANT / 4));
        let parts: Vec<Vec<f64>> = threads::map_init(
            chunks,
            || Scratch::new(fixed.d),
            |own, (columns, values)| {
                own.wide.clear();
                own.wide.resize(side + fixed.d, 0.0);
                add_segments(own, fixed, columns, values);
                own.wide.clone()
            },
        )
        .collect();
        for part in parts {
            scratch.wide.iter_mut().zip(part).for_each(|(w, v)| *w += v);
        }
    } else {
        add_segments(scratch, fixed, columns, values);
    }
    scratch.narrow.clear();
    scratch.narrow.extend(scratch.wide.iter().map(|&v| v as f32));
    scratch.equations.set(&scratch.narrow[..side], &scratch.narrow[side..]);
}

/// Adds the entries' outer products and pulls to the wide sums, segment by segment.
fn add_segments(scratch: &mut Scratch, fixed: &Fixed<'_>, columns: &[u32], values: &[f32]) {
    for (columns, values) in columns.chunks(SEGMENT).zip(values.chunks(SEGMENT)) {
        scratch.weigh(&fixed.objective, values);
        scratch.equations.clear();
        scratch.equations.add(fixed.factors, columns, &scratch.a, &scratch.b);
        let parts = scratch.equations.matrix().iter().chain(scratch.equations.right_hand_side());
        scratch.wide.iter_mut().zip(parts).for_each(|(w, &v)| *w += f64::from(v));
    }
}

/// Solves one row into `x` by itself, exactly and with the bits that it has among others: its
/// entries' factors are rotated here.
pub(super) fn solve_alone(
    scratch: &mut Scratch,
    fixed: &Fixed<'_>,
    columns: &[u32],
    values: &[f32],
    x: &mut [f32],
) -> Result<(), NoSolution> {
    match fixed.way(values) {
        Way::Zero => {
            x.fill(0.0);
            Ok(())
        }
        Way::Entries(ladder) if rotate_and_solve(scratch, fixed, columns, values, ladder, x) => {
            Ok(())
        }
        _ => solve_in_unknowns(scratch, fixed, columns, values, x),
    }
}

fn rotate_and_solve(
    scratch: &mut Scratch,
    fixed: &Fixed<'_>,
    columns: &[u32],
    values: &[f32],
    ladder: &Ladder,
    x: &mut [f32],
) -> bool {
    let (d, n, k) = (fixed.d, padded(fixed.d), columns.len());
    let mut alone = std::mem::take(&mut scratch.alone);
    alone.columns.clear();
    alone.columns.extend(0..k as u32);
    alone.gathered.clear();
    for &column in columns {
        alone.gathered.extend_from_slice(&fixed.factors[column as usize * d..][..d]);
    }
    alone.rotated.resize((k + 1) * n, 0.0);
    fixed.whitening.rotate_into(&alone.gathered, &mut alone.padded, &mut alone.rotated);
    let (z, g) = alone.rotated.split_at_mut(k * n);
    let (g, columns) = (&mut g[..n], &alone.columns);
    let solved = solve_in_entries(scratch, &fixed.objective, z, columns, values, ladder, g);
    if solved {
        let back = &mut alone.padded[..n];
        fixed.whitening.rotate_back(g, back);
        x.copy_from_slice(&back[..d]);
    }
    scratch.alone = alone;
    solved && x.iter().all(|v| v.is_finite())
}
