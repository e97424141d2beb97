//! `ls`: the children of a directory, or all keys below it.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use serde_json::{Value, json};
use spinney::{ListRef, Tree};

use crate::failure::{Failure, Result};
use crate::output::{Output, key_object};
use crate::place::{Place, directory};
use crate::text::escape;

/// List a directory
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The directory, or a key; without it, the top
    #[arg(default_value = "")]
    directory: OsString,
    /// With size and version; of directories, with the number of keys
    #[arg(short, long)]
    long: bool,
    /// All keys below the directory, not the children alone
    #[arg(short = 'R', long)]
    recursive: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
    /// Only what comes after this name, as `ls` printed it: the next page
    #[arg(long, value_name = "NAME")]
    after: Option<OsString>,
}

/// One line of the listing.
#[derive(Clone, Copy)]
enum Line {
    Directory { keys: Option<u64> },
    Key { value_bytes: usize, version: u64 },
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let name = out.key(&self.directory)?;
        let (_db, tree) = self.place.read()?;
        let may_be_key = self.after.is_none() && !name.is_empty() && !name.ends_with(b"/");
        if may_be_key && let Some(line) = key_line(&tree, &name)? {
            return self.print(out, &name, 0, line);
        }
        let prefix = directory(name);
        let shown = match self.recursive {
            true => self.all(out, &tree, &prefix)?,
            false => self.children(out, &tree, &prefix)?,
        };
        if !shown && !prefix.is_empty() && tree.count(&prefix)? == 0 {
            return Err(Failure::NotFound(format!("{}: no such key or directory", escape(&prefix))));
        }
        Ok(())
    }

    /// The name that `--after` means, as a key.
    fn after(&self, out: &Output, tree: &Tree, prefix: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(name) = self.after.as_deref() else { return Ok(None) };
        let name = out.key(name)?;
        // JSON has whole keys. In text `./` is a key that is the directory's own name, else a directory.
        Ok(Some(match () {
            () if out.is_json() => name,
            () if name == b"./" && tree.contains(prefix)? => prefix.to_vec(),
            () => [prefix, &name].concat(),
        }))
    }

    fn children(&self, out: &mut Output, tree: &Tree, prefix: &[u8]) -> Result<bool> {
        let mut list = tree.list(prefix).values_up_to(0).limit(self.limit);
        if let Some(after) = self.after(out, tree, prefix)? {
            list = list.start_after(after);
        }
        let mut shown = false;
        while let Some(child) = list.next_ref()? {
            shown = true;
            match child {
                ListRef::Prefix(name) => {
                    let keys = if self.long { Some(tree.count(name)?) } else { None };
                    self.print(out, name, prefix.len(), Line::Directory { keys })?;
                }
                ListRef::Key { key, value, version } => {
                    // A long value was not read, and has no bytes here.
                    let value_bytes = match value.len() {
                        0 => tree.value_bytes(key)?.unwrap_or(0),
                        value_bytes => value_bytes,
                    };
                    let line = Line::Key { value_bytes, version: version.number() };
                    self.print(out, key, prefix.len(), line)?;
                }
            }
        }
        Ok(shown)
    }

    fn all(&self, out: &mut Output, tree: &Tree, prefix: &[u8]) -> Result<bool> {
        let mut scan = tree.scan(prefix).values_up_to(0).limit(self.limit);
        if let Some(after) = self.after(out, tree, prefix)? {
            scan = scan.start_after(after);
        }
        let mut shown = false;
        while let Some(entry) = scan.next_ref()? {
            shown = true;
            let line = Line::Key { value_bytes: entry.value_bytes(), version: entry.version().number() };
            self.print(out, entry.key(), prefix.len(), line)?;
        }
        Ok(shown)
    }

    /// `key` without its first `skip` bytes, which all lines would begin with.
    fn print(&self, out: &mut Output, key: &[u8], skip: usize, line: Line) -> Result<()> {
        if out.is_json() {
            return out.json(&as_object(key, line));
        }
        // A key that is the directory's own name has nothing left of it.
        let name = if key.len() > skip { &key[skip..] } else { b"./" };
        let (columns, name) = match line {
            Line::Directory { keys } => {
                (format!("{:>12}  {:>10}  ", keys_of(keys), "-"), out.directory(name).into_owned())
            }
            Line::Key { value_bytes, version } => {
                (format!("{value_bytes:>12}  {version:>10}  "), out.name(name).into_owned())
            }
        };
        if self.long {
            out.bytes(columns.as_bytes())?;
        }
        out.line(name)
    }
}

/// The line of a single key, if it is there.
fn key_line(tree: &Tree, key: &[u8]) -> Result<Option<Line>> {
    let found = tree
        .range(key..=key)
        .values_up_to(0)
        .next_ref()?
        .map(|entry| Line::Key { value_bytes: entry.value_bytes(), version: entry.version().number() });
    Ok(found)
}

fn keys_of(keys: Option<u64>) -> String {
    keys.map(|keys| crate::text::counted(keys, "key")).unwrap_or_default()
}

fn as_object(key: &[u8], line: Line) -> Value {
    match line {
        Line::Directory { keys } => {
            let mut object = key_object("directory", key);
            if let Some(keys) = keys {
                object.insert("keys".to_string(), json!(keys));
            }
            Value::Object(object)
        }
        Line::Key { value_bytes, version } => {
            let mut object = key_object("key", key);
            object.insert("size_bytes".to_string(), json!(value_bytes));
            object.insert("version".to_string(), json!(version));
            Value::Object(object)
        }
    }
}
