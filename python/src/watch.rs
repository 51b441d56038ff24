//! Long calls: the work runs on a thread of its own while the caller's, with the interpreter
//! released, waits for reports and looks at signals.
//!
//! Callbacks run on the caller's thread. What they raise, and Ctrl-C, stops the work at its next
//! question and is then raised from the call. (Only Python's main thread ever sees signals;
//! elsewhere the look at them does nothing.)

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pyo3::prelude::*;

/// How long a Ctrl-C may wait to be seen.
const PATIENCE: Duration = Duration::from_millis(50);

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

enum Message {
    Report(Report),
    Over,
}

/// The work's end of the line.
pub struct Watched {
    stop: AtomicBool,
    outbox: Sender<Message>,
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
        let sent = self.outbox.send(Message::Report(report));
        sent.is_ok() && answer.recv().unwrap_or(false)
    }
}

/// Says that the work is over, however it ends.
struct Over(Sender<Message>);

impl Drop for Over {
    fn drop(&mut self) {
        // Fails only if nobody listens any more.
        let _ = self.0.send(Message::Over);
    }
}

/// Runs `work`; `on_report` answers its reports on this thread with whether to go on.
pub fn run<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Watched) -> T + Send,
    on_report: impl FnMut(Python<'_>, &Report) -> PyResult<bool> + Send,
) -> PyResult<T> {
    let (outbox, inbox) = channel();
    let over = Over(outbox.clone());
    let watched = Watched { stop: AtomicBool::new(false), outbox };
    let (result, raised) = py.detach(move || {
        std::thread::scope(|scope| {
            let watched = &watched;
            let worker = scope.spawn(move || {
                let _over = over;
                work(watched)
            });
            let raised = wait(&inbox, &watched.stop, on_report);
            (worker.join().unwrap_or_else(|panic| resume_unwind(panic)), raised)
        })
    });
    raised.map_or(Ok(result), Err)
}

/// Serves reports until the work is over; what was raised on the way.
fn wait(
    inbox: &Receiver<Message>,
    stop: &AtomicBool,
    mut on_report: impl FnMut(Python<'_>, &Report) -> PyResult<bool>,
) -> Option<PyErr> {
    let mut raised: Option<PyErr> = None;
    loop {
        let message = inbox.recv_timeout(PATIENCE);
        if raised.is_none() {
            raised = Python::attach(|py| py.check_signals()).err();
        }
        match message {
            Ok(Message::Over) => return raised,
            Ok(Message::Report(report)) => {
                let answer = match &raised {
                    Some(_) => Ok(false),
                    None => Python::attach(|py| on_report(py, &report)),
                };
                // Nobody waits for the answer if the work ended meanwhile.
                let _ = report.reply.send(*answer.as_ref().unwrap_or(&false));
                raised = raised.or(answer.err());
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if raised.is_some() {
            stop.store(true, Ordering::Relaxed);
        }
    }
}
