//! The algorithms of rows with few entries, over sixteen lanes: see [`Dual`](super::Dual).
//!
//! As in [`algorithm`](super::algorithm) the order of the sums is part of the definition.

use super::algorithm::{LANES, Lanes, View, band};

/// The factors of a tridiagonal matrix L D L', L with ones on its diagonal: what divides by it.
#[derive(Clone, Copy)]
pub(super) struct Rungs {
    /// -L[j][j - 1]; 0 for the first.
    pub(super) step: *const f32,
    /// D[j] ^ -1/2.
    pub(super) scale: *const f32,
}

/// Writes the panel P[j][t] = (D^-1/2 L^-1 z_t)[j] `roots[t]`, z_t being the rows of `z` that
/// `columns` name, and zeros for t from their number to the next multiple of 16.
///
/// # Safety
/// The instruction set of `V`; rows of `z` and `rungs` hold `n` elements, n a multiple of 16; each
/// column names a row of `z`; `p` covers n rows of as many elements as there are columns, rounded
/// up to 16.
#[inline(always)]
pub(super) unsafe fn panel<V: Lanes>(
    z: *const f32,
    n: usize,
    columns: &[u32],
    roots: &[f32],
    rungs: Rungs,
    p: View,
) {
    for (group, (columns, roots)) in columns.chunks(LANES).zip(roots.chunks(LANES)).enumerate() {
        let mut padded = [0f32; LANES];
        padded[..roots.len()].copy_from_slice(roots);
        // SAFETY: 16 columns of the panel from 16 `group` on, blocks of 16 rows below n.
        unsafe {
            let roots = V::load(padded.as_ptr());
            let mut before = V::splat(0.0);
            for j in (0..n).step_by(LANES) {
                let mut rows = [V::splat(0.0); LANES];
                for (row, &column) in rows.iter_mut().zip(columns) {
                    *row = V::load(z.add(column as usize * n + j));
                }
                let lanes = V::transpose(rows);
                let mut to = p.at(j, group * LANES).at;
                for (i, lane) in lanes.into_iter().enumerate() {
                    before = lane.fma(V::splat(*rungs.step.add(j + i)), before);
                    before.mul(V::splat(*rungs.scale.add(j + i))).mul(roots).store(to);
                    to = to.wrapping_add(p.stride);
                }
            }
        }
    }
}

/// `out = sum u[t] z_t`, t ascending.
///
/// # Safety
/// As for [`panel`]; `out` holds n elements.
#[inline(always)]
pub(super) unsafe fn combine<V: Lanes>(
    z: *const f32,
    n: usize,
    columns: &[u32],
    u: &[f32],
    out: *mut f32,
) {
    let mut j = 0;
    // SAFETY: blocks of 16 below n, of rows that the columns name.
    unsafe {
        while j + 4 * LANES <= n {
            combine_block::<V, 4>(z.add(j), n, columns, u, out.add(j));
            j += 4 * LANES;
        }
        while j < n {
            combine_block::<V, 1>(z.add(j), n, columns, u, out.add(j));
            j += LANES;
        }
    }
}

/// # Safety
/// As for [`combine`], for 16 N columns.
#[inline(always)]
unsafe fn combine_block<V: Lanes, const N: usize>(
    z: *const f32,
    n: usize,
    columns: &[u32],
    u: &[f32],
    out: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        for (&column, &u) in columns.iter().zip(u) {
            let (row, u) = (z.add(column as usize * n), V::splat(u));
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = sum.fma(u, V::load(row.add(LANES * v)));
            }
        }
        for (v, sum) in sums.into_iter().enumerate() {
            sum.store(out.add(LANES * v));
        }
    }
}

/// `out = rows m`, for `count` rows.
///
/// # Safety
/// The instruction set of `V`; `m` is n x n, `rows` and `out` are `count` x n and apart, all with
/// n, a multiple of 16, for their stride.
#[inline(always)]
pub(super) unsafe fn multiply<V: Lanes, const R: usize, const N: usize>(
    rows: View,
    m: View,
    out: View,
    count: usize,
) {
    let n = m.stride;
    let zeros = [0f32; LANES * 4];
    let mut r = 0;
    // SAFETY: strips of R rows, then single ones, below `count`. A tile reads its start from at
    // most 4 vectors of zeros: those of every row and column are the same.
    unsafe {
        while r < count {
            let one = r + R > count;
            let mut j = 0;
            while j < n {
                let from = View { at: zeros.as_ptr().cast_mut(), stride: 0 };
                let (w, y, to) = (rows.at(r, 0).along(), m.at(0, j), out.at(r, j));
                let vectors = ((n - j) / LANES).min(N);
                if one {
                    band::<V, 1, N>(from, to, w, y, n, vectors);
                } else {
                    band::<V, R, N>(from, to, w, y, n, vectors);
                }
                j += vectors * LANES;
            }
            r += if one { 1 } else { R };
        }
    }
}

/// `x = D^-1/2 L^-1 x`, in place: what [`panel`] does to each row before its root.
///
/// # Safety
/// `rungs` and `x` hold `n` elements.
#[inline(always)]
pub(super) unsafe fn whiten(rungs: Rungs, x: *mut f32, n: usize) {
    let mut before = 0f32;
    // SAFETY: indices below n.
    unsafe {
        for j in 0..n {
            before = (*rungs.step.add(j)).mul_add(before, *x.add(j));
            *x.add(j) = before * *rungs.scale.add(j);
        }
    }
}

/// `x = L^-T D^-1/2 x`, in place: after [`whiten`] the vector is divided by the matrix.
///
/// # Safety
/// `rungs` and `x` hold `n` elements.
#[inline(always)]
pub(super) unsafe fn colour(rungs: Rungs, x: *mut f32, n: usize) {
    let (mut after, mut step) = (0f32, 0f32);
    // SAFETY: indices below n.
    unsafe {
        for j in (0..n).rev() {
            let scaled = *x.add(j) * *rungs.scale.add(j);
            after = step.mul_add(after, scaled);
            *x.add(j) = after;
            step = *rungs.step.add(j);
        }
    }
}

/// `out[t] = y_t . x` for the first `d` elements of the rows of `factors`, `stride` apart, that
/// `columns` name.
///
/// # Safety
/// The instruction set of `V`; each column names a row; `x` holds d elements; `out` has as many
/// elements as there are columns.
#[inline(always)]
pub(super) unsafe fn scores<V: Lanes>(
    factors: *const f32,
    stride: usize,
    d: usize,
    columns: &[u32],
    x: *const f32,
    out: &mut [f32],
) {
    let (whole, rest) = (d / LANES * LANES, d % LANES);
    // SAFETY: `rest` elements of x follow the whole blocks.
    let x_rest = unsafe { V::load_first(x.wrapping_add(whole), rest) };
    for (columns, out) in columns.chunks(LANES).zip(out.chunks_mut(LANES)) {
        // SAFETY: each row has d elements; those past `whole` are read by `load_first`.
        unsafe {
            // A short group repeats its first row, so that every count is known.
            let mut rows = [factors.add(columns[0] as usize * stride); LANES];
            for (row, &column) in rows.iter_mut().zip(columns) {
                *row = factors.add(column as usize * stride);
            }
            let mut sums = [V::splat(0.0); LANES];
            for g in (0..LANES).step_by(4) {
                let mut four = [V::splat(0.0); 4];
                for j in (0..whole).step_by(LANES) {
                    let x = V::load(x.add(j));
                    for (i, sum) in four.iter_mut().enumerate() {
                        *sum = sum.fma(V::load(rows[g + i].add(j)), x);
                    }
                }
                if rest > 0 {
                    for (i, sum) in four.iter_mut().enumerate() {
                        *sum = sum.fma(V::load_first(rows[g + i].add(whole), rest), x_rest);
                    }
                }
                sums[g..g + 4].copy_from_slice(&four);
            }
            let sums = V::sums(sums);
            if out.len() == LANES {
                sums.store(out.as_mut_ptr());
            } else {
                let mut buffer = [0f32; LANES];
                sums.store(buffer.as_mut_ptr());
                out.copy_from_slice(&buffer[..out.len()]);
            }
        }
    }
}
