//! `put`: one key.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

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
    /// Take the value from this file
    #[arg(short, long, value_name = "FILE", conflicts_with = "value")]
    from: Option<PathBuf>,
    /// Change nothing if the key is there (exit code 1)
    #[arg(long)]
    if_absent: bool,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let key = out.key(&self.key)?;
        let value = match (self.value, &self.from) {
            (Some(value), _) => value.into_vec(),
            (None, Some(path)) => {
                let failed = |error| Failure::with_path(path, error);
                read_value(File::open(path).map_err(failed)?, &path.display().to_string())?
            }
            (None, None) => read_value(std::io::stdin().lock(), "stdin")?,
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
fn read_value(input: impl Read, name: &str) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let read = input.take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut value);
    read.map_err(|error| Failure::Failed(format!("{name} cannot be read: {error}")))?;
    if value.len() > VALUE_BYTES_MAX {
        let limit = "a value has at most 64 MiB: split it over several keys";
        return Err(Failure::Failed(format!("{name} has more bytes than a value may have; {limit}")));
    }
    Ok(value)
}
