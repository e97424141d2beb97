//! The regular files below a folder. Symbolic links are not followed; special files are left out.
//!
//! Invariant: what is open at a time is one folder for each level.

#![forbid(unsafe_code)]

use std::fs::{self, DirEntry, File, Metadata, ReadDir};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use spinney::VALUE_BYTES_MAX;

use super::{Sink, key_of};
use crate::failure::{Failure, Result};
use crate::output::complain;
use crate::text::counted;

/// So many files that are left out are named, the rest is counted.
const NAMED_MAX: u64 = 10;

/// A folder, and those in it that are open.
pub struct Walk<'a> {
    folder: &'a Path,
    open: Vec<ReadDir>,
}

impl<'a> Walk<'a> {
    pub fn new(folder: &'a Path) -> Result<Self> {
        Ok(Walk { folder, open: vec![list(folder)?] })
    }

    /// Puts every file. `own` is the database itself, which is left out with the files beside it.
    pub fn put_all(mut self, own: &Path, with_content: bool, sink: &mut Sink) -> Result<()> {
        let own = own_files(own);
        let mut left_out = 0;
        while let Some(current) = self.open.last_mut() {
            let Some(entry) = current.next() else {
                self.open.pop();
                continue;
            };
            let entry = entry.map_err(|error| Failure::with_path(self.folder, error))?;
            let path = entry.path();
            let failed = |error: std::io::Error| Failure::with_path(&path, error);
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                self.open.push(list(&path)?);
            } else if kind.is_file() && !is_own(&entry, &own) {
                let metadata = entry.metadata().map_err(failed)?;
                let value = if with_content { content(&path)? } else { Some(description(&metadata)) };
                let Some(value) = value else {
                    left_out += 1;
                    if left_out <= NAMED_MAX {
                        complain(&format!("{}: longer than a value may be, left out", path.display()));
                    }
                    continue;
                };
                sink.put(key_of(&path, self.folder), Some(&value), || 0)
                    .map_err(|error| Failure::with_path(&path, error))?;
            }
        }
        if left_out == 0 {
            return Ok(());
        }
        let why = "longer than 64 MiB and were left out";
        Err(Failure::Failed(format!("{} {why}", counted(left_out, "file"))))
    }
}

fn list(folder: &Path) -> Result<ReadDir> {
    fs::read_dir(folder).map_err(|error| Failure::with_path(folder, error))
}

/// The four files of a database.
fn own_files(database: &Path) -> Vec<PathBuf> {
    let Ok(database) = database.canonicalize() else {
        return Vec::new();
    };
    let ending = |ending: &str| {
        let mut name = database.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    ["", "-log", "-ring", "-journal"].map(ending).to_vec()
}

fn is_own(entry: &DirEntry, own: &[PathBuf]) -> bool {
    // Names are compared first: finding the true path of every file would be slow.
    let has_name = |path: &&PathBuf| path.file_name() == Some(&entry.file_name());
    own.iter().find(has_name).is_some_and(|path| entry.path().canonicalize().is_ok_and(|real| real == *path))
}

fn description(metadata: &Metadata) -> Vec<u8> {
    format!("{{\"size\":{},\"mtime\":{}}}", metadata.size(), metadata.mtime()).into_bytes()
}

/// None if it is too long.
fn content(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let opened = File::open(path);
    let read = opened.and_then(|file| file.take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::with_path(path, error))?;
    Ok(Some(bytes).filter(|bytes| bytes.len() <= VALUE_BYTES_MAX))
}
