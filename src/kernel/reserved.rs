//! The system's allocator with a reserve: see [`crate::memory`].

use std::alloc::{GlobalAlloc, Layout, System};

use crate::memory::take_reserve;

/// The system's allocator, which repeats a request that was refused once the reserve of
/// [`memory::keep_reserve`](crate::memory::keep_reserve) was given back. For `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reserved;

// SAFETY: every request is passed to the system's allocator as it came, and its answer returned; one
// that was refused is passed on again. Nothing here unwinds or allocates.
unsafe impl GlobalAlloc for Reserved {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's conditions are those of the system's allocator.
        let first = unsafe { System.alloc(layout) };
        match first.is_null() && take_reserve(layout.size()) {
            // SAFETY: as above.
            true => unsafe { System.alloc(layout) },
            false => first,
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's conditions are those of the system's allocator.
        let first = unsafe { System.alloc_zeroed(layout) };
        match first.is_null() && take_reserve(layout.size()) {
            // SAFETY: as above.
            true => unsafe { System.alloc_zeroed(layout) },
            false => first,
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's conditions are those of the system's allocator.
        let first = unsafe { System.realloc(at, layout, size) };
        match first.is_null() && take_reserve(size) {
            // SAFETY: as above; what was at `at` is still there, since the request was refused.
            true => unsafe { System.realloc(at, layout, size) },
            false => first,
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's conditions are those of the system's allocator, whose memory this is.
        unsafe { System.dealloc(at, layout) }
    }
}
