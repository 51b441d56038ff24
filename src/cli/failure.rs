//! Why a command ended early.

use std::io;
use std::path::Path;

use crate::error::{
    BuildError, Error, OpenError, OutOfMemory, QueryError, ReadError, SaveError, TrainError,
};

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Failure {
    /// The reader of standard output has gone (`| head -1`): a wish, not an error.
    ClosedPipe,
    /// What to tell.
    Message(String),
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Failure {
        Failure::Message(message.into())
    }

    /// An error about the content of `path`, whose message does not name the file by itself.
    pub fn about(path: &Path, error: &OpenError) -> Failure {
        match error {
            OpenError::Io { .. } | OpenError::NotAFile { .. } | OpenError::Map { .. } => {
                Failure::new(error.to_string())
            }
            _ => Failure::new(format!("{}: {error}", path.display())),
        }
    }
}

/// Of writing to standard output; errors of files come as this crate's own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::new(format!("could not write standard output: {error}")),
        }
    }
}

impl From<SaveError> for Failure {
    fn from(error: SaveError) -> Failure {
        match &error {
            // Standard output, a named pipe, `>(head)`: all the same.
            SaveError::Stream { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Failure::ClosedPipe
            }
            _ => Failure::new(error.to_string()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Save(error) => error.into(),
            other => Failure::new(other.to_string()),
        }
    }
}

macro_rules! told_as_they_are {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::new(error.to_string())
            }
        })*
    };
}

told_as_they_are!(OutOfMemory, BuildError, QueryError, ReadError, TrainError);
