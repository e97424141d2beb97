//! `get`: one value.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::output::{Output, insert_bytes, key_object};
use crate::place::Place;
use crate::text::escape;

/// Print the value of a key: its bytes and nothing else
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The key
    key: OsString,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let key = out.key(&self.key)?;
        let (_db, tree) = self.place.read()?;
        let value =
            tree.get(&key)?.ok_or_else(|| Failure::NotFound(format!("{}: no such key", escape(&key))))?;
        if out.is_json() {
            let mut object = key_object("key", &key);
            insert_bytes(&mut object, "value", &value);
            object.insert("version".to_string(), json!(value.version().number()));
            return out.json(&Value::Object(object));
        }
        out.bytes(&value)?;
        // The prompt of a shell would stick to it.
        if out.is_terminal && !value.ends_with(b"\n") { out.line("") } else { Ok(()) }
    }
}
