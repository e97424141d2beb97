//! `demo-catalog`: a catalog to look at, of made-up files that look like real ones.

#![forbid(unsafe_code)]

use std::time::Instant;

use serde_json::json;

use crate::collection::{self, PATHS_MAX};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;
use crate::text::{counted, duration, size};

/// Make a catalog of made-up paths to look at: packages, photos, logs, maps, music
///
/// The same number of paths gives the same catalog everywhere. Values are JSON: size, mtime, etag.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// So many paths
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..=PATHS_MAX))]
    paths: u64,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let path = &self.place.file.path;
        if path.exists() {
            return Err(Failure::Failed(format!("{}: it is there already; remove it first", path.display())));
        }
        let paths = usize::try_from(self.paths).map_err(|_| Failure::Usage("too many paths".into()))?;
        let start = Instant::now();
        let files = collection::collect(paths);
        let (db, tree) = self.place.make()?;
        let mut progress = Progress::new(Some(files.len() as u64), false);
        let entries = (0..).zip(&files).map(|(number, file)| {
            progress.key(|| number);
            (&file.path, file.value())
        });
        let loaded = tree.load("", entries)?;
        progress.finish();
        drop(files);
        self.place.file.close(db)?;
        let bytes = std::fs::metadata(path).map_err(|error| Failure::with_path(path, error))?.len();
        let (time, name) = (start.elapsed(), path.display());
        let said = format!("{name}: {}, {}, in {}", counted(loaded, "path"), size(bytes), duration(time));
        let report = json!({ "loaded": loaded, "bytes": bytes, "nanos": time.as_nanos() as u64 });
        out.say(&said, report)
    }
}
