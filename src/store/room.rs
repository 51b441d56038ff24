//! Room for what may be larger than memory: files without a name, mapped for writing.
//!
//! A [`Draft`] becomes a file when it is committed; a [`Buffer`] never does. Neither has a name
//! while it is written, so the system removes them whatever ends the process (a crash, Ctrl-C, a
//! kill). Their blocks are reserved beforehand: a full disk is an error, not a signal.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use memmap2::{MmapMut, MmapOptions};

use super::PART;
use super::atomic::{save_error, write_atomic};
use super::nameless::nameless;
use super::pages::ask_large;
use super::place::place_unlinked;
use super::system::{self, Output};
use super::target::{Target, folder, is_stream};
use crate::error::SaveError;
use crate::error::is_unmappable;
use crate::kernel::Aligned;
use crate::progress;

/// Where a build keeps its large parts while it works.
#[derive(Debug, Clone, Default)]
pub enum Room {
    /// In memory.
    #[default]
    Memory,
    /// In files without a name in this folder, mapped: the system keeps in memory what fits.
    Folder(PathBuf),
}

impl Room {
    /// Files in the folder of `target`.
    #[must_use]
    pub fn beside(target: &Path) -> Room {
        let file = Target::file(target).unwrap_or_else(|_| target.to_path_buf());
        Room::Folder(folder(&file).to_path_buf())
    }

    /// `length` zeros.
    ///
    /// # Errors
    /// If the folder cannot be written or its disk is too full.
    pub fn buffer(&self, length: usize) -> io::Result<Buffer> {
        Ok(Buffer(match self {
            Room::Folder(folder) if length > 0 => {
                let (file, _) = nameless(folder)?;
                Memory::Mapped(map(&file, length)?)
            }
            _ => return Ok(Buffer::in_memory(length)),
        }))
    }
}

impl Room {
    /// [`buffer`](Self::buffer), in memory where the folder's file system does not map files.
    ///
    /// # Errors
    /// As [`buffer`](Self::buffer) otherwise.
    pub fn buffer_or_in_memory(&self, length: usize) -> io::Result<Buffer> {
        match self.buffer(length) {
            Err(error) if is_unmappable(&error) => Ok(Buffer::in_memory(length)),
            done => done,
        }
    }
}

/// From so many bytes on a buffer in memory is mapped: an allocator may keep what it is given back, up
/// to 32 MiB at a time where glibc's is, and a build would hold codes that are done with.
const MAPPED: usize = 1 << 20;

/// Bytes to work in, at a multiple of 64; gone when dropped.
pub struct Buffer(Memory);

enum Memory {
    Allocated(Aligned<u8>),
    Mapped(MmapMut),
}

impl Buffer {
    /// `length` zeros in memory.
    #[must_use]
    pub fn in_memory(length: usize) -> Buffer {
        let mapped = if length < MAPPED { None } else { MmapMut::map_anon(length).ok() };
        mapped.iter().for_each(ask_large);
        // Where no more can be mapped, the allocator says so in its own way.
        Buffer(match mapped {
            Some(map) => Memory::Mapped(map),
            None => Memory::Allocated(Aligned::zeroed(length)),
        })
    }
}

impl Buffer {
    /// `length` zeros in memory, or none where there is not so much.
    pub(super) fn try_in_memory(length: usize) -> Option<Buffer> {
        match length {
            0..MAPPED => Some(Buffer::in_memory(length)),
            _ => MmapMut::map_anon(length).ok().map(|map| Buffer(Memory::Mapped(map))),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Memory::Allocated(bytes) => bytes,
            Memory::Mapped(map) => map,
        }
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::Allocated(bytes) => bytes,
            Memory::Mapped(map) => map,
        }
    }
}

/// A file that is composed in place, before it has a name; dropped uncommitted it was never there,
/// and its target is as it was.
pub struct Draft {
    /// As it was given.
    path: PathBuf,
    body: Body,
}

enum Body {
    Mapped {
        /// The path with its links followed.
        target: PathBuf,
        file: File,
        map: MmapMut,
        /// Whether the file can be given a name.
        can_be_named: bool,
    },
    /// Where the file system does not map files.
    Memory(Buffer),
}

impl Draft {
    /// `length` zeros (at least one) on the disk of `target`.
    ///
    /// # Errors
    /// If the target is a folder or write-protected, its folder cannot be written, the disk is too
    /// full, or its file system does not map files.
    pub fn create(path: &Path, length: usize) -> Result<Draft, SaveError> {
        let open = || {
            let target = Target::file(path)?;
            let (file, can_be_named) = nameless(folder(&target))?;
            let map = map(&file, length)?;
            let body = Body::Mapped { target, file, map, can_be_named };
            Ok(Draft { path: path.to_path_buf(), body })
        };
        open().map_err(|source| save_error(path, source))
    }

    /// [`create`](Self::create), in memory where the file system does not map files.
    ///
    /// # Errors
    /// As [`create`](Self::create) otherwise.
    pub fn create_or_in_memory(path: &Path, length: usize) -> Result<Draft, SaveError> {
        match Draft::create(path, length) {
            Err(SaveError::Io { source, .. }) if is_unmappable(&source) => {
                let body = Body::Memory(Buffer::in_memory(length));
                Ok(Draft { path: path.to_path_buf(), body })
            }
            done => done,
        }
    }

    /// Whether files can be composed at a path: not where it is standard output, a pipe or a
    /// device.
    #[must_use]
    pub fn is_possible(target: &Path) -> bool {
        !is_stream(target)
    }

    /// Writes what is still in memory alone, then puts the file at its target.
    ///
    /// # Errors
    /// If the system refuses at any step; the target is then as it was, but for
    /// [`SaveError::Replaced`].
    pub fn commit(self) -> Result<(), SaveError> {
        let path = self.path;
        match self.body {
            Body::Mapped { target, file, map, can_be_named: true } => {
                // Part by part: one flush of all could not be interrupted.
                let flushed = (0..map.len()).step_by(PART).try_for_each(|at| {
                    progress::check();
                    map.flush_range(at, PART.min(map.len() - at))
                });
                let synced = flushed.and_then(|()| system::sync(&file)).map_err(Into::into);
                let placed = synced.and_then(|()| place_unlinked(&file, &target));
                placed.map_err(|failed| failed.of(&path))
            }
            Body::Mapped { map, .. } => write_atomic(&path, &map),
            Body::Memory(buffer) => write_atomic(&path, buffer.as_ref()),
        }
    }
}

impl AsRef<[u8]> for Draft {
    fn as_ref(&self) -> &[u8] {
        match &self.body {
            Body::Mapped { map, .. } => map,
            Body::Memory(buffer) => buffer.as_ref(),
        }
    }
}

impl AsMut<[u8]> for Draft {
    fn as_mut(&mut self) -> &mut [u8] {
        match &mut self.body {
            Body::Mapped { map, .. } => map,
            Body::Memory(buffer) => buffer.as_mut(),
        }
    }
}

fn map(file: &File, length: usize) -> io::Result<MmapMut> {
    reserve(file, length as u64)?;
    system::check_map()?;
    // SAFETY: the file has no name and no other handle, so nobody else writes to or truncates it;
    // its blocks are reserved, so that no write through the map can find the disk full.
    unsafe { MmapOptions::new().len(length).map_mut(file) }
}

/// Makes a file `length` long with blocks behind every byte.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::empty(), 0, length) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            done => return Ok(done?),
        }
    }
    write_zeros(file, length)
}

fn write_zeros(file: &File, length: u64) -> io::Result<()> {
    let mut file = Output(file.try_clone()?);
    let zeros = vec![0u8; 1 << 20];
    let mut left = length;
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        file.write_all(&zeros[..now as usize])?;
        left -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic::names;
    use std::fs;

    #[test]
    fn a_draft_has_no_name_before_its_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let mut draft = Draft::create(&path, 5000).unwrap();
        assert!(draft.as_ref().iter().all(|&b| b == 0));
        draft.as_mut()[4999] = 7;
        let seen = names(dir.path());
        assert!(seen.is_empty(), "{seen:?}");
        drop(draft);
        assert!(names(dir.path()).is_empty());
        for last in [1, 2] {
            let mut draft = Draft::create(&path, 5000).unwrap();
            draft.as_mut()[4999] = last;
            draft.commit().unwrap();
            assert_eq!(fs::read(&path).unwrap()[4998..], [0, last]);
            assert_eq!(names(dir.path()), ["t"]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_stay_what_they_are() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (path, link, plain) =
            (dir.path().join("t"), dir.path().join("l"), dir.path().join("plain"));
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        Draft::create(&path, 1).unwrap().commit().unwrap();
        File::create(&plain).unwrap();
        assert_eq!(mode(&path), mode(&plain));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        Draft::create(&link, 9).unwrap().commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((mode(&path), fs::read(&path).unwrap().len()), (0o640, 9));
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Draft::create(&dir.path().join("no/t"), 1).is_err());
        assert!(Draft::create(dir.path(), 1).is_err());
        assert!(Draft::create(&dir.path().join("t"), 1 << 60).is_err(), "no disk has so much");
        assert!(!Draft::is_possible(Path::new("-")) && !Draft::is_possible(Path::new("/dev/null")));
        assert!(Draft::is_possible(&dir.path().join("t")));
    }

    #[test]
    fn where_files_are_not_mapped_a_draft_is_in_memory_if_it_may() {
        use crate::store::system::Call;
        use crate::store::system::faults::{always, during};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let unmapped = |f: fn(&Path, usize) -> Result<Draft, SaveError>| {
            during(always(Call::Map, 19), || f(&path, 5))
        };
        let error = unmapped(Draft::create).err().unwrap().to_string();
        assert!(error.contains("does not map files"), "{error}");
        let mut draft = unmapped(Draft::create_or_in_memory).unwrap();
        draft.as_mut().copy_from_slice(b"whole");
        draft.commit().unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path()).len()), (b"whole".into(), 1));
    }

    #[test]
    fn buffers_are_zeroed_wherever_they_are() {
        let dir = tempfile::tempdir().unwrap();
        for room in [Room::Memory, Room::beside(&dir.path().join("t"))] {
            for length in [0, 1, 70_000, MAPPED] {
                let mut buffer = room.buffer(length).unwrap();
                assert!(buffer.as_ref().iter().all(|&b| b == 0) && buffer.as_mut().len() == length);
                buffer.as_mut().fill(1);
            }
            assert!(names(dir.path()).is_empty());
        }
    }
}
