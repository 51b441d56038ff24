//! Putting a whole file at its target, in one step that a crash cannot cut in two.
//!
//! Up to that step an error leaves the target as it was. After it the new file is there, and an error
//! says so: see [`Failed`].

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::attributes::keep;
use super::beside::Beside;
use super::system;
use super::target::folder;
use crate::error::SaveError;

/// Where a call failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The target is as it was.
    Before(io::Error),
    /// The new file is in its place; its folder was not put on the disk.
    After(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Before(error)
    }
}

impl Failed {
    /// The error of a save to `path`.
    pub(super) fn of(self, path: &Path) -> SaveError {
        match self {
            Failed::Before(source) => super::atomic::save_error(path, source),
            Failed::After(source) => SaveError::Replaced {
                path: path.to_path_buf(),
                step: "syncing its folder".into(),
                source,
                remedy: "a loss of power may still undo it: check the disk and save again".into(),
            },
        }
    }
}

/// Gives a file without a name, whose bytes are on the disk, that of its target. Where that exists
/// the file gets a temporary name first, since a link does not replace.
pub(super) fn place_unlinked(file: &File, target: &Path) -> Result<(), Failed> {
    let folder = system::open_folder(folder(target))?;
    match system::link(file, target) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            keep(target, file)?;
            match Beside::link(file, target) {
                Ok(beside) => beside.rename(target)?,
                Err(_) => copy(file, target)?,
            }
        }
        // Some file systems and sandboxes refuse to link; what is wrong otherwise, a copy meets too.
        Err(_) => copy(file, target)?,
    }
    system::sync_folder(folder.as_ref()).map_err(Failed::After)
}

/// Renames a temporary file, whose bytes are on the disk, over its target.
pub(super) fn place_beside(beside: Beside, target: &Path) -> Result<(), Failed> {
    let folder = system::open_folder(folder(target))?;
    keep(target, beside.file())?;
    beside.rename(target)?;
    system::sync_folder(folder.as_ref()).map_err(Failed::After)
}

/// Copies a file that cannot be given a name into one that has one, and renames that.
fn copy(mut file: &File, target: &Path) -> io::Result<()> {
    let mut beside = Beside::create(target)?;
    file.rewind()?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => beside.write_all(&buffer[..length])?,
        }
    }
    system::sync(beside.file())?;
    keep(target, beside.file())?;
    beside.rename(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::atomic::names;
    use crate::store::system::Call;
    use crate::store::system::faults::{always, during};
    use crate::store::{Draft, write_atomic};
    use std::fs;

    const EPERM: i32 = 1;
    const EIO: i32 = 5;
    const EACCES: i32 = 13;
    const EBUSY: i32 = 16;
    const EINVAL: i32 = 22;
    const EMFILE: i32 = 24;
    const EOPNOTSUPP: i32 = 95;

    type Writer = fn(&Path) -> Result<(), SaveError>;

    /// Both ways of writing a file.
    fn writers() -> [Writer; 2] {
        [
            |path| write_atomic(path, b"new"),
            |path| {
                let mut draft = Draft::create(path, 3)?;
                draft.as_mut().copy_from_slice(b"new");
                draft.commit()
            },
        ]
    }

    fn each(test: impl Fn(&Path, &dyn Fn(&Path) -> Result<(), SaveError>, Option<&str>)) {
        for write in writers() {
            for old in [None, Some("old")] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("t");
                old.into_iter().for_each(|old| fs::write(&path, old).unwrap());
                test(&path, &write, old);
                let left = names(dir.path());
                assert!(left.iter().all(|name| name == "t"), "left behind: {left:?}");
            }
        }
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_no_error() {
        for (call, number) in [
            (Call::SyncFolder, EINVAL),
            (Call::SyncFolder, EOPNOTSUPP),
            (Call::SyncFolder, EACCES),
            (Call::OpenFolder, EACCES),
            (Call::Sync, EINVAL),
        ] {
            each(|path, write, _| {
                during(always(call, number), || write(path)).unwrap();
                assert_eq!(fs::read(path).unwrap(), b"new");
            });
        }
    }

    #[test]
    fn an_error_says_whether_the_target_was_replaced() {
        each(|path, write, _| {
            let error = during(always(Call::SyncFolder, EIO), || write(path)).unwrap_err();
            assert!(matches!(error, SaveError::Replaced { .. }), "{error:?}");
            assert_eq!(fs::read(path).unwrap(), b"new");
            let text = error.to_string();
            assert!(text.contains("is in its place") && !text.contains("untouched"), "{text}");
        });
        for call in [Call::Sync, Call::OpenFolder, Call::Rename, Call::Write] {
            each(|path, write, old| {
                let number = if call == Call::OpenFolder { EMFILE } else { EIO };
                let result = during(always(call, number), || write(path));
                let is_replaced = fs::read(path).is_ok_and(|bytes| bytes == b"new");
                assert_eq!(result.is_ok(), is_replaced, "{call:?}: {result:?}");
                if let Err(error) = result {
                    assert!(error.to_string().ends_with("untouched"), "{error}");
                    assert_eq!(fs::read_to_string(path).ok().as_deref(), old);
                }
            });
        }
    }

    #[test]
    fn where_links_are_refused_a_copy_is_renamed() {
        for number in [EPERM, EIO, EOPNOTSUPP] {
            each(|path, write, _| {
                during(always(Call::Link, number), || write(path)).unwrap();
                assert_eq!(fs::read(path).unwrap(), b"new");
            });
        }
    }

    #[test]
    fn a_file_that_cannot_be_replaced_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        fs::write(&path, "old").unwrap();
        let error = during(always(Call::Rename, EBUSY), || write_atomic(&path, b"new"));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("mount its folder") && text.ends_with("untouched"), "{text}");
        assert_eq!((fs::read(&path).unwrap(), names(dir.path()).len()), (b"old".to_vec(), 1));
    }
}
