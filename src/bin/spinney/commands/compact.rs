//! `compact`: a shorter file.

#![forbid(unsafe_code)]

use serde_json::json;

use crate::failure::Result;
use crate::output::Output;
use crate::place::File;
use crate::progress::Progress;
use crate::text::size;

/// Pack a database and shorten its file; it takes about as long as writing everything once
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: File,
}

const BLOB_BYTES: u64 = 512 << 10;

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let db = self.file.write(false)?;
        let progress = Progress::new(Some(0), false);
        let report = db.compact_with(|step| {
            progress.part(step.done_blobs, step.total_blobs);
            true
        })?;
        drop(progress);
        self.file.close(db)?;
        let bytes = |blobs: u32| u64::from(blobs) * BLOB_BYTES;
        let (before, after) = (bytes(report.blobs_before), bytes(report.blobs_after));
        let object = json!({ "size_bytes_before": before, "size_bytes": after });
        out.say(&format!("{} before, {} now", size(before), size(after)), object)
    }
}
