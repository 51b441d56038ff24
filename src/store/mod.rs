//! Bytes from files and into files: mapping, and writing that a crash cannot spoil.
//!
//! One of the two rooms where `unsafe` may live (the other is `kernel`).
#![allow(unsafe_code)]

mod atomic;
mod attributes;
mod beside;
mod nameless;
mod open;
mod pages;
mod place;
mod room;
pub(crate) mod system;
mod target;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{OpenError, is_unmappable};
use crate::progress;
pub use atomic::write_atomic;
pub(crate) use atomic::{AtomicFile, refused, save_error};
pub(crate) use open::open_regular;
pub use room::{Buffer, Draft, Room};

/// Bytes that are copied, written or synced between two looks for an interruption.
pub(crate) const PART: usize = 1 << 22;

/// The bytes of a file: mapped, or in memory. Cheap to clone, shared by all clones; always starts
/// at a multiple of 64.
#[derive(Clone)]
pub struct Bytes(Source);

/// Which file a map is of: equal for two maps of one file that was not changed between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    /// When the file was last changed: an inode is used again after its file is gone.
    changed: (i64, i64),
}

impl FileIdentity {
    #[cfg(unix)]
    fn of(metadata: &std::fs::Metadata) -> Option<FileIdentity> {
        use std::os::unix::fs::MetadataExt;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some(FileIdentity { device: metadata.dev(), inode: metadata.ino(), changed })
    }

    #[cfg(not(unix))]
    fn of(_: &std::fs::Metadata) -> Option<FileIdentity> {
        None
    }
}

#[derive(Clone)]
enum Source {
    Mapped(Arc<Mmap>, Option<FileIdentity>),
    Memory(Arc<Buffer>),
}

impl Bytes {
    /// Maps a file. Nothing is read until it is touched, unless `prefault` asks the system to read
    /// it all at once, in large pages where it has them.
    ///
    /// The map keeps the file as it is now: replacing it (rename, as [`write_atomic`] does) leaves
    /// this map on the old content. Truncating the mapped file in place is outside what any mapping
    /// survives: the system then kills the reader (SIGBUS).
    ///
    /// # Errors
    /// If the file cannot be opened or mapped, or is no regular file.
    pub fn map(path: &Path, prefault: bool) -> Result<Bytes, OpenError> {
        let file = open_regular(path)?;
        let refused = |source| OpenError::Io { path: path.to_path_buf(), source };
        let metadata = file.metadata().map_err(refused)?;
        if metadata.len() == 0 {
            return Ok(Bytes::copy(&[]));
        }
        let map = map_file(&file)
            .map_err(|source| OpenError::Map { path: path.to_path_buf(), source })?;
        if prefault {
            pages::read_all(&map);
        }
        Ok(Bytes(Source::Mapped(Arc::new(map), FileIdentity::of(&metadata))))
    }

    /// Reads a whole file into memory: for file systems that do not map files. What happens to the
    /// file afterwards does not matter.
    ///
    /// # Errors
    /// If the file cannot be read, is no regular file, or does not fit in memory.
    pub fn read(path: &Path) -> Result<Bytes, OpenError> {
        let mut file = open_regular(path)?;
        read_whole(&mut file).map_err(|source| OpenError::Io { path: path.to_path_buf(), source })
    }

    /// Maps a file, or reads it into memory where its file system does not map files.
    ///
    /// # Errors
    /// As [`map`](Self::map) and [`read`](Self::read).
    pub fn map_or_read(path: &Path) -> Result<Bytes, OpenError> {
        match Bytes::map(path, false) {
            Err(error) if error.is_unmappable() => Bytes::read(path),
            done => done,
        }
    }

    /// Keeps the bytes in physical memory until they are unmapped: reads them all and asks the
    /// system never to page them out. Bytes that were copied stay as they are.
    ///
    /// # Errors
    /// If the system refuses, most often because of its limit on locked memory.
    pub fn lock(&self) -> io::Result<()> {
        match &self.0 {
            #[cfg(unix)]
            Source::Mapped(map, _) => map.lock(),
            _ => Ok(()),
        }
    }

    /// A copy of `bytes` in memory.
    #[must_use]
    pub fn copy(bytes: &[u8]) -> Bytes {
        let mut buffer = Buffer::in_memory(bytes.len());
        for (to, from) in buffer.as_mut().chunks_mut(PART).zip(bytes.chunks(PART)) {
            progress::check();
            to.copy_from_slice(from);
        }
        buffer.into()
    }

    /// Whether the bytes are a mapped file's.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Source::Mapped(..))
    }

    /// Which file is mapped; `None` for bytes in memory, and where the system cannot tell.
    #[must_use]
    pub fn file_identity(&self) -> Option<FileIdentity> {
        match self.0 {
            Source::Mapped(_, identity) => identity,
            Source::Memory(_) => None,
        }
    }
}

impl From<Buffer> for Bytes {
    fn from(buffer: Buffer) -> Bytes {
        Bytes(Source::Memory(Arc::new(buffer)))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Mapped(map, _) => map,
            Source::Memory(bytes) => (**bytes).as_ref(),
        }
    }
}

fn map_file(file: &File) -> io::Result<Mmap> {
    system::check_map()?;
    // SAFETY: the map is only ever read, as plain bytes and numbers of which any value is valid.
    // Rust takes shared memory for constant, which it is as long as no process writes to the file:
    // that is the condition, and nearwood keeps it, since it replaces files and never writes into
    // one. Should another process break it, readers limit the harm: what a length or an index is
    // taken from is copied out of the map, checked, and only then used; text is copied and then
    // checked. Answers may then be wrong. Truncation cannot be guarded against: see `Bytes::map`.
    match unsafe { Mmap::map(file) } {
        Err(error) if is_unmappable(&error) => {
            // Some file systems (FUSE without a cache) refuse shared maps alone.
            // SAFETY: as above; nothing is written to the private copy.
            unsafe { memmap2::MmapOptions::new().map_copy_read_only(file) }
        }
        done => done,
    }
}

fn read_whole(file: &mut File) -> io::Result<Bytes> {
    let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
    let length = usize::try_from(file.metadata()?.len()).map_err(|_| too_large())?;
    let mut buffer = Buffer::try_in_memory(length).ok_or_else(too_large)?;
    file.read_exact(buffer.as_mut())?;
    Ok(buffer.into())
}

/// The most bytes that this process may lock, as the system's limit says; `None` without one.
pub(crate) fn lock_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    use crate::store::*;

    #[test]
    fn two_maps_of_one_file_have_one_identity() {
        let folder = tempfile::tempdir().unwrap();
        let identity = |name: &str| {
            let bytes = Bytes::map(&folder.path().join(name), false).unwrap();
            bytes.file_identity().unwrap()
        };
        std::fs::write(folder.path().join("a"), b"one").unwrap();
        std::fs::write(folder.path().join("b"), b"one").unwrap();
        assert_eq!(identity("a"), identity("a"));
        assert_ne!(identity("a"), identity("b"));
        let first = identity("a");
        write_atomic(&folder.path().join("a"), b"two").unwrap();
        assert_ne!(identity("a"), first);
        assert_eq!(Bytes::copy(b"one").file_identity(), None);
        assert_eq!(Bytes::read(&folder.path().join("a")).unwrap().file_identity(), None);
    }
}
