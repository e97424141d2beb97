//! Errors, as JavaScript gets them: a stable code, a text, and the fields of the Rust error.

use std::io::ErrorKind;

use super::json::Object;
use crate::error::Error;

/// Why a call was refused.
pub(super) enum Refusal {
    /// By the engine.
    Engine(Error),
    /// The database, or what the handle stood for, was closed.
    Closed,
    /// So much memory cannot be had.
    Memory { bytes: u64 },
}

/// The result of every call of this module.
pub(super) type Outcome<T> = Result<T, Refusal>;

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Engine(error)
    }
}

impl Refusal {
    /// Whether nothing is wrong but that pages are missing.
    pub(super) fn is_not_fetched(&self) -> bool {
        matches!(self, Refusal::Engine(Error::NotFetched))
    }

    #[cold]
    pub(super) fn to_json(&self) -> String {
        let begin = |code, message: &str| Object::new().text("code", code).text("message", message);
        match self {
            Refusal::Engine(Error::Io(error)) if error.kind() == ErrorKind::StorageFull => {
                let message =
                    format!("the browser gives this site no more space: remove something ({error})");
                begin("QuotaExceeded", &message).end()
            }
            Refusal::Engine(error) => with_fields(begin(error.code(), &error.to_string()), error).end(),
            Refusal::Closed => begin("Closed", "the database has been closed: open it again").end(),
            Refusal::Memory { bytes } => {
                let message = format!("{bytes} bytes of memory cannot be had: close other databases first");
                begin("OutOfMemory", &message).number("bytes", *bytes).end()
            }
        }
    }
}

fn with_fields(object: Object, error: &Error) -> Object {
    let lengths = |object: Object, length_bytes: usize, limit_bytes: usize| {
        object.number("lengthBytes", length_bytes as u64).number("limitBytes", limit_bytes as u64)
    };
    match *error {
        Error::KeyTooLong { length_bytes, limit_bytes }
        | Error::ValueTooLarge { length_bytes, limit_bytes }
        | Error::TreeName { length_bytes, limit_bytes }
        | Error::BatchTooLarge { encoded_bytes: length_bytes, limit_bytes } => {
            lengths(object, length_bytes, limit_bytes)
        }
        Error::NotSpinney { reason } => object.text("reason", reason),
        Error::NewerFormat { found, supported } => {
            object.number("found", found).number("supported", supported)
        }
        Error::Truncated { found_bytes, expected_bytes } => {
            object.number("foundBytes", found_bytes).number("expectedBytes", expected_bytes)
        }
        Error::Corrupt { blob, page, reason } => {
            object.number("blob", blob).number("page", page).text("reason", reason)
        }
        Error::OutOfSpace { limit_blobs } => object.number("limitBlobs", limit_blobs),
        Error::BatchRefused { index, reason } => object.number("index", index as u64).text("reason", reason),
        Error::Conflict { tries } => object.number("tries", tries),
        Error::NoSuchTree { ref name } => object.text("tree", name),
        Error::Poisoned { ref reason } | Error::OutcomeUnknown { ref reason } => {
            object.text("reason", reason)
        }
        // All that there is to say about the others is in their text.
        _ => object,
    }
}
