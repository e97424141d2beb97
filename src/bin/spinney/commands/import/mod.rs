//! `import`: keys and values from a stream, or from the files of a directory.
//!
//! Invariant: one record is in memory at a time; when it fails in the middle, it says how much is in.

#![forbid(unsafe_code)]

mod walk;

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use spinney::{Db, Tree};

use crate::failure::{Failure, Result};
use crate::output::{Output, complain};
use crate::place::Place;
use crate::progress::Progress;
use crate::records::{Format, Reader, Record};
use crate::text::{counted, duration, escape};

/// Put many keys: from lines, CSV or JSON lines, or from the files of a directory
///
/// The database and the tree are made if there are none. Keys that are there get the new value. All is on
/// stable storage when it ends.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// What to read; without it, or with -, stdin
    #[arg(conflicts_with_all = ["walk"])]
    input: Option<PathBuf>,
    /// How to read it; without this, as the name of the input suggests, or as lines
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Lines end with a NUL byte, as `find -print0` writes them
    #[arg(short = '0', long)]
    null: bool,
    /// Put this in front of every key
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: OsString,
    /// The value of keys that come without one
    #[arg(long, default_value = "", hide_default_value = true)]
    value: OsString,
    /// Put the files below this directory: path -> {"size":..,"mtime":..}
    #[arg(long, value_name = "DIR")]
    walk: Option<PathBuf>,
    /// With --walk: put what is in the files, up to 65,535 bytes each
    #[arg(long, requires = "walk")]
    content: bool,
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
        let format = self.format()?;
        // An input that cannot be opened makes no database.
        let input = if self.walk.is_some() { None } else { Some(self.open_input()?) };
        let length = input.as_ref().and_then(|(_, length)| *length);
        let start = Instant::now();
        let (db, tree) = self.place.make()?;
        let mut sink = Sink {
            tree: &tree,
            prefix: out.key(&self.prefix)?,
            value: self.value.clone().into_vec(),
            key: Vec::new(),
            progress: Progress::new(length, false),
            value_bytes: 0,
        };
        let ended = match (&self.walk, input) {
            (Some(folder), _) => walk::walk(folder, &self.place.file.path, self.content, &mut sink),
            (None, Some((input, _))) => read_all(Reader::new(input, format, self.end()), &mut sink),
            (None, None) => Ok(()),
        };
        let (keys, value_bytes) = (sink.progress.keys(), sink.value_bytes);
        drop(sink);
        let closed = self.close(db);
        if let Err(Failure::Failed(why)) = ended {
            let keys = counted(keys, "key");
            return Err(Failure::Failed(format!("{why} (put before: {keys})")));
        }
        ended.and(closed)?;
        let (time, said) = (start.elapsed(), counted(keys, "key"));
        let report = json!({ "imported": keys, "value_bytes": value_bytes, "nanos": time.as_nanos() as u64 });
        out.say(&format!("{said} put in {}", duration(time)), report)
    }

    fn close(&self, db: Db) -> Result<()> {
        self.place.file.close(db)
    }

    fn end(&self) -> u8 {
        if self.null { 0 } else { b'\n' }
    }

    fn format(&self) -> Result<Format> {
        let guessed = self.input.as_deref().and_then(Format::of_file);
        let format = self.format.or(guessed.filter(|_| !self.null)).unwrap_or(Format::Lines);
        if self.null && format != Format::Lines {
            return Err(Failure::Usage("-0 is about lines: leave it out, or --format".to_string()));
        }
        Ok(format)
    }

    /// What to read, and its length if it has one.
    fn open_input(&self) -> Result<(Box<dyn BufRead>, Option<u64>)> {
        let Some(path) = self.input.as_deref().filter(|path| *path != Path::new("-")) else {
            if std::io::stdin().is_terminal() {
                complain("reading from the terminal; end with Ctrl-D");
            }
            return Ok((Box::new(std::io::stdin().lock()), None));
        };
        let file = File::open(path).map_err(|error| Failure::with_path(path, error))?;
        let length =
            file.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
        Ok((Box::new(BufReader::with_capacity(256 << 10, file)), length))
    }
}

fn read_all(mut reader: Reader<Box<dyn BufRead>>, sink: &mut Sink) -> Result<()> {
    let mut record = Record::default();
    while reader.read(&mut record).map_err(Failure::Failed)? {
        let value = record.has_value.then_some(&record.value[..]);
        let put = sink.put(&record.key, value, || reader.position());
        put.map_err(|error| {
            let start: String = escape(&record.key).chars().take(60).collect();
            Failure::Failed(format!("line {}, key {start}: {error}", reader.line()))
        })?;
    }
    Ok(())
}

/// The path of a file below a folder, as a key.
fn key_of<'a>(path: &'a Path, folder: &Path) -> &'a [u8] {
    path.strip_prefix(folder).unwrap_or(path).as_os_str().as_bytes()
}
