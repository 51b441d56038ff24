//! Allocation of large buffers, so that a lack of memory is an error.
//!
//! The standard library ends the process where the system refuses memory. Buffers whose size grows
//! with the data are allocated here instead: where one cannot be had, the call unwinds, without a
//! message, to the [`catch`] around the public function, which returns [`OutOfMemory`].
//!
//! Small buffers, and those of libraries, are left to the standard library. For these a program can
//! keep a reserve ([`keep_reserve`], with `kernel::Reserved` as its allocator, as the Python package and
//! the command do): where memory is refused the reserve is given back to the system and the request
//! repeated, and the call under way ends with [`OutOfMemory`] at its next `progress::check`.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytemuck::Zeroable;

/// The system refused memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "out of memory: the system refused {bytes} bytes; use fewer threads or less data, or raise the memory limit of the process"
)]
pub struct OutOfMemory {
    /// The bytes of the buffer that could not be had.
    pub bytes: usize,
}

/// Runs `work` and returns the lack of memory that ended it, if any.
///
/// # Errors
/// If a buffer could not be allocated.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, OutOfMemory> {
    restock();
    let before = guard(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(before);
    done.map_err(|payload| match payload.downcast::<OutOfMemory>() {
        Ok(out) => {
            restock();
            *out
        }
        Err(other) => resume_unwind(other),
    })
}

/// The bytes of the reserve: more than glibc ever takes from its heap rather than from the system, so
/// that what is given back can be had again.
const RESERVE: usize = 40 << 20;

static KEEPS: AtomicBool = AtomicBool::new(false);
static KEPT: Mutex<Option<Vec<u8>>> = Mutex::new(None);
/// The size of the request that took the reserve; 0 while it is there.
static TAKEN_BY: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether a [`catch`] is around what this thread does.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps 40 MiB of addresses, not of memory, for where the system refuses some.
pub fn keep_reserve() {
    KEEPS.store(true, Ordering::Relaxed);
    restock();
}

/// Makes the reserve whole again, if it can be.
fn restock() {
    if !KEEPS.load(Ordering::Relaxed) {
        return;
    }
    let Ok(mut kept) = KEPT.try_lock() else { return };
    if kept.is_none() {
        let mut reserve = Vec::new();
        *kept = reserve.try_reserve_exact(RESERVE).is_ok().then_some(reserve);
    }
    if kept.is_some() {
        TAKEN_BY.store(0, Ordering::Relaxed);
    }
}

/// Gives the reserve to a request of so many bytes that the system refused; whether to repeat it.
/// Large requests are those that this module makes: they fail.
pub(crate) fn take_reserve(bytes: usize) -> bool {
    if bytes > RESERVE / 2 || !KEEPS.load(Ordering::Relaxed) {
        return false;
    }
    let Ok(mut kept) = KEPT.try_lock() else { return false };
    let reserve = kept.take();
    drop(kept);
    let is_there = reserve.is_some();
    if is_there {
        TAKEN_BY.store(bytes.max(1), Ordering::Relaxed);
    }
    is_there
}

/// Ends the call here if memory ran out meanwhile, where a [`catch`] is around it.
#[inline]
pub(crate) fn check() {
    let bytes = TAKEN_BY.load(Ordering::Relaxed);
    if bytes > 0 && GUARDED.get() && !std::thread::panicking() {
        refuse::<u8>(bytes);
    }
}

/// Whether a [`catch`] is around what this thread does.
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

/// Says that a [`catch`] is around what this thread does, until what is returned is dropped.
pub(crate) fn guard(guarded: bool) -> Guard {
    Guard(GUARDED.replace(guarded))
}

pub(crate) struct Guard(bool);

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDED.set(self.0);
    }
}

/// [`catch`] for work that can fail otherwise.
///
/// # Errors
/// As `work`, and if a buffer could not be allocated.
pub fn attempt<T, E: From<OutOfMemory>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch(work).unwrap_or_else(|out| Err(out.into()))
}

fn refuse<T>(n: usize) -> ! {
    let out = OutOfMemory { bytes: n.saturating_mul(size_of::<T>()) };
    let payload: Box<dyn Any + Send> = Box::new(out);
    resume_unwind(payload)
}

/// `n` zeros, which take no memory before they are written to.
#[must_use]
pub fn zeroed<T: Zeroable>(n: usize) -> Vec<T> {
    bytemuck::allocation::try_zeroed_vec(n).unwrap_or_else(|()| refuse::<T>(n))
}

/// An empty vector with room for `n` values.
#[must_use]
pub fn with_capacity<T>(n: usize) -> Vec<T> {
    let mut values = Vec::new();
    if values.try_reserve_exact(n).is_err() {
        refuse::<T>(n);
    }
    values
}

/// `n` copies of a value.
#[must_use]
pub fn filled<T: Clone>(value: T, n: usize) -> Vec<T> {
    let mut values = with_capacity(n);
    values.resize(n, value);
    values
}

/// A copy of a slice.
#[must_use]
pub fn copied<T: Clone>(values: &[T]) -> Vec<T> {
    let mut copy = with_capacity(values.len());
    copy.extend_from_slice(values);
    copy
}

/// Makes room for `n` more values, in amortized constant time a value.
pub fn reserve<T>(values: &mut Vec<T>, n: usize) {
    if values.try_reserve(n).is_err() {
        refuse::<T>(values.len().saturating_add(n));
    }
}

/// Makes room for one more entry.
pub fn reserve_one<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.len() == map.capacity() && map.try_reserve(1).is_err() {
        refuse::<(K, V)>(map.len().saturating_mul(2));
    }
}

/// Appends one value.
#[inline]
pub fn push<T>(values: &mut Vec<T>, value: T) {
    if values.len() == values.capacity() {
        reserve(values, 1);
    }
    values.push(value);
}

/// Collects an iterator whose length is known or bounded below by its hint.
#[must_use]
pub fn collect<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let items = items.into_iter();
    let mut values = with_capacity(items.size_hint().0);
    items.for_each(|item| push(&mut values, item));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error_with_its_size() {
        let huge = usize::MAX / 16;
        let out = OutOfMemory { bytes: huge * 8 };
        assert_eq!(catch(|| zeroed::<u64>(huge)), Err(out));
        assert_eq!(catch(|| with_capacity::<u64>(huge)), Err(out));
        assert_eq!(catch(|| filled(7u64, huge)), Err(out));
        assert_eq!(
            catch(|| reserve(&mut vec![1u64], huge)),
            Err(OutOfMemory { bytes: huge * 8 + 8 })
        );
        assert_eq!(catch(|| zeroed::<u64>(usize::MAX)), Err(OutOfMemory { bytes: usize::MAX }));
    }

    #[test]
    fn what_can_be_had_is_as_from_the_standard_library() {
        assert_eq!(zeroed::<f32>(3), vec![0.0; 3]);
        assert_eq!(filled(7u8, 3), vec![7; 3]);
        assert_eq!(copied(&[1, 2, 3]), vec![1, 2, 3]);
        assert_eq!(collect(0..1000), (0..1000).collect::<Vec<_>>());
        assert_eq!(catch(|| 5), Ok(5));
    }

    /// The reserve is the process's: while it is taken, calls of other tests would end too.
    #[test]
    fn a_call_that_needed_the_reserve_ends_at_its_next_look() {
        const ALONE: &str = "NEARWOOD_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let name = "memory::tests::a_call_that_needed_the_reserve_ends_at_its_next_look";
            let program = std::env::current_exe().unwrap();
            let mut child = std::process::Command::new(program);
            let output = child.args(["--exact", name]).env(ALONE, "1").output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
            return;
        }
        keep_reserve();
        assert!(!take_reserve(RESERVE), "a large request");
        assert_eq!(catch(|| assert!(take_reserve(1000))), Ok(()), "nothing looked");
        assert_eq!(catch(check), Ok(()), "it is there again");
        let ended = catch(|| {
            assert!(take_reserve(1000));
            assert!(!take_reserve(1000), "there is one");
            check();
        });
        assert_eq!(ended, Err(OutOfMemory { bytes: 1000 }));
        assert_eq!(catch(check), Ok(()));
    }

    #[test]
    #[should_panic(expected = "other")]
    fn other_panics_pass_through() {
        let _ = catch(|| panic!("other"));
    }
}
