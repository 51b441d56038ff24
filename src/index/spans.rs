//! Spans of a section that are named by offsets.
//!
//! Opening does not read offsets, so a damaged file may name the same bytes for every name: what a
//! small file costs would then be the product of two sections.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// States of [`SpanGuard`] beyond a number of elements that are left.
const ASCENDING: usize = usize::MAX;
const TO_AND_FRO: usize = usize::MAX - 1;

/// Admits spans until they are as long together as the section, then checks once that offsets ascend.
/// Spans of ascending offsets do not overlap, so that they cost what the file accounts for; of others
/// no more are admitted. To check at the first use was rejected: it reads all offsets for one name.
#[derive(Debug, Clone)]
pub(crate) struct SpanGuard {
    /// How many elements may be read before the check, or its result.
    state: Arc<AtomicUsize>,
    len: usize,
}

impl SpanGuard {
    /// For a section of `len` elements.
    pub fn new(len: usize) -> SpanGuard {
        SpanGuard { state: Arc::new(AtomicUsize::new(len.min(TO_AND_FRO - 1))), len }
    }

    /// The span that begins at the `at`-th offset; `None` where the file names elements that do not
    /// exist, or where its offsets go to and fro.
    pub fn span(&self, offsets: &[u64], at: usize) -> Option<Range<usize>> {
        let [start, end] = [offsets.get(at)?, offsets.get(at.checked_add(1)?)?].map(|&o| o);
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        let exists = start <= end && end <= self.len;
        (exists && self.admits(end - start, offsets)).then_some(start..end)
    }

    fn admits(&self, n: usize, offsets: &[u64]) -> bool {
        let spend = |left| match left {
            ASCENDING | TO_AND_FRO => None,
            left => usize::checked_sub(left, n),
        };
        match self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
            Ok(_) | Err(ASCENDING) => true,
            Err(TO_AND_FRO) => false,
            Err(_) => {
                let ascend = offsets.is_sorted();
                let state = if ascend { ASCENDING } else { TO_AND_FRO };
                self.state.store(state, Ordering::Relaxed);
                ascend
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending_spans_are_admitted_for_ever() {
        let offsets = [0, 3, 3, 10];
        let guard = SpanGuard::new(10);
        for _ in 0..100 {
            let spans = [0, 1, 2, 3].map(|at| guard.span(&offsets, at));
            assert_eq!(spans, [Some(0..3), Some(3..3), Some(3..10), None]);
        }
        assert_eq!(guard.span(&offsets, usize::MAX), None);
    }

    #[test]
    fn spans_that_overlap_are_admitted_as_far_as_the_section_is_long() {
        let offsets: Vec<u64> = (0..1001).map(|at| 100 * (at % 2)).collect();
        let guard = SpanGuard::new(100);
        let read: usize =
            (0..1000).filter_map(|at| guard.clone().span(&offsets, at)).map(|s| s.len()).sum();
        assert_eq!(read, 100);
        assert_eq!(SpanGuard::new(99).span(&offsets, 0), None, "past the end");
    }
}
