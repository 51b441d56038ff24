//! Bytes from files and into files: mapping, and writing that a crash cannot spoil.
//!
//! One of the two rooms where `unsafe` may live (the other is `kernel`).
#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{OpenError, SaveError};
use crate::format::AlignedBytes;

/// The bytes of a file: mapped, or in memory. Cheap to clone, shared by all clones; always starts
/// at a multiple of 64.
#[derive(Clone)]
pub struct Bytes(Source);

#[derive(Clone)]
enum Source {
    Mapped(Arc<Mmap>),
    Memory(Arc<AlignedBytes>),
}

impl Bytes {
    /// Maps a file. Nothing is read until it is touched, unless `prefault` asks the system to read
    /// it all at once.
    ///
    /// The map keeps the file as it is now: replacing it (rename, as [`write_atomic`] does) leaves
    /// this map on the old content. Truncating the mapped file in place is outside what any mapping
    /// survives: the system then kills the reader (SIGBUS).
    ///
    /// # Errors
    /// If the file cannot be opened or mapped.
    pub fn map(path: &Path, prefault: bool) -> Result<Bytes, OpenError> {
        let io = |source| OpenError::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() == 0 {
            return Ok(Bytes::copy(&[]));
        }
        let mut options = memmap2::MmapOptions::new();
        if prefault {
            options.populate();
        }
        // SAFETY: the map is only ever read, as plain bytes of which any value is valid, and the
        // reader checks what it finds there, so a file changed underneath gives wrong answers or
        // errors. What cannot be guarded against is said above.
        let map = unsafe { options.map(&file) }.map_err(io)?;
        Ok(Bytes(Source::Mapped(Arc::new(map))))
    }

    /// A copy of `bytes` in memory.
    #[must_use]
    pub fn copy(bytes: &[u8]) -> Bytes {
        AlignedBytes::copy(bytes).into()
    }

    /// Whether the bytes are a mapped file's.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Source::Mapped(_))
    }
}

impl From<AlignedBytes> for Bytes {
    fn from(bytes: AlignedBytes) -> Bytes {
        Bytes(Source::Memory(Arc::new(bytes)))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Mapped(map) => map,
            Source::Memory(bytes) => (**bytes).as_ref(),
        }
    }
}

/// Writes `bytes` to `path` so that whatever happens the old file or the new one stands there:
/// a temporary file beside it, synced, renamed over it, and the folder synced.
///
/// # Errors
/// If the system refuses at any step; the temporary file is then removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    let io = |source| SaveError::Io { path: path.to_path_buf(), source };
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".nearwood-")
        .suffix(".tmp")
        .permissions_of_new_file()
        .tempfile_in(folder)
        .map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    sync_folder(folder);
    Ok(())
}

/// Makes the rename itself durable where folders can be synced; a failure loses nothing that stands.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

trait NewFilePermissions {
    fn permissions_of_new_file(&mut self) -> &mut Self;
}

impl NewFilePermissions for tempfile::Builder<'_, '_> {
    /// The mode of any new file (0666 less the umask), not the private 0600 of temporary files:
    /// other processes are to map what was saved.
    fn permissions_of_new_file(&mut self) -> &mut Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            self.permissions(std::fs::Permissions::from_mode(0o666));
        }
        self
    }
}
