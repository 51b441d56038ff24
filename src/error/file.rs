//! What can go wrong with this crate's own files.

use crate::memory::OutOfMemory;
use std::path::PathBuf;

use thiserror::Error as ThisError;

use super::text::{at, name, problem as clean};

/// Why a file could not be written.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum SaveError {
    /// The system refused, before the target was replaced.
    #[error(
        "could not write {}: {source}{}; the file that stood there before, if any, is untouched",
        at(path),
        remedy(source)
    )]
    Io {
        /// The target.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is written and in its place, and a step after that failed.
    #[error(
        "{} is written and is in its place, but {} failed: {source}; {}",
        at(path),
        clean(step),
        clean(remedy)
    )]
    Replaced {
        /// The target, which is the new file.
        path: PathBuf,
        /// The step.
        step: String,
        /// The system's reason.
        source: std::io::Error,
        /// What to do.
        remedy: String,
    },
    /// A pipe, a device or a file that grows could not be written to. A part may have been written.
    #[error("could not write to {}: {source}; a part may have been written", at(path))]
    Stream {
        /// The target.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// What to do about an error whose text does not say it.
fn remedy(source: &std::io::Error) -> &'static str {
    match source.kind() {
        _ if is_unmappable(source) => {
            " (its file system does not map files: build without memory_limit, or on another disk)"
        }
        std::io::ErrorKind::ResourceBusy => {
            " (a file that is mounted by itself, as by docker's -v FILE:FILE, cannot be replaced: \
             mount its folder instead, or save elsewhere)"
        }
        _ => "",
    }
}

/// Why a file could not be opened, or does not verify.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum OpenError {
    /// The system refused memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The system refused.
    #[error("could not open {}: {source}", at(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The path names something that cannot be mapped.
    #[error(
        "could not open {}: it is a {got}, expected a regular file; write what it gives into a file, or read it and open the bytes (from_bytes)",
        at(path)
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// "pipe", "socket" or "device".
        got: &'static str,
    },
    /// The file opened, but could not be mapped.
    #[error("could not map {}: {source}{}", at(path), unmapped(source))]
    Map {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system does not let the file be locked in memory.
    #[error(
        "could not lock the {bytes} bytes of {} in memory: {source}; the limit is {}: raise it (ulimit -l, LimitMEMLOCK= of systemd, --ulimit memlock= of docker) or open without lock", at(path), limit.map_or("none".to_string(), |n| format!("{n} bytes"))
    )]
    Lock {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// How many bytes this process may lock; `None` if the system names no limit.
        limit: Option<u64>,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Too few bytes for a header.
    #[error(
        "got {got} bytes, a nearwood file has at least {expected}: the file is cut short or is something else"
    )]
    TooShort {
        /// Bytes there are.
        got: u64,
        /// Bytes needed.
        expected: u64,
    },
    /// The first bytes are not a nearwood file's.
    #[error(
        "not a nearwood file: it starts with {got:02x?}, expected {expected:02x?}; check the path"
    )]
    Magic {
        /// The first eight bytes.
        got: [u8; 8],
        /// The magic bytes.
        expected: [u8; 8],
    },
    /// Written by a newer library.
    #[error(
        "the file has format version {got}, this library reads up to {supported}: upgrade nearwood"
    )]
    Version {
        /// The file's major version.
        got: u16,
        /// The newest major version that is read.
        supported: u16,
    },
    /// Written before the format was settled.
    #[error(
        "the file has format version {got}, from before the format was settled, and this library reads {supported}: build it again from its vectors or interactions"
    )]
    Unsettled {
        /// The file's major version.
        got: u16,
        /// The oldest major version that is read.
        supported: u16,
    },
    /// Header, table or payload differ from their checksum.
    #[error(
        "the checksum of {what} is {got:08x}, expected {expected:08x}: the file is damaged; write it again or restore a copy"
    )]
    Checksum {
        /// Which part.
        what: String,
        /// Computed from the bytes.
        got: u32,
        /// Stored in the file.
        expected: u32,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "the file has {got} bytes, its header says {expected}: it was cut short or added to; copy it again"
    )]
    Length {
        /// Bytes there are.
        got: u64,
        /// Bytes the header names.
        expected: u64,
    },
    /// A whole file, of the other kind.
    #[error("the file is a whole {got}, expected {expected}: open it as what it is")]
    Content {
        /// What the file was written as.
        got: &'static str,
        /// What was being opened.
        expected: &'static str,
    },
    /// A section is needed to read the file rightly and unknown here.
    #[error(
        "the file needs section kind {kind}, which this library does not know: upgrade nearwood"
    )]
    UnknownSection {
        /// The kind's number.
        kind: u32,
    },
    /// A section that must be there is not.
    #[error("the file has no {section} section, which {purpose} needs: it was not written as one")]
    MissingSection {
        /// The section's name.
        section: &'static str,
        /// What was being opened.
        purpose: &'static str,
    },
    /// A field contradicts another or is out of its range.
    #[error(
        "{} is {}, expected {}: the file is damaged or was written by something else",
        name(what),
        name(got),
        name(expected)
    )]
    Invalid {
        /// The field.
        what: String,
        /// What was got.
        got: String,
        /// What was expected.
        expected: String,
    },
}

/// Whether a file system says that it does not map files: ENODEV, whose kind has no name.
pub(crate) fn is_unmappable(error: &std::io::Error) -> bool {
    // On Windows the number means something else.
    cfg!(unix) && error.raw_os_error() == Some(19)
}

impl OpenError {
    /// Whether the file system does not map files: reading the file into memory is what is left.
    #[must_use]
    pub fn is_unmappable(&self) -> bool {
        matches!(self, OpenError::Map { source, .. } if is_unmappable(source))
    }
}

/// What to do where a file cannot be mapped.
fn unmapped(source: &std::io::Error) -> &'static str {
    match is_unmappable(source) {
        true => {
            "; its file system does not map files: open it in memory (in_memory=True, \
             open_in_memory), or copy it to another disk"
        }
        false => "",
    }
}
