//! Bytes of an input, with a count of lines, in pieces of limited length.

#![forbid(unsafe_code)]

use std::io::{BufRead, ErrorKind, Read};

/// See the head of this file.
pub struct Source<R> {
    input: R,
    /// Bytes read so far.
    pub position: u64,
    /// The line of the next byte, from 1.
    line: u64,
    /// The line of the record that is being read.
    pub record_line: u64,
}

impl<R: BufRead> Source<R> {
    pub fn new(input: R) -> Self {
        Source { input, position: 0, line: 1, record_line: 1 }
    }

    /// Here begins a record, if nothing empty.
    pub fn begin_record(&mut self) {
        self.record_line = self.line;
    }

    /// The byte that comes next; none at the end.
    pub fn peek(&mut self) -> Result<Option<u8>, String> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("it cannot be read: {error}")),
            }
        }
    }

    /// Takes the next byte; none at the end.
    pub fn byte(&mut self) -> Result<Option<u8>, String> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.input.consume(1);
            self.position += 1;
            self.line += u64::from(byte == b'\n');
        }
        Ok(byte)
    }

    /// Takes everything up to a byte, which is left out. False if the input was at its end.
    pub fn until(&mut self, end: u8, limit_bytes: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        out.clear();
        if self.peek()?.is_none() {
            return Ok(false);
        }
        let read = self.input.by_ref().take(limit_bytes as u64 + 1).read_until(end, out);
        let read = read.map_err(|error| format!("it cannot be read: {error}"))?;
        self.position += read as u64;
        self.line += 1;
        if out.last() == Some(&end) {
            out.pop();
        } else if out.len() > limit_bytes {
            return Err(format!("it has more than {limit_bytes} bytes, which no key or value has"));
        }
        Ok(true)
    }
}
