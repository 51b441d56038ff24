//! Blocks of lists kept beside a table that is not whole yet.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::SaveError;
use crate::index::Hit;
use crate::store::system::{self, Lock, Output};
use crate::store::{Draft, refused, save_error};

/// The file that says which job the parts are of.
const JOURNAL: &str = "job.txt";
/// Begins the journal: what has another beginning is nobody's to delete.
const FIRST_LINE: &str = "nearwood: parts of a job that is not done, format 1";

/// Begins the names of files that are being written.
const UNFINISHED: &str = ".part-";

/// A folder of finished blocks.
///
/// A part is, little-endian: for each user the number of items as u32, then each item's position as
/// u32 and score as float32; at the end the CRC-32 of all that. Parts are renamed into place and
/// not synced: what a system crash leaves of one fails its checksum and is made again.
///
/// The file that names the job is locked as long as the job runs, so that a second job for the same
/// target is refused rather than mixed with the first.
pub(super) struct Parts {
    target: PathBuf,
    folder: PathBuf,
    journal: String,
    /// The journal, open and locked; `None` before the first part.
    file: Option<File>,
}

impl Parts {
    /// Whether parts can be kept: not where the target is standard output, a pipe or a device.
    pub(super) fn are_possible(target: &Path) -> bool {
        Draft::is_possible(target)
    }

    /// The parts beside a target, of the job that `fingerprint` tells from others. Those of an
    /// earlier job are kept if `resume`, else deleted. Makes no folder yet.
    pub(super) fn open(target: &Path, fingerprint: &str, resume: bool) -> Result<Parts, SaveError> {
        let mut name = target.as_os_str().to_os_string();
        name.push(".parts");
        let mut folder = PathBuf::from(name);
        // The process may change its folder before the table is whole.
        if let Ok(absolute) = std::path::absolute(&folder) {
            folder = absolute;
        }
        let journal = format!("{FIRST_LINE}\n{fingerprint}\n");
        let left = match left_journal(&folder) {
            Ok(left) => left,
            // Killed between making the folder and its journal.
            Err(e) if e.kind() == io::ErrorKind::NotFound && is_just_begun(&folder) => None,
            Err(e) => return Err(save_error(&folder.join(JOURNAL), e)),
        };
        let mut parts = Parts { target: target.to_path_buf(), folder, journal, file: None };
        if let Some((file, left)) = left {
            if resume && left != parts.journal {
                return Err(parts.of_another(&left));
            }
            parts.file = Some(file);
            if !resume {
                parts.delete(&left)?;
            }
        }
        Ok(parts)
    }

    fn of_another(&self, left: &str) -> SaveError {
        let (got, expected) = (left.lines().nth(1).unwrap_or(""), self.journal.lines().nth(1));
        let problem = format!(
            "it holds the parts of another job, got \"{}\", expected \"{}\": repeat the original \
             options, or leave out resume to start over",
            crate::error::printable(got),
            expected.unwrap_or("")
        );
        refused(&self.folder, problem)
    }

    fn delete(&mut self, left: &str) -> Result<(), SaveError> {
        if !left.starts_with(FIRST_LINE) {
            let problem = "it is in the way and not a folder of parts: move it";
            return Err(refused(&self.folder, problem));
        }
        remove(&self.folder).map_err(|e| save_error(&self.folder, e))?;
        self.file = None;
        Ok(())
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("part-{number:08}"))
    }

    /// A block that was kept; `None` if there is none or it is damaged.
    pub(super) fn read(
        &self,
        number: usize,
        n_users: usize,
        n_items: usize,
    ) -> Option<Vec<Vec<Hit>>> {
        let bytes = self.file.is_some().then(|| fs::read(self.path(number)).ok())??;
        decode(&bytes, n_users, n_items)
    }

    /// Keeps a block.
    pub(super) fn write(&mut self, number: usize, lists: &[Vec<Hit>]) -> Result<(), SaveError> {
        let path = self.path(number);
        if self.file.is_none() {
            let begun = begin(&self.folder, self.journal.as_bytes());
            self.file = Some(begun.map_err(|e| save_error(&self.folder, e))?);
        }
        let written = replace(&self.folder, &path, &encode(lists));
        written.map_err(|e| save_error(&path, e))
    }

    /// Deletes them: the table is whole.
    pub(super) fn remove(self) -> Result<(), SaveError> {
        if self.file.is_none() {
            return Ok(());
        }
        remove(&self.folder).map_err(|source| SaveError::Replaced {
            path: self.target.clone(),
            step: "removing its parts".into(),
            source,
            remedy: format!("delete the folder {}", self.folder.display()),
        })
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // A process forked meanwhile has the file open, too, and would keep the lock.
            let _ = file.unlock();
        }
    }
}

/// The journal in a folder, locked, and what it says; `None` where there is no folder.
fn left_journal(folder: &Path) -> io::Result<Option<(File, String)>> {
    let path = folder.join(JOURNAL);
    loop {
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.exists() => return Ok(None),
            Err(e) => return Err(e),
        };
        if system::try_lock(&file) == Lock::Busy {
            return Err(in_use());
        }
        // Else the job that had the lock is done, and has removed it since.
        if system::is_named(&file, &path) {
            let mut left = String::new();
            file.read_to_string(&mut left)?;
            return Ok(Some((file, left)));
        }
    }
}

fn in_use() -> io::Error {
    let problem = "another job is writing the same table: wait for its end, or write to another \
                   file";
    io::Error::new(io::ErrorKind::WouldBlock, problem)
}

/// Makes the folder and its journal, locked, unless another job has just done so.
fn begin(folder: &Path, journal: &[u8]) -> io::Result<File> {
    system::create_folder(folder)?;
    let (mut file, temporary) = unfinished(folder)?;
    file.write_all(journal)?;
    system::try_lock(&file.0);
    let path = folder.join(JOURNAL);
    match fs::hard_link(&temporary, &path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(in_use()),
        // Not every file system has links.
        Err(_) => system::rename(&temporary, &path)?,
    }
    Ok(file.0)
}

/// A file in the folder that is removed unless it is renamed.
fn unfinished(folder: &Path) -> io::Result<(Output, tempfile::TempPath)> {
    let (file, path) =
        tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?.into_parts();
    Ok((Output(file), path))
}

/// Whether a folder holds nothing but files that were about to be renamed.
fn is_just_begun(folder: &Path) -> bool {
    let unfinished = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED))
    };
    fs::read_dir(folder).is_ok_and(|mut entries| entries.all(unfinished))
}

/// Deletes what this file writes and nothing else.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("part-") || name.starts_with(UNFINISHED) {
            system::remove(&path)?;
        }
    }
    // Last: a folder without it would be nobody's.
    system::remove(&folder.join(JOURNAL))?;
    match system::remove_folder(folder) {
        // The next job has begun in it.
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        done => done,
    }
}

fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, temporary) = unfinished(folder)?;
    file.write_all(bytes)?;
    system::rename(&temporary, path)
}

fn encode(lists: &[Vec<Hit>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for hits in lists {
        bytes.extend((hits.len() as u32).to_le_bytes());
        for hit in hits {
            bytes.extend(hit.position.to_le_bytes());
            bytes.extend(hit.distance.to_le_bytes());
        }
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8], n_users: usize, n_items: usize) -> Option<Vec<Vec<Hit>>> {
    let (mut rest, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut lists = Vec::new();
    while let Some((count, tail)) = rest.split_first_chunk::<4>() {
        let len = (u32::from_le_bytes(*count) as usize).checked_mul(8)?;
        let (hits, tail) = tail.split_at_checked(len)?;
        let (hits, _) = hits.as_chunks::<8>();
        let hit = |&[a, b, c, d, e, f, g, h]: &[u8; 8]| Hit {
            position: u32::from_le_bytes([a, b, c, d]),
            distance: f32::from_le_bytes([e, f, g, h]),
        };
        lists.push(hits.iter().map(hit).collect());
        rest = tail;
    }
    let exist = |hits: &Vec<Hit>| hits.iter().all(|hit| (hit.position as usize) < n_items);
    (rest.is_empty() && lists.len() == n_users && lists.iter().all(exist)).then_some(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Vec<Vec<Hit>> {
        let hit = |position| Hit { position, distance: position as f32 / 3.0 };
        vec![vec![hit(1), hit(0)], vec![], vec![hit(4)]]
    }

    #[test]
    fn a_part_comes_back_and_a_damaged_one_does_not() {
        let bytes = encode(&lists());
        assert_eq!(decode(&bytes, 3, 5), Some(lists()));
        assert_eq!((decode(&bytes, 2, 5), decode(&bytes, 3, 4)), (None, None));
        for at in 0..bytes.len() {
            assert_eq!(decode(&bytes[..at], 3, 5), None, "cut at {at}");
            let mut wrong = bytes.clone();
            wrong[at] ^= 16;
            assert_eq!(decode(&wrong, 3, 5), None, "bit at {at}");
        }
        let mut huge = u32::MAX.to_le_bytes().to_vec();
        huge.extend(crc32fast::hash(&huge).to_le_bytes());
        assert_eq!(decode(&huge, 1, 5), None);
    }

    #[test]
    fn parts_are_found_by_the_same_job_alone_and_go_without_a_trace() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t.csv");
        let mut parts = Parts::open(&target, "k 3", true).unwrap();
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing before a part");
        // What a kill may leave before the first part.
        fs::create_dir(&parts.folder).unwrap();
        fs::write(parts.folder.join(".part-x"), "half").unwrap();
        assert!(Parts::open(&target, "k 4", true).is_ok());
        parts.write(1, &lists()).unwrap();
        drop(parts);
        let again = Parts::open(&target, "k 3", true).unwrap();
        assert_eq!((again.read(1, 3, 5), again.read(0, 3, 5)), (Some(lists()), None));
        drop(again);
        let error = Parts::open(&target, "k 4", true).err().unwrap().to_string();
        assert!(error.contains("got \"k 3\", expected \"k 4\""), "{error}");
        let mut fresh = Parts::open(&target, "k 4", false).unwrap();
        assert_eq!(fresh.read(1, 3, 5), None);
        fresh.write(0, &lists()).unwrap();
        fresh.remove().unwrap();
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_second_job_for_a_table_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t.csv");
        let mut first = Parts::open(&target, "k 3", false).unwrap();
        let mut second = Parts::open(&target, "k 3", false).unwrap();
        first.write(0, &lists()).unwrap();
        let error = second.write(0, &lists()).unwrap_err().to_string();
        assert!(error.contains("another job is writing the same table"), "{error}");
        for resume in [false, true] {
            let error = Parts::open(&target, "k 3", resume).err().unwrap().to_string();
            assert!(error.contains("another job is writing the same table"), "{error}");
        }
        assert_eq!(first.read(0, 3, 5), Some(lists()));
        first.remove().unwrap();
        second.write(0, &lists()).unwrap();
        second.remove().unwrap();
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn parts_that_cannot_be_removed_are_told_as_what_they_are() {
        use crate::store::system::Call;
        use crate::store::system::faults::{always, during};
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t.csv");
        let mut parts = Parts::open(&target, "k 3", false).unwrap();
        parts.write(0, &lists()).unwrap();
        let error = during(always(Call::Remove, 5), || parts.remove()).unwrap_err();
        assert!(matches!(error, SaveError::Replaced { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("delete the folder") && !text.contains("untouched"), "{text}");
    }

    #[test]
    fn what_is_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (target, folder) = (dir.path().join("t.csv"), dir.path().join("t.csv.parts"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("part-of-me"), "mine").unwrap();
        assert!(Parts::open(&target, "k 3", false).is_err(), "no journal");
        fs::write(folder.join(JOURNAL), "my job").unwrap();
        let error = Parts::open(&target, "k 3", false).err().unwrap().to_string();
        assert!(error.contains("not a folder of parts"), "{error}");
        assert_eq!(fs::read(folder.join("part-of-me")).unwrap(), b"mine");
    }
}
