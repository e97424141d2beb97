//! Where a command works: a database file, and a tree in it.
//!
//! Invariant: commands that only read open the file for reading, and change nothing of it, not even after a
//! crash.

#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use spinney::{Db, Durability, Error, Options, Tree};

use crate::failure::{Failure, Result};

/// A database.
#[derive(clap::Args)]
pub struct File {
    /// The database file; to read from, also the URL of a published one
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
}

/// A tree of a database.
#[derive(clap::Args)]
pub struct Place {
    #[command(flatten)]
    pub file: File,
    /// The tree in the database
    #[arg(long, value_name = "NAME", default_value = "files")]
    pub tree: String,
}

/// Opens a database; an error names the file.
pub fn open(path: &Path, options: Options) -> Result<Db> {
    options.open(path).map_err(|error| match error {
        Error::Io(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
            let path = path.display();
            Failure::Failed(match folder {
                Some(folder) => format!("{path}: there is no folder {}", folder.display()),
                None => format!("{path}: there is no such file; `spinney put` and `import` make one"),
            })
        }
        // The library speaks of reading and writing; here it is the opening.
        Error::Io(error) => Failure::with_path(path, error),
        error => Failure::with_path(path, error),
    })
}

/// Closes it; only then all is in one file.
pub fn close(path: &Path, db: Db) -> Result<()> {
    db.close().map_err(|error| Failure::with_path(path, error))
}

/// Whether an argument is no path: nobody has a folder called `s3:`.
pub fn is_url(path: &Path) -> bool {
    let scheme = path.to_str().and_then(|path| path.split_once("://")).map_or("", |(scheme, _)| scheme);
    !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(not(feature = "object-store"))]
pub fn no_urls(url: &Path) -> Failure {
    let text = "this program reads no URLs: build it with the feature `object-store`";
    Failure::Usage(format!("{}: {text}", url.display()))
}

#[cfg(feature = "object-store")]
fn open_url(url: &Path) -> Result<Db> {
    Db::open_url(&url.to_string_lossy()).map_err(|error| match error {
        Error::Io(error) if error.kind() == ErrorKind::NotFound => {
            Failure::Failed(format!("{}: there is no such object", url.display()))
        }
        Error::Io(error) => Failure::with_path(url, error),
        error => Failure::with_path(url, error),
    })
}

#[cfg(not(feature = "object-store"))]
fn open_url(url: &Path) -> Result<Db> {
    Err(no_urls(url))
}

impl File {
    pub fn read(&self) -> Result<Db> {
        if is_url(&self.path) {
            return open_url(&self.path);
        }
        open(&self.path, Db::builder().read_only(true))
    }

    /// For writing: acknowledged at once, and safe when [`close`] has returned.
    pub fn write(&self, create: bool) -> Result<Db> {
        if is_url(&self.path) {
            let text = "what was published can be read only: change the file that it was made of";
            return Err(Failure::Usage(format!("{}: {text}", self.path.display())));
        }
        open(&self.path, Db::builder().create(create).durability(Durability::Buffered))
    }

    pub fn close(&self, db: Db) -> Result<()> {
        close(&self.path, db)
    }
}

impl Place {
    /// The tree, for reading.
    pub fn read(&self) -> Result<(Db, Tree)> {
        let db = self.file.read()?;
        let tree = self.existing(&db)?;
        Ok((db, tree))
    }

    /// The tree, for changing what is there.
    pub fn change(&self) -> Result<(Db, Tree)> {
        let db = self.file.write(false)?;
        let tree = self.existing(&db)?;
        Ok((db, tree))
    }

    /// The tree, made if there is none, in a file that is made if there is none.
    pub fn make(&self) -> Result<(Db, Tree)> {
        let db = self.file.write(true)?;
        let tree = db.tree(&self.tree)?;
        Ok((db, tree))
    }

    fn existing(&self, db: &Db) -> Result<Tree> {
        let names = db.trees()?;
        if names.contains(&self.tree) {
            return Ok(db.tree(&self.tree)?);
        }
        let (path, name) = (self.file.path.display(), &self.tree);
        Err(Failure::NotFound(match names.as_slice() {
            [] => format!("{path}: there is no tree in this database"),
            _ => format!("{path}: there is no tree {name:?}; `spinney trees` shows which there are"),
        }))
    }
}

/// What an argument that names a directory means: `photos` is `photos/`, and nothing is the whole tree.
pub fn directory(mut name: Vec<u8>) -> Vec<u8> {
    if name.last().is_some_and(|&last| last != b'/') {
        name.push(b'/');
    }
    name
}
