//! `trees`: the names of the trees.

#![forbid(unsafe_code)]

use serde_json::json;

use crate::failure::Result;
use crate::output::Output;
use crate::place::File;

/// List the trees of a database
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: File,
    /// With the number of keys of each
    #[arg(short, long)]
    long: bool,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let db = self.file.read()?;
        for name in db.trees()? {
            let keys = if self.long || out.is_json() { Some(db.tree(&name)?.count("")?) } else { None };
            if out.is_json() {
                out.json(&json!({ "tree": name, "keys": keys }))?;
                continue;
            }
            let column = keys.map(|keys| format!("{keys:>12}  ")).unwrap_or_default();
            let shown = out.name(name.as_bytes()).into_owned();
            out.bytes(column.as_bytes())?;
            out.line(shown)?;
        }
        Ok(())
    }
}
