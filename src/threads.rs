//! The threads that long calls share.
//!
//! A single query never comes here. Builds, training and batches run inside [`run`], whose pools
//! belong to one process: after a fork the child makes its own, because the parent's threads do
//! not exist there (multiprocessing and gunicorn fork).

use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

struct Pool {
    process: u32,
    threads: usize,
    pool: Arc<ThreadPool>,
}

static POOLS: Mutex<Vec<Pool>> = Mutex::new(Vec::new());

/// How many threads `n_threads` means: itself, or all cores for `None`; never 0.
#[must_use]
pub fn count(n_threads: Option<usize>) -> usize {
    n_threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
        .clamp(1, 1024)
}

/// Runs `f` where rayon's parallel iterators use `n_threads` threads (`None`: all cores).
pub fn run<T: Send>(n_threads: Option<usize>, f: impl FnOnce() -> T + Send) -> T {
    match pool(count(n_threads)) {
        Some(pool) => pool.install(f),
        // The system gave no thread at all: rayon's own pool would fail too, and results do not
        // depend on the number of threads, so one that borrows this thread serves.
        None => match ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
            Ok(pool) => pool.install(f),
            Err(_) => f(),
        },
    }
}

fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    let process = std::process::id();
    // The lock is held for microseconds. A child forked in just that moment would wait for a
    // thread that it does not have, so after a second it makes a pool of its own instead.
    let patience = Instant::now() + Duration::from_secs(1);
    let mut pools = loop {
        match POOLS.try_lock() {
            Ok(pools) => break Some(pools),
            Err(TryLockError::Poisoned(pools)) => break Some(pools.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() > patience => break None,
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    };
    let mine = |p: &&Pool| p.process == process && p.threads == threads;
    if let Some(found) = pools.as_deref().and_then(|pools| pools.iter().find(mine)) {
        return Some(found.pool.clone());
    }
    let built = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("nearwood-{i}"))
        .build()
        .ok()?;
    let pool = Arc::new(built);
    if let Some(pools) = pools.as_deref_mut() {
        // A parent's pool is forgotten, not dropped: dropping would wait for its threads.
        for stale in pools.extract_if(.., |p| p.process != process) {
            std::mem::forget(stale);
        }
        pools.push(Pool { process, threads, pool: pool.clone() });
    }
    Some(pool)
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
    }
}
