//! Files with a name of their own next to a target, until they are renamed over it.
//!
//! The name is `.nearwood-<hash of the target's name>-<n>`, and the file is locked for as long as the
//! process that writes it lives. So the next writer to the same target finds what killed ones have
//! left, gets the locks, and removes it; what another process is still writing stays.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::system::{self, Lock, Output};
use super::target::folder;

/// Writers to one target at one time, beyond which no more names are tried.
const MOST_WRITERS: u32 = 64;
/// After this many free names in a row no more files are looked for.
const GAP: u32 = 8;

/// A file next to its target; removed when dropped, unless it was renamed over the target.
pub(super) struct Beside {
    path: PathBuf,
    file: Output,
    is_placed: bool,
}

impl Beside {
    /// An empty file next to `target`.
    pub(super) fn create(target: &Path) -> io::Result<Beside> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // What replaces a file gets that file's mode once it is whole, and is private until then.
            options.mode(if target.exists() { 0o600 } else { 0o666 });
        }
        Beside::claim(target, |path| {
            let file = system::open(&options, path)?;
            // Before it is locked, another writer may take it for what was left: that one has the
            // lock then, or had it, and removes the file.
            match system::try_lock(&file) {
                Lock::Taken if system::is_named(&file, path) => Ok(file),
                Lock::Unsupported => Ok(file),
                Lock::Taken | Lock::Busy => Err(io::ErrorKind::AlreadyExists.into()),
            }
        })
    }

    /// A name next to `target` for a file without one, whose bytes are on the disk.
    pub(super) fn link(file: &File, target: &Path) -> io::Result<Beside> {
        let file = file.try_clone()?;
        system::try_lock(&file);
        Beside::claim(target, |path| system::link(&file, path).and_then(|()| file.try_clone()))
    }

    fn claim(target: &Path, make: impl Fn(&Path) -> io::Result<File>) -> io::Result<Beside> {
        let mut number = 0;
        // Twice for each name: once more after what was left there is gone.
        for _ in 0..2 * MOST_WRITERS {
            let path = name(target, number);
            match make(&path) {
                Ok(file) => return Ok(Beside { path, file: Output(file), is_placed: false }),
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                Err(_) if was_left(&path) => {}
                Err(_) => number += 1,
            }
        }
        let problem = "too many temporary files stand next to it: remove those that begin with \
                       .nearwood- and that no process writes any more";
        Err(io::Error::new(io::ErrorKind::AlreadyExists, problem))
    }

    pub(super) fn file(&self) -> &File {
        &self.file.0
    }

    /// Renames the file over `target`.
    pub(super) fn rename(mut self, target: &Path) -> io::Result<()> {
        system::rename(&self.path, target)?;
        self.is_placed = true;
        remove_left(target);
        Ok(())
    }
}

/// Removes what killed writers have left under the numbers that this one had no need to try.
fn remove_left(target: &Path) {
    let (mut number, mut free) = (0, 0);
    while number < MOST_WRITERS && free < GAP {
        let path = name(target, number);
        free = match path.symlink_metadata().is_err() {
            true => free + 1,
            false => {
                was_left(&path);
                0
            }
        };
        number += 1;
    }
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_placed {
            // What cannot be removed now, the next writer to this target removes.
            let _ = system::remove(&self.path);
        }
    }
}

/// The target's name may have the 255 bytes that a file system allows, so it is hashed.
fn name(target: &Path, number: u32) -> PathBuf {
    let name = target.file_name().unwrap_or_default().as_encoded_bytes();
    folder(target).join(format!(".nearwood-{:08x}-{number}", crc32fast::hash(name)))
}

/// Removes a file whose writer has ended. Whether it was one and is gone.
fn was_left(path: &Path) -> bool {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits() as i32);
    }
    let Ok(file) = options.open(path) else { return false };
    let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
    if !is_file || system::try_lock(&file) != Lock::Taken {
        return false;
    }
    // Its writer may have renamed it since. Otherwise the name cannot change: only the holder of
    // the lock renames or removes.
    !system::is_named(&file, path) || system::remove(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic::names;
    use std::fs;

    #[test]
    fn what_a_killed_writer_left_goes_and_what_is_being_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t".repeat(255));
        fs::write(name(&target, 0), "left").unwrap();
        let mut first = Beside::create(&target).unwrap();
        first.write_all(b"first").unwrap();
        let second = Beside::create(&target).unwrap();
        assert_eq!(names(dir.path()).len(), 2, "{:?}", names(dir.path()));
        assert_eq!(fs::read(name(&target, 0)).unwrap(), b"first");
        drop(second);
        first.rename(&target).unwrap();
        assert_eq!(names(dir.path()).len(), 1);
        assert_eq!(fs::read(&target).unwrap(), b"first");
    }

    /// Each of the files is written by one thread alone, whatever the others take for left.
    #[test]
    fn writers_at_once_do_not_take_each_others_files() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        std::thread::scope(|scope| {
            for number in 0..6u8 {
                let target = &target;
                scope.spawn(move || {
                    for _ in 0..400 {
                        let mut beside = Beside::create(target).unwrap();
                        beside.write_all(&[number; 100]).unwrap();
                        beside.rename(target).unwrap();
                    }
                });
            }
        });
        let bytes = fs::read(&target).unwrap();
        assert!(bytes.len() == 100 && bytes.iter().all(|&byte| byte == bytes[0]));
        assert_eq!(names(dir.path()), ["t"]);
    }

    #[test]
    fn several_leftovers_go_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        for number in [0, 1, 3, 9] {
            fs::write(name(&target, number), "left").unwrap();
        }
        let writing = Beside::create(&target).unwrap();
        Beside::create(&target).unwrap().rename(&target).unwrap();
        assert_eq!(names(dir.path()).len(), 2, "{:?}", names(dir.path()));
        writing.rename(&target).unwrap();
        assert_eq!(names(dir.path()), ["t"]);
    }

    #[cfg(unix)]
    #[test]
    fn other_files_of_that_name_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (target, precious) = (dir.path().join("t"), dir.path().join("precious"));
        fs::write(&precious, "mine").unwrap();
        std::os::unix::fs::symlink(&precious, name(&target, 0)).unwrap();
        fs::create_dir(name(&target, 1)).unwrap();
        let beside = Beside::create(&target).unwrap();
        assert_eq!(beside.path, name(&target, 2));
        drop(beside);
        assert_eq!((names(dir.path()).len(), fs::read(&precious).unwrap()), (3, b"mine".into()));
    }

    #[test]
    fn the_number_of_names_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        for number in 0..2 * MOST_WRITERS {
            fs::create_dir(name(&target, number)).unwrap();
        }
        assert!(Beside::create(&target).is_err());
    }
}
