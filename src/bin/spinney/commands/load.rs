//! `load`: many keys at once, in order, all or none.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Instant;

use serde_json::json;
use spinney::Error;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;
use crate::records::{Input, Reader, Record};
use crate::text::{counted, duration, escape};

/// Put many keys that are sorted into a place that is empty: all or none of them, and faster than `import`
///
/// Keys are sorted by their bytes, as `export` and `LC_ALL=C sort` write them. The database and the tree are
/// made if there are none.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    input: Input,
    /// Put this in front of every key; no other key may begin so
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: OsString,
    /// The value of keys that come without one
    #[arg(long, default_value = "", hide_default_value = true)]
    value: OsString,
}

/// Records as pairs. After a failure it refuses to be loaded: see `next`.
struct Pairs<'a, R> {
    reader: &'a mut Reader<R>,
    prefix: &'a [u8],
    value: &'a [u8],
    progress: &'a mut Progress,
    last: Option<Vec<u8>>,
    failure: &'a mut Option<String>,
}

impl<R: std::io::BufRead> Iterator for Pairs<'_, R> {
    type Item = (Vec<u8>, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = Record::default();
        match self.reader.read(&mut record) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                *self.failure = Some(error);
                // To end here would load what came before. A key that comes twice undoes it all.
                return self.last.take().map(|key| (key, Vec::new()));
            }
        }
        let key = [self.prefix, &record.key].concat();
        self.last = Some(key.clone());
        let reader = &self.reader;
        self.progress.key(|| reader.position());
        Some((key, if record.has_value { record.value } else { self.value.to_vec() }))
    }
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let prefix = out.key(&self.prefix)?;
        let (mut records, value) = (self.input.open()?, self.value.into_vec());
        let start = Instant::now();
        let (db, tree) = self.place.make()?;
        let mut progress = Progress::new(records.length_bytes, false);
        let mut failure = None;
        let pairs = Pairs {
            reader: &mut records.reader,
            prefix: &prefix,
            value: &value,
            progress: &mut progress,
            last: None,
            failure: &mut failure,
        };
        let loaded = tree.load(&prefix, pairs);
        progress.finish();
        self.place.file.close(db)?;
        if let Some(why) = failure {
            return Err(Failure::Failed(format!("{why} (nothing was loaded)")));
        }
        let keys = loaded.map_err(|error| match error {
            Error::LoadRefused { .. } => {
                let hint = "`LC_ALL=C sort -u` sorts lines, and `import` takes any order";
                Failure::Failed(format!("line {}: {error}; {hint}", records.reader.record_line()))
            }
            Error::TargetExists => {
                let prefix = escape(&prefix);
                Failure::Failed(format!("there are keys that begin with {prefix:?}: use `import`"))
            }
            error => error.into(),
        })?;
        let (time, said) = (start.elapsed(), counted(keys, "key"));
        let report = json!({ "loaded": keys, "nanos": time.as_nanos() as u64 });
        out.say(&format!("{said} loaded in {}", duration(time)), report)
    }
}
