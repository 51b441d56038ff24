//! The threads that long calls share.
//!
//! A single query never comes here. Builds, training and batches run inside [`run`], whose pools
//! belong to one process: after a fork the child makes its own, because the parent's threads do
//! not exist there (multiprocessing and gunicorn fork). Pools stay for the next call, but no more than
//! [`limit`] threads in all: those used longest ago are ended first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::progress::{self, Flag, INTERVAL, Watch};

struct Pool {
    process: u32,
    threads: usize,
    pool: Arc<ThreadPool>,
}

/// The pool used last comes last.
static POOLS: Mutex<Vec<Pool>> = Mutex::new(Vec::new());

/// Asked of the system once: that takes some twenty calls.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, |n| n.get()))
}

/// The most threads of a call: 64, or twice the cores where that is more. More threads than cores
/// gain nothing, and answers do not depend on their number.
#[must_use]
pub fn limit() -> usize {
    (2 * cores()).max(64)
}

/// How many threads `n_threads` means: itself, or all cores for `None`; never 0, and at most [`limit`].
#[must_use]
pub fn count(n_threads: Option<usize>) -> usize {
    n_threads.unwrap_or_else(cores).clamp(1, limit())
}

/// Runs `f` where rayon's parallel iterators use `n_threads` threads (`None`: all cores), or fewer if
/// the system gives no more.
///
/// Inside of [`progress::interruptible`] the calling thread asks whether to go on while it waits.
pub fn run<T: Send>(n_threads: Option<usize>, f: impl FnOnce() -> T + Send) -> T {
    match pool(count(n_threads)) {
        Some(pool) => run_in(&pool, f),
        // The system gave no thread at all: rayon's own pool would fail too, and results do not
        // depend on the number of threads, so one that borrows this thread serves. A thread can be
        // borrowed once; afterwards it is its own pool of one wherever it is in no other.
        None => match ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
            Ok(pool) => pool.install(f),
            Err(_) => f(),
        },
    }
}

fn run_in<T: Send>(pool: &ThreadPool, f: impl FnOnce() -> T + Send) -> T {
    let flag = Flag::current();
    let is_inside = pool.current_thread_index().is_some();
    if is_inside || !Watch::current().asks() {
        return pool.install(|| flag.run(f));
    }
    let over = Over { thread: thread::current(), is_over: AtomicBool::new(false) };
    let mut result = None;
    pool.in_place_scope(|scope| {
        let (result, over) = (&mut result, &over);
        scope.spawn(move |_| {
            let _says_so = SaysOver(over);
            *result = Some(flag.run(f));
        });
        while !over.is_over.load(Ordering::Acquire) {
            thread::park_timeout(INTERVAL);
            progress::ask();
        }
    });
    // The scope has passed on what ended `f` early, so there is a result.
    result.unwrap_or_else(|| std::panic::resume_unwind(Box::new(progress::Interrupted)))
}

/// Whether the work in a pool is over, and who waits for that.
struct Over {
    thread: Thread,
    is_over: AtomicBool,
}

/// Ends the waiting however the work ends.
struct SaysOver<'a>(&'a Over);

impl Drop for SaysOver<'_> {
    fn drop(&mut self) {
        // Once it is over the waiting thread may go on, and `Over` with it.
        let thread = self.0.thread.clone();
        self.0.is_over.store(true, Ordering::Release);
        thread.unpark();
    }
}

/// [`ParallelIterator::for_each`] that an interruption ends: see [`progress::check`].
///
/// [`ParallelIterator::for_each`]: rayon::iter::ParallelIterator::for_each
pub fn for_each<I: ParallelIterator>(items: I, f: impl Fn(I::Item) + Sync + Send) {
    let flag = Flag::current();
    items.for_each(|item| flag.run(|| f(item)));
}

/// As [`for_each`], with a value for each piece of the work.
pub fn for_each_init<I: ParallelIterator, W>(
    items: I,
    init: impl Fn() -> W + Sync + Send,
    f: impl Fn(&mut W, I::Item) + Sync + Send,
) {
    let flag = Flag::current();
    items.for_each_init(init, |w, item| flag.run(|| f(w, item)));
}

/// A map that an interruption ends.
pub fn map<I: IndexedParallelIterator, T: Send>(
    items: I,
    f: impl Fn(I::Item) -> T + Sync + Send,
) -> impl IndexedParallelIterator<Item = T> {
    let flag = Flag::current();
    items.map(move |item| flag.run(|| f(item)))
}

/// As [`map`], with a value for each piece of the work.
pub fn map_init<I: IndexedParallelIterator, W, T: Send>(
    items: I,
    init: impl Fn() -> W + Sync + Send,
    f: impl Fn(&mut W, I::Item) -> T + Sync + Send,
) -> impl IndexedParallelIterator<Item = T> {
    let flag = Flag::current();
    items.map_init(init, move |w, item| flag.run(|| f(w, item)))
}

/// The pool of so many threads, or of fewer if the system gives no more; `None` if it gives none.
fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    let halved = |&n: &usize| (n > 1).then_some(n / 2);
    let mut pools = pools();
    std::iter::successors(Some(threads), halved).find_map(|n| pool_of(n, pools.as_deref_mut()))
}

/// The pool of so many threads, kept in `pools` as the one used last.
fn pool_of(threads: usize, pools: Option<&mut Vec<Pool>>) -> Option<Arc<ThreadPool>> {
    let process = std::process::id();
    let Some(pools) = pools else { return built(threads).map(Arc::new) };
    // A parent's pool is forgotten, not dropped: dropping would wait for its threads.
    pools.extract_if(.., |p| p.process != process).for_each(std::mem::forget);
    let used = match pools.iter().position(|p| p.threads == threads) {
        Some(at) => pools.remove(at),
        None => Pool { process, threads, pool: Arc::new(built(threads)?) },
    };
    let pool = used.pool.clone();
    pools.push(used);
    while pools.len() > 1 && pools.iter().map(|p| p.threads).sum::<usize>() > limit() {
        // Its threads end once the calls that still use it are done.
        pools.remove(0);
    }
    Some(pool)
}

fn built(threads: usize) -> Option<ThreadPool> {
    let name = |i| format!("nearwood-{i}");
    ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build().ok()
}

fn pools() -> Option<MutexGuard<'static, Vec<Pool>>> {
    // The lock is held for microseconds. A child forked in just that moment would wait for a
    // thread that it does not have, so after a second it makes a pool of its own instead.
    let patience = Instant::now() + Duration::from_secs(1);
    loop {
        match POOLS.try_lock() {
            Ok(pools) => return Some(pools),
            Err(TryLockError::Poisoned(pools)) => return Some(pools.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() > patience => return None,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_on_as_many_threads_as_asked() {
        for n in [1, 2, 3] {
            assert_eq!(run(Some(n), rayon::current_num_threads), n);
        }
        assert_eq!(count(Some(0)), 1);
        assert_eq!(count(Some(1_000_000_000)), limit());
    }

    #[test]
    fn pools_do_not_pile_up() {
        for n in 1..=40 {
            run(Some(n), || ());
        }
        let pools = pools().unwrap();
        assert!(pools.iter().map(|p| p.threads).sum::<usize>() <= limit());
        assert!(pools.iter().any(|p| p.threads == 40), "the last one stays");
    }

    #[test]
    fn an_interruption_reaches_every_thread_and_leaves_the_pool_whole() {
        use std::rc::Rc;
        use std::sync::atomic::AtomicUsize;

        use rayon::prelude::*;

        for n in [1, 3] {
            let ended = AtomicUsize::new(0);
            struct Counts<'a>(&'a AtomicUsize);
            impl Drop for Counts<'_> {
                fn drop(&mut self) {
                    self.0.fetch_add(1, Ordering::Relaxed);
                }
            }
            let endless = || loop {
                progress::check();
                thread::yield_now();
            };
            let work = || {
                run(Some(n), || {
                    let flag = Flag::current();
                    (0..n).into_par_iter().for_each(|_| {
                        flag.run(|| {
                            let _counts = Counts(&ended);
                            endless()
                        })
                    });
                });
            };
            let stopped = progress::interruptible(Rc::new(|| false), work);
            assert_eq!(stopped, Err(progress::Interrupted));
            assert!(ended.load(Ordering::Relaxed) >= 1);
            assert_eq!(run(Some(n), || (0..100).into_par_iter().sum::<i32>()), 4950);
            // Without a pool: asked by the work itself.
            assert_eq!(
                progress::interruptible(Rc::new(|| false), endless),
                Err(progress::Interrupted)
            );
            progress::check();
        }
    }

    #[test]
    fn an_interruption_is_of_one_call_alone() {
        use std::rc::Rc;
        let inner = || {
            progress::interruptible(Rc::new(|| false), || {
                loop {
                    progress::check()
                }
            })
        };
        let both = progress::interruptible(Rc::new(|| true), || (inner(), progress::check()).0);
        assert_eq!(both, Ok(Err::<(), _>(progress::Interrupted)));
    }

    #[test]
    fn a_panic_in_a_pool_passes_on() {
        use std::rc::Rc;
        let work = || run(Some(2), || std::panic::resume_unwind(Box::new(7i32)));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _: Result<(), _> = progress::interruptible(Rc::new(|| true), work);
        }));
        assert_eq!(caught.unwrap_err().downcast_ref::<i32>(), Some(&7));
    }
}
