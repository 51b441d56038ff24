//! A file of lines that grows, so that long work which was ended goes on where it was.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{ReadError, SaveError};
use crate::store::save_error;

use super::source::{format_error, io_error};

/// The most that is read: a line of work is a few hundred bytes.
const MOST_BYTES: u64 = 1 << 28;

/// Lines that are written one by one, each synced: what ends the process leaves whole lines and
/// perhaps a part of one, which [`open`](Self::open) does not count and the next
/// [`append`](Self::append) writes over.
pub struct Journal {
    path: PathBuf,
    lines: Vec<String>,
    file: Option<File>,
    /// Bytes of whole lines in the file.
    whole: u64,
}

impl Journal {
    /// A journal that is forgotten.
    #[must_use]
    pub fn in_memory() -> Journal {
        let path = PathBuf::from("the journal in memory");
        Journal { path, lines: Vec::new(), file: None, whole: 0 }
    }

    /// Reads what a file has, or makes an empty one. Changes nothing in it.
    ///
    /// # Errors
    /// If the file can be neither read and written nor made, has above 256 MiB, or is not UTF-8.
    pub fn open(path: impl AsRef<Path>) -> Result<Journal, ReadError> {
        let path = path.as_ref();
        let refused = |e| io_error(path, e);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(refused)?;
        let mut bytes = Vec::new();
        let mut bounded = Read::take(&mut file, MOST_BYTES + 1);
        bounded.read_to_end(&mut bytes).map_err(refused)?;
        if bytes.len() as u64 > MOST_BYTES {
            let problem = format!("got more than {MOST_BYTES} bytes: this is no journal");
            return Err(format_error(path, problem));
        }
        bytes.truncate(bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1));
        let whole = bytes.len() as u64;
        let text = String::from_utf8(bytes)
            .map_err(|_| format_error(path, "got bytes that are not UTF-8: this is no journal"))?;
        let lines = text.lines().map(String::from).collect();
        Ok(Journal { path: path.to_path_buf(), lines, file: Some(file), whole })
    }

    /// The whole lines so far.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What errors call it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, and has it on the disk when it returns.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn append(&mut self, line: &str) -> Result<(), SaveError> {
        if let Some(file) = &mut self.file {
            let written = write_at(file, self.whole, line);
            self.whole += written.map_err(|e| save_error(&self.path, e))?;
        }
        self.lines.push(line.to_string());
        Ok(())
    }
}

fn write_at(file: &mut File, at: u64, line: &str) -> io::Result<u64> {
    let line = format!("{line}\n");
    file.set_len(at)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    Ok(line.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_again_and_a_part_of_one_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        assert!(journal.lines().is_empty());
        journal.append("one").unwrap();
        journal.append("two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.lines(), ["one", "two"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthr");
        journal.append("3").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n3\n");
        let mut nowhere = Journal::in_memory();
        nowhere.append("x").unwrap();
        assert_eq!(nowhere.lines(), ["x"]);
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        std::fs::write(&path, b"\xff\n").unwrap();
        assert!(Journal::open(&path).is_err());
        assert!(Journal::open(dir.path()).is_err());
        assert!(Journal::open(dir.path().join("no/such")).is_err());
    }
}
