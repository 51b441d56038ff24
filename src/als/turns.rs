//! Work in parts, handed to threads one part at a time.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::csr::Csr;
use crate::progress::Flag;

/// Rows of a part at most: enough for short rows to find others of their length.
pub(super) const ROWS: usize = 256;

/// Entries of a part at most, unless it is one row: what a thread may be left alone with at the end
/// is then a hundredth of a half-step over a million entries.
const ENTRIES: u64 = 8192;

/// Runs `run` on every job, in their order, with the memory that `make` gives each thread; returns
/// the results in the order of the jobs.
///
/// Rayon's own iterators part a range as often as there are threads and wait for a thief before they
/// part it further: the half with the popular items keeps one thread waiting, and so does a core
/// that others slow down. (`with_max_len(1)` would make the memory anew for every job.)
pub(super) fn each<J: Send, W, T: Send>(
    jobs: Vec<J>,
    make: impl Fn() -> W + Sync,
    run: impl Fn(&mut W, J) -> T + Sync,
) -> Vec<T> {
    let n = jobs.len();
    let queue = Mutex::new(jobs.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let flag = Flag::current();
    let thread = |_| {
        let (mut work, mut done) = (None, vec![]);
        while let Some((at, job)) = next() {
            done.push((at, flag.run(|| run(work.get_or_insert_with(&make), job))));
        }
        done
    };
    let threads = rayon::current_num_threads().min(n);
    let mut done: Vec<(usize, T)> =
        (0..threads).into_par_iter().with_max_len(1).flat_map_iter(thread).collect();
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The rows of a side in parts, in their order.
pub(super) fn parts(rows: &Csr) -> Vec<Range<usize>> {
    let (starts, n) = (rows.indptr(), rows.n_rows());
    let (mut parts, mut first) = (vec![], 0);
    while first < n {
        let ends = &starts[first + 1..=(first + ROWS).min(n)];
        let fitting = ends.partition_point(|&end| end <= starts[first] + ENTRIES);
        let end = first + fitting.max(1);
        parts.push(first..end);
        first = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads;

    #[test]
    fn every_job_is_run_once_and_answers_in_its_place() {
        for n_threads in [1, 3] {
            for n in [0, 1, 100] {
                let jobs: Vec<usize> = (0..n).collect();
                let run = |seen: &mut usize, job: usize| {
                    *seen += 1;
                    (job * job, *seen)
                };
                let done = threads::run(Some(n_threads), || each(jobs, || 0, run));
                assert!(done.iter().enumerate().all(|(at, (square, _))| *square == at * at));
                assert_eq!(done.len(), n);
            }
        }
    }

    #[test]
    fn parts_are_of_few_rows_and_few_entries_or_of_one_row() {
        let long = 3 * ENTRIES as usize;
        let lengths: Vec<usize> =
            [vec![1; 300], vec![5000; 3], vec![long, 2], vec![0; 700]].concat();
        let rows: Vec<u32> =
            lengths.iter().enumerate().flat_map(|(at, &k)| vec![at as u32; k]).collect();
        let columns: Vec<u32> = lengths.iter().flat_map(|&k| 0..k as u32).collect();
        let matrix =
            Csr::from_triplets(lengths.len(), long, &rows, &columns, &vec![1.0; rows.len()]);
        let parts = parts(&matrix.unwrap());
        assert_eq!(
            parts,
            [0..256, 256..301, 301..302, 302..303, 303..304, 304..560, 560..816, 816..1005]
        );
    }
}
