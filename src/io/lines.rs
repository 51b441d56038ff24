//! The lines of a text.

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::error::ReadError;

use super::source::{io_error, line_error};

/// Lines of a text, without their ends, numbered from 1. A line ends at LF, CRLF or CR alone, as
/// old spreadsheets write it. Holds one line at a time.
pub(super) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    line: Line,
    number: u64,
    /// Lines that were given back.
    again: VecDeque<Line>,
}

/// A line and what ended it.
#[derive(Default)]
pub(super) struct Line {
    pub text: Vec<u8>,
    pub end: &'static str,
}

impl Lines {
    pub(super) fn new(path: &Path, reader: Box<dyn BufRead>) -> Lines {
        let (line, again) = (Line::default(), VecDeque::new());
        Lines { path: path.to_path_buf(), reader, line, number: 0, again }
    }

    /// Goes to the next line; whether there is one.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        if let Some(line) = self.again.pop_front() {
            self.line = line;
            self.number += 1;
            return Ok(true);
        }
        self.line.text.clear();
        let (end, any) = read_line(&mut *self.reader, &mut self.line.text)
            .map_err(|e| io_error(&self.path, e))?;
        self.line.end = end;
        self.number += u64::from(any);
        Ok(any)
    }

    /// The line last read.
    pub(super) fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    /// Gives lines back, the last of which is the one last read: they come again.
    pub(super) fn give_back(&mut self, lines: Vec<Line>) {
        self.number -= lines.len() as u64;
        lines.into_iter().rev().for_each(|line| self.again.push_front(line));
    }

    /// The number of the line last read.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// That something is wrong with the line last read.
    pub(super) fn error(&self, problem: impl Into<String>) -> ReadError {
        line_error(&self.path, self.number, problem)
    }
}

/// Appends a line; what ended it, and whether there was one.
fn read_line(
    reader: &mut dyn BufRead,
    line: &mut Vec<u8>,
) -> std::io::Result<(&'static str, bool)> {
    loop {
        let ready = reader.fill_buf()?;
        if ready.is_empty() {
            return Ok(("", !line.is_empty()));
        }
        let Some(at) = memchr::memchr2(b'\n', b'\r', ready) else {
            let read = ready.len();
            line.extend_from_slice(ready);
            reader.consume(read);
            continue;
        };
        line.extend_from_slice(&ready[..at]);
        let is_cr = ready[at] == b'\r';
        reader.consume(at + 1);
        if !is_cr {
            return Ok(("\n", true));
        }
        if reader.fill_buf()?.first() != Some(&b'\n') {
            return Ok(("\r", true));
        }
        reader.consume(1);
        return Ok(("\r\n", true));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn lines(text: &[u8], capacity: usize) -> Lines {
        let reader = BufReader::with_capacity(capacity, Cursor::new(text.to_vec()));
        Lines::new(Path::new("t"), Box::new(reader))
    }

    fn all(lines: &mut Lines) -> Vec<(String, &'static str)> {
        let mut got = Vec::new();
        while lines.advance().unwrap() {
            let line = lines.line();
            got.push((String::from_utf8(line.text.clone()).unwrap(), line.end));
        }
        got
    }

    #[test]
    fn a_line_ends_at_any_of_three_ends() {
        let want = [("a", "\r\n"), ("", "\n"), ("b", "\r"), ("c", "\r\n"), ("", "\r\n"), ("d", "")];
        for capacity in [1, 2, 3, 5, 64] {
            let mut lines = lines(b"a\r\n\nb\rc\r\n\r\nd", capacity);
            let got = all(&mut lines);
            let got: Vec<_> = got.iter().map(|(text, end)| (text.as_str(), *end)).collect();
            assert_eq!(got, want, "a buffer of {capacity}");
            assert_eq!(lines.number(), 6);
        }
        assert_eq!(all(&mut lines(b"", 8)), []);
    }

    #[test]
    fn lines_given_back_come_again_with_their_numbers() {
        let mut lines = lines(b"a\nb\nc\n", 8);
        lines.advance().unwrap();
        let mut taken = Vec::new();
        for _ in 0..2 {
            lines.advance().unwrap();
            taken.push(std::mem::take(lines.line()));
        }
        lines.give_back(taken);
        assert_eq!(lines.number(), 1);
        let rest: Vec<String> = all(&mut lines).into_iter().map(|line| line.0).collect();
        assert_eq!((rest, lines.number()), (vec!["b".to_string(), "c".to_string()], 3));
    }
}
