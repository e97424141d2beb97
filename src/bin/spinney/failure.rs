//! How a command ends when it does not succeed: one line on stderr, and an exit code.
//!
//! 0 is success, 1 "not found" or "not clean", 2 a command that makes no sense, 3 everything else.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

/// See the head of this file.
#[derive(Debug)]
pub enum Failure {
    /// What was asked for is not there.
    NotFound(String),
    /// A check found something; it has been told.
    NotClean,
    /// The arguments contradict each other or the data.
    Usage(String),
    /// What was wanted could not be done.
    Failed(String),
    /// Nobody reads the output any more.
    ClosedPipe,
}

/// What every command returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Failure::ClosedPipe => 0,
            Failure::NotFound(_) | Failure::NotClean => 1,
            Failure::Usage(_) => 2,
            Failure::Failed(_) => 3,
        }
    }

    /// The line for stderr, if there is something left to say.
    pub fn message(&self) -> Option<&str> {
        match self {
            Failure::NotFound(text) | Failure::Usage(text) | Failure::Failed(text) => Some(text),
            Failure::NotClean | Failure::ClosedPipe => None,
        }
    }

    /// What went wrong with a database or another file.
    pub fn with_path(path: &Path, error: impl Display) -> Self {
        Failure::Failed(format!("{}: {error}", path.display()))
    }
}

impl From<spinney::Error> for Failure {
    fn from(error: spinney::Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

/// Only what was written to stdout comes this way: other files are named.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Failed(format!("the output cannot be written: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        std::io::Error::from(error).into()
    }
}
