//! An allocator that counts, to be made a test's global one.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST_HELD: AtomicUsize = AtomicUsize::new(0);
/// What was held when [`forget`] was called.
static BEFORE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// How many bytes this thread has asked for in all; 0 where this allocator is not the global one.
pub fn asked() -> usize {
    ASKED.with(Cell::get)
}

/// How often this thread has asked for memory.
pub fn count() -> usize {
    COUNT.with(Cell::get)
}

/// The most bytes that any thread has asked for at once.
pub fn largest() -> usize {
    LARGEST.load(Ordering::Relaxed)
}

/// Begins to count anew what is held.
pub fn forget() {
    let held = HELD.load(Ordering::Relaxed);
    BEFORE.store(held, Ordering::Relaxed);
    MOST_HELD.store(held, Ordering::Relaxed);
}

/// The most bytes that all threads held together since [`forget`], beside what was held then.
pub fn most_held() -> usize {
    MOST_HELD.load(Ordering::Relaxed).saturating_sub(BEFORE.load(Ordering::Relaxed))
}

fn hold(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST_HELD.fetch_max(held, Ordering::Relaxed);
}

fn release(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

fn note(bytes: usize) {
    // A thread that is ending has no counter any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + bytes));
    LARGEST.fetch_max(bytes, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        hold(layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        hold(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        hold(size);
        release(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        release(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}
