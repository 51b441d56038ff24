//! The normal equations of one ALS row: gather, symmetric rank-k update, factorisation, solution.
//!
//! [`Equations`] is all that the trainer sees. It owns its memory, so that solving rows of one size
//! allocates nothing.

/// The entry points of an instruction set: the algorithms compiled with its features.
macro_rules! instances {
    ($($features:literal)?, $lanes:ty, $rows:literal, $vectors:literal) => {
        /// # Safety
        /// As for [`algorithm::gather`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn gather(
            factors: *const f32,
            d: usize,
            columns: &[u32],
            weights: &[f32],
            y: View,
            w: View,
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::gather::<$lanes>(factors, d, columns, weights, y, w) }
        }

        /// # Safety
        /// As for [`algorithm::prefetch`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn prefetch(factors: *const f32, d: usize, columns: &[u32]) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::prefetch::<$lanes>(factors, d, columns) }
        }

        /// # Safety
        /// As for [`algorithm::update`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn update(
            from: View,
            a: View,
            rhs: *mut f32,
            w: View,
            y: View,
            b: &[f32],
        ) {
            // SAFETY: the caller's promise is handed on.
            unsafe { algorithm::update::<$lanes, $rows, $vectors>(from, a, rhs, w, y, b) }
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
    };
}

mod algorithm;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod equations;
mod portable;

pub use equations::{Equations, padded};
