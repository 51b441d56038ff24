//! How many rows the kernels have compared on this thread: tests bound the work of a search by it, since
//! time says little on a machine that does other work.

#[cfg(test)]
thread_local!(static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

/// Counts rows.
#[cfg(test)]
pub fn add(rows: usize) {
    STEPS.set(STEPS.get() + rows);
}

/// Counts nothing outside tests.
#[cfg(not(test))]
#[inline(always)]
pub fn add(_rows: usize) {}

/// The rows that `body` compares.
#[cfg(test)]
pub fn of(body: impl FnOnce()) -> usize {
    let before = STEPS.get();
    body();
    STEPS.get() - before
}
