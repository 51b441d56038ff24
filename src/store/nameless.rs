//! Files that have no name while they are written, so that nothing is left of them whatever ends the
//! process, a signal that cannot be caught among others.

use std::fs::File;
use std::io;
use std::path::Path;

/// A file that has no name, and whether it can be given one: only Linux can, on most of its file
/// systems and where `/proc` is mounted.
#[cfg(target_os = "linux")]
pub(super) fn nameless(folder: &Path) -> io::Result<(File, bool)> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
    let mut options = File::options();
    match options.read(true).write(true).mode(0o666).custom_flags(flags).open(folder) {
        Ok(file) => {
            let can_be_named = open_path(&file).exists();
            Ok((file, can_be_named))
        }
        Err(_) => Ok((tempfile::tempfile_in(folder)?, false)),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn nameless(folder: &Path) -> io::Result<(File, bool)> {
    Ok((tempfile::tempfile_in(folder)?, false))
}

/// What stands for an open file.
#[cfg(target_os = "linux")]
fn open_path(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Gives a file without a name, whose bytes are on the disk, that of its target, with the target's
/// permissions. Where that exists it goes by way of a temporary name: a link does not replace.
#[cfg(target_os = "linux")]
pub(super) fn name(file: &File, target: &Path) -> io::Result<()> {
    use super::atomic::{folder, persist, resolved, sync_folder};
    use rustix::fs::{AtFlags, CWD, linkat};
    let target = resolved(target);
    let open = open_path(file);
    let link = |path: &Path| -> io::Result<()> {
        Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    };
    match link(&target) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        done => return done.and_then(|()| sync_folder(folder(&target))),
    }
    if let Ok(meta) = std::fs::metadata(&target) {
        file.set_permissions(meta.permissions())?;
    }
    let named = tempfile::Builder::new().prefix(".nearwood-").make_in(folder(&target), link)?;
    persist(named, &target)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn name(_file: &File, _target: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
