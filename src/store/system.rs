//! Every call that changes a disk, one small function per call.
//!
//! All writing of this crate goes through these functions, so that a test can make any call fail
//! (`faults`).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

/// The calls, by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    /// Creates a file or a folder, or opens one to write.
    Create,
    /// Writes bytes.
    Write,
    /// Changes a file's length.
    Resize,
    /// Has a file's bytes put on the disk.
    Sync,
    /// Opens a folder, to sync it later.
    OpenFolder,
    /// Has a folder's names put on the disk.
    SyncFolder,
    /// Gives an open file a name.
    Link,
    /// Renames a file over another.
    Rename,
    /// Removes a file or a folder.
    Remove,
    /// Changes a file's mode.
    Mode,
    /// Maps a file.
    Map,
}

#[cfg(not(test))]
fn check(_: Call) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
fn check(call: Call) -> io::Result<()> {
    faults::next(call)
}

/// Opens a file with `options`.
pub(crate) fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    check(Call::Create)?;
    options.open(path)
}

/// Makes a folder, and those above it.
#[cfg(feature = "tables")]
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    check(Call::Create)?;
    fs::create_dir_all(path)
}

/// A file that is written through these calls.
pub(crate) struct Output(pub(crate) File);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check(Call::Write)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Stands before a file is mapped: mapping is unsafe, and is done where its condition is seen.
pub(crate) fn check_map() -> io::Result<()> {
    check(Call::Map)
}

/// Sets a file's length.
pub(crate) fn set_len(file: &File, length: u64) -> io::Result<()> {
    check(Call::Resize)?;
    file.set_len(length)
}

/// Puts a file's bytes on the disk. A file system that cannot sync is no error: it has told that
/// it promises nothing, and nothing can be done about it.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    check(Call::Sync).and_then(|()| file.sync_all()).or_else(unless_unsupported)
}

/// A folder to sync once a name in it has changed; `None` where it may not be read.
pub(crate) fn open_folder(folder: &Path) -> io::Result<Option<File>> {
    #[cfg(unix)]
    return match check(Call::OpenFolder).and_then(|()| File::open(folder)) {
        Ok(file) => Ok(Some(file)),
        Err(e) => unless_unsupported(e).map(|()| None),
    };
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(None)
    }
}

/// Puts a folder's names on the disk: a rename lasts only from then on. Where the file system does
/// not sync folders (CIFS, 9p, some FUSE), or the folder may not be read, the rename lasts as that
/// file system has it.
pub(crate) fn sync_folder(folder: Option<&File>) -> io::Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    check(Call::SyncFolder).and_then(|()| folder.sync_all()).or_else(unless_unsupported)
}

/// Passes over an error that says "not here" rather than "it failed".
fn unless_unsupported(error: io::Error) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, IsADirectory, PermissionDenied, Unsupported};
    #[cfg(unix)]
    let more = [rustix::io::Errno::BADF, rustix::io::Errno::ROFS, rustix::io::Errno::NOTTY];
    #[cfg(unix)]
    let is_more = more.iter().any(|e| Some(e.raw_os_error()) == error.raw_os_error());
    #[cfg(not(unix))]
    let is_more = false;
    match error.kind() {
        InvalidInput | IsADirectory | PermissionDenied | Unsupported => Ok(()),
        _ if is_more => Ok(()),
        _ => Err(error),
    }
}

/// Gives an open file without a name the name `path`, which must be free.
#[cfg(target_os = "linux")]
pub(crate) fn link(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    check(Call::Link)?;
    Ok(linkat(CWD, open_path(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn link(_file: &File, _path: &Path) -> io::Result<()> {
    check(Call::Link)?;
    Err(io::ErrorKind::Unsupported.into())
}

/// The path that stands for an open file.
#[cfg(target_os = "linux")]
pub(crate) fn open_path(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Renames a file, over another if there is one.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    check(Call::Rename)?;
    fs::rename(from, to)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    check(Call::Remove)?;
    fs::remove_file(path)
}

/// Removes an empty folder.
#[cfg(feature = "tables")]
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    check(Call::Remove)?;
    fs::remove_dir(path)
}

/// Sets the mode of an open file.
#[cfg(unix)]
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    check(Call::Mode)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// What came of asking for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// This open file has it, until it is closed.
    Taken,
    /// Another open file has it, in this process or in another.
    Busy,
    /// The file system has no locks.
    Unsupported,
}

/// Asks for the lock of an open file, and does not wait for it.
pub(crate) fn try_lock(file: &File) -> Lock {
    match file.try_lock() {
        Ok(()) => Lock::Taken,
        Err(TryLockError::WouldBlock) => Lock::Busy,
        Err(TryLockError::Error(_)) => Lock::Unsupported,
    }
}

/// Whether a path still names this open file.
pub(crate) fn is_named(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let of = |meta: fs::Metadata| (meta.dev(), meta.ino());
        match (file.metadata(), fs::symlink_metadata(path)) {
            (Ok(file), Ok(named)) => of(file) == of(named),
            _ => false,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// Failures on request, for tests: of the calls of this thread.
#[cfg(test)]
pub(crate) mod faults {
    use std::cell::RefCell;
    use std::io;

    use super::Call;

    type Hook = Box<dyn FnMut(Call) -> Option<io::Error>>;

    thread_local!(static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) });

    pub(super) fn next(call: Call) -> io::Result<()> {
        HOOK.with_borrow_mut(|hook| match hook.as_mut().and_then(|hook| hook(call)) {
            Some(error) => Err(error),
            None => Ok(()),
        })
    }

    /// Runs `body` while `hook` says which calls fail, and with what.
    pub(crate) fn during<T>(
        hook: impl FnMut(Call) -> Option<io::Error> + 'static,
        body: impl FnOnce() -> T,
    ) -> T {
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                HOOK.set(None);
            }
        }
        HOOK.set(Some(Box::new(hook)));
        let _off = Off;
        body()
    }

    /// A hook that fails every call of one kind with one error of the system.
    pub(crate) fn always(which: Call, number: i32) -> impl FnMut(Call) -> Option<io::Error> {
        move |call| (call == which).then(|| io::Error::from_raw_os_error(number))
    }
}
