//! Long calls: the work runs with the interpreter released, and the caller's thread looks at signals
//! about every 50 ms.
//!
//! Every call that releases the interpreter does so here, through [`detach`] or [`run`], never by
//! `Python::detach` (a test of the sources holds it). Where the work uses a thread pool, the caller's
//! thread looks while it waits; otherwise the work itself looks from inside (see
//! `nearwood::progress`). So no thread is needed, and a look comes by time and not by count.
//! Callbacks run on the caller's thread. What they raise, Ctrl-C, and an exception that another thread
//! sets by `PyThreadState_SetAsyncExc` end the work and are raised from the call. (Only Python's main
//! thread ever sees signals.)

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};

use nearwood::error::OutOfMemory;
use nearwood::progress::{self, interruptible};
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Threads other than Python's main one look at only every so many questions: they see no signals,
/// and each look waits for the interpreter.
const OTHERS: u32 = 8;

/// What the work says to the caller's thread.
pub struct Report {
    /// Steps done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
    /// The loss so far, if there is one.
    pub loss: f64,
    /// Where the answer goes: whether to go on.
    reply: Sender<bool>,
}

/// The work's end of the line.
pub struct Watched {
    stop: Arc<AtomicBool>,
    outbox: Mutex<Sender<Report>>,
    caller: Thread,
}

impl Watched {
    /// Whether the work is to stop at once.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether to go on, once the caller's thread was told if there is anybody to hear it.
    pub fn go_on(&self, heard: bool, done: usize, total: usize) -> bool {
        !self.stopped() && (!heard || self.report(done, total, f64::NAN))
    }

    /// Tells the caller's thread and waits for its answer: whether to go on.
    pub fn report(&self, done: usize, total: usize, loss: f64) -> bool {
        let (reply, answer) = channel();
        let report = Report { done, total, loss, reply };
        let sent = self.outbox.lock().unwrap_or_else(PoisonError::into_inner).send(report);
        if sent.is_err() {
            return false;
        }
        match thread::current().id() == self.caller.id() {
            true => progress::ask(),
            false => self.caller.unpark(),
        }
        answer.recv().unwrap_or(false)
    }
}

/// What the caller's thread does when it is asked whether to go on.
struct Looks<F> {
    inbox: Receiver<Report>,
    stop: Arc<AtomicBool>,
    on_report: RefCell<F>,
    raised: RefCell<Option<PyErr>>,
    asked: Cell<u32>,
    is_main: Cell<Option<bool>>,
}

impl<F: FnMut(Python<'_>, &Report) -> PyResult<bool>> Looks<F> {
    fn go_on(&self) -> bool {
        if self.raised.borrow().is_none() {
            self.look();
        }
        while let Ok(report) = self.inbox.try_recv() {
            let is_over = self.raised.borrow().is_some();
            let answer = !is_over && self.tell(&report);
            // Nobody waits for the answer if the work ended meanwhile.
            let _ = report.reply.send(answer);
        }
        let go_on = self.raised.borrow().is_none();
        self.stop.store(!go_on, Ordering::Relaxed);
        go_on
    }

    fn tell(&self, report: &Report) -> bool {
        let Ok(mut on_report) = self.on_report.try_borrow_mut() else { return true };
        let answer = Python::try_attach(|py| on_report(py, report)).unwrap_or(Ok(true));
        answer.unwrap_or_else(|raised| {
            self.raised.replace(Some(raised));
            false
        })
    }

    /// Looks at signals and at what other threads have raised here.
    fn look(&self) {
        self.asked.set(self.asked.get().wrapping_add(1));
        if self.is_main.get() == Some(false) && !self.asked.get().is_multiple_of(OTHERS) {
            return;
        }
        // Not where the interpreter is being shut down: the work then ends with the process.
        let looked = Python::try_attach(|py| {
            pending(py)?;
            if self.is_main.get().is_none() {
                // This runs Python code, where a signal may be raised.
                self.is_main.set(Some(is_main(py)?));
            }
            Ok(())
        });
        if let Some(Err(raised)) = looked {
            self.raised.replace(Some(raised));
        }
    }
}

fn is_main(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    let ident: u64 = main.getattr(intern!(py, "ident"))?.extract()?;
    let own: u64 = threading.call_method0(intern!(py, "get_ident"))?.extract()?;
    Ok(ident == own)
}

/// What a signal's handler or another thread raises on this one.
pub fn pending(py: Python<'_>) -> PyResult<()> {
    static NOTHING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    py.check_signals()?;
    // Exceptions set from another thread are raised where Python code runs.
    NOTHING
        .get_or_try_init(py, || py.eval(c"lambda: None", None, None).map(Bound::unbind))?
        .call0(py)?;
    Ok(())
}

/// Runs `work` with the interpreter released.
///
/// # Errors
/// What a signal raised meanwhile, and `MemoryError`.
pub fn detach<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    run(py, |_| work(), |_, _| Ok(true))
}

/// Runs `work` with the interpreter released; `on_report` answers its reports on this thread with
/// whether to go on.
///
/// # Errors
/// What `on_report` or a signal raised meanwhile, and `MemoryError`.
pub fn run<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Watched) -> T + Send,
    on_report: impl FnMut(Python<'_>, &Report) -> PyResult<bool> + Send + 'static,
) -> PyResult<T> {
    let (done, raised) = py.detach(move || {
        let (outbox, inbox) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let looks = Rc::new(Looks {
            inbox,
            stop: stop.clone(),
            on_report: RefCell::new(on_report),
            raised: RefCell::new(None),
            asked: Cell::new(0),
            is_main: Cell::new(None),
        });
        let watched = Watched { stop, outbox: Mutex::new(outbox), caller: thread::current() };
        let asked = looks.clone();
        let done = nearwood::memory::catch(|| {
            interruptible(Rc::new(move || asked.go_on()), || work(&watched))
        });
        (done, looks.raised.take())
    });
    match (done, raised) {
        (_, Some(raised)) => Err(raised),
        (Ok(Ok(result)), None) => Ok(result),
        (Ok(Err(progress::Interrupted)), None) => Err(PyKeyboardInterrupt::new_err(())),
        (Err(out), None) => Err(out_of_memory(&out)),
    }
}

/// The `MemoryError` of a buffer that could not be had.
pub fn out_of_memory(error: &OutOfMemory) -> PyErr {
    PyMemoryError::new_err(error.to_string())
}
