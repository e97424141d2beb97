//! `publish`: a database as one object that others read over HTTP.

#![forbid(unsafe_code)]

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use spinney::Db;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::{self, File};
use crate::progress::Progress;
use crate::text::{counted, size};

/// Publish a database as one object: checked, closed and complete, for pages and machines to read over HTTP
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: File,
    /// A path, or a URL: s3://, gs://, az://, http(s):// (a server that takes PUT), file://
    #[arg(value_name = "DEST")]
    to: String,
    /// Pack it first: what is read together lies together, and it is shorter
    #[arg(long)]
    pack: bool,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

/// A copy that is gone afterwards, unless it was moved away.
struct Copy {
    path: PathBuf,
    /// Where nothing else is.
    folder: Option<PathBuf>,
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be removed stays; it has a name that tells what it is.
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let is_url = place::is_url(Path::new(&self.to));
        // Who may replace it need not be allowed to ask.
        if !self.force && self.exists(is_url)? {
            return Err(Failure::Usage(format!("{}: there is one; --force replaces it", self.to)));
        }
        let db = self.file.read()?;
        self.check(&db)?;
        let copy = self.place_of_copy(is_url)?;
        self.write_copy(db, &copy)?;
        let bytes =
            std::fs::metadata(&copy.path).map_err(|error| Failure::with_path(&copy.path, error))?.len();
        let checksum = if is_url { self.upload(&copy)? } else { self.put_in_place(&copy)? };
        let text = match &checksum {
            Some(checksum) => {
                format!("{} at {}, read back and found right ({checksum})", size(bytes), self.to)
            }
            None => format!("{} at {}", size(bytes), self.to),
        };
        out.say(&text, json!({ "to": self.to, "size_bytes": bytes, "checksum": checksum }))
    }

    /// Every page is read: a damage is found here, not by those who read what was published.
    fn check(&self, db: &Db) -> Result<()> {
        let report = db.check().map_err(|error| Failure::with_path(&self.file.path, error))?;
        if report.is_clean() {
            return Ok(());
        }
        let problems = counted(report.problems.len() as u64, "problem");
        let path = self.file.path.display();
        Err(Failure::Failed(format!("{path}: {problems} found by `spinney check`: nothing was published")))
    }

    /// Beside a path, so that it can be moved there at once. On its way to a server, in a folder that nobody
    /// else can look into.
    fn place_of_copy(&self, is_url: bool) -> Result<Copy> {
        let number = std::process::id();
        if is_url {
            let folder = private_folder(&std::env::temp_dir().join(format!("spinney-publish-{number}")))?;
            return Ok(Copy { path: folder.join("copy.spinney"), folder: Some(folder) });
        }
        let mut name = Path::new(&self.to)
            .file_name()
            .map(ToOwned::to_owned)
            .ok_or_else(|| Failure::Usage(format!("{}: this is no name of a file", self.to)))?;
        name.push(format!(".publish-{number}"));
        Ok(Copy { path: Path::new(&self.to).with_file_name(name), folder: None })
    }

    /// A copy that is closed, whatever the database is.
    fn write_copy(&self, db: Db, copy: &Copy) -> Result<()> {
        let failed = |error: spinney::Error| Failure::with_path(&copy.path, error);
        let progress = Progress::new(Some(0), false);
        let show = |done_bytes, total_bytes| progress.part(done_bytes, total_bytes);
        db.backup().overwrite(true).on_progress(show).write_to(&copy.path).map_err(failed)?;
        self.file.close(db)?;
        if self.pack {
            let packed = Db::builder().create(false).open(&copy.path).map_err(failed)?;
            packed.compact().map_err(failed)?;
            packed.close().map_err(failed)?;
        }
        Ok(())
    }

    fn put_in_place(&self, copy: &Copy) -> Result<Option<String>> {
        let to = Path::new(&self.to);
        // Written as a backup: it locks what it replaces, and its name is on the disk in the end.
        let made = Db::builder().create(false).open(&copy.path).and_then(|db| {
            db.backup().overwrite(self.force).write_to(to)?;
            db.close()
        });
        made.map_err(|error| Failure::with_path(to, error))?;
        Ok(None)
    }
}

/// A new folder; with a number behind its name, where something has that name.
fn private_folder(name: &Path) -> Result<PathBuf> {
    let mut folder = name.to_owned();
    for number in 1.. {
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                folder = name.with_extension(number.to_string());
            }
            Err(error) => return Err(Failure::with_path(&folder, error)),
        }
    }
    Ok(folder)
}

#[cfg(feature = "object-store")]
impl Args {
    fn exists(&self, is_url: bool) -> Result<bool> {
        if !is_url {
            return Ok(Path::new(&self.to).exists());
        }
        self.object()?.exists().map_err(|error| self.failed(error))
    }

    fn object(&self) -> Result<spinney::backend::ObjectPlace> {
        spinney::backend::ObjectPlace::parse(&self.to).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Failure {
        Failure::with_path(Path::new(&self.to), error)
    }

    /// Brings the copy there, and reads it back: what is told is what a reader gets.
    fn upload(&self, copy: &Copy) -> Result<Option<String>> {
        let object = self.object()?;
        let file = std::fs::File::open(&copy.path).map_err(|error| Failure::with_path(&copy.path, error))?;
        let bytes = file.metadata().map_err(|error| Failure::with_path(&copy.path, error))?.len();
        let progress = Progress::new(Some(0), false);
        let sent = object.upload(file, &mut |done_bytes| progress.part(done_bytes, 2 * bytes));
        let sent = sent.map_err(|error| self.failed(error))?;
        let found = object.read_back(&mut |done_bytes| progress.part(bytes + done_bytes, 2 * bytes));
        drop(progress);
        if found.map_err(|error| self.failed(error))? != sent {
            let text = "what is there now is not what was sent; publish it again with --force";
            return Err(Failure::Failed(format!("{}: {text}", self.to)));
        }
        Ok(Some(format!("xxh3 {:016x}", sent.checksum)))
    }
}

#[cfg(not(feature = "object-store"))]
impl Args {
    fn exists(&self, is_url: bool) -> Result<bool> {
        if is_url { Err(place::no_urls(Path::new(&self.to))) } else { Ok(Path::new(&self.to).exists()) }
    }

    fn upload(&self, _copy: &Copy) -> Result<Option<String>> {
        Err(place::no_urls(Path::new(&self.to)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_of_a_copy_is_private_and_new() {
        let name = std::env::temp_dir().join(format!("spinney-publish-test-{}", std::process::id()));
        let folders = [(); 3].map(|()| private_folder(&name).unwrap());
        for (at, folder) in folders.iter().enumerate() {
            assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(
                folders.iter().position(|other| other == folder),
                Some(at),
                "each has a name of its own"
            );
            std::fs::remove_dir(folder).unwrap();
        }
        assert!(private_folder(Path::new("/nonexistent/a")).is_err());
    }
}
