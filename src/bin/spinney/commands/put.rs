//! `put`: one key.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};
use spinney::VALUE_BYTES_MAX;

use crate::failure::{Failure, Result};
use crate::output::{Output, key_object};
use crate::place::Place;
use crate::text::escape;

/// Set the value of a key; the file and the tree are made if there are none
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The key
    key: OsString,
    /// The value; without one it is read from stdin
    value: Option<OsString>,
    /// Change nothing if the key is there (exit code 1)
    #[arg(long)]
    if_absent: bool,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let key = out.key(&self.key)?;
        let value = match self.value {
            Some(value) => value.into_vec(),
            None => read_value()?,
        };
        let (db, tree) = self.place.make()?;
        let version = match self.if_absent {
            true => tree.put_if_absent(&key, value)?,
            false => Some(tree.put(&key, value)?),
        };
        self.place.file.close(db)?;
        let version = version
            .ok_or_else(|| Failure::NotFound(format!("{}: the key is there already", escape(&key))))?;
        if out.is_json() {
            let mut object = key_object("key", &key);
            object.insert("version".to_string(), json!(version.number()));
            out.json(&Value::Object(object))?;
        }
        Ok(())
    }
}

/// No more than what is surely too much.
fn read_value() -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let read = std::io::stdin().lock().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut value);
    read.map_err(|error| Failure::Failed(format!("stdin cannot be read: {error}")))?;
    if value.len() > VALUE_BYTES_MAX {
        let limit = "a value has at most 65,535 bytes: split it over several keys";
        return Err(Failure::Failed(format!("stdin has more bytes than a value may have; {limit}")));
    }
    Ok(value)
}
