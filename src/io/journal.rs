//! A file of lines that grows, so that long work which was ended goes on where it was.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{ReadError, SaveError};
use crate::store::system::{self, Lock, Output};

use super::source::{format_error, io_error};

/// The most that is read: a line of work is a few hundred bytes.
const MOST_BYTES: u64 = 1 << 28;

/// Lines that are written one by one, each synced: what ends the process leaves whole lines and
/// perhaps a part of one, which [`open`](Self::open) does not count and the next
/// [`append`](Self::append) writes over.
///
/// The file is locked as long as the journal lives, so that two searches cannot write into each
/// other's lines. Where the file system has no locks, the next line is refused once another process
/// has written.
pub struct Journal {
    path: PathBuf,
    lines: Vec<String>,
    file: Option<Output>,
    /// Bytes of whole lines in the file.
    whole: u64,
    /// Bytes in the file, a part of a line included.
    length: u64,
}

impl Journal {
    /// A journal that is forgotten.
    #[must_use]
    pub fn in_memory() -> Journal {
        let path = PathBuf::from("the journal in memory");
        Journal { path, lines: Vec::new(), file: None, whole: 0, length: 0 }
    }

    /// Reads what a file has, or makes an empty one, and locks it. Changes nothing in it.
    ///
    /// # Errors
    /// If the file can be neither read and written nor made, is no regular file, has above 256 MiB,
    /// is not UTF-8, or is in use by another search.
    pub fn open(path: impl AsRef<Path>) -> Result<Journal, ReadError> {
        let path = path.as_ref();
        let refused = |e| io_error(path, e);
        let mut file = open_locked(path).map_err(refused)?;
        let mut bytes = Vec::new();
        let mut bounded = Read::take(&mut file, MOST_BYTES + 1);
        bounded.read_to_end(&mut bytes).map_err(refused)?;
        if bytes.len() as u64 > MOST_BYTES {
            let problem = format!("got more than {MOST_BYTES} bytes: this is no journal");
            return Err(format_error(path, problem));
        }
        bytes.truncate(bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1));
        let whole = bytes.len() as u64;
        let length = file.metadata().map_err(refused)?.len();
        let text = String::from_utf8(bytes)
            .map_err(|_| format_error(path, "got bytes that are not UTF-8: this is no journal"))?;
        let lines = text.lines().map(String::from).collect();
        let file = Some(Output(file));
        Ok(Journal { path: path.to_path_buf(), lines, file, whole, length })
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
    /// If the system refuses, or another process has changed the file.
    pub fn append(&mut self, line: &str) -> Result<(), SaveError> {
        if let Some(file) = &mut self.file {
            let unchanged = check_unchanged(&file.0, self.length);
            let written = unchanged.and_then(|()| write_at(file, self.whole, line));
            if let Ok(length) = file.0.metadata() {
                self.length = length.len();
            }
            self.whole +=
                written.map_err(|source| SaveError::Stream { path: self.path.clone(), source })?;
        }
        self.lines.push(line.to_string());
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // A process forked meanwhile has the file open, too, and would keep the lock.
            let _ = file.0.unlock();
        }
    }
}

fn open_locked(path: &Path) -> io::Result<File> {
    let invalid = |problem| io::Error::new(io::ErrorKind::InvalidInput, problem);
    let found = fs::metadata(path);
    if found.as_ref().is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        return Err(invalid("it is a pipe, a socket or a device, expected a file"));
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = system::open(&options, path)?;
    if system::try_lock(&file) == Lock::Busy {
        let problem = "another search is writing to this journal: wait for its end, or give each \
                       search a journal of its own";
        return Err(io::Error::new(io::ErrorKind::WouldBlock, problem));
    }
    if found.is_err() {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = system::open_folder(folder.unwrap_or(Path::new(".")))?;
        system::sync_folder(folder.as_ref())?;
    }
    Ok(file)
}

/// That nothing but this journal has written to the file, and that it still has a name: else lines
/// of another search would be cut off, or these would be lost.
fn check_unchanged(file: &File, length: u64) -> io::Result<()> {
    let meta = file.metadata()?;
    let problem = match meta.len() {
        _ if is_deleted(&meta) => "the file was deleted or replaced",
        now if now != length => "something else has changed the file",
        _ => return Ok(()),
    };
    Err(io::Error::other(format!(
        "{problem} while this search ran: give each search a journal of its own"
    )))
}

#[cfg(unix)]
fn is_deleted(meta: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(meta) == 0
}

#[cfg(not(unix))]
fn is_deleted(_meta: &fs::Metadata) -> bool {
    false
}

fn write_at(file: &mut Output, at: u64, line: &str) -> io::Result<u64> {
    let line = format!("{line}\n");
    system::set_len(&file.0, at)?;
    file.0.seek(SeekFrom::Start(at))?;
    file.write_all(line.as_bytes())?;
    system::sync(&file.0)?;
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
        drop(journal);
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
    fn one_journal_has_one_search() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let mut journal = Journal::open(&path).unwrap();
        journal.append("one").unwrap();
        let error = Journal::open(&path).err().unwrap().to_string();
        assert!(error.contains("another search is writing"), "{error}");
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        // What a writer without a lock adds is not cut off.
        std::fs::write(&path, "one\ntheirs\n").unwrap();
        let error = journal.append("mine").unwrap_err().to_string();
        assert!(error.contains("something else has changed the file"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntheirs\n");
        drop(journal);
        // Where it is moved to, it goes on.
        let (mut journal, moved) = (Journal::open(&path).unwrap(), dir.path().join("k"));
        std::fs::rename(&path, &moved).unwrap();
        journal.append("mine").unwrap();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntheirs\nmine\n");
        #[cfg(unix)]
        {
            std::fs::remove_file(&moved).unwrap();
            let error = journal.append("lost").unwrap_err().to_string();
            assert!(error.contains("was deleted or replaced"), "{error}");
        }
    }

    #[test]
    fn a_line_that_was_not_written_whole_is_written_over() {
        use crate::store::system::Call;
        use crate::store::system::faults::{always, during};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let mut journal = Journal::open(&path).unwrap();
        for call in [Call::Write, Call::Sync, Call::Resize] {
            let error = during(always(call, 5), || journal.append("lost")).unwrap_err();
            assert!(!error.to_string().contains("untouched"), "{error}");
        }
        journal.append("one").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(journal.lines(), ["one"]);
    }

    #[test]
    fn what_is_no_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        std::fs::write(&path, b"\xff\n").unwrap();
        assert!(Journal::open(&path).is_err());
        assert!(Journal::open(dir.path()).is_err());
        assert!(Journal::open("/dev/null").is_err());
        assert!(Journal::open(dir.path().join("no/such")).is_err());
    }
}
