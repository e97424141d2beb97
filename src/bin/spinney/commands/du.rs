//! `du`: keys and bytes below each child of a directory.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::output::{Output, key_object};
use crate::place::{Place, directory};
use crate::text::{escape, size};

/// Sum up keys and bytes below each child of a directory; every key is read for it
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The directory; without it, the top
    #[arg(default_value = "")]
    directory: OsString,
    /// Exact numbers of bytes
    #[arg(short, long)]
    bytes: bool,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    keys: u64,
    key_bytes: u64,
    value_bytes: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.keys += other.keys;
        self.key_bytes += other.key_bytes;
        self.value_bytes += other.value_bytes;
    }
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let top = directory(out.key(&self.directory)?);
        let (_db, tree) = self.place.read()?;
        if !top.is_empty() && tree.count(&top)? == 0 {
            return Err(Failure::NotFound(format!("{}: no such directory", escape(&top))));
        }
        if !out.is_json() {
            out.line(format!("{:>12}  {:>12}  {:>12}", "keys", "key bytes", "value bytes"))?;
        }
        let (mut total, mut sum, mut child) = (Sum::default(), Sum::default(), Vec::new());
        let mut scan = tree.scan(&top).values_up_to(0);
        // Keys come in order, so those of a child come together.
        while let Some(entry) = scan.next_ref()? {
            let key = entry.key();
            let name = child_of(key, top.len());
            if sum.keys > 0 && name != child.as_slice() {
                self.print(out, &child, top.len(), sum)?;
                total.add(std::mem::take(&mut sum));
            }
            if sum.keys == 0 {
                child.clear();
                child.extend_from_slice(name);
            }
            sum.add(Sum { keys: 1, key_bytes: key.len() as u64, value_bytes: entry.value_bytes() as u64 });
        }
        if sum.keys > 0 {
            self.print(out, &child, top.len(), sum)?;
            total.add(sum);
        }
        self.print_total(out, &top, total)
    }

    fn columns(&self, sum: Sum) -> String {
        let bytes = |count: u64| if self.bytes { count.to_string() } else { size(count) };
        format!("{:>12}  {:>12}  {:>12}  ", sum.keys, bytes(sum.key_bytes), bytes(sum.value_bytes))
    }

    fn print(&self, out: &mut Output, child: &[u8], skip: usize, sum: Sum) -> Result<()> {
        let is_directory = child.len() > skip && child.ends_with(b"/");
        if out.is_json() {
            let name = if is_directory { "directory" } else { "key" };
            return out.json(&as_object(name, child, sum));
        }
        let name = if child.len() > skip { &child[skip..] } else { b"./" };
        let name = if is_directory { out.directory(name) } else { out.name(name) }.into_owned();
        out.bytes(self.columns(sum).as_bytes())?;
        out.line(name)
    }

    fn print_total(&self, out: &mut Output, top: &[u8], sum: Sum) -> Result<()> {
        if out.is_json() {
            out.json(&as_object("total", top, sum))
        } else {
            out.line(self.columns(sum) + "total")
        }
    }
}

/// The part of a key that names a child of the directory of which `skip` bytes are the name.
fn child_of(key: &[u8], skip: usize) -> &[u8] {
    let slash = key[skip..].iter().position(|&byte| byte == b'/');
    slash.map_or(key, |at| &key[..skip + at + 1])
}

fn as_object(name: &str, key: &[u8], sum: Sum) -> Value {
    let mut object = key_object(name, key);
    object.insert("keys".to_string(), json!(sum.keys));
    object.insert("key_bytes".to_string(), json!(sum.key_bytes));
    object.insert("value_bytes".to_string(), json!(sum.value_bytes));
    Value::Object(object)
}
