//! `rm`: single keys.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use serde_json::json;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;
use crate::text::{counted, escape};

/// Remove keys (`rmdir` removes directories)
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The keys; those that are there are removed, whatever is missing
    #[arg(required = true)]
    keys: Vec<OsString>,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let keys = self.keys.iter().map(|key| out.key(key)).collect::<Result<Vec<_>>>()?;
        let (db, tree) = self.place.change()?;
        let mut missing = Vec::new();
        for key in &keys {
            if tree.remove(key)?.is_none() {
                missing.push(escape(key));
            }
        }
        self.place.file.close(db)?;
        if out.is_json() {
            out.json(&json!({ "removed": keys.len() - missing.len(), "missing": missing.len() }))?;
        }
        match missing.as_slice() {
            [] => Ok(()),
            [key] => Err(Failure::NotFound(format!("{key}: no such key"))),
            [first, ..] => {
                let count = counted(missing.len() as u64, "key");
                Err(Failure::NotFound(format!("{count} were not there: {first} and others")))
            }
        }
    }
}
