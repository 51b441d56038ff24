//! All rows of one side against the fixed factors of the other, in parallel.

use std::cmp::Reverse;
use std::ops::Range;

use rayon::prelude::*;

use super::csr::Csr;
use super::loss::{self, Terms};
use super::method::{Method, Pass};
use super::shorts::Shorts;
use super::solve::{
    Fixed, Scratch, Way, improve, solve_alone, solve_in_entries, solve_in_unknowns,
};
use super::turns;
use super::whitening::Whitening;
use crate::error::TrainError;
use crate::kernel::dense::{Ladder, padded};
use crate::progress;
use crate::threads;

/// Rows whose terms of the loss are summed by themselves, before the sums are.
const SUMMED: usize = 256;

/// Asked between blocks of rows; true stops the work.
pub(super) type Interrupt<'a> = &'a (dyn Fn() -> bool + Sync);

/// A side to be solved against the fixed factors of the other.
pub(super) struct HalfStep<'a> {
    pub(super) fixed: Fixed<'a>,
    /// What is solved, "user" or "item", for messages.
    pub(super) side: &'static str,
    pub(super) interrupt: Interrupt<'a>,
}

/// What a thread works with.
struct Workspace {
    scratch: Scratch,
    shorts: Shorts,
    /// The rows of a block that are solved in their entries, by number, and their vectors in the
    /// rotated basis and in the factors' own.
    pending: Vec<usize>,
    rotated: Vec<f32>,
    back: Vec<f32>,
    /// The rows of a block that are to be improved, by number; the last epoch's vectors of them, as
    /// they are, padded and rotated.
    to_improve: Vec<usize>,
    gathered: Vec<f32>,
    padded: Vec<f32>,
    before: Vec<f32>,
    /// Those whose matrix lost its digits, or whose vector float32 cannot hold.
    lost: Vec<usize>,
    /// What the entries of each row add to the loss: summed while its factors are in cache.
    entries: Vec<f64>,
    scores: Vec<f32>,
}

/// The rows of a block.
pub(super) struct Block<'a> {
    rows: &'a Csr,
    first: usize,
    d: usize,
    /// Where their vectors go, row-major.
    out: &'a mut [f32],
}

/// A half-step with what its rows share.
struct Run<'a> {
    fixed: &'a Fixed<'a>,
    /// Its factors in the basis of its whitening.
    rotated: &'a [f32],
    terms: Terms,
    side: &'static str,
}

impl HalfStep<'_> {
    /// Solves each row of `rows` into `out` (row-major) and sums what they add to the loss, in the
    /// order of the rows whatever the threads.
    pub(super) fn run(&self, rows: &Csr, out: &mut [f32], terms: Terms) -> Result<f64, TrainError> {
        let (fixed, d) = (&self.fixed, self.fixed.d);
        let rotated = fixed.whitening.rotate(fixed.factors);
        let run = Run { fixed, rotated: &rotated, terms, side: self.side };
        let mut solved = turns::each(
            blocks(rows, out, d),
            || Workspace::new(d),
            |work, mut block| match (self.interrupt)() {
                true => (block.first, Err(TrainError::Cancelled)),
                false => (block.first, run.block(work, &mut block)),
            },
        );
        solved.sort_unstable_by_key(|(first, _)| *first);
        let terms: Vec<Vec<f64>> =
            solved.into_iter().map(|(_, terms)| terms).collect::<Result<_, _>>()?;
        Ok(terms.concat().chunks(SUMMED).map(|terms| terms.iter().sum::<f64>()).sum())
    }

    /// Solves each row by itself, to the same bits: without rotating all factors, but with every
    /// row's own.
    pub(super) fn one_by_one(&self, rows: &Csr, out: &mut [f32]) -> Result<(), TrainError> {
        let d = self.fixed.d;
        let failed = threads::map_init(
            out.par_chunks_mut(d).enumerate(),
            || Scratch::new(d),
            |scratch, (row, x): (usize, &mut [f32])| {
                let (columns, values) = rows.row(row);
                solve_alone(scratch, &self.fixed, columns, values, x).err().map(|_| row)
            },
        )
        .find_map_first(|failed| failed);
        failed.map_or(Ok(()), |row| Err(self.singular(row)))
    }

    pub(super) fn singular(&self, row: usize) -> TrainError {
        let regularization = self.fixed.objective.regularization;
        TrainError::Singular { side: self.side, row, id: None, regularization }
    }
}

/// The rows in blocks, those with the most entries first: no thread is left with much at the end.
fn blocks<'a>(rows: &'a Csr, mut out: &'a mut [f32], d: usize) -> Vec<Block<'a>> {
    let block = |part: Range<usize>| {
        let own = out.split_off_mut(..part.len() * d).unwrap_or_default();
        Block { rows, first: part.start, d, out: own }
    };
    let mut blocks: Vec<Block<'a>> = turns::parts(rows).into_iter().map(block).collect();
    blocks.sort_by_cached_key(|block| Reverse(block.entries()));
    blocks
}

impl Run<'_> {
    /// Solves the block's rows; returns what each adds to the loss, if that is asked for.
    fn block(&self, work: &mut Workspace, block: &mut Block<'_>) -> Result<Vec<f64>, TrainError> {
        work.clear(block.len());
        for at in 0..block.len() {
            progress::check();
            let (columns, values) = block.row(at);
            match self.fixed.way(values) {
                Way::Zero => block.vector(at).fill(0.0),
                Way::Entries(_) if work.shorts.take(&self.fixed.objective, at, values) => {}
                Way::Entries(ladder) => self.in_entries(work, at, columns, values, ladder),
                Way::Unknowns => {
                    self.prefetch(work, block, at + 1);
                    self.in_unknowns(work, block, at)?;
                }
                Way::Improve => work.to_improve.push(at),
            }
        }
        if let Method::Improving(pass) = self.fixed.method {
            self.improve(work, block, pass);
        }
        self.side_by_side(work, block);
        work.hand_over(self.fixed.whitening, block);
        for at in std::mem::take(&mut work.lost) {
            progress::check();
            self.in_unknowns(work, block, at)?;
        }
        Ok(self.loss(work, block))
    }

    /// Asks for what the next row needs, if it is one for [`in_unknowns`](Self::in_unknowns).
    fn prefetch(&self, work: &Workspace, block: &Block<'_>, at: usize) {
        if at < block.len() {
            let (columns, values) = block.row(at);
            if self.fixed.whitening.ladder(values.len()).is_none() {
                work.scratch.equations.prefetch(self.fixed.factors, columns);
            }
        }
    }

    fn in_entries(
        &self,
        work: &mut Workspace,
        at: usize,
        columns: &[u32],
        values: &[f32],
        ladder: &Ladder,
    ) {
        let n = padded(self.fixed.d);
        let to = &mut work.rotated[work.pending.len() * n..][..n];
        let (scratch, objective) = (&mut work.scratch, &self.fixed.objective);
        if solve_in_entries(scratch, objective, self.rotated, columns, values, ladder, to) {
            work.entries[at] = self.sum(self.rotated, columns, values, to, &mut work.scores);
            work.pending.push(at);
        } else {
            work.lost.push(at);
        }
    }

    /// Makes the vectors that wait for it better ones.
    fn improve(&self, work: &mut Workspace, block: &mut Block<'_>, pass: Pass) {
        work.gathered.clear();
        for &at in &work.to_improve {
            work.gathered.extend_from_slice(block.vector(at));
        }
        let n = padded(self.fixed.d);
        work.before.resize(work.to_improve.len() * n, 0.0);
        self.fixed.whitening.rotate_into(&work.gathered, &mut work.padded, &mut work.before);
        for (i, &at) in work.to_improve.iter().enumerate() {
            let (columns, values) = block.row(at);
            progress::check();
            let x = &mut work.rotated[work.pending.len() * n..][..n];
            x.copy_from_slice(&work.before[i * n..][..n]);
            if let Some(&next) = work.to_improve.get(i + 1) {
                work.scratch.dual.prefetch(self.rotated, block.row(next).0);
            }
            if improve(&mut work.scratch, self.fixed, self.rotated, (columns, values), pass, x) {
                work.entries[at] = self.sum(self.rotated, columns, values, x, &mut work.scores);
                work.pending.push(at);
            } else {
                work.lost.push(at);
            }
        }
    }

    fn side_by_side(&self, work: &mut Workspace, block: &Block<'_>) {
        let n = padded(self.fixed.d);
        let Workspace { shorts, pending, rotated, lost, entries, scores, .. } = work;
        shorts.solve(self.fixed, self.rotated, block, |at, held, vectors| {
            for ((&at, held), x) in at.iter().zip(held).zip(vectors.chunks_exact(n)) {
                if held {
                    let (columns, values) = block.row(at);
                    entries[at] = self.sum(self.rotated, columns, values, x, scores);
                    rotated[pending.len() * n..][..n].copy_from_slice(x);
                    pending.push(at);
                } else {
                    lost.push(at);
                }
            }
        });
    }

    fn in_unknowns(
        &self,
        work: &mut Workspace,
        block: &mut Block<'_>,
        at: usize,
    ) -> Result<(), TrainError> {
        let (columns, values) = block.row(at);
        let (row, fixed) = (block.first + at, self.fixed);
        let x = block.vector(at);
        solve_in_unknowns(&mut work.scratch, fixed, columns, values, x).map_err(|_| {
            let regularization = fixed.objective.regularization;
            TrainError::Singular { side: self.side, row, id: None, regularization }
        })?;
        work.entries[at] = self.sum(fixed.factors, columns, values, x, &mut work.scores);
        Ok(())
    }

    /// What the entries of a row add to the loss, if that is asked for.
    fn sum(
        &self,
        factors: &[f32],
        columns: &[u32],
        values: &[f32],
        x: &[f32],
        scores: &mut Vec<f32>,
    ) -> f64 {
        match self.terms {
            Terms::RidgeAndEntries => {
                let objective = &self.fixed.objective;
                loss::of_entries(objective, factors, columns, values, x, scores)
            }
            Terms::Ridge | Terms::None => 0.0,
        }
    }

    fn loss(&self, work: &Workspace, block: &Block<'_>) -> Vec<f64> {
        if self.terms == Terms::None {
            return vec![];
        }
        let vectors = block.out.chunks_exact(block.d).enumerate();
        let ridge = |(at, x)| loss::of_ridge(self.fixed, block.row(at).0.len(), x);
        vectors.zip(&work.entries).map(|(row, entries)| ridge(row) + entries).collect()
    }
}

impl Workspace {
    fn new(d: usize) -> Workspace {
        let rows = || vec![0f32; turns::ROWS * padded(d)];
        Workspace {
            scratch: Scratch::new(d),
            shorts: Shorts::new(d),
            pending: Vec::with_capacity(turns::ROWS),
            rotated: rows(),
            back: rows(),
            to_improve: vec![],
            gathered: vec![],
            padded: vec![],
            before: vec![],
            lost: vec![],
            entries: Vec::with_capacity(turns::ROWS),
            scores: vec![],
        }
    }

    fn clear(&mut self, rows: usize) {
        self.shorts.clear();
        self.pending.clear();
        self.to_improve.clear();
        self.lost.clear();
        self.entries.clear();
        self.entries.resize(rows, 0.0);
    }

    fn hand_over(&mut self, whitening: &Whitening, block: &mut Block<'_>) {
        let (d, n) = (block.d, padded(block.d));
        let used = self.pending.len() * n;
        whitening.rotate_back(&self.rotated[..used], &mut self.back[..used]);
        for (&at, x) in self.pending.iter().zip(self.back.chunks_exact(n)) {
            block.vector(at).copy_from_slice(&x[..d]);
            if !x.iter().all(|v| v.is_finite()) {
                self.lost.push(at);
            }
        }
    }
}

impl<'a> Block<'a> {
    fn len(&self) -> usize {
        self.out.len() / self.d
    }

    fn vector(&mut self, at: usize) -> &mut [f32] {
        &mut self.out[at * self.d..][..self.d]
    }

    fn entries(&self) -> u64 {
        let starts = self.rows.indptr();
        starts[self.first + self.len()] - starts[self.first]
    }

    pub(super) fn row(&self, at: usize) -> (&'a [u32], &'a [f32]) {
        self.rows.row(self.first + at)
    }
}
