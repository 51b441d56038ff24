//! The normal equations of one ALS row: gather, symmetric rank-k update, factorisation, solution.
//!
//! [`Equations`] is all that the trainer sees. It owns its memory, so that solving rows of one size
//! allocates nothing.

/// The entry points of an instruction set: the algorithms compiled with its features.
macro_rules! instances {
    ($($features:literal)?, $lanes:ty, $rows:literal, $vectors:literal, $cells:literal) => {
        /// # Safety
        /// As for [`algorithm::gather`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn gather(
            factors: *const f32,
            stride: usize,
            d: usize,
            columns: &[u32],
            weights: &[f32],
            y: View,
            w: View,
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::gather::<$lanes>(factors, stride, d, columns, weights, y, w) }
        }

        /// # Safety
        /// As for [`algorithm::prefetch`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn prefetch(
            factors: *const f32,
            stride: usize,
            d: usize,
            columns: &[u32],
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::prefetch::<$lanes>(factors, stride, d, columns) }
        }

        /// # Safety
        /// As for [`algorithm::prefetch_line`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn prefetch_line(z: *const f32, n: usize, columns: &[u32]) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::prefetch_line::<$lanes>(z, n, columns) }
        }

        /// # Safety
        /// As for [`algorithm::update`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn update(from: View, a: View, w: View, y: View, k: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::update::<$lanes, $rows, $vectors>(from, a, w, y, k) }
        }

        /// # Safety
        /// As for [`algorithm::pull`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn pull(rhs: *mut f32, y: View, b: &[f32]) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::pull::<$lanes>(rhs, y, b) }
        }

        /// # Safety
        /// As for [`algorithm::factor`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn factor(a: View, l: View, inverse: *mut f32) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::factor::<$lanes, $rows, $vectors>(a, l, inverse) }
        }

        /// # Safety
        /// As for [`algorithm::substitute`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn substitute(l: View, inverse: *const f32, x: *mut f32) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::substitute::<$lanes>(l, inverse, x) }
        }

        /// # Safety
        /// As for [`whitened::panel`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn panel(
            z: *const f32,
            n: usize,
            columns: &[u32],
            roots: &[f32],
            rungs: Rungs,
            p: View,
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { whitened::panel::<$lanes>(z, n, columns, roots, rungs, p) }
        }

        /// # Safety
        /// As for [`whitened::combine`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn combine(
            z: *const f32,
            n: usize,
            columns: &[u32],
            u: &[f32],
            out: *mut f32,
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { whitened::combine::<$lanes>(z, n, columns, u, out) }
        }

        /// # Safety
        /// As for [`whitened::multiply`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn multiply(rows: View, m: View, out: View, count: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { whitened::multiply::<$lanes, $rows, $vectors>(rows, m, out, count) }
        }

        /// # Safety
        /// As for [`whitened::whiten`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn whiten(rungs: Rungs, x: *mut f32, n: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { whitened::whiten(rungs, x, n) }
        }

        /// # Safety
        /// As for [`whitened::colour`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn colour(rungs: Rungs, x: *mut f32, n: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { whitened::colour(rungs, x, n) }
        }

        /// # Safety
        /// As for [`whitened::scores`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn scores(
            factors: *const f32,
            stride: usize,
            d: usize,
            columns: &[u32],
            x: *const f32,
            out: &mut [f32],
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { whitened::scores::<$lanes>(factors, stride, d, columns, x, out) }
        }

        /// # Safety
        /// As for [`conjugate::times`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn times(
            band: Band,
            x: *const f32,
            add: *const f32,
            out: *mut f32,
            n: usize,
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { conjugate::times::<$lanes>(band, x, add, out, n) }
        }

        /// # Safety
        /// As for [`conjugate::inner`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn inner(x: *const f32, y: *const f32, n: usize) -> f32 {
            // SAFETY: the caller's promise is handed on.
            unsafe { conjugate::inner::<$lanes>(x, y, n) }
        }

        /// # Safety
        /// As for [`conjugate::scale_and_add`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn scale_and_add(x: *mut f32, a: f32, y: *const f32, n: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { conjugate::scale_and_add::<$lanes>(x, a, y, n) }
        }

        /// # Safety
        /// As for [`conjugate::add_scaled`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn add_scaled(x: *mut f32, a: f32, y: *const f32, n: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { conjugate::add_scaled::<$lanes>(x, a, y, n) }
        }

        /// # Safety
        /// As for [`sixteen::gather`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn gather_sixteen(
            z: *const f32,
            places: &[usize],
            j: usize,
            sides: Sides,
            roots: *const f32,
            before: *mut f32,
            v: Cells,
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { sixteen::gather::<$lanes>(z, places, j, sides, roots, before, v) }
        }

        /// # Safety
        /// As for [`sixteen::products`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn products(k: Cells, v: Cells, side: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { sixteen::products::<$lanes, $cells, $cells>(k, v, side) }
        }

        /// # Safety
        /// As for [`sixteen::solve`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn solve_sixteen(
            k: Cells,
            l: Cells,
            diagonal: *mut f32,
            w: *mut f32,
            side: usize,
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { sixteen::solve::<$lanes, $cells, $cells>(k, l, diagonal, w, side) }
        }

        /// # Safety
        /// As for [`sixteen::divide`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn divide_sixteen(sides: Sides, x: *mut f32, y: *mut f32, n: usize) {
            // SAFETY: the caller's promise is handed on.
            unsafe { sixteen::divide::<$lanes>(sides, x, y, n) }
        }
    };
}

mod algorithm;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod blocks;
mod conjugate;
mod dual;
mod equations;
mod gradients;
mod lines;
mod portable;
mod side;
mod sixteen;
mod whitened;

pub use blocks::{BlockStarts, Blocks};
pub use dual::{Dual, Ladder, multiply, scores};
pub use equations::Equations;
pub use gradients::{Banded, Gradients, Row};
pub use lines::padded;
pub use side::{ShortRow, SideBySide};
