//! Writing a file whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Stdout, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::room::{name, nameless};
use crate::error::SaveError;

const BUFFER: usize = 1 << 18;

/// A file being written on its target's disk, without a name where the system can do that, else
/// beside the target; [`commit`](Self::commit) puts it there. Dropped before that, it leaves nothing
/// and the target as it was; without a name it leaves nothing behind even if the process is killed.
///
/// A target that is no regular file (a pipe, a device), and standard output (`-`), are written
/// straight: replacing `/dev/null` by a file would be worse than not being atomic.
pub(crate) struct AtomicFile {
    target: PathBuf,
    sink: Sink,
}

enum Sink {
    Nameless(BufWriter<File>),
    Beside(BufWriter<NamedTempFile>),
    Straight(BufWriter<File>),
    Stdout(BufWriter<Stdout>),
}

impl AtomicFile {
    pub(crate) fn create(path: &Path) -> Result<AtomicFile, SaveError> {
        let sink = open_sink(path).map_err(|source| save_error(path, source))?;
        Ok(AtomicFile { target: path.to_path_buf(), sink })
    }

    /// The target.
    #[cfg(feature = "tables")]
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Writes what is buffered, syncs and renames.
    pub(crate) fn commit(self) -> Result<(), SaveError> {
        let AtomicFile { target, sink } = self;
        finish_sink(&target, sink).map_err(|source| save_error(&target, source))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Beside(file) => file.write(bytes),
            Sink::Nameless(file) | Sink::Straight(file) => file.write(bytes),
            Sink::Stdout(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Beside(file) => file.flush(),
            Sink::Nameless(file) | Sink::Straight(file) => file.flush(),
            Sink::Stdout(out) => out.flush(),
        }
    }
}

fn open_sink(path: &Path) -> io::Result<Sink> {
    if path == Path::new("-") {
        return Ok(Sink::Stdout(BufWriter::with_capacity(BUFFER, io::stdout())));
    }
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if !meta.is_file() => {
            let file = File::options().write(true).open(path)?;
            Ok(Sink::Straight(BufWriter::with_capacity(BUFFER, file)))
        }
        // A rename would replace it all the same: who protected the file meant otherwise.
        Ok(meta) if meta.permissions().readonly() => Err(io::ErrorKind::PermissionDenied.into()),
        _ => match nameless(folder(&resolved(path)))? {
            (file, true) => Ok(Sink::Nameless(BufWriter::with_capacity(BUFFER, file))),
            (_, false) => Ok(Sink::Beside(BufWriter::with_capacity(BUFFER, beside(path)?))),
        },
    }
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    builder(path).tempfile_in(folder(&resolved(path)))
}

fn finish_sink(path: &Path, sink: Sink) -> io::Result<()> {
    match sink {
        Sink::Stdout(mut out) => out.flush(),
        Sink::Straight(mut file) => file.flush(),
        Sink::Nameless(file) => {
            let file = file.into_inner().map_err(|e| e.into_error())?;
            file.sync_all()?;
            match name(&file, path) {
                // Where /proc is not mounted there is no way to name it: it is copied.
                Err(e) if e.kind() == io::ErrorKind::NotFound => copied(file, path),
                named => named,
            }
        }
        Sink::Beside(file) => {
            let file = file.into_inner().map_err(|e| e.into_error())?;
            file.as_file().sync_all()?;
            persist(file, &resolved(path))
        }
    }
}

fn copied(mut file: File, path: &Path) -> io::Result<()> {
    let mut copy = beside(path)?;
    file.rewind()?;
    io::copy(&mut file, &mut copy)?;
    copy.as_file().sync_all()?;
    persist(copy, &resolved(path))
}

/// Renames a file that is on the disk, and makes the rename lasting.
pub(super) fn persist<F>(file: NamedTempFile<F>, target: &Path) -> io::Result<()> {
    file.persist(target).map_err(|e| e.error)?;
    sync_folder(folder(target))
}

/// Where a symbolic link leads, so that the link stays and the file it names is replaced.
pub(super) fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A temporary file is for its owner alone; the target gets the permissions it had, or those that
/// any new file gets.
#[cfg(unix)]
fn builder(path: &Path) -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let existing = fs::metadata(path).map(|meta| meta.permissions());
    let mut builder = tempfile::Builder::new();
    builder.permissions(existing.unwrap_or_else(|_| fs::Permissions::from_mode(0o666)));
    builder.prefix(".nearwood-");
    builder
}

#[cfg(not(unix))]
fn builder(_path: &Path) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nearwood-");
    builder
}

/// A rename is only lasting once its folder is on the disk.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes `bytes` to `path` so that whatever happens the old file or the new one stands there:
/// a temporary file beside it, synced, renamed over it, and the folder synced.
///
/// # Errors
/// If the system refuses at any step; the temporary file is then removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|source| save_error(path, source))?;
    file.commit()
}

pub(crate) fn save_error(path: &Path, source: io::Error) -> SaveError {
    SaveError::Io { path: path.to_path_buf(), source }
}

/// That a file cannot be written as asked.
pub(crate) fn refused(path: &Path, problem: impl Into<String>) -> SaveError {
    save_error(path, io::Error::new(io::ErrorKind::InvalidInput, problem.into()))
}

/// The names in a folder.
#[cfg(test)]
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entry = |e: io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    fs::read_dir(dir).unwrap().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_replaced_at_the_commit_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        file.flush().unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(names(dir.path()), ["t"], "nothing that a kill would leave");
        }
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
    fn a_file_that_cannot_be_named_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let mut file = tempfile::tempfile_in(dir.path()).unwrap();
        file.write_all(b"whole").unwrap();
        copied(file, &path).unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(dir.path())),
            (b"whole".into(), vec!["t".into()])
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
