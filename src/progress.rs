//! How far a long call is, and whether it is to stop.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Hears (percent done, 100) and says whether to go on. Called on any thread, by one at a time, with
/// ascending percents.
pub type Report<'a> = &'a (dyn Fn(usize, usize) -> bool + Sync);

/// Work measured in units, reported in percent.
///
/// What stops early returns something of the right type that nobody will use: whoever asked for
/// the work looks at [`is_stopped`](Self::is_stopped) at the end.
pub struct Work<'a> {
    total: u64,
    done: AtomicU64,
    said: Mutex<usize>,
    stopped: AtomicBool,
    report: Report<'a>,
}

impl<'a> Work<'a> {
    /// `total` units of work ahead.
    #[must_use]
    pub fn new(total: u64, report: Report<'a>) -> Work<'a> {
        Work {
            total: total.max(1),
            done: AtomicU64::new(0),
            said: Mutex::new(0),
            stopped: AtomicBool::new(false),
            report,
        }
    }

    /// Work that nobody watches.
    #[must_use]
    pub fn unwatched() -> Work<'static> {
        Work::new(1, &|_, _| true)
    }

    /// Counts `units` as done. The last percent is left for [`finish`](Self::finish), so that 100
    /// is never said too early, however rough the estimate of the total.
    pub fn advance(&self, units: u64) {
        let done = self.done.fetch_add(units, Ordering::Relaxed) + units;
        self.say((done.saturating_mul(100) / self.total).min(99) as usize);
    }

    /// All is done.
    pub fn finish(&self) {
        self.say(100);
    }

    /// While another thread reports, nothing is said: work does not wait for it, and a later percent
    /// comes in place of this one.
    fn say(&self, percent: usize) {
        let Ok(mut said) = self.said.try_lock() else { return };
        if percent > *said && !self.is_stopped() {
            *said = percent;
            if !(self.report)(percent, 100) {
                self.stopped.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether the work is to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    #[test]
    fn every_percent_is_said_once_and_a_no_is_final() {
        let said = Mutex::new(Vec::new());
        let report = |percent, _| {
            said.lock().unwrap().push(percent);
            percent < 4
        };
        let work = Work::new(1000, &report);
        (0..2000).for_each(|_| work.advance(1));
        work.finish();
        assert!(work.is_stopped());
        assert_eq!(*said.lock().unwrap(), [1, 2, 3, 4]);
    }

    #[test]
    fn an_underestimate_stays_at_99_until_the_end() {
        let last = AtomicUsize::new(0);
        let report = |percent, _| {
            last.store(percent, Ordering::Relaxed);
            true
        };
        let work = Work::new(10, &report);
        work.advance(500);
        assert_eq!(last.load(Ordering::Relaxed), 99);
        work.finish();
        assert_eq!(last.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn percents_ascend_whatever_thread_says_them() {
        let said = Mutex::new(Vec::new());
        let report = |percent, _| {
            // Room for other threads between the count and what it is for.
            thread::yield_now();
            said.lock().unwrap().push(percent);
            true
        };
        let work = Work::new(40_000, &report);
        thread::scope(|scope| {
            (0..4).for_each(|_| _ = scope.spawn(|| (0..10_000).for_each(|_| work.advance(1))));
        });
        work.finish();
        let said = said.lock().unwrap();
        assert!(said.is_sorted_by(|a, b| a < b), "{said:?}");
        assert_eq!(said.last(), Some(&100));
    }
}
