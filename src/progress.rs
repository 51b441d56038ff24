//! Progress and interruption of long calls.
//!
//! [`Work`] counts what is done and reports it in percent. [`interruptible`] runs any call of this
//! crate so that it can be ended early: every long loop calls [`check`] at least every 100 ms or so,
//! on whatever thread it runs. An interruption unwinds from there to [`interruptible`], so that no
//! half-made result is ever seen: files that are being written are removed by their guards, and
//! objects are replaced only once the new ones are whole. Unwinding is chosen over a returned error
//! since most of these loops stand in functions that cannot fail otherwise. It prints nothing.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::memory;

/// How often [`interruptible`] asks whether to go on.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// What [`interruptible`] returns for a call that was ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// The calls that are under way on a thread, innermost last replaced: its flag, and on the thread
/// that called [`interruptible`] the question that is asked there.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    flag: Option<Arc<AtomicBool>>,
    question: Option<Rc<Question>>,
}

struct Question {
    go_on: Rc<dyn Fn() -> bool>,
    next: Cell<Instant>,
    /// The question may itself call this crate.
    is_asked: Cell<bool>,
}

thread_local! {
    static WATCH: RefCell<Watch> = RefCell::new(Watch::default());
}

/// Puts back what a thread was watched by before.
struct Before(Watch);

impl Drop for Before {
    fn drop(&mut self) {
        WATCH.with(|watch| std::mem::swap(&mut *watch.borrow_mut(), &mut self.0));
    }
}

fn enter(watch: Watch) -> Before {
    Before(WATCH.with(|current| current.replace(watch)))
}

/// Runs `work` on this thread, which may use the crate's thread pools. `go_on` is called on this
/// thread about every 50 ms; once it returns false the work ends at its next [`check`], on every thread
/// that it uses. Nothing is returned of it then, and nothing that it was given is changed.
///
/// Needs a program that unwinds, as programs do by default.
///
/// # Errors
/// If `go_on` ended the work.
pub fn interruptible<T>(
    go_on: Rc<dyn Fn() -> bool>,
    work: impl FnOnce() -> T,
) -> Result<T, Interrupted> {
    let flag = Arc::new(AtomicBool::new(false));
    watched(flag, Some(go_on), work)
}

/// Runs `work` as if it had been interrupted already: it ends at its first [`check`], on whatever
/// thread that is. For tests, which then need no work that takes long.
///
/// # Errors
/// If there was a check.
#[doc(hidden)]
pub fn interrupted<T>(work: impl FnOnce() -> T) -> Result<T, Interrupted> {
    watched(Arc::new(AtomicBool::new(true)), None, work)
}

fn watched<T>(
    flag: Arc<AtomicBool>,
    go_on: Option<Rc<dyn Fn() -> bool>>,
    work: impl FnOnce() -> T,
) -> Result<T, Interrupted> {
    let question = |go_on| {
        let next = Cell::new(Instant::now() + INTERVAL);
        Rc::new(Question { go_on, next, is_asked: Cell::new(false) })
    };
    let watch = Watch { flag: Some(flag), question: go_on.map(question) };
    let before = enter(watch);
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(before);
    done.map_err(|payload| match payload.is::<Interrupted>() {
        true => Interrupted,
        false => resume_unwind(payload),
    })
}

/// Ends the call here if it was interrupted: see [`interruptible`]. Without one around it this does
/// nothing. Costs some nanoseconds.
pub fn check() {
    memory::check();
    let is_over = WATCH.with(|watch| {
        let watch = watch.borrow();
        let Some(flag) = &watch.flag else { return false };
        let due = watch.question.as_ref().filter(|q| q.is_due()).cloned();
        let flag = flag.clone();
        drop(watch);
        due.inspect(|question| question.ask(&flag));
        flag.load(Ordering::Relaxed)
    });
    if is_over && !std::thread::panicking() {
        let interrupted: Box<dyn Any + Send> = Box::new(Interrupted);
        resume_unwind(interrupted);
    }
}

/// Asks now whether to go on, on the thread that called [`interruptible`]; elsewhere does nothing.
/// The answer is seen by the next [`check`].
pub fn ask() {
    let watch = Watch::current();
    if let (Some(flag), Some(question)) = (watch.flag, watch.question) {
        question.ask(&flag);
    }
}

/// An iterator over the same items that calls [`check`] before every `every`-th.
pub fn checked<I: Iterator>(items: I, every: usize) -> impl Iterator<Item = I::Item> {
    let mut left = 0usize;
    items.inspect(move |_| match left.checked_sub(1) {
        Some(less) => left = less,
        None => {
            left = every.saturating_sub(1);
            check();
        }
    })
}

impl Question {
    fn is_due(&self) -> bool {
        !self.is_asked.get() && Instant::now() >= self.next.get()
    }

    fn ask(&self, flag: &AtomicBool) {
        if self.is_asked.replace(true) {
            return;
        }
        if !flag.load(Ordering::Relaxed) && !(self.go_on)() {
            flag.store(true, Ordering::Relaxed);
        }
        self.next.set(Instant::now() + INTERVAL);
        self.is_asked.set(false);
    }
}

impl Watch {
    /// What watches this thread.
    pub fn current() -> Watch {
        WATCH.with(|watch| watch.borrow().clone())
    }

    /// Whether this thread is the one that asks.
    pub fn asks(&self) -> bool {
        self.question.is_some()
    }

    /// What other threads need of it.
    pub fn flag(&self) -> Flag {
        Flag(self.flag.clone(), memory::is_guarded())
    }
}

/// A [`Watch`] for the threads of a pool. Pools are shared and threads take whatever work there is,
/// so each piece of it runs inside of [`run`](Self::run).
#[derive(Clone)]
pub(crate) struct Flag(Option<Arc<AtomicBool>>, bool);

impl Flag {
    /// That of this thread.
    pub fn current() -> Flag {
        WATCH.with(|watch| watch.borrow().flag())
    }

    /// Runs a piece of the work, unless it is to end.
    pub fn run<T>(&self, piece: impl FnOnce() -> T) -> T {
        let _guard = memory::guard(self.1);
        let Some(flag) = &self.0 else {
            memory::check();
            return piece();
        };
        let is_here = |watch: &RefCell<Watch>| {
            watch.borrow().flag.as_ref().is_some_and(|here| Arc::ptr_eq(here, flag))
        };
        if WATCH.with(is_here) {
            check();
            return piece();
        }
        let _before = enter(Watch { flag: Some(flag.clone()), question: None });
        check();
        piece()
    }
}

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
    ///
    /// This is a [`check`], too.
    pub fn advance(&self, units: u64) {
        check();
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
