//! Where records come from: a file or stdin, in one of the formats.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};

use super::{Format, Reader};
use crate::failure::{Failure, Result};
use crate::output::complain;

/// The arguments of the commands that read records.
#[derive(clap::Args)]
pub struct Input {
    /// What to read; without it, or with -, stdin
    input: Option<PathBuf>,
    /// How to read it; without this, as the name of the input suggests, or as lines
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Lines end with a NUL byte, as `find -print0` writes them
    #[arg(short = '0', long)]
    null: bool,
}

/// Records, and how many bytes they take together, if that is known.
pub struct Records {
    pub reader: Reader<Box<dyn BufRead>>,
    pub length_bytes: Option<u64>,
}

impl Input {
    pub fn open(&self) -> Result<Records> {
        let format = self.format()?;
        let is_told = format.is_some() || self.null;
        let format = format.unwrap_or(Format::Lines);
        let end = if self.null { 0 } else { b'\n' };
        let records = |input, length_bytes| Records { reader: Reader::new(input, format, end), length_bytes };
        let Some(path) = self.input.as_deref().filter(|path| *path != Path::new("-")) else {
            if std::io::stdin().is_terminal() {
                complain("reading from the terminal; end with Ctrl-D");
            }
            let mut input = BufReader::with_capacity(256 << 10, std::io::stdin().lock());
            if !is_told {
                refuse_other_formats(&mut input)?;
            }
            return Ok(records(Box::new(input), None));
        };
        let file = File::open(path).map_err(|error| Failure::with_path(path, error))?;
        let metadata = file.metadata().ok().filter(|metadata| metadata.is_file());
        let mut input = BufReader::with_capacity(256 << 10, file);
        if !is_told {
            refuse_other_formats(&mut input)?;
        }
        Ok(records(Box::new(input), metadata.map(|metadata| metadata.len())))
    }

    /// The format, if one was named or the name of the input suggests one.
    fn format(&self) -> Result<Option<Format>> {
        let guessed = self.input.as_deref().and_then(Format::of_file);
        let format = self.format.or(guessed.filter(|_| !self.null));
        if self.null && format.is_some_and(|format| format != Format::Lines) {
            return Err(Failure::Usage("-0 is about lines: leave it out, or --format".to_string()));
        }
        Ok(format)
    }
}

/// Where nothing tells the format, keys are read from lines; what `export` has written otherwise would be
/// taken for keys. What cannot be read is met by who reads the records.
fn refuse_other_formats(input: &mut impl BufRead) -> Result<()> {
    let Some(format) = input.fill_buf().ok().and_then(Format::of_start) else { return Ok(()) };
    let name = if format == Format::Csv { "csv" } else { "jsonl" };
    let text =
        format!("the input looks like {name}: --format {name} reads it, --format lines takes lines for keys");
    Err(Failure::Usage(text))
}
