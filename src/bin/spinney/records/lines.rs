//! Keys alone, with a newline or a NUL behind each. An empty line is the empty key, which is an ordinary one.

#![forbid(unsafe_code)]

use std::io::BufRead;

use spinney::KEY_BYTES_MAX;

use super::{Record, Source};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::text::escape;

pub fn read<R: BufRead>(
    source: &mut Source<R>,
    end: u8,
    record: &mut Record,
) -> std::result::Result<bool, String> {
    record.value.clear();
    source.until(end, KEY_BYTES_MAX, &mut record.key)
}

pub fn write(out: &mut Output, end: u8, key: &[u8]) -> Result<()> {
    if key.contains(&end) {
        let other = if end == 0 { "" } else { "-0, " };
        let key = escape(key);
        return Err(Failure::Failed(format!(
            "the key {key} cannot be told from two in lines: use {other}--format csv or --format jsonl"
        )));
    }
    out.bytes(key)?;
    out.bytes(&[end])
}
