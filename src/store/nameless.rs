//! Files that have no name while they are written: whatever ends the process, a signal that cannot
//! be caught among others, the system removes them.

use std::fs::File;
use std::io;
use std::path::Path;

/// A file that has no name, and whether it can be given one: only Linux can, on most of its file
/// systems and where `/proc` is mounted.
#[cfg(target_os = "linux")]
pub(super) fn nameless(folder: &Path) -> io::Result<(File, bool)> {
    use super::system;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
    let mut options = File::options();
    options.read(true).write(true).mode(0o666).custom_flags(flags);
    match system::open(&options, folder) {
        Ok(file) => {
            let can_be_named = system::open_path(&file).exists();
            Ok((file, can_be_named))
        }
        Err(_) => Ok((tempfile::tempfile_in(folder)?, false)),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn nameless(folder: &Path) -> io::Result<(File, bool)> {
    Ok((tempfile::tempfile_in(folder)?, false))
}
