//! `import`: keys and values from a stream, or from the files of a directory.
//!
//! Invariant: one record is in memory at a time; when it fails in the middle, it says how much is in.

#![forbid(unsafe_code)]

mod walk;

use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use spinney::Tree;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;
use crate::records::{Input, Reader, Record};
use crate::text::{counted, duration, escape};

/// Put many keys: from lines, CSV or JSON lines, or from the files of a directory
///
/// The database and the tree are made if there are none. Keys that are there get the new value. All is on
/// stable storage when it ends.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    input: Input,
    /// Put this in front of every key
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: OsString,
    /// The value of keys that come without one
    #[arg(long, default_value = "", hide_default_value = true)]
    value: OsString,
    /// Put the files below this directory: path -> {"size":..,"mtime":..}
    #[arg(long, value_name = "DIR", conflicts_with_all = ["input", "format", "null"])]
    walk: Option<PathBuf>,
    /// With --walk: put what is in the files, up to 64 MiB each
    #[arg(long, requires = "walk")]
    content: bool,
}

/// Where keys and values come from.
enum Source<'a> {
    Folder(walk::Walk<'a>),
    Records(Reader<Box<dyn BufRead>>),
}

/// Where keys and values go.
struct Sink<'a> {
    tree: &'a Tree,
    prefix: Vec<u8>,
    value: Vec<u8>,
    key: Vec<u8>,
    progress: Progress,
    value_bytes: u64,
}

impl Sink<'_> {
    fn put(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        position: impl FnOnce() -> u64,
    ) -> spinney::Result<()> {
        self.key.clear();
        self.key.extend_from_slice(&self.prefix);
        self.key.extend_from_slice(key);
        let value = value.unwrap_or(&self.value);
        self.tree.put(&self.key, value)?;
        self.value_bytes += value.len() as u64;
        self.progress.key(position);
        Ok(())
    }
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        // An input that cannot be opened, or a prefix that is none, makes no database.
        let (source, length_bytes) = match &self.walk {
            Some(folder) => (Source::Folder(walk::Walk::new(folder)?), None),
            None => {
                let records = self.input.open()?;
                (Source::Records(records.reader), records.length_bytes)
            }
        };
        let prefix = out.key(&self.prefix)?;
        let start = Instant::now();
        let (db, tree) = self.place.make()?;
        let mut sink = Sink {
            tree: &tree,
            prefix,
            value: self.value.clone().into_vec(),
            key: Vec::new(),
            progress: Progress::new(length_bytes, false),
            value_bytes: 0,
        };
        let ended = match source {
            Source::Folder(walk) => walk.put_all(&self.place.file.path, self.content, &mut sink),
            Source::Records(reader) => read_all(reader, &mut sink),
        };
        let (keys, value_bytes) = (sink.progress.keys(), sink.value_bytes);
        drop(sink);
        let closed = self.place.file.close(db);
        if let Err(Failure::Failed(why)) = ended {
            let keys = counted(keys, "key");
            return Err(Failure::Failed(format!("{why} (put before: {keys})")));
        }
        ended.and(closed)?;
        let (time, said) = (start.elapsed(), counted(keys, "key"));
        let report = json!({ "imported": keys, "value_bytes": value_bytes, "nanos": time.as_nanos() as u64 });
        out.say(&format!("{said} put in {}", duration(time)), report)
    }
}

fn read_all(mut reader: Reader<Box<dyn BufRead>>, sink: &mut Sink) -> Result<()> {
    let mut record = Record::default();
    while reader.read(&mut record).map_err(Failure::Failed)? {
        let value = record.has_value.then_some(&record.value[..]);
        let put = sink.put(&record.key, value, || reader.position());
        put.map_err(|error| {
            let start: String = escape(&record.key).chars().take(60).collect();
            Failure::Failed(format!("line {}, key {start}: {error}", reader.record_line()))
        })?;
    }
    Ok(())
}

/// The path of a file below a folder, as a key.
fn key_of<'a>(path: &'a Path, folder: &Path) -> &'a [u8] {
    path.strip_prefix(folder).unwrap_or(path).as_os_str().as_bytes()
}
