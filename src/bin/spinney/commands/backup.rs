//! `backup`: a copy of a database in one file.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use serde_json::json;
use spinney::Error;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::File;
use crate::progress::Progress;
use crate::text::size;

/// Copy a database into one file; also after a crash, and without changing anything of it
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: File,
    /// The file of the copy
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Replace what is there
    #[arg(long)]
    overwrite: bool,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let db = self.file.read()?;
        let progress = Progress::new(Some(0), false);
        let mut size_bytes = 0;
        let show = |done_bytes, total_bytes| {
            size_bytes = total_bytes;
            progress.part(done_bytes, total_bytes);
        };
        let written = db.backup().overwrite(self.overwrite).on_progress(show).write_to(&self.to);
        drop(progress);
        written.map_err(|error| match error {
            Error::BackupExists => {
                Failure::Usage(format!("{}: there is a file; --overwrite replaces it", self.to.display()))
            }
            // What cannot be read is the database's, and says so.
            Error::Io(error) => Failure::with_path(&self.to, error),
            Error::Locked => Failure::with_path(&self.to, error),
            error => Failure::with_path(&self.file.path, error),
        })?;
        self.file.close(db)?;
        out.say(&size(size_bytes), json!({ "size_bytes": size_bytes }))
    }
}
