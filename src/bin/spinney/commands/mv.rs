//! `mv`: a key, or a directory as a whole.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use serde_json::{Value, json};
use spinney::Error;

use crate::failure::{Failure, Result};
use crate::output::{Output, insert_bytes, key_object};
use crate::place::Place;
use crate::text::escape;

/// Rename a key, or with a `/` at the end of both names a directory of any size
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The key or the directory/
    from: OsString,
    /// Its new name; nothing may be there
    to: OsString,
    /// Take both names as prefixes, wherever they end
    #[arg(long)]
    prefix: bool,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let (from, to) = (out.key(&self.from)?, out.key(&self.to)?);
        let is_directory = |name: &[u8]| name.ends_with(b"/");
        if !self.prefix && is_directory(&from) != is_directory(&to) {
            let why = "either both names end with / (a directory) or neither does (a key)";
            return Err(Failure::Usage(why.to_string()));
        }
        let is_prefix = self.prefix || is_directory(&from);
        let (db, tree) = self.place.change()?;
        let moved = match is_prefix {
            true => tree.rename_prefix(&from, &to),
            false => tree.rename(&from, &to),
        };
        let moved = moved.map_err(|error| match error {
            Error::TargetExists => Failure::Failed(format!("{}: {error}", escape(&to))),
            error => error.into(),
        })?;
        let keys = if out.is_json() && is_prefix { tree.count(&to)? } else { u64::from(moved.is_some()) };
        self.place.file.close(db)?;
        let what = if is_prefix { "no key begins so" } else { "no such key" };
        let version = moved.ok_or_else(|| Failure::NotFound(format!("{}: {what}", escape(&from))))?;
        if out.is_json() {
            let mut object = key_object("from", &from);
            insert_bytes(&mut object, "to", &to);
            object.insert("keys".to_string(), json!(keys));
            object.insert("version".to_string(), json!(version.number()));
            out.json(&Value::Object(object))?;
        }
        Ok(())
    }
}
