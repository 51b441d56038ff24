//! Blocks of lists kept beside a table that is not whole yet.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::SaveError;
use crate::index::Hit;
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
pub(super) struct Parts {
    folder: PathBuf,
    journal: String,
    exists: bool,
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
        let folder = PathBuf::from(name);
        let journal = format!("{FIRST_LINE}\n{fingerprint}\n");
        let left = match fs::read_to_string(folder.join(JOURNAL)) {
            Ok(left) => Some(left),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.exists() => None,
            // Killed between making the folder and its journal.
            Err(e) if e.kind() == io::ErrorKind::NotFound && is_just_begun(&folder) => None,
            Err(e) => return Err(save_error(&folder.join(JOURNAL), e)),
        };
        let mut parts = Parts { folder, exists: left.is_some(), journal };
        match left {
            Some(left) if resume && left != parts.journal => {
                return Err(parts.of_another(&left));
            }
            Some(left) if !resume => parts.delete(&left)?,
            _ => {}
        }
        Ok(parts)
    }

    fn of_another(&self, left: &str) -> SaveError {
        let (got, expected) = (left.lines().nth(1).unwrap_or(""), self.journal.lines().nth(1));
        let problem = format!(
            "it holds the parts of another job, got \"{got}\", expected \"{}\": ask as the first \
             time, or without resume to begin anew",
            expected.unwrap_or("")
        );
        refused(&self.folder, problem)
    }

    fn delete(&mut self, left: &str) -> Result<(), SaveError> {
        if !left.starts_with(FIRST_LINE) {
            let problem = "it is in the way and not a folder of parts: move it";
            return Err(refused(&self.folder, problem));
        }
        self.exists = false;
        remove(&self.folder).map_err(|e| save_error(&self.folder, e))
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
        let bytes = self.exists.then(|| fs::read(self.path(number)).ok())??;
        decode(&bytes, n_users, n_items)
    }

    /// Keeps a block.
    pub(super) fn write(&mut self, number: usize, lists: &[Vec<Hit>]) -> Result<(), SaveError> {
        let path = self.path(number);
        let write = || {
            if !self.exists {
                fs::create_dir_all(&self.folder)?;
                replace(&self.folder, &self.folder.join(JOURNAL), self.journal.as_bytes())?;
            }
            replace(&self.folder, &path, &encode(lists))
        };
        write().map_err(|e| save_error(&path, e))?;
        self.exists = true;
        Ok(())
    }

    /// Deletes them: the table is whole.
    pub(super) fn remove(self) -> Result<(), SaveError> {
        if self.exists {
            remove(&self.folder).map_err(|e| save_error(&self.folder, e))?;
        }
        Ok(())
    }
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
            fs::remove_file(path)?;
        }
    }
    // Last: a folder without it would be nobody's.
    fs::remove_file(folder.join(JOURNAL))?;
    fs::remove_dir(folder)
}

fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
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
        let again = Parts::open(&target, "k 3", true).unwrap();
        assert_eq!((again.read(1, 3, 5), again.read(0, 3, 5)), (Some(lists()), None));
        let error = Parts::open(&target, "k 4", true).err().unwrap().to_string();
        assert!(error.contains("got \"k 3\", expected \"k 4\""), "{error}");
        let anew = Parts::open(&target, "k 4", false).unwrap();
        assert_eq!(anew.read(1, 3, 5), None);
        parts.exists = false;
        parts.write(0, &lists()).unwrap();
        parts.remove().unwrap();
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
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
