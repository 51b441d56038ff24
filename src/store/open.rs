//! Opening files to read: regular files only.

use std::fs::{File, FileType};
use std::io;
use std::path::Path;

use crate::error::OpenError;

/// Opens a regular file, and does not wait for what is none: opening a pipe would last until
/// somebody writes into it.
pub(crate) fn open_regular(path: &Path) -> Result<File, OpenError> {
    let refused = |source| OpenError::Io { path: path.to_path_buf(), source };
    // Before it is opened: to open a device may do something.
    check(path, std::fs::metadata(path).map_err(refused)?.file_type())?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path).map_err(refused)?;
    // Once more: another may stand there by now.
    check(path, file.metadata().map_err(refused)?.file_type())?;
    Ok(file)
}

fn check(path: &Path, kind: FileType) -> Result<(), OpenError> {
    if kind.is_file() {
        return Ok(());
    }
    let path = path.to_path_buf();
    if kind.is_dir() {
        return Err(OpenError::Io { path, source: io::ErrorKind::IsADirectory.into() });
    }
    Err(OpenError::NotAFile { path, got: name(kind) })
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        _ if kind.is_fifo() => "pipe",
        _ if kind.is_socket() => "socket",
        _ => "device",
    }
}

#[cfg(not(unix))]
fn name(_kind: FileType) -> &'static str {
    "device"
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for (path, expected) in [
            (at("pipe"), "it is a pipe"),
            (at("socket"), "it is a socket"),
            ("/dev/null".into(), "it is a device"),
            (dir.path().to_path_buf(), "directory"),
            (at("missing"), "No such file"),
        ] {
            let error = open_regular(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
