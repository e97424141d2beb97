//! Errors as JavaScript sees them: a `SpinneyError` with a stable `code` and the fields of the Rust error.
//!
//! [`Refusal`] is what the calls of this module return; it becomes a JavaScript object where it is thrown.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use super::glue;
use crate::error::Error;

/// Why a call was refused.
pub(super) enum Refusal {
    /// By the engine.
    Engine(Error),
    /// The database has been closed.
    Closed,
    /// An argument is not what it should be.
    Argument {
        /// Which one: the name of a parameter or of an option.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// JavaScript threw while an argument was read.
    Thrown(JsValue),
}

/// The result of every call of this module.
pub(super) type Outcome<T> = Result<T, Refusal>;

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Engine(error)
    }
}

impl From<Refusal> for JsValue {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Engine(error) => from_engine(&error),
            Refusal::Closed => glue::failure("Closed", "the database has been closed: open it again"),
            Refusal::Argument { name, expected } => {
                let failure = glue::failure("InvalidArgument", &format!("{name} must be {expected}"));
                set(&failure, "argument", name);
                failure
            }
            Refusal::Thrown(value) => value,
        }
    }
}

fn from_engine(error: &Error) -> JsValue {
    let failure = glue::failure(error.code(), &error.to_string());
    match *error {
        Error::KeyTooLong { length_bytes, limit_bytes }
        | Error::ValueTooLarge { length_bytes, limit_bytes }
        | Error::TreeName { length_bytes, limit_bytes } => {
            set(&failure, "lengthBytes", length_bytes as f64);
            set(&failure, "limitBytes", limit_bytes as f64);
        }
        Error::NotSpinney { reason } => set(&failure, "reason", reason),
        Error::NewerFormat { found, supported } => {
            set(&failure, "found", found);
            set(&failure, "supported", supported);
        }
        Error::Truncated { found_bytes, expected_bytes } => {
            set(&failure, "foundBytes", found_bytes as f64);
            set(&failure, "expectedBytes", expected_bytes as f64);
        }
        Error::Corrupt { blob, page, reason } => {
            set(&failure, "blob", blob);
            set(&failure, "page", page);
            set(&failure, "reason", reason);
        }
        Error::OutOfSpace { limit_blobs } => set(&failure, "limitBlobs", limit_blobs),
        // All that there is to say about the others is in their text.
        _ => {}
    }
    failure
}

fn set(object: &JsValue, name: &str, value: impl Into<JsValue>) {
    let done = Reflect::set(object, &name.into(), &value.into());
    debug_assert!(done.is_ok(), "a plain object takes a property");
}
