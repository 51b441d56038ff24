//! Progress bars, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::terminal::{cell, notes};

/// A bar or spinner on standard error that goes away when dropped; nothing at all where standard
/// error is no terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar of `total` steps.
    pub fn bar(what: &str, total: usize) -> Progress {
        Progress::start(
            ProgressBar::new(total as u64),
            what,
            "{prefix} {bar:30} {pos}/{len} [{elapsed} < {eta}] {msg}",
        )
    }

    /// Something whose end is not known.
    pub fn spinner(what: &str) -> Progress {
        let progress = Progress::start(
            ProgressBar::new_spinner(),
            what,
            "{spinner} {prefix} [{elapsed}] {msg}",
        );
        progress.0.enable_steady_tick(Duration::from_millis(120));
        progress
    }

    fn start(bar: ProgressBar, what: &str, template: &str) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(what.to_string());
        Progress(bar)
    }

    pub fn set(&self, done: usize) {
        self.0.set_position(done as u64);
    }

    /// Hears of a build, in a bar of 100 steps, and never stops it.
    pub fn percent(&self, done: usize, of: usize) -> bool {
        self.set(done * 100 / of.max(1));
        true
    }

    pub fn message(&self, message: String) {
        self.0.set_message(cell(&message));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Something worth knowing that is no result, as a line on standard error.
pub(super) fn note(text: &str) {
    let _ = writeln!(notes(), "note: {}", crate::error::printable(text));
}
