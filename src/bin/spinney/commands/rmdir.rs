//! `rmdir`: a directory with all that is in it.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::output::{Output, key_object};
use crate::place::{Place, directory};
use crate::text::{counted, escape};

/// Remove a directory with everything in it, of any size
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The directory; a `/` is added if it does not end with one
    directory: OsString,
    /// Take the name as a prefix, wherever it ends; the empty one removes all keys
    #[arg(long)]
    prefix: bool,
    /// Do not ask on a terminal
    #[arg(short, long)]
    yes: bool,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let name = out.key(&self.directory)?;
        let prefix = if self.prefix { name } else { directory(name) };
        if prefix.is_empty() && !self.prefix {
            let why = "the name is empty: `rmdir --prefix FILE ''` removes all keys of a tree";
            return Err(Failure::Usage(why.to_string()));
        }
        let (db, tree) = self.place.change()?;
        let keys = tree.count(&prefix)?;
        if keys == 0 {
            return Err(Failure::NotFound(format!("{}: no key begins so", escape(&prefix))));
        }
        if !self.yes && std::io::stdin().is_terminal() && !agreed(&prefix, keys)? {
            return Err(Failure::Failed("nothing was removed".to_string()));
        }
        tree.remove_prefix(&prefix)?;
        self.place.file.close(db)?;
        let mut object = key_object("prefix", &prefix);
        object.insert("removed".to_string(), json!(keys));
        out.say(&format!("{} removed", counted(keys, "key")), Value::Object(object))
    }
}

fn agreed(prefix: &[u8], keys: u64) -> Result<bool> {
    let question = format!("Remove {} beginning with {}? [y/N] ", counted(keys, "key"), escape(prefix));
    let mut answer = String::new();
    let mut stderr = std::io::stderr().lock();
    let asked = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    let answered = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    answered.map_err(|error| Failure::Failed(format!("there is nobody to ask: {error}; use --yes")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
