//! Writing a file whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use super::PART;
use super::beside::Beside;
use super::nameless::nameless;
use super::place::{Failed, place_beside, place_unlinked};
use super::system::{self, Output};
use super::target::{Target, folder, is_stream};
use crate::error::SaveError;
use crate::progress;

const BUFFER: usize = 1 << 18;
/// So many parts of a large file are put on the disk together.
const SETTLED: usize = 16;

/// A file being written beside its target; [`commit`](Self::commit) puts it there. Dropped before
/// that, it leaves nothing and the target as it was. Where it can it has no name until then, so that
/// it leaves nothing even if the process is killed; elsewhere it is a hidden temporary file, which
/// the next writer to the target removes if a killed process left it.
///
/// A target that is no regular file (a pipe, a device), and standard output (`-`), are written
/// straight: replacing `/dev/null` by a file would be worse than not being atomic.
pub(crate) struct AtomicFile {
    /// As it was given.
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Nameless(BufWriter<Output>, PathBuf),
    Beside(BufWriter<Beside>, PathBuf),
    Straight(BufWriter<Output>),
    Stdout(BufWriter<Stdout>),
}

impl AtomicFile {
    pub(crate) fn create(path: &Path) -> Result<AtomicFile, SaveError> {
        let sink = open_sink(path).map_err(|source| save_error(path, source))?;
        Ok(AtomicFile { path: path.to_path_buf(), sink })
    }

    /// The target, as it was given.
    #[cfg(feature = "tables")]
    pub(crate) fn target(&self) -> &Path {
        &self.path
    }

    /// Puts what was written so far on the disk, so that the sync at the end, which cannot be
    /// interrupted, has little left to do.
    fn settle(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Beside(file, _) => {
                file.flush().and_then(|()| system::sync(file.get_ref().file()))
            }
            Sink::Nameless(file, _) => file.flush().and_then(|()| system::sync(&file.get_ref().0)),
            Sink::Straight(_) | Sink::Stdout(_) => Ok(()),
        }
    }

    /// Writes what is buffered, syncs and renames.
    pub(crate) fn commit(self) -> Result<(), SaveError> {
        let AtomicFile { path, sink } = self;
        finish_sink(sink).map_err(|failed| failed.of(&path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Beside(file, _) => file.write(bytes),
            Sink::Nameless(file, _) | Sink::Straight(file) => file.write(bytes),
            Sink::Stdout(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Beside(file, _) => file.flush(),
            Sink::Nameless(file, _) | Sink::Straight(file) => file.flush(),
            Sink::Stdout(out) => out.flush(),
        }
    }
}

fn open_sink(path: &Path) -> io::Result<Sink> {
    if path == Path::new("-") {
        return Ok(Sink::Stdout(BufWriter::with_capacity(BUFFER, io::stdout())));
    }
    match Target::of(path)? {
        Target::Stream => {
            let file = system::open(File::options().write(true), path)?;
            Ok(Sink::Straight(BufWriter::with_capacity(BUFFER, Output(file))))
        }
        Target::File(target) => open_beside(target),
    }
}

fn open_beside(target: PathBuf) -> io::Result<Sink> {
    if let Ok((file, true)) = nameless(folder(&target)) {
        return Ok(Sink::Nameless(BufWriter::with_capacity(BUFFER, Output(file)), target));
    }
    let file = Beside::create(&target)?;
    Ok(Sink::Beside(BufWriter::with_capacity(BUFFER, file), target))
}

fn finish_sink(sink: Sink) -> Result<(), Failed> {
    match sink {
        Sink::Stdout(mut out) => Ok(out.flush()?),
        Sink::Straight(mut file) => Ok(file.flush()?),
        Sink::Nameless(file, target) => {
            let Output(file) = file.into_inner().map_err(|e| e.into_error())?;
            system::sync(&file)?;
            place_unlinked(&file, &target)
        }
        Sink::Beside(file, target) => {
            let file = file.into_inner().map_err(|e| e.into_error())?;
            system::sync(file.file())?;
            place_beside(file, &target)
        }
    }
}

/// Writes `bytes` to `path` so that whatever happens the old file or the new one stands there:
/// a file without a name or a temporary one beside it, synced, renamed over it, and the folder synced.
/// The new file has the owner, group and mode of the one that it replaces, where the system allows.
/// `-` is standard output; pipes and devices are written to as they are.
///
/// # Errors
/// If the system refuses at any step; the temporary file is then removed. [`SaveError::Replaced`]
/// if that was after the new file came into its place.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    let mut file = AtomicFile::create(path)?;
    for (number, part) in (1..).zip(bytes.chunks(PART)) {
        progress::check();
        let written = file.write_all(part);
        let settled = written.and_then(|()| match number % SETTLED {
            0 => file.settle(),
            _ => Ok(()),
        });
        settled.map_err(|source| save_error(path, source))?;
    }
    progress::check();
    file.commit()
}

/// An error before the target was replaced; to a pipe or a device, a part may have been written.
pub(crate) fn save_error(path: &Path, source: io::Error) -> SaveError {
    let path = path.to_path_buf();
    match is_stream(&path) {
        true => SaveError::Stream { path, source },
        false => SaveError::Io { path, source },
    }
}

/// That a file cannot be written as asked.
pub(crate) fn refused(path: &Path, problem: impl Into<String>) -> SaveError {
    save_error(path, io::Error::new(io::ErrorKind::InvalidInput, problem.into()))
}

/// The names in a folder.
#[cfg(test)]
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entry = |e: io::Result<std::fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    std::fs::read_dir(dir).unwrap().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_target_is_replaced_at_the_commit_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(
            (fs::read(&path).unwrap(), names(dir.path())),
            (b"old".to_vec(), vec!["t".into()])
        );
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(dir.path())),
            (b"new".to_vec(), vec!["t".into()])
        );
    }

    #[test]
    fn both_ways_of_writing_beside_a_target_replace_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        for old in [None, Some("old")] {
            old.into_iter().for_each(|old| fs::write(&path, old).unwrap());
            let before = names(dir.path());
            let mut file = AtomicFile::create(&path).unwrap();
            file.write_all(b"new").unwrap();
            file.flush().unwrap();
            // What a killed process would leave.
            let can_be_named = nameless(dir.path()).unwrap().1;
            assert_eq!(names(dir.path()) == before, can_be_named);
            file.commit().unwrap();
            assert_eq!(
                (fs::read(&path).unwrap(), names(dir.path())),
                (b"new".into(), vec!["t".into()])
            );
            fs::remove_file(&path).unwrap();
        }
        // What stands in where files cannot do without a name.
        fs::write(&path, "old").unwrap();
        let sink = Sink::Beside(BufWriter::new(Beside::create(&path).unwrap()), path.clone());
        let mut file = AtomicFile { path: path.clone(), sink };
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(dir.path())),
            (b"new".into(), vec!["t".into()])
        );
    }

    #[test]
    fn a_missing_folder_and_a_folder_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert!(AtomicFile::create(&dir.path().join("no/t")).is_err());
        assert!(AtomicFile::create(dir.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_names_nothing_yet_is_followed_and_a_loop_is_refused() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("elsewhere")).unwrap();
        symlink("elsewhere/t", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        write_atomic(&at("dangling"), b"new").unwrap();
        assert_eq!(fs::read(at("elsewhere/t")).unwrap(), b"new");
        assert!(write_atomic(&at("loop"), b"new").is_err());
        for link in ["dangling", "loop"] {
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink(), "{link}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_error_of_a_device_does_not_speak_of_a_file() {
        if !Path::new("/dev/full").exists() {
            eprintln!("NOT RUN: /dev/full is missing");
            return;
        }
        let error = write_atomic(Path::new("/dev/full"), b"x").unwrap_err();
        assert!(matches!(error, SaveError::Stream { .. }), "{error:?}");
        assert!(!error.to_string().contains("untouched"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_permissions_and_devices_stay_what_they_are() {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("t"), dir.path().join("l"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        let mut file = AtomicFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let fresh = dir.path().join("fresh");
        AtomicFile::create(&fresh).unwrap().commit().unwrap();
        let plain = dir.path().join("plain");
        File::create(&plain).unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&fresh), mode(&plain));
        AtomicFile::create(Path::new("/dev/null")).unwrap().commit().unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }
}
