//! `tree`: directories below directories, drawn.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::iter::Peekable;

use serde_json::{Value, json};
use spinney::{Entry, List};

use crate::failure::{Failure, Result};
use crate::output::{Output, key_object};
use crate::place::{Place, directory};
use crate::text::{counted, escape};

/// Draw a directory and what is below it
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The directory; without it, the top
    #[arg(default_value = "")]
    directory: OsString,
    /// So many levels; a directory of the last one shows how many keys it has
    #[arg(short, long, value_name = "LEVELS", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    depth: u32,
    /// At most so many children of each directory
    #[arg(long, value_name = "COUNT", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
}

/// A directory that is being drawn.
struct Level {
    prefix: Vec<u8>,
    children: Peekable<List>,
    left: usize,
}

/// The pieces of the drawing: a child, the last child, and what goes on below each.
struct Lines {
    child: &'static str,
    last: &'static str,
    beside: &'static str,
    below_last: &'static str,
}

const ASCII: Lines = Lines { child: "|-- ", last: "`-- ", beside: "|   ", below_last: "    " };
const BOXES: Lines = Lines {
    child: "\u{251c}\u{2500}\u{2500} ",
    last: "\u{2514}\u{2500}\u{2500} ",
    beside: "\u{2502}   ",
    below_last: "    ",
};

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let top = directory(out.key(&self.directory)?);
        let (_db, tree) = self.place.read()?;
        let level = |prefix: &[u8]| Level {
            children: tree.list(prefix).peekable(),
            prefix: prefix.to_vec(),
            left: self.limit,
        };
        let mut open = vec![level(&top)];
        if !top.is_empty() && open[0].children.peek().is_none() {
            return Err(Failure::NotFound(format!("{}: no such directory", escape(&top))));
        }
        if !out.is_json() {
            let name = if top.is_empty() { b"." } else { &top[..] };
            let name = out.directory(name).into_owned();
            out.line(name)?;
        }
        let lines = if is_utf8() { BOXES } else { ASCII };
        // What stands in front of the children of each open directory.
        let mut margin = vec![""];
        while let Some(current) = open.last_mut() {
            let Some(child) = current.children.next().transpose()? else {
                open.pop();
                margin.pop();
                continue;
            };
            if current.left == 0 {
                current.children = tree.list("").limit(0).peekable();
                self.cut_off(out, &margin, lines.last)?;
                continue;
            }
            current.left -= 1;
            let skip = current.prefix.len();
            let is_last = current.children.peek().is_none();
            let depth = open.len() as u32;
            let keys = match &child {
                Entry::Prefix(name) if depth == self.depth => Some(tree.count(name)?),
                _ => None,
            };
            let branch = if is_last { lines.last } else { lines.child };
            print(out, &child, skip, depth, keys, &format!("{}{branch}", margin.concat()))?;
            if let Entry::Prefix(name) = &child
                && depth < self.depth
            {
                margin.push(if is_last { lines.below_last } else { lines.beside });
                open.push(level(name));
            }
        }
        Ok(())
    }

    fn cut_off(&self, out: &mut Output, margin: &[&str], last: &str) -> Result<()> {
        if out.is_json() { Ok(()) } else { out.line(format!("{}{last}...", margin.concat())) }
    }
}

fn print(
    out: &mut Output,
    child: &Entry,
    skip: usize,
    depth: u32,
    keys: Option<u64>,
    front: &str,
) -> Result<()> {
    let full = child.name();
    if out.is_json() {
        let mut object = key_object(if child.is_prefix() { "directory" } else { "key" }, full);
        object.insert("depth".to_string(), json!(depth));
        if let Some(keys) = keys {
            object.insert("keys".to_string(), json!(keys));
        }
        return out.json(&Value::Object(object));
    }
    let name = if full.len() > skip { &full[skip..] } else { b"./" };
    let name = if child.is_prefix() { out.directory(name) } else { out.name(name) }.into_owned();
    out.bytes(front.as_bytes())?;
    out.bytes(&name)?;
    out.line(keys.map(|keys| format!("  ({})", counted(keys, "key"))).unwrap_or_default())
}

/// Whether the terminal, or whoever reads, says that it understands more than ASCII.
fn is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
