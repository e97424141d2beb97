//! Keys and values as other programs give and take them: paths in lines, CSV, JSON lines.
//!
//! Invariants: what `write` makes, `read` understands, for any bytes, or `write` refuses it; one record is in
//! memory at a time, and none is longer than a database takes.

#![forbid(unsafe_code)]

mod csv;
mod input;
mod json;
mod lines;
mod source;

use std::io::BufRead;
use std::path::Path;

use crate::failure::Result;
use crate::output::Output;
pub use input::Input;
use source::Source;

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A key in each line, without a value
    Lines,
    /// Two columns, key and value
    Csv,
    /// An object in each line: {"key":..,"value":..}; bytes that are no text are "key_base64", "value_base64"
    Jsonl,
}

impl Format {
    /// What the name of a file suggests.
    pub fn of_file(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
            "txt" | "lst" => Some(Format::Lines),
            _ => None,
        }
    }

    /// What the first bytes suggest: those that `export` writes in other formats than lines.
    pub fn of_start(bytes: &[u8]) -> Option<Format> {
        let begins = |with: &[&str]| with.iter().any(|with| bytes.starts_with(with.as_bytes()));
        match () {
            () if begins(&["{\"key\":\"", "{\"key_base64\":\""]) => Some(Format::Jsonl),
            () if begins(&["key,value\n", "key,value\r\n"]) => Some(Format::Csv),
            () => None,
        }
    }
}

/// A key, and its value where the format has one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub has_value: bool,
}

/// Reads records, one after the other.
pub struct Reader<R> {
    source: Source<R>,
    format: Format,
    /// What ends a line of [`Format::Lines`].
    end: u8,
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R, format: Format, end: u8) -> Self {
        Reader { source: Source::new(input), format, end }
    }

    /// The next record. False at the end. An error is a sentence that names the line.
    pub fn read(&mut self, record: &mut Record) -> std::result::Result<bool, String> {
        record.has_value = self.format != Format::Lines;
        self.source.begin_record();
        let found = match self.format {
            Format::Lines => lines::read(&mut self.source, self.end, record),
            Format::Csv => csv::read(&mut self.source, record),
            Format::Jsonl => json::read(&mut self.source, record),
        };
        found.map_err(|error| format!("line {}: {error}", self.record_line()))
    }

    /// The line at which the last record began.
    pub fn record_line(&self) -> u64 {
        self.source.record_line
    }

    /// Bytes that have been read.
    pub fn position(&self) -> u64 {
        self.source.position
    }
}

/// What comes before the first record.
pub fn write_head(out: &mut Output, format: Format) -> Result<()> {
    match format {
        Format::Csv => out.bytes(csv::HEAD),
        Format::Lines | Format::Jsonl => Ok(()),
    }
}

/// Writes one record.
pub fn write(out: &mut Output, format: Format, end: u8, key: &[u8], value: &[u8]) -> Result<()> {
    match format {
        Format::Lines => lines::write(out, end, key),
        Format::Csv => csv::write(out, key, value),
        Format::Jsonl => json::write(out, key, value),
    }
}
