//! The place a file is to be written to: checked before the work, links followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// As many links as Linux follows.
const MOST_LINKS: usize = 40;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A regular file, or one that is not there yet: its path, with the links to it followed.
    File(PathBuf),
    /// A pipe, a socket or a device, which is written to and not replaced.
    Stream,
}

impl Target {
    /// # Errors
    /// If no file can be put there: it is a folder, write-protected, a mount of its own, or its
    /// links go round in a loop.
    pub(super) fn of(path: &Path) -> io::Result<Target> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(meta) if !meta.is_file() => Ok(Target::Stream),
            // A rename would replace it all the same: the owner who protected it meant otherwise.
            Ok(meta) if meta.permissions().readonly() => Err(write_protected()),
            Ok(_) => {
                let path = fs::canonicalize(path)?;
                refuse_mount(&path)?;
                Ok(Target::File(path))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => follow(path).map(Target::File),
            Err(e) => Err(e),
        }
    }

    /// The file's path, where it is to be a file.
    pub(super) fn file(path: &Path) -> io::Result<PathBuf> {
        match Target::of(path)? {
            Target::File(path) => Ok(path),
            Target::Stream => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a pipe, a socket or a device, expected a file",
            )),
        }
    }
}

fn write_protected() -> io::Error {
    let problem = "it is write-protected: allow writing (chmod u+w), or save under another name";
    io::Error::new(io::ErrorKind::PermissionDenied, problem)
}

/// The end of a chain of links whose last one names nothing yet.
fn follow(path: &Path) -> io::Result<PathBuf> {
    if path.file_name().is_none() {
        return Err(io::ErrorKind::NotFound.into());
    }
    // The process may change its folder before the file is whole.
    let mut at = std::path::absolute(path)?;
    for _ in 0..MOST_LINKS {
        match fs::read_link(&at) {
            Ok(next) => at = folder(&at).join(next),
            // Nothing there, or no link: here the file is to be.
            Err(_) => return Ok(at),
        }
    }
    let problem = "its links go round in a loop";
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

/// A file that is mounted by itself cannot be replaced: said before the work where Linux tells.
#[cfg(target_os = "linux")]
fn refuse_mount(path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let root = StatxAttributes::MOUNT_ROOT;
    match statx(CWD, path, AtFlags::empty(), StatxFlags::empty()) {
        Ok(found) if found.stx_attributes.contains(root) => Err(rustix::io::Errno::BUSY.into()),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_mount(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether a path names something that is written to rather than replaced; `-` is standard output.
pub(crate) fn is_stream(path: &Path) -> bool {
    let is_other = |meta: fs::Metadata| !meta.is_file() && !meta.is_dir();
    path == Path::new("-") || fs::metadata(path).is_ok_and(is_other)
}

/// The folder that a path's last part is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn links_are_followed_to_where_the_file_is_or_is_to_be() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(root.join("f")).unwrap();
        fs::write(root.join("f/there"), "x").unwrap();
        for (link, to) in [
            ("a", "f/there"),
            ("b", "a"),
            ("c", "f/new"),
            ("d", "c"),
            ("f/up", "../new"),
            ("l", "m"),
            ("m", "l"),
            ("s", "s"),
            ("dir", "f"),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        let of = |name: &str| Target::of(&root.join(name));
        let file = |name: &str| match of(name).unwrap() {
            Target::File(path) => path,
            Target::Stream => panic!("{name} is no stream"),
        };
        assert_eq!(file("b"), root.join("f/there"));
        assert_eq!(file("d"), root.join("f/new"));
        assert_eq!(file("f/up"), root.join("f/../new"));
        assert_eq!(file("dir/new"), root.join("dir/new"));
        for loops in ["l", "m", "s", "l/x"] {
            assert!(of(loops).is_err(), "{loops}");
        }
        assert!(of("dir").is_err() && of("f").is_err() && Target::of(Path::new("")).is_err());
        assert_eq!(Target::of(Path::new("/dev/null")).unwrap(), Target::Stream);
        assert!(Target::file(Path::new("/dev/null")).is_err());
    }
}
