//! Sixteen rows with few entries at a time.

use super::algorithm::LANES;
use super::dual::Ladder;
use super::equations::is_held;
use super::lines::{Lines, padded};
use super::portable;
use super::sixteen::{Cells, Sides, TILE};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::kernel::Isa;

/// A row: what [`Dual`](super::Dual) takes, with pulls over roots in place of the pulls, every
/// weight above 0.
#[derive(Clone, Copy)]
pub struct ShortRow<'a> {
    /// The rows of z of its entries, 1 to [`SideBySide::MAX_ENTRIES`].
    pub columns: &'a [u32],
    /// The roots of their weights, above 0.
    pub roots: &'a [f32],
    /// Their pulls, each over its root.
    pub pulls: &'a [f32],
    /// What divides by the row's T.
    pub ladder: &'a Ladder,
}

/// Solves up to sixteen rows at once, each to the bits that [`Dual`](super::Dual) gives it.
///
/// Least work where they have about as many entries each: every row costs what the longest does.
#[derive(Clone)]
pub struct SideBySide {
    isa: Isa,
    n: usize,
    /// Entries of the longest row, rounded up to whole tiles.
    side: usize,
    places: Vec<usize>,
    steps: Lines,
    scales: Lines,
    roots: Lines,
    before: Lines,
    /// Sixteen coordinates of every entry.
    v: Lines,
    /// The matrices, side x (side + 4) cells, the right-hand sides in column `side`.
    k: Lines,
    l: Lines,
    diagonal: Lines,
    w: Lines,
    /// n cells on the way.
    y: Lines,
    /// One row's u.
    u: Vec<f32>,
}

impl SideBySide {
    /// The most entries a row may have: the matrices and their factors take 6 KiB times its square
    /// over 48, and are to stay in the second-level cache.
    pub const MAX_ENTRIES: usize = 48;

    /// How many rows at a time.
    pub const ROWS: usize = LANES;

    /// Memory for rows of `d` unknowns.
    #[must_use]
    pub fn new(d: usize) -> SideBySide {
        SideBySide::with(Isa::active(), d)
    }

    fn with(isa: Isa, d: usize) -> SideBySide {
        let n = padded(d);
        let side = SideBySide::MAX_ENTRIES;
        let cells = |count: usize| Lines::new(count * LANES);
        SideBySide {
            isa,
            n,
            side: 0,
            places: Vec::with_capacity(side * LANES),
            steps: cells(n),
            scales: cells(n),
            roots: cells(side),
            before: cells(side),
            v: cells(side * LANES),
            k: cells(side * (side + TILE)),
            l: cells(side * (side + TILE)),
            diagonal: cells(side),
            w: cells(side),
            y: cells(n),
            u: Vec::with_capacity(side),
        }
    }

    /// Writes the rows' vectors in the basis of `z` into the first rows of `out` (16 x n, n being
    /// [`padded`]`(d)`). `z` has rows of n, the last of them zeros. False for a row whose matrix has
    /// lost its digits in float32; its vector is undefined. The rows of z that `next` names are asked
    /// for meanwhile: getting them is half of the work.
    ///
    /// # Panics
    /// If there are more than 16 rows, one has no or too many entries, lists differ in length or
    /// name no row of `z`, or a ladder or `out` is of another size.
    pub fn solve(
        &mut self,
        z: &[f32],
        rows: &[ShortRow<'_>],
        next: &[&[u32]],
        out: &mut [f32],
    ) -> [bool; LANES] {
        let n = self.n;
        assert!(out.len() == LANES * n && rows.len() <= LANES, "too many rows");
        let count = z.len() / n;
        assert!(count > 0, "no row of zeros");
        for row in rows {
            let k = row.columns.len();
            assert!((1..=SideBySide::MAX_ENTRIES).contains(&k), "{k} entries");
            assert!(k == row.roots.len() && k == row.pulls.len(), "lists of different length");
            assert!(row.ladder.unknowns() == n, "another number of unknowns");
            assert!(row.columns.iter().all(|&c| (c as usize) < count), "no such row");
        }
        self.place(rows, (count - 1) * n);
        self.fill_matrices(z, next);
        let held = self.eliminate();
        self.combine(z, rows, out);
        held
    }

    fn sides(&self) -> Sides {
        Sides { step: self.steps.pointer(), scale: self.scales.pointer() }
    }

    /// Puts what belongs to a row into its lane. `nothing` is where z has zeros.
    fn place(&mut self, rows: &[ShortRow<'_>], nothing: usize) {
        let longest = rows.iter().map(|row| row.columns.len()).max().unwrap_or(0);
        self.side = longest.next_multiple_of(TILE);
        let (side, n) = (self.side, self.n);
        self.places.clear();
        self.places.resize(side * LANES, nothing);
        let cells = side * (side + TILE) * LANES;
        self.k.get_mut()[..cells].fill(0.0);
        for line in [&mut self.roots, &mut self.before] {
            line.get_mut()[..side * LANES].fill(0.0);
        }
        let (k, roots) = (self.k.get_mut(), self.roots.get_mut());
        for (lane, row) in rows.iter().enumerate() {
            for (t, &column) in row.columns.iter().enumerate() {
                self.places[t * LANES + lane] = column as usize * n;
                roots[t * LANES + lane] = row.roots[t];
                k[(t * (side + TILE) + side) * LANES + lane] = row.pulls[t];
            }
        }
        let same = rows.windows(2).all(|pair| std::ptr::eq(pair[0].ladder, pair[1].ladder));
        let (steps, scales) = (self.steps.get_mut(), self.scales.get_mut());
        if same && let Some(row) = rows.first() {
            row.ladder.spread(steps, scales);
        } else {
            rows.iter().enumerate().for_each(|(lane, row)| row.ladder.lane(lane, steps, scales));
        }
    }

    fn fill_matrices(&mut self, z: &[f32], next: &[&[u32]]) {
        let (n, side, sides, z) = (self.n, self.side, self.sides(), z.as_ptr());
        let roots = self.roots.pointer();
        let before = self.before.pointer_mut();
        let v = Cells { at: self.v.pointer_mut(), row: LANES, column: 1 };
        let k = Cells { at: self.k.pointer_mut(), row: side + TILE, column: 1 };
        for j in (0..n).step_by(LANES) {
            let places = &self.places[..];
            dispatch!(self.isa, gather_sixteen(z, places, j, sides, roots, before, v));
            for columns in next {
                dispatch!(self.isa, prefetch_line(z.wrapping_add(j), n, columns));
            }
            dispatch!(self.isa, products(k, v, side));
        }
    }

    fn eliminate(&mut self) -> [bool; LANES] {
        let side = self.side;
        let cells = |at: *mut f32| Cells { at, row: side + TILE, column: 1 };
        let (k, l) = (cells(self.k.pointer_mut()), cells(self.l.pointer_mut()));
        let diagonal = self.diagonal.pointer_mut();
        let w = self.w.pointer_mut();
        dispatch!(self.isa, solve_sixteen(k, l, diagonal, w, side));
        let mut held = [true; LANES];
        for t in 0..side {
            let pivots = &self.k.get()[t * (side + TILE + 1) * LANES..][..LANES];
            let before = &self.diagonal.get()[t * LANES..][..LANES];
            let w = &self.w.get()[t * LANES..][..LANES];
            for (((held, &pivot), &before), &w) in held.iter_mut().zip(pivots).zip(before).zip(w) {
                *held &= is_held(pivot, before) & w.is_finite();
            }
        }
        held
    }

    fn combine(&mut self, z: &[f32], rows: &[ShortRow<'_>], out: &mut [f32]) {
        let (n, sides) = (self.n, self.sides());
        for (lane, (row, out)) in rows.iter().zip(out.chunks_exact_mut(n)).enumerate() {
            self.u.clear();
            let w = self.w.get().iter().skip(lane).step_by(LANES);
            self.u.extend(w.zip(row.roots).map(|(w, root)| w * root));
            let to = out.as_mut_ptr();
            dispatch!(self.isa, combine(z.as_ptr(), n, row.columns, &self.u, to));
        }
        out[rows.len() * n..].fill(0.0);
        let y = self.y.pointer_mut();
        dispatch!(self.isa, divide_sixteen(sides, out.as_mut_ptr(), y, n));
    }
}

#[cfg(test)]
mod tests {
    use super::super::dual::Dual;
    use super::super::dual::tests::{case, entries};
    use super::*;

    #[test]
    fn rows_side_by_side_have_the_bits_that_they_have_alone() {
        for d in [1, 16, 40, 64] {
            let (c, n) = (case(d), padded(d));
            let ladders =
                [0.25, 0.5].map(|ridge| Ladder::new(&c.diagonal, &c.beside, ridge).unwrap());
            for lengths in [vec![1], vec![5; 16], vec![48, 1, 16, 17, 33, 2], (9..25).collect()] {
                let rows: Vec<_> = lengths.iter().map(|&k| entries(k, k as u64 + 3)).collect();
                let roots: Vec<Vec<f32>> =
                    rows.iter().map(|row| row.1.iter().map(|a| a.sqrt()).collect()).collect();
                let pulls: Vec<Vec<f32>> = rows
                    .iter()
                    .zip(&roots)
                    .map(|(row, roots)| row.2.iter().zip(roots).map(|(b, r)| b / r).collect())
                    .collect();
                let ladder = |at: usize| &ladders[usize::from(at % 3 == 2)];
                let shorts: Vec<ShortRow<'_>> = (0..rows.len())
                    .map(|at| ShortRow {
                        columns: &rows[at].0,
                        roots: &roots[at],
                        pulls: &pulls[at],
                        ladder: ladder(at),
                    })
                    .collect();
                for isa in Isa::available() {
                    let mut kernel = SideBySide::with(isa, d);
                    let mut out = vec![1f32; LANES * n];
                    for _ in 0..2 {
                        let held = kernel.solve(&c.z, &shorts, &[&[0, 1]], &mut out);
                        assert_eq!(held, [true; LANES]);
                    }
                    for (at, row) in rows.iter().enumerate() {
                        let mut alone = vec![0f32; n];
                        let mut dual = Dual::new(d);
                        let root = &roots[at];
                        assert!(dual.solve(&c.z, &row.0, root, &row.2, ladder(at), &mut alone));
                        assert_eq!(out[at * n..][..n], alone, "{isa} {d} {lengths:?} row {at}");
                    }
                }
            }
        }
    }

    /// Rows that have entry 3 twice.
    fn twice<'a>(ladder: &'a Ladder) -> impl Fn(&'a [f32; 2]) -> ShortRow<'a> {
        move |roots| ShortRow { columns: &[3, 3], roots, pulls: &[1.0, 1.0], ladder }
    }

    #[test]
    fn a_row_that_loses_its_digits_is_told_from_the_others() {
        let (c, n) = (case(16), 16);
        let ladder = Ladder::new(&c.diagonal, &c.beside, 0.25).unwrap();
        // The same entry twice, of a weight beside which 1 is nothing.
        let (good, bad) = ([1.0, 1.0], [1e5, 1e5]);
        let row = twice(&ladder);
        let rows = [row(&good), row(&bad), row(&good)];
        let mut out = vec![0f32; LANES * n];
        let held = SideBySide::new(16).solve(&c.z, &rows, &[], &mut out);
        assert_eq!(held[..3], [true, false, true]);
    }
}
