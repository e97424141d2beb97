//! `export`: keys and values as a stream that `import` understands.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::IsTerminal;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;
use crate::records::{self, Format};

/// Write keys and values to stdout, as lines, CSV or JSON lines
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Only keys that begin with this, byte for byte
    #[arg(default_value = "")]
    prefix: OsString,
    /// Lines have keys alone; the other two have all there is, and come back as they were
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Write keys alone, each with a NUL byte behind it
    #[arg(short = '0', long, conflicts_with = "format")]
    null: bool,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let format = if self.null { Format::Lines } else { self.format };
        if out.is_json() && format != Format::Jsonl {
            return Err(Failure::Usage("--json is --format jsonl: leave one of the two out".to_string()));
        }
        let prefix = out.key(&self.prefix)?;
        let (_db, tree) = self.place.read()?;
        // Lines and a bar in the same terminal would spoil each other.
        let is_hidden = std::io::stdout().is_terminal();
        let total = if is_hidden { 0 } else { tree.count(&prefix)? };
        let mut progress = Progress::new(Some(total), is_hidden);
        let end = if self.null { 0 } else { b'\n' };
        records::write_head(out, format)?;
        let (mut scan, mut position) = (tree.scan(&prefix), 0);
        while let Some(entry) = scan.next_ref()? {
            records::write(out, format, end, entry.key(), entry.value())?;
            position += 1;
            progress.key(|| position);
        }
        out.flush()
    }
}
