//! The algorithms, once, over sixteen lanes that each instruction set brings.
//!
//! Everything rests on [`tile`]. The order of the sums is part of the definition: an element takes
//! its multiply-adds in the order of the panel's rows, whatever the size of the tile that holds it,
//! so tiles may differ between instruction sets and the bits may not.
//!
//! Matrices are row-major, square of side `n`, a multiple of [`LANES`]; of a symmetric one only the
//! blocks of 16 x 16 on and above the diagonal are read or written.

// `sixteen!` compares constants: 0 > K in its first round.
#![allow(clippy::absurd_extreme_comparisons)]

/// The lanes of a vector, and the side of a diagonal block.
pub(super) const LANES: usize = 16;

/// Sixteen floats in one register, in two, or in memory.
///
/// # Safety
/// Every method needs the instruction set of the type; the pointers of `load`, `load_first` and
/// `store` are good for 16, `n` and 16 floats.
pub(super) trait Lanes: Copy {
    /// `x` in each lane.
    unsafe fn splat(x: f32) -> Self;
    /// Sixteen floats.
    unsafe fn load(p: *const f32) -> Self;
    /// The first `n` < 16 floats, then zeros.
    unsafe fn load_first(p: *const f32, n: usize) -> Self;
    /// Writes sixteen floats.
    unsafe fn store(self, p: *mut f32);
    /// `x * y + self`, rounded once.
    unsafe fn fma(self, x: Self, y: Self) -> Self;
    /// The product.
    unsafe fn mul(self, x: Self) -> Self;
    /// `-1 / self`.
    unsafe fn negative_inverse(self) -> Self;
    /// Lane `i` in each lane.
    unsafe fn spread(self, i: usize) -> Self;
    /// The lanes added in halves: 16 to 8 to 4 to 2 to 1.
    unsafe fn sum(self) -> f32;
    /// Asks for the line at `p`, which may be any address.
    unsafe fn prefetch(p: *const f32);
    /// Lane i is the sum of row i's lanes: quarters q of four, each (q0 + q2) + (q1 + q3), and of
    /// those (first + second) + (third + fourth).
    unsafe fn sums(rows: [Self; LANES]) -> Self;
    /// Lane j of row i becomes lane i of row j.
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES];
}

/// Runs a block sixteen times with a constant counter: the rows of a diagonal block stay in
/// registers only if every index is known, and the loop is too long for a compiler to unroll.
macro_rules! sixteen {
    ($i:ident => $body:block) => {
        sixteen!(@ $i $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $i:ident $body:block $($n:literal)*) => {
        $({ const $i: usize = $n; $body })*
    };
}

/// A matrix by its first element and the distance of its rows.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) at: *mut f32,
    pub(super) stride: usize,
}

impl View {
    /// # Safety
    /// The place lies within the same allocation.
    #[inline(always)]
    pub(super) unsafe fn at(self, row: usize, column: usize) -> View {
        // SAFETY: the caller's promise.
        View { at: unsafe { self.at.add(row * self.stride + column) }, stride: self.stride }
    }

    /// The matrix as weights w[t][r], t going down its rows.
    #[inline(always)]
    fn down(self) -> Weights {
        Weights { at: self.at, step: self.stride, row: 1 }
    }

    /// The matrix as weights w[t][r], t going along its columns.
    #[inline(always)]
    pub(super) fn along(self) -> Weights {
        Weights { at: self.at, step: 1, row: self.stride }
    }
}

/// What the rows of a tile are summed with: w[t][r] lies at `t step + r row`.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    at: *const f32,
    step: usize,
    row: usize,
}

/// `c[r][j] = from[r][j] + sum over t < k of w[t][r] y[t][j]` for R rows and 16 N columns, t
/// ascending.
///
/// # Safety
/// The instruction set of `V`; `from` and `c` cover R x 16 N, `w` k x R and `y` k x 16 N elements;
/// `c` may be `from` and overlaps neither of the others.
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const N: usize>(
    from: View,
    c: View,
    w: Weights,
    y: View,
    k: usize,
) {
    // SAFETY: every offset below stays inside the extents that the caller promised.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; R];
        for (r, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                *sum = V::load(from.at.add(r * from.stride + LANES * v));
            }
        }
        let (mut w_at, mut y_at) = (w.at, y.at);
        for _ in 0..k {
            let mut columns = [V::splat(0.0); N];
            for (v, column) in columns.iter_mut().enumerate() {
                *column = V::load(y_at.add(LANES * v));
            }
            for (r, row) in sums.iter_mut().enumerate() {
                let weight = V::splat(*w_at.add(r * w.row));
                for (sum, &column) in row.iter_mut().zip(&columns) {
                    *sum = sum.fma(weight, column);
                }
            }
            // The last step may leave the allocation: the address is formed, never read.
            w_at = w_at.wrapping_add(w.step);
            y_at = y_at.wrapping_add(y.stride);
        }
        for (r, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                sum.store(c.at.add(r * c.stride + LANES * v));
            }
        }
    }
}

/// [`tile`] over `vectors` times 16 columns.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
pub(super) unsafe fn band<V: Lanes, const R: usize, const N: usize>(
    from: View,
    c: View,
    w: Weights,
    y: View,
    k: usize,
    vectors: usize,
) {
    let mut v = 0;
    // SAFETY: the columns stay below 16 `vectors`.
    unsafe {
        while v + N <= vectors {
            let j = LANES * v;
            let (from, c, y) = (from.at(0, j), c.at(0, j), y.at(0, j));
            tile::<V, R, N>(from, c, w, y, k);
            v += N;
        }
        while v < vectors {
            let j = LANES * v;
            let (from, c, y) = (from.at(0, j), c.at(0, j), y.at(0, j));
            tile::<V, R, 1>(from, c, w, y, k);
            v += 1;
        }
    }
}

/// Copies the first `d` elements of rows of `factors`, `stride` apart, into `y` and, times their weight, into `w`; the columns
/// from `d` to `n` become zero.
///
/// # Safety
/// The instruction set of `V`; each column names a row of `factors`; `y` and `w` cover as many rows
/// as there are columns, of `n` elements, `n` being `d` rounded up to 16.
#[inline(always)]
pub(super) unsafe fn gather<V: Lanes>(
    factors: *const f32,
    stride: usize,
    d: usize,
    columns: &[u32],
    weights: &[f32],
    y: View,
    w: View,
) {
    let (whole, rest) = (d / LANES, d % LANES);
    for (t, (&column, &weight)) in columns.iter().zip(weights).enumerate() {
        // SAFETY: the row has d elements; those past 16 `whole` are read by `load_first`.
        unsafe {
            let row = factors.add(column as usize * stride);
            let (y, w, weight) = (y.at(t, 0).at, w.at(t, 0).at, V::splat(weight));
            for v in 0..whole {
                let x = V::load(row.add(LANES * v));
                x.store(y.add(LANES * v));
                x.mul(weight).store(w.add(LANES * v));
            }
            if rest > 0 {
                let x = V::load_first(row.add(LANES * whole), rest);
                x.store(y.add(LANES * whole));
                x.mul(weight).store(w.add(LANES * whole));
            }
        }
    }
}

/// Asks for the first `d` elements of the rows of `factors`, `stride` apart, that `columns` name.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn prefetch<V: Lanes>(
    factors: *const f32,
    stride: usize,
    d: usize,
    columns: &[u32],
) {
    for &column in columns {
        let row = factors.wrapping_add(column as usize * stride);
        // Rows need not start with a line, and may then lie on one more.
        let before = row as usize / size_of::<f32>() % LANES;
        for at in (0..before + d).step_by(LANES) {
            // SAFETY: a prefetch reads nothing that the program can see.
            unsafe { V::prefetch(row.wrapping_sub(before).wrapping_add(at)) };
        }
    }
}

/// Asks for one line of each row of `z` (rows of `n`) that `columns` name: the one `z` points into.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn prefetch_line<V: Lanes>(z: *const f32, n: usize, columns: &[u32]) {
    for &column in columns {
        // SAFETY: a prefetch reads nothing that the program can see.
        unsafe { V::prefetch(z.wrapping_add(column as usize * n)) };
    }
}

/// `a = from + w' y` on and above the diagonal blocks, over `k` rows of `w` and `y`.
///
/// # Safety
/// The instruction set of `V`; `from` and `a` are n x n and may be one, `w` and `y` k x n.
#[inline(always)]
pub(super) unsafe fn update<V: Lanes, const R: usize, const N: usize>(
    from: View,
    a: View,
    w: View,
    y: View,
    k: usize,
) {
    let n = a.stride;
    // SAFETY: strips of R rows, R dividing 16, from their diagonal block to column n.
    unsafe {
        for i in (0..n).step_by(R) {
            let j = i / LANES * LANES;
            let (from, to) = (from.at(i, j), a.at(i, j));
            band::<V, R, N>(from, to, w.at(0, i).down(), y.at(0, j), k, (n - j) / LANES);
        }
    }
}

/// `rhs += b' y`.
///
/// # Safety
/// The instruction set of `V`; `y` has as many rows as `b`, of n elements, n a multiple of 16 and
/// the stride; `rhs` holds n.
#[inline(always)]
pub(super) unsafe fn pull<V: Lanes>(rhs: *mut f32, y: View, b: &[f32]) {
    let b_view = View { at: b.as_ptr().cast_mut(), stride: 1 };
    let rhs = View { at: rhs, stride: y.stride };
    // SAFETY: the caller's promise.
    unsafe { band::<V, 1, 4>(rhs, rhs, b_view.down(), y, b.len(), y.stride / LANES) }
}

/// Factors `a` = U' D^-1 U in place: U above the diagonal blocks, its pivots D on the diagonal, and
/// `l` = -D^-1 U, with the pivots' negative inverses in `inverse`.
///
/// The root-free form, because a division a pivot is a shorter chain than a root and a division;
/// left-looking, so that all but the strip's own 16 rows goes through [`tile`]. A zero pivot makes
/// infinities or NaN, which the caller finds on the diagonal.
///
/// # Safety
/// The instruction set of `V`; `a` and `l` are n x n and apart, `inverse` holds n elements.
#[inline(always)]
pub(super) unsafe fn factor<V: Lanes, const R: usize, const N: usize>(
    a: View,
    l: View,
    inverse: *mut f32,
) {
    let n = a.stride;
    // SAFETY: strips of 16 rows, blocks of 16 columns, both below n. The band reads rows above i
    // of `a` and writes rows from i on.
    unsafe {
        for i in (0..n).step_by(LANES) {
            for r in (i..i + LANES).step_by(R) {
                let strip = a.at(r, i);
                band::<V, R, N>(strip, strip, l.at(0, r).down(), a.at(0, i), i, (n - i) / LANES);
            }
            diagonal::<V>(a.at(i, i), l.at(i, i), inverse.add(i));
            for j in (i + LANES..n).step_by(LANES) {
                beside::<V>(a.at(i, j), l.at(i, i), l.at(i, j), inverse.add(i));
            }
        }
    }
}

/// Factors one diagonal block. The chain from pivot to pivot is spread, divide, multiply,
/// multiply-add; taking the row's elements before the division keeps a shuffle out of it.
///
/// # Safety
/// As for [`factor`], for 16 x 16 elements.
#[inline(always)]
unsafe fn diagonal<V: Lanes>(a: View, l: View, inverse: *mut f32) {
    // SAFETY: rows and columns stay below 16.
    unsafe {
        let mut rows = [V::splat(0.0); LANES];
        sixteen!(I => { rows[I] = V::load(a.at(I, 0).at); });
        sixteen!(K => {
            let step = rows[K].spread(K).negative_inverse();
            sixteen!(I => {
                if I > K {
                    rows[I] = rows[I].fma(rows[K].spread(I).mul(step), rows[K]);
                }
            });
            let scaled = rows[K].mul(step);
            rows[K].store(a.at(K, 0).at);
            scaled.store(l.at(K, 0).at);
            let mut lanes = [0f32; LANES];
            step.store(lanes.as_mut_ptr());
            *inverse.add(K) = lanes[0];
        });
    }
}

/// Eliminates the 16 x 16 block `a` right of a factored diagonal block, whose scaled rows are `l`;
/// the block's own scaled rows go to `out`.
///
/// # Safety
/// As for [`factor`], for 16 x 16 elements.
#[inline(always)]
unsafe fn beside<V: Lanes>(a: View, l: View, out: View, inverse: *const f32) {
    // SAFETY: rows and columns stay below 16.
    unsafe {
        let mut rows = [V::splat(0.0); LANES];
        sixteen!(I => { rows[I] = V::load(a.at(I, 0).at); });
        sixteen!(K => {
            sixteen!(I => {
                if I > K {
                    rows[I] = rows[I].fma(V::splat(*l.at(K, I).at), rows[K]);
                }
            });
            rows[K].store(a.at(K, 0).at);
            rows[K].mul(V::splat(*inverse.add(K))).store(out.at(K, 0).at);
        });
    }
}

/// Solves with the factors of [`factor`]; `x` holds the right-hand side and then the solution.
///
/// # Safety
/// The instruction set of `V`; `l` is n x n, `inverse` and `x` hold n elements.
#[inline(always)]
pub(super) unsafe fn substitute<V: Lanes>(l: View, inverse: *const f32, x: *mut f32) {
    let n = l.stride;
    // SAFETY: blocks of 16 below n.
    unsafe {
        for i in (0..n).step_by(LANES) {
            forward(l.at(i, i), x.add(i));
            let (done, rest) = (View { at: x.add(i), stride: 1 }, i + LANES);
            let below = View { at: x.wrapping_add(rest), stride: n };
            let rows = View { at: l.at(i, 0).at.wrapping_add(rest), stride: n };
            band::<V, 1, 4>(below, below, done.down(), rows, LANES, (n - rest) / LANES);
        }
        for i in 0..n {
            *x.add(i) *= -*inverse.add(i);
        }
        for i in (0..n).step_by(LANES).rev() {
            for r in i..i + LANES {
                let mut sum = V::splat(0.0);
                for j in (i + LANES..n).step_by(LANES) {
                    sum = sum.fma(V::load(l.at(r, j).at), V::load(x.add(j)));
                }
                *x.add(r) += sum.sum();
            }
            backward(l.at(i, i), x.add(i));
        }
    }
}

/// # Safety
/// `l` covers 16 x 16, `x` 16 elements.
#[inline(always)]
unsafe fn forward(l: View, x: *mut f32) {
    // SAFETY: both indices are below 16.
    unsafe {
        let mut values = *x.cast::<[f32; LANES]>();
        sixteen!(K => {
            sixteen!(I => {
                if I > K {
                    values[I] = (*l.at(K, I).at).mul_add(values[K], values[I]);
                }
            });
        });
        *x.cast() = values;
    }
}

/// # Safety
/// As for [`forward`].
#[inline(always)]
unsafe fn backward(l: View, x: *mut f32) {
    // SAFETY: both indices are below 16.
    unsafe {
        let mut values = *x.cast::<[f32; LANES]>();
        sixteen!(J => {
            const K: usize = LANES - 1 - J;
            sixteen!(I => {
                if I < K {
                    values[I] = (*l.at(I, K).at).mul_add(values[K], values[I]);
                }
            });
        });
        *x.cast() = values;
    }
}
