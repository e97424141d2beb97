//! CSV as RFC 4180 has it: two columns, quotes where they are needed, `\n` or `\r\n` behind each record.
//!
//! The first record is left out if it is `key,value`: a title. What is written always begins with it, so that
//! nothing else can be taken for it.

#![forbid(unsafe_code)]

use std::io::BufRead;

use spinney::VALUE_BYTES_MAX;

use super::{Record, Source};
use crate::failure;
use crate::output::Output;

pub const HEAD: &[u8] = b"key,value\n";
const MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(PartialEq, Eq)]
enum End {
    Comma,
    Record,
}

pub fn read<R: BufRead>(source: &mut Source<R>, record: &mut Record) -> Result<bool, String> {
    loop {
        source.begin_record();
        let is_first = source.position == 0;
        if source.peek()?.is_none() {
            return Ok(false);
        }
        let end = field(source, &mut record.key)?;
        if is_first && record.key.starts_with(MARK) {
            record.key.drain(..MARK.len());
        }
        if end == End::Record {
            if record.key.is_empty() {
                continue;
            }
            return Err("there is no comma: a record is key,value".to_string());
        }
        if field(source, &mut record.value)? == End::Comma {
            return Err("there are more than two columns; put quotes around a comma".to_string());
        }
        if !(is_first && record.key == b"key" && record.value == b"value") {
            return Ok(true);
        }
    }
}

/// One field, without its quotes.
fn field<R: BufRead>(source: &mut Source<R>, out: &mut Vec<u8>) -> Result<End, String> {
    out.clear();
    if source.peek()? == Some(b'"') {
        source.byte()?;
        quoted(source, out)?;
    }
    loop {
        match source.byte()? {
            Some(b',') => return Ok(End::Comma),
            Some(b'\r') if source.peek()? == Some(b'\n') => {}
            Some(b'\n') | None => return Ok(End::Record),
            Some(byte) => push(out, byte)?,
        }
    }
}

/// What stands between two quotes, of which the first has been taken.
fn quoted<R: BufRead>(source: &mut Source<R>, out: &mut Vec<u8>) -> Result<(), String> {
    loop {
        match source.byte()? {
            Some(b'"') if source.peek()? == Some(b'"') => {
                source.byte()?;
                push(out, b'"')?;
            }
            Some(b'"') => return Ok(()),
            Some(byte) => push(out, byte)?,
            None => return Err("a quote is opened and never closed".to_string()),
        }
    }
}

fn push(out: &mut Vec<u8>, byte: u8) -> Result<(), String> {
    if out.len() == VALUE_BYTES_MAX {
        return Err(format!("a field has more than {VALUE_BYTES_MAX} bytes; is a quote not closed?"));
    }
    out.push(byte);
    Ok(())
}

pub fn write(out: &mut Output, key: &[u8], value: &[u8]) -> failure::Result<()> {
    out.bytes(&escaped(key))?;
    out.bytes(b",")?;
    out.bytes(&escaped(value))?;
    out.bytes(b"\n")
}

fn escaped(field: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !field.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        return field.into();
    }
    let mut quoted = vec![b'"'];
    for &byte in field {
        quoted.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
    }
    quoted.push(b'"');
    quoted.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (Vec<u8>, Vec<u8>);

    fn all(text: &[u8]) -> Result<Vec<Pair>, String> {
        let (mut source, mut record, mut found) = (Source::new(text), Record::default(), Vec::new());
        while read(&mut source, &mut record)? {
            found.push((record.key.clone(), record.value.clone()));
        }
        Ok(found)
    }

    fn pair(key: &str, value: &str) -> Pair {
        (key.into(), value.into())
    }

    #[test]
    fn fields_are_understood() {
        let text = b"\xef\xbb\xbfkey,value\r\na,1\r\n\n\"b,\"\"\n\",\"\"\n,\nkey,value\nlast,2";
        let expected =
            [pair("a", "1"), pair("b,\"\n", ""), pair("", ""), pair("key", "value"), pair("last", "2")];
        assert_eq!(all(text), Ok(expected.to_vec()));
        assert_eq!(all(b""), Ok(vec![]));
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let every: Vec<u8> = (0..=255).collect();
        for field in [&b""[..], b"\"", b"\"\"", b"\r", b"\n", b"a\rb", b"\xef\xbb\xbf", b" x ", &every] {
            let text = [HEAD, &escaped(field), b",", &escaped(field), b"\n"].concat();
            assert_eq!(all(&text), Ok(vec![(field.to_vec(), field.to_vec())]), "{field:?}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, why) in [("a\n", "no comma"), ("a,b,c\n", "two columns"), ("a,\"b", "never closed")] {
            assert!(all(text.as_bytes()).is_err_and(|error| error.contains(why)), "{text}");
        }
        let long = format!("a,{}", "x".repeat(VALUE_BYTES_MAX + 1));
        assert!(all(long.as_bytes()).is_err_and(|error| error.contains("more than 67108864")));
    }
}
