//! The algorithms of sixteen rows with few entries side by side, a row a lane.
//!
//! Each lane has the bits that [`Dual`](super::Dual) gives its row: the same multiply-adds in the
//! same order. What is gained is that no lane waits for another: a matrix of side 12 fills its
//! vectors, and the chain from pivot to pivot is that of one row in place of sixteen.
//!
//! A *cell* is sixteen floats, one a lane.

use super::algorithm::{LANES, Lanes};

/// Cells in memory: cell (i, j) lies at `i row + j column` cells.
#[derive(Clone, Copy)]
pub(super) struct Cells {
    pub(super) at: *mut f32,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Cells {
    /// # Safety
    /// The cell lies within the allocation.
    #[inline(always)]
    unsafe fn cell(self, i: usize, j: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.at.add((i * self.row + j * self.column) * LANES) }
    }
}

/// The coefficients of the ladders, a cell a coordinate.
#[derive(Clone, Copy)]
pub(super) struct Sides {
    pub(super) step: *const f32,
    pub(super) scale: *const f32,
}

/// Entries are handled in fours: tiles of cells have at most that side.
pub(super) const TILE: usize = 4;

/// Whitens coordinates `j .. j + 16` of the entries' rows: cell (t, i) of `v` becomes coordinate
/// j + i of entry t, times its root. `before` holds a cell an entry: the recurrence's last value.
///
/// # Safety
/// The instruction set of `V`; `places` holds 16 offsets an entry into `z`, each with n elements
/// behind it; `v` covers `k` x 16 cells, `before` and `roots` k cells, `sides` n cells, j + 16 <= n.
#[inline(always)]
pub(super) unsafe fn gather<V: Lanes>(
    z: *const f32,
    places: &[usize],
    j: usize,
    sides: Sides,
    roots: *const f32,
    before: *mut f32,
    v: Cells,
) {
    for (t, places) in places.chunks_exact(LANES).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let mut rows = [V::splat(0.0); LANES];
            for (row, &place) in rows.iter_mut().zip(places) {
                *row = V::load(z.add(place + j));
            }
            let lanes = V::transpose(rows);
            let root = V::load(roots.add(t * LANES));
            let mut last = V::load(before.add(t * LANES));
            for (i, lane) in lanes.into_iter().enumerate() {
                let at = (j + i) * LANES;
                last = lane.fma(V::load(sides.step.add(at)), last);
                last.mul(V::load(sides.scale.add(at))).mul(root).store(v.cell(t, i));
            }
            last.store(before.add(t * LANES));
        }
    }
}

/// `c[s][t] += sum over p < count of a[s][p] b[t][p]` for S x T cells.
///
/// # Safety
/// The instruction set of `V`; all cells lie within their allocations.
#[inline(always)]
unsafe fn tile<V: Lanes, const S: usize, const T: usize>(
    c: Cells,
    a: Cells,
    b: Cells,
    count: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); T]; S];
        for (s, row) in sums.iter_mut().enumerate() {
            for (t, sum) in row.iter_mut().enumerate() {
                *sum = V::load(c.cell(s, t));
            }
        }
        for p in 0..count {
            let mut columns = [V::splat(0.0); T];
            for (t, column) in columns.iter_mut().enumerate() {
                *column = V::load(b.cell(t, p));
            }
            for (s, row) in sums.iter_mut().enumerate() {
                let weight = V::load(a.cell(s, p));
                for (sum, &column) in row.iter_mut().zip(&columns) {
                    *sum = sum.fma(weight, column);
                }
            }
        }
        for (s, row) in sums.iter().enumerate() {
            for (t, sum) in row.iter().enumerate() {
                sum.store(c.cell(s, t));
            }
        }
    }
}

/// [`tile`] for 4 x 4 cells, in tiles of S x T.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn four<V: Lanes, const S: usize, const T: usize>(
    c: Cells,
    a: Cells,
    b: Cells,
    count: usize,
) {
    for s in (0..TILE).step_by(S) {
        for t in (0..TILE).step_by(T) {
            // SAFETY: cells of the 4 x 4.
            unsafe {
                let c = Cells { at: c.cell(s, t), ..c };
                let (a, b) = (Cells { at: a.cell(s, 0), ..a }, Cells { at: b.cell(t, 0), ..b });
                tile::<V, S, T>(c, a, b, count);
            }
        }
    }
}

/// `k[s][t] += sum over i < 16 of v[s][i] v[t][i]` for s <= t < `side`, a multiple of 4.
///
/// # Safety
/// The instruction set of `V`; `k` covers side x side cells, `v` side x 16.
#[inline(always)]
pub(super) unsafe fn products<V: Lanes, const S: usize, const T: usize>(
    k: Cells,
    v: Cells,
    side: usize,
) {
    for s in (0..side).step_by(TILE) {
        for t in (s..side).step_by(TILE) {
            // SAFETY: cells below `side`.
            unsafe {
                let to = Cells { at: k.cell(s, t), ..k };
                let (a, b) = (Cells { at: v.cell(s, 0), ..v }, Cells { at: v.cell(t, 0), ..v });
                four::<V, S, T>(to, a, b, LANES);
            }
        }
    }
}

/// Adds 1 to the diagonal of `k`, keeps it in `diagonal`, eliminates as
/// [`factor`](super::algorithm::factor) does, with the right-hand sides in column `side`, and
/// solves into `w`. The pivots stay on the diagonal, the scaled rows go to `l`.
///
/// # Safety
/// The instruction set of `V`; `k` and `l` cover side x (side + 4) cells, apart, with the column 1
/// apart, and side is a multiple of 4; `diagonal` and `w` hold side cells.
#[inline(always)]
pub(super) unsafe fn solve<V: Lanes, const S: usize, const T: usize>(
    k: Cells,
    l: Cells,
    diagonal: *mut f32,
    w: *mut f32,
    side: usize,
) {
    // SAFETY: cells below side x (side + 4).
    unsafe {
        for s in 0..side {
            let d = V::splat(1.0).fma(V::splat(1.0), V::load(k.cell(s, s)));
            d.store(k.cell(s, s));
            d.store(diagonal.add(s * LANES));
        }
        for s in (0..side).step_by(TILE) {
            // Element (s, t) of the transposed factor is cell (p, s): rows and columns change places.
            let a = Cells { at: l.cell(0, s), row: l.column, column: l.row };
            for t in (s..side + TILE).step_by(TILE) {
                let b = Cells { at: k.cell(0, t), row: k.column, column: k.row };
                four::<V, S, T>(Cells { at: k.cell(s, t), ..k }, a, b, s);
            }
            pivots::<V>(k, l, s, side);
        }
        for s in 0..side {
            let pivot = V::load(k.cell(s, s)).negative_inverse();
            let scaled = V::load(k.cell(s, side)).mul(pivot).mul(V::splat(-1.0));
            scaled.store(w.add(s * LANES));
        }
        back::<V>(l, w, side);
    }
}

/// Eliminates within rows `s .. s + 4`.
///
/// # Safety
/// As for [`solve`].
#[inline(always)]
unsafe fn pivots<V: Lanes>(k: Cells, l: Cells, s: usize, side: usize) {
    // SAFETY: as for `solve`.
    unsafe {
        for p in s..s + TILE {
            let step = V::load(k.cell(p, p)).negative_inverse();
            for r in p + 1..side {
                V::load(k.cell(p, r)).mul(step).store(l.cell(p, r));
            }
            for r in p + 1..s + TILE {
                let weight = V::load(l.cell(p, r));
                for t in r..=side {
                    let sum = V::load(k.cell(r, t)).fma(weight, V::load(k.cell(p, t)));
                    sum.store(k.cell(r, t));
                }
            }
        }
    }
}

/// The back substitution, its sums in the order of [`substitute`](super::algorithm::substitute): what
/// lies beyond a row's block of sixteen in sixteen sums that are added in halves, then the block
/// from its end.
///
/// # Safety
/// As for [`solve`].
#[inline(always)]
unsafe fn back<V: Lanes>(l: Cells, w: *mut f32, side: usize) {
    // SAFETY: cells below `side`.
    unsafe {
        for r in (0..side).rev() {
            let end = (r / LANES + 1) * LANES;
            let mut x = V::load(w.add(r * LANES));
            if end < side {
                x = x.fma(V::splat(1.0), beyond::<V>(l, w, r, end, side));
            }
            for s in (r + 1..end.min(side)).rev() {
                x = x.fma(V::load(l.cell(r, s)), V::load(w.add(s * LANES)));
            }
            x.store(w.add(r * LANES));
        }
    }
}

/// # Safety
/// As for [`back`].
#[inline(always)]
unsafe fn beyond<V: Lanes>(l: Cells, w: *const f32, r: usize, end: usize, side: usize) -> V {
    // SAFETY: cells below `side`.
    unsafe {
        let mut sums = [V::splat(0.0); LANES];
        for from in (end..side).step_by(LANES) {
            for (i, sum) in sums.iter_mut().enumerate().take(side - from) {
                let s = from + i;
                *sum = sum.fma(V::load(l.cell(r, s)), V::load(w.add(s * LANES)));
            }
        }
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                sums[i] = sums[i].fma(V::splat(1.0), sums[i + half]);
            }
            half /= 2;
        }
        sums[0]
    }
}

/// Divides sixteen vectors, the rows of `x` (of n), by their tridiagonal matrices, in place; `y`
/// holds n cells meanwhile.
///
/// # Safety
/// The instruction set of `V`; `x` covers 16 x n floats, `sides` n cells.
#[inline(always)]
pub(super) unsafe fn divide<V: Lanes>(sides: Sides, x: *mut f32, y: *mut f32, n: usize) {
    // SAFETY: cells and coordinates below n.
    unsafe {
        let mut before = V::splat(0.0);
        for j in (0..n).step_by(LANES) {
            for (i, lane) in turn::<V>(x, n, j).into_iter().enumerate() {
                let at = (j + i) * LANES;
                before = lane.fma(V::load(sides.step.add(at)), before);
                before.mul(V::load(sides.scale.add(at))).store(y.add(at));
            }
        }
        let (mut after, mut step) = (V::splat(0.0), V::splat(0.0));
        for j in (0..n).rev() {
            let scaled = V::load(y.add(j * LANES)).mul(V::load(sides.scale.add(j * LANES)));
            after = scaled.fma(step, after);
            after.store(y.add(j * LANES));
            step = V::load(sides.step.add(j * LANES));
        }
        for j in (0..n).step_by(LANES) {
            for (i, row) in turn::<V>(y.add(j * LANES), LANES, 0).into_iter().enumerate() {
                row.store(x.add(i * n + j));
            }
        }
    }
}

/// Columns `j .. j + 16` of sixteen rows of `stride`.
///
/// # Safety
/// The instruction set of `V`; the block lies within the allocation.
#[inline(always)]
unsafe fn turn<V: Lanes>(x: *const f32, stride: usize, j: usize) -> [V; LANES] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut rows = [V::splat(0.0); LANES];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = V::load(x.add(i * stride + j));
        }
        V::transpose(rows)
    }
}
